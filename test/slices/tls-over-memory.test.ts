/**
 * Slice: TLS over a link that is no socket, and TLS that begins in the middle of a connection.
 *
 * What it proves: a transport can be made of another one without either knowing (HTTP over TLS over
 * memory, with ALPN and the certificate as facts of the connection); and `detach` gives a connection
 * on with the bytes that came too early, here the TLS hello right behind a STARTTLS.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as memoryAddress } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { type MemoryOptions, memory } from '../../src/transports/memory/memory-transport.ts'
import { tls } from '../../src/transports/tls/tls.ts'
import { Acceptor, Recorder } from '../transports/recorder.ts'

const authority = await DevAuthority.create(systemClock)
const credentials = await authority.issue()
const { ca } = authority
const ADDRESS = memoryAddress('0')

/** A link that overwrites what is borrowed too long, in pieces of any size. */
function link(options: Partial<MemoryOptions> = {}) {
  return memory({ clock: systemClock, network: new MemoryNetwork(), strict: true, ...options })
}

for (const [name, options] of [
  ['whole', {}],
  ['in single bytes', { maxChunkBytes: 1 }],
  ['in random pieces', { maxChunkBytes: 1_500, random: new SeededRandom(7).next }],
] as const) {
  test(`TLS runs over memory, ${name}`, async () => {
    const transport = tls({ credentials, ca, alpn: ['echo'], inner: link(options) })
    await using acceptor = await Acceptor.listen(transport, ADDRESS)
    const client = await transport.connect(acceptor.address, { serverName: 'localhost' })
    const server = await acceptor.next()
    const answer = new Recorder()
    client.open(answer)
    server.open(new Recorder((chunk) => server.write(chunk.slice())))
    client.write(Buffer.alloc(40_000, 'x'))
    await answer.received(40_000)
    assert.equal(answer.text, 'x'.repeat(40_000))
    assert.deepEqual(
      [client.facts.tls?.alpn, client.facts.tls?.authorized, server.facts.tls?.serverName],
      ['echo', true, 'localhost'],
    )
    assert.equal(server.facts.remote.kind, 'memory')
    client.destroy()
  })
}

test('TLS begins in the middle of a connection, with its hello already there', async () => {
  const inner = link()
  const security = tls({ credentials, ca })
  const securing = new Promise<Connection>((resolve, reject) => {
    void Acceptor.listen(inner, ADDRESS, (connection) => {
      const greeter = new Recorder((chunk) => {
        const text = Buffer.from(chunk).toString('latin1')
        if (!text.startsWith(STARTTLS)) return reject(new Error(`got ${text}`))
        // The client did not wait for an answer: what follows is the beginning of its hello.
        connection.detach(chunk.subarray(STARTTLS.length))
        security.accept(connection).then(resolve, reject)
      })
      connection.open(greeter)
    }).then(async (acceptor) => {
      const plain = await inner.connect(acceptor.address)
      plain.write(Buffer.from(STARTTLS))
      const secret = await security.secure(plain, { serverName: 'localhost' })
      secret.open(new Recorder())
      secret.write(Buffer.from('for your eyes only'))
    }, reject)
  })
  const server = await securing
  const reader = new Recorder()
  server.open(reader)
  await reader.received(18)
  assert.equal(reader.text, 'for your eyes only')
  assert.equal(server.facts.tls?.version, 'TLSv1.3')
  server.destroy()
})

test('TLS that cannot begin tells both sides why', async () => {
  const inner = link()
  await using acceptor = await Acceptor.listen(inner, ADDRESS)
  const plain = await inner.connect(acceptor.address)
  const accepting = tls({ credentials }).accept(await acceptor.next())
  const secured = tls().secure(plain, { serverName: 'localhost' })
  await assert.rejects(secured, { code: 'ERR_TLS', message: /its issuer is not trusted here/ })
  await assert.rejects(accepting, { code: 'ERR_RESET', message: /during the TLS handshake/ })
  assert.throws(() => tls().accept(plain), { code: 'ERR_ARGUMENT' })
})

const STARTTLS = 'STARTTLS\r\n'
