/** What a TLS server may change while it runs, and how it judges clients. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Acceptor, Recorder } from '../../../test/transports/recorder.ts'
import { type Address, ip } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { pinOf } from './certificate-pins.ts'
import { tls } from './tls.ts'
import type { TlsOptions, TlsPeer } from './tls-options.ts'

const LOOPBACK = ip('127.0.0.1', 0)
const authority = await DevAuthority.create(systemClock)
const credentials = await authority.issue()
const { ca } = authority
const alice = await authority.issue({ names: ['alice'], usage: 'client' })
const bob = await authority.issue({ names: ['bob'], usage: 'client' })

test('tls.prepare changes all options of a listener with the next handshake, and nothing when refused', async () => {
  const transport = tls({ credentials, alpn: ['old'] })
  await using acceptor = await Acceptor.listen(transport, LOOPBACK)
  const { address } = acceptor
  const connect = () => tls({ ca, alpn: ['new', 'old'] }).connect(address)
  const before = await connect()
  const recorder = new Recorder()
  before.open(recorder)
  const renewed = await authority.issue({ names: ['127.0.0.1'] })
  const other = await authority.issue()
  const broken = { certificate: renewed.certificate, key: other.key, name: 'new.pem' }
  assert.throws(() => transport.prepare({ credentials: broken }), {
    code: 'ERR_CONFIG',
    message: /^new\.pem: the key does not belong/,
  })
  assert.throws(() => transport.prepare({ credentials, ciphers: 'NOTHING-SUCH' }), {
    code: 'ERR_CONFIG',
  })
  const apply = transport.prepare({ credentials: renewed, alpn: ['new'], maxVersion: 'TLSv1.2' })
  const between = await connect()
  assert.equal(between.facts.tls?.alpn, 'old', 'prepared is not applied')
  apply()
  const after = await connect()
  const { alpn, version } = after.facts.tls ?? {}
  const subject = after.facts.tls?.peerCertificate()?.subject
  assert.deepEqual([alpn, version, subject], ['new', 'TLSv1.2', 'CN=127.0.0.1'])
  assert.deepEqual(recorder.events, [], 'the connection of before goes on')
  for (const connection of [before, between, after]) connection.destroy()
})

test('tls does not resume sessions of clients that were let in under other rules', async () => {
  const options = { credentials, ca, clientCertificates: 'require' } satisfies TlsOptions
  const transport = tls(options)
  await using acceptor = await Acceptor.listen(transport, LOOPBACK, greet)
  const client = tls({ ca, credentials: alice })
  const connect = () => resumes(client, acceptor.address)
  assert.deepEqual([await connect(), await connect()], [false, true])
  transport.prepare({ ...options, alpn: ['x'] })()
  assert.equal(await connect(), true, 'the same rules')
  transport.prepare({ ...options, crl: await authority.revocationList([bob.certificate]) })()
  assert.equal(await connect(), false, 'looked at anew')
  transport.prepare({ ...options, crl: await authority.revocationList([alice.certificate]) })()
  const refused = await client.connect(acceptor.address)
  refused.open(new Recorder())
  const error = await acceptor.nextError()
  assert.equal(error.code, 'ERR_TLS')
  assert.match(error.message, /revoked/)
  refused.destroy()
})

test('tls refuses a client whose certificate was revoked, and lets others in', async () => {
  const crl = await authority.revocationList([alice.certificate])
  const serving = tls({ credentials, ca, crl, clientCertificates: 'require' })
  await using acceptor = await Acceptor.listen(serving, LOOPBACK, greet)
  assert.equal(await resumes(tls({ ca, credentials: bob }), acceptor.address), false)
  const refused = await tls({ ca, credentials: alice }).connect(acceptor.address)
  refused.open(new Recorder())
  assert.match((await acceptor.nextError()).message, /certificate.*revoked/)
  refused.destroy()
  const client = tls({ ca, crl: await authority.revocationList([credentials.certificate]) })
  await assert.rejects(client.connect(acceptor.address), { code: 'ERR_TLS', message: /revoked/ })
})

test('tls asks pinned keys of clients, and goes by their chain', async () => {
  const pins = [pinOf(bob.certificate), pinOf((await authority.issue()).certificate)]
  const serving = tls({ credentials, ca, clientCertificates: 'require', pins })
  await using acceptor = await Acceptor.listen(serving, LOOPBACK, greet)
  assert.equal(await resumes(tls({ ca, credentials: bob }), acceptor.address), false)
  const refused = await tls({ ca, credentials: alice }).connect(acceptor.address)
  refused.open(new Recorder())
  assert.match((await acceptor.nextError()).message, /none of its public keys is pinned/)
  refused.destroy()
  const byIssuer = tls({
    credentials,
    ca,
    clientCertificates: 'require',
    pins: [pinOf(ca), pins[1] as string],
  })
  await using both = await Acceptor.listen(byIssuer, LOOPBACK, greet)
  assert.equal(await resumes(tls({ ca, credentials: alice }), both.address), false)
})

test('tls shows verifyPeer the whole chain, and refuses when it throws', async () => {
  const peers: [TlsPeer['role'], string[]][] = []
  const verifyPeer = (peer: TlsPeer) => {
    peers.push([peer.role, peer.chain().map(({ subject }) => subject)])
    if (peer.certificate?.subject === 'CN=alice') throw new Error('not alice')
    return undefined
  }
  const serving = tls({ credentials, ca, clientCertificates: 'require', verifyPeer })
  await using acceptor = await Acceptor.listen(serving, LOOPBACK, greet)
  assert.equal(await resumes(tls({ ca, credentials: bob, verifyPeer }), acceptor.address), false)
  const root = 'CN=heddle development authority'
  assert.deepEqual(peers.toSorted(), [
    ['client', ['CN=bob', root]],
    ['server', ['CN=localhost', root]],
  ])
  const refused = await tls({ ca, credentials: alice }).connect(acceptor.address)
  refused.open(new Recorder())
  assert.match((await acceptor.nextError()).message, /refused by verifyPeer: not alice$/)
  refused.destroy()
  const strict = tls({
    ca,
    credentials: bob,
    verifyPeer() {
      throw new Error('not this one')
    },
  })
  await assert.rejects(strict.connect(acceptor.address), {
    code: 'ERR_TLS',
    message: /refused by verifyPeer: not this one$/,
  })
})

test('tls warns of a single pin, once', async () => {
  const warned = new Promise<{ code?: string }>((resolve) => {
    process.on('warning', (warning) => {
      if ((warning as { code?: string }).code === 'HEDDLE_SINGLE_PIN') resolve(warning as never)
    })
  })
  tls({ pins: [pinOf(credentials.certificate)] })
  assert.equal((await warned).code, 'HEDDLE_SINGLE_PIN')
})

async function resumes(transport: Transport, address: Address): Promise<boolean | undefined> {
  const connection = await transport.connect(address)
  const recorder = new Recorder()
  connection.open(recorder)
  await recorder.received(5)
  connection.destroy()
  return connection.facts.tls?.resumed
}

function greet(connection: Connection): void {
  connection.open(new Recorder())
  connection.write(Buffer.from('hello'))
}
