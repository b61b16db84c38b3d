import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { connect as connectTcp, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import {
  Acceptor,
  connectPair,
  patternChecker,
  Recorder,
  sendReusingRegion,
} from '../../../test/transports/recorder.ts'
import { type Address, ip } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { TransportError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { tcp } from '../tcp/tcp.ts'
import { unix } from '../unix/unix.ts'
import { pinOf } from './certificate-pins.ts'
import { tls } from './tls.ts'
import type { TlsOptions, TlsPeer } from './tls-options.ts'

const LOOPBACK = ip('127.0.0.1', 0)
const authority = await DevAuthority.create(systemClock)
const credentials = await authority.issue()
const ca = authority.ca
const server = tls({ credentials })
const client = tls({ ca })
const nobody = { onConnection: (connection: Connection) => connection.destroy() }

test('tls carries bytes both ways, half-closes and closes cleanly', async () => {
  await using pair = await connectPair(tls({ credentials, ca }), LOOPBACK)
  const one = new Recorder()
  const two = new Recorder((chunk) => pair.server.write(chunk.slice()))
  pair.client.open(one)
  pair.server.open(two)
  pair.client.writeAll([Buffer.from('a'), Buffer.alloc(100_000, 'b')])
  await one.received(100_001)
  pair.client.end()
  await two.ended
  pair.server.write(Buffer.from('after the end'))
  pair.server.end()
  assert.deepEqual(await Promise.all([one.closed, two.closed]), [undefined, undefined])
  assert.equal(one.length, 100_001 + 13)
})

test('tls leaves a region alone once writableLength is 0, with a slow reader', async () => {
  await using pair = await connectPair(tls({ credentials, ca }), LOOPBACK)
  const { check, length } = patternChecker()
  const reader = new Recorder((chunk) => {
    check(chunk)
    pair.client.pause()
    setImmediate(() => pair.client.resume())
  })
  const writer = new Recorder()
  pair.server.open(writer)
  const total = 12 * 1024 * 1024
  const { waits } = sendReusingRegion(pair.server, writer, 48 * 1024, total)
  pair.client.open(reader)
  await reader.ended
  assert.equal(length(), total)
  assert.ok(waits() > 0)
})

test('tls keeps what came right behind the handshake for whoever opens the connection', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    await using acceptor = await Acceptor.listen(tls({ credentials, maxVersion }), LOOPBACK)
    const { port } = acceptor
    // Written in the tick in which the client is secure, so that the server reads both at once.
    const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', ca }, () => {
      socket.end('at once')
    })
    const peer = await acceptor.next()
    for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate)
    const recorder = new Recorder()
    peer.open(recorder)
    await recorder.ended
    assert.equal(recorder.text, 'at once')
    socket.destroy()
  }
})

test('tls tells its facts on both sides', async () => {
  const options: TlsOptions = { credentials, ca, alpn: ['h2', 'http/1.1'] }
  await using acceptor = await Acceptor.listen(tls(options), LOOPBACK)
  const connection = await tls({ ca, alpn: ['http/1.1'] }).connect(acceptor.address, {
    serverName: 'localhost',
  })
  const peer = await acceptor.next()
  assert.equal(connection.facts.transport, 'tls')
  const facts = connection.facts.tls
  assert.deepEqual(
    [facts?.version, facts?.alpn, facts?.serverName, facts?.authorized, facts?.resumed],
    ['TLSv1.3', 'http/1.1', 'localhost', true, false],
  )
  assert.match(String(facts?.cipher), /^TLS_/)
  assert.equal(facts?.peerCertificate()?.subject, 'CN=localhost')
  assert.equal(facts?.peerCertificate()?.issuer, 'CN=heddle development authority')
  assert.equal(peer.facts.tls?.serverName, 'localhost')
  assert.equal(peer.facts.tls?.alpn, 'http/1.1')
  assert.equal(peer.facts.tls?.peerCertificate(), undefined)
  assert.deepEqual(peer.facts.local, acceptor.address)
  assert.deepEqual(connection.facts.local, peer.facts.remote)
  connection.destroy()
  peer.destroy()
})

test('tls chooses the certificate by the server name', async () => {
  const [exact, wild] = await Promise.all([
    authority.issue({ names: ['api.example'] }),
    authority.issue({ names: ['*.apps.example'] }),
  ])
  const options = { serverNames: { 'API.example': exact, '*.apps.example': wild } }
  await using acceptor = await Acceptor.listen(tls({ credentials, ...options }), LOOPBACK)
  const shown = async (serverName: string) => {
    const connection = await tls({ ca, verify: false }).connect(acceptor.address, { serverName })
    const subject = connection.facts.tls?.peerCertificate()?.subject
    connection.destroy()
    return subject
  }
  assert.equal(await shown('api.example'), 'CN=api.example')
  assert.equal(await shown('shop.apps.example'), 'CN=*.apps.example')
  assert.equal(await shown('a.b.apps.example'), 'CN=localhost', 'one label only')
  assert.equal(await shown('other.example'), 'CN=localhost')
  assert.equal(await shown('127.0.0.1'), 'CN=localhost', 'an address is not asked for')
})

test('tls shows reloaded certificates to new handshakes only', async () => {
  await using acceptor = await Acceptor.listen(server, LOOPBACK)
  const { listener, address } = acceptor
  const before = await client.connect(address)
  const renewed = await authority.issue({ names: ['127.0.0.1', 'renewed'] })
  const pin = pinOf(renewed.certificate)
  listener.reload({ credentials: renewed, serverNames: { 'named.example': credentials } })
  const after = await tls({ ca, pins: [pin] }).connect(address)
  assert.equal(after.facts.tls?.peerCertificate()?.subject, 'CN=127.0.0.1')
  const recorder = new Recorder()
  before.open(recorder)
  assert.throws(() => listener.reload({ credentials: { certificate: 'x', key: 'y' } }), {
    code: 'ERR_CONFIG',
    message: /^credentials: the certificate cannot be read: /,
  })
  const still = await tls({ ca, pins: [pin] }).connect(address)
  assert.deepEqual(recorder.events, [], 'the old connection goes on')
  for (const connection of [before, after, still]) connection.destroy()
})

test('tls says what is wrong with credentials', async () => {
  const other = await authority.issue()
  const cases: [TlsOptions['credentials'], RegExp][] = [
    [
      { certificate: credentials.certificate, key: other.key },
      /key does not belong to the certificate of CN=localhost/,
    ],
    [{ certificate: credentials.certificate, key: 'nonsense' }, /the private key cannot be read/],
    [{ certificate: 'nonsense', key: credentials.key }, /the certificate cannot be read/],
  ]
  for (const [bad, message] of cases) {
    const listening = tls({ credentials: bad as never }).listen(LOOPBACK, nobody)
    await assert.rejects(listening, { code: 'ERR_CONFIG', message })
  }
  const listening = tls({ credentials, serverNames: { 'a*.example': credentials } })
  await assert.rejects(listening.listen(LOOPBACK, nobody), { code: 'ERR_CONFIG' })
  await assert.rejects(tls().listen(LOOPBACK, nobody), { code: 'ERR_ARGUMENT' })
})

/** Connects and says whether the session was resumed. The greeting comes after the tickets. */
async function resumes(transport: Transport, address: Address): Promise<boolean | undefined> {
  const connection = await transport.connect(address)
  const recorder = new Recorder()
  connection.open(recorder)
  await recorder.received(5)
  connection.destroy()
  return connection.facts.tls?.resumed
}

const greet = (connection: Connection) => {
  connection.open(new Recorder())
  connection.write(Buffer.from('hello'))
}

test('tls resumes sessions, of both versions, until the ticket keys change', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const serving = tls({ credentials, maxVersion })
    await using acceptor = await Acceptor.listen(serving, LOOPBACK, greet)
    const { listener, address } = acceptor
    const resumer = tls({ ca })
    const connect = () => resumes(resumer, address)
    assert.deepEqual([await connect(), await connect(), await connect()], [false, true, true])
    assert.equal((await acceptor.next()).facts.tls?.version, maxVersion)
    listener.setTicketKeys(randomBytes(48))
    assert.deepEqual([await connect(), await connect()], [false, true])
    assert.throws(() => listener.setTicketKeys(randomBytes(47)), { code: 'ERR_OPTION_RANGE' })
    assert.equal(await resumes(tls({ ca, maxSessions: 0 }), address), false)
  }
})

test('tls resumes sessions across listeners that share ticket keys', async () => {
  const serving = tls({ credentials, ticketKeys: randomBytes(48) })
  const resumer = tls({ ca })
  const first = await Acceptor.listen(serving, LOOPBACK, greet)
  const { address } = first
  assert.equal(await resumes(resumer, address), false)
  await first[Symbol.asyncDispose]()
  await using _second = await Acceptor.listen(serving, address, greet)
  assert.equal(await resumes(resumer, address), true)
})

test('tls wants client certificates when told to', async () => {
  const options: TlsOptions = { credentials, ca, clientCertificates: 'require' }
  await using acceptor = await Acceptor.listen(tls(options), LOOPBACK)
  const { address } = acceptor
  const shown = await authority.issue({ names: ['alice'], usage: 'client' })
  const connection = await tls({ ca, credentials: shown }).connect(address)
  const peer = await acceptor.next()
  assert.equal(peer.facts.tls?.peerCertificate()?.subject, 'CN=alice')
  assert.equal(peer.facts.tls?.authorized, true)
  connection.destroy()

  const stranger = await (await DevAuthority.create(systemClock)).issue({ usage: 'client' })
  for (const [connecting, why] of [
    [{ ca }, /^client 127\.0\.0\.1:\d+: it sent no client certificate$/],
    [{ ca, credentials: stranger }, /its issuer is not trusted here/],
  ] as const) {
    // In TLS 1.3 the client is through before the server has looked at its certificate.
    const refused = await tls(connecting).connect(address)
    const recorder = new Recorder()
    refused.open(recorder)
    const error = await acceptor.nextError()
    assert.equal(error.code, 'ERR_TLS')
    assert.match(error.message, why)
    const reason = await Promise.race([recorder.closed, recorder.ended.then(() => undefined)])
    if (connecting.credentials === undefined) {
      assert.match(String(reason?.message), /the peer wants a client certificate/)
    }
    refused.destroy()
  }
  assert.equal(acceptor.connections.length, 1)
})

test('tls lets a client certificate be optional', async () => {
  const options: TlsOptions = { credentials, ca, clientCertificates: 'request' }
  await using acceptor = await Acceptor.listen(tls(options), LOOPBACK)
  const stranger = await (await DevAuthority.create(systemClock)).issue({ usage: 'client' })
  for (const connecting of [{ ca }, { ca, credentials: stranger }]) {
    const connection = await tls(connecting).connect(acceptor.address)
    const { tls: facts } = (await acceptor.next()).facts
    assert.equal(facts?.authorized, false)
    assert.equal(facts?.peerCertificate() !== undefined, connecting.credentials !== undefined)
    connection.destroy()
  }
})

test('tls explains why a certificate is refused', async () => {
  const expired = await authority.issue({ validDays: -1 })
  const elsewhere = await authority.issue({ names: ['db.example'] })
  const cases: [TlsOptions, TlsOptions, RegExp][] = [
    [{ credentials }, {}, /its issuer is not trusted here: pass the authority as `ca`/],
    [{ credentials: expired }, { ca }, /its certificate has expired/],
    [
      { credentials: elsewhere },
      { ca },
      /its certificate is for DNS:db\.example, not for 127\.0\.0\.1 \(see serverName\)/,
    ],
    [
      { credentials, minVersion: 'TLSv1.3' },
      { ca, maxVersion: 'TLSv1.2' },
      /no protocol version in common/,
    ],
    [
      { credentials, alpn: ['h2'] },
      { ca, alpn: ['http/1.1'] },
      /no application protocol in common/,
    ],
    [
      { credentials },
      { ca, pins: [pinOf(elsewhere.certificate)] },
      /none of its public keys is pinned; its own is sha256\//,
    ],
    [
      { credentials },
      { ca, verifyPeer: () => new Error('not today') },
      /refused by verifyPeer: not today/,
    ],
  ]
  for (const [serving, connecting, message] of cases) {
    await using acceptor = await Acceptor.listen(tls(serving), LOOPBACK)
    await assert.rejects(tls(connecting).connect(acceptor.address), (error) => {
      assert.ok(error instanceof TransportError)
      assert.deepEqual([error.code, error.sent, error.retryable], ['ERR_TLS', 'nothing', 'no'])
      assert.match(error.message, message)
      assert.match(error.message, /^127\.0\.0\.1:\d+: /)
      return true
    })
  }
})

test('tls accepts a pinned key of the verified chain, and only its own in an unverified one', async () => {
  await using acceptor = await Acceptor.listen(server, LOOPBACK)
  const own = pinOf(credentials.certificate)
  const issuer = pinOf(ca)
  for (const options of [
    { ca, pins: [own] },
    { ca, pins: [issuer] },
    { verify: false, pins: [own] },
  ]) {
    const connection = await tls(options).connect(acceptor.address)
    connection.destroy()
  }
  await assert.rejects(tls({ verify: false, pins: [issuer] }).connect(acceptor.address), {
    code: 'ERR_TLS',
  })
})

test('tls lets the server refuse a peer by its own rule', async () => {
  const seen: unknown[] = []
  const verifyPeer = (peer: TlsPeer) => {
    seen.push(peer.role, peer.serverName)
    return new Error('not you')
  }
  await using acceptor = await Acceptor.listen(tls({ credentials, verifyPeer }), LOOPBACK)
  const connection = await client.connect(acceptor.address, { serverName: 'localhost' })
  assert.match((await acceptor.nextError()).message, /refused by verifyPeer: not you/)
  assert.deepEqual(seen, ['client', 'localhost'])
  assert.equal(acceptor.connections.length, 0)
  connection.destroy()
})

test('tls names the mistake when a plain server answers', async () => {
  const plain = createServer((socket) => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
  const { port } = plain.address() as { port: number }
  await assert.rejects(client.connect(ip('127.0.0.1', port)), {
    code: 'ERR_TLS',
    message: `127.0.0.1:${port}: it speaks plain text: is this port really TLS?`,
  })
  plain.close()
})

test('tls names the mistake when a client speaks plain text, and serves the next one', async () => {
  await using acceptor = await Acceptor.listen(server, LOOPBACK)
  for (const [text, message] of [
    [
      'GET / HTTP/1.1\r\n\r\n',
      /^client 127\.0\.0\.1:\d+: it sent a plain HTTP request to a TLS port/,
    ],
    ['SSH-2.0-OpenSSH_9.2\r\n', /it speaks plain text: is this port really TLS\?/],
  ] as const) {
    const socket = connectTcp(acceptor.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(text)
    assert.match((await acceptor.nextError()).message, message)
    socket.destroy()
  }
  const connection = await client.connect(acceptor.address)
  connection.destroy()
  assert.equal(acceptor.errors.length, 2)
})

test('tls ends a handshake that takes too long, or is one too many', async () => {
  const serving = tls({ credentials, handshakeTimeoutMs: 100, maxHandshakes: 2 })
  await using acceptor = await Acceptor.listen(serving, LOOPBACK)
  const sockets = [1, 2, 3].map(() => connectTcp(acceptor.port, '127.0.0.1').on('error', () => {}))
  const errors = [
    await acceptor.nextError(),
    await acceptor.nextError(),
    await acceptor.nextError(),
  ]
  assert.equal(errors[0]?.code, 'ERR_LIMITED')
  assert.match(String(errors[0]?.message), /was refused: 2 TLS handshakes are under way/)
  for (const error of errors.slice(1)) assert.match(error.message, /the handshake took too long/)
  for (const socket of sockets) socket.destroy()
  const connection = await client.connect(acceptor.address)
  connection.destroy()
})

test('tls aborts and times out during the handshake', async () => {
  const silent = createServer((socket) => void socket.on('error', () => {}))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as { port: number }
  const accepted = new Promise<void>((resolve) => silent.once('connection', () => resolve()))
  const controller = new AbortController()
  const connecting = client.connect(ip('127.0.0.1', port), { signal: controller.signal })
  await accepted
  const reason = new Error('changed my mind')
  controller.abort(reason)
  await assert.rejects(connecting, reason)
  const late = tls({ ca, connectTimeoutMs: 30 }).connect(ip('127.0.0.1', port))
  await assert.rejects(late, { code: 'ERR_CONNECT_TIMEOUT', sent: 'nothing' })
  silent.close()
})

test('tls reports a server that hangs up during the handshake as worth another try', async () => {
  const rude = createServer((socket) => socket.once('data', () => socket.destroy()))
  await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve))
  const { port } = rude.address() as { port: number }
  await assert.rejects(client.connect(ip('127.0.0.1', port)), {
    code: 'ERR_RESET',
    retryable: 'yes',
    sent: 'nothing',
    message: /closed the connection during the TLS handshake/,
  })
  rude.close()
})

for (const [name, inner, address] of [
  ['tcp', tcp(), () => LOOPBACK],
  ['unix', unix(), () => ({ kind: 'unix', path: join(directory(), 's.sock') }) as const],
] as const) {
  test(`tls works over the connections of ${name}`, async () => {
    const options = { credentials, ca, inner, serverName: 'localhost' }
    await using pair = await connectPair(tls(options), address())
    const { check, length } = patternChecker()
    const reader = new Recorder(check)
    const writer = new Recorder()
    pair.server.open(writer)
    pair.client.open(reader)
    sendReusingRegion(pair.server, writer, 48 * 1024, 2 * 1024 * 1024)
    await reader.ended
    assert.equal(length(), 2 * 1024 * 1024)
    pair.client.end()
    assert.deepEqual(await Promise.all([reader.closed, writer.closed]), [undefined, undefined])
    assert.equal(pair.client.facts.transport, `tls+${name}`)
    assert.deepEqual(pair.server.facts.local, pair.listener.address)
    assert.deepEqual(pair.client.facts.remote, pair.listener.address)
  })
}

test('tls needs a name to check when the address has none', async () => {
  const address = { kind: 'unix', path: '/nowhere.sock' } as const
  await assert.rejects(tls({ inner: unix() }).connect(address), {
    code: 'ERR_ARGUMENT',
    message: /has no host name to check a certificate against: pass serverName/,
  })
})

test('tls writes the key log', async () => {
  const keyLogFile = join(directory(), 'keys.log')
  await using acceptor = await Acceptor.listen(server, LOOPBACK)
  const connection = await tls({ ca, keyLogFile }).connect(acceptor.address)
  connection.destroy()
  assert.match(readFileSync(keyLogFile, 'utf8'), /^CLIENT_TRAFFIC_SECRET_0 [0-9a-f]{64} /m)
  assert.equal(statSync(keyLogFile).mode & 0o777, 0o600)
  const named = join(directory(), 'environment.log')
  process.env['SSLKEYLOGFILE'] = named
  try {
    ;(await client.connect(acceptor.address)).destroy()
    ;(await tls({ ca }).connect(acceptor.address)).destroy()
  } finally {
    delete process.env['SSLKEYLOGFILE']
  }
  assert.equal(existsSync(named), false, 'the environment alone opens nothing')
  const bad = tls({ ca, keyLogFile: join(directory(), 'no', 'such', 'folder') })
  await assert.rejects(bad.connect(acceptor.address), { code: 'ERR_CONFIG' })
})

test('tls closes its listener, handshakes under way included', async () => {
  const acceptor = await Acceptor.listen(server, LOOPBACK)
  const { listener } = acceptor
  const stuck = connectTcp(acceptor.port, '127.0.0.1').on('error', () => {})
  const gone = new Promise((resolve) => stuck.once('close', resolve))
  stuck.resume()
  const connection = await client.connect(acceptor.address)
  const recorder = new Recorder()
  const peer = await acceptor.next()
  peer.open(recorder)
  assert.deepEqual([listener.connectionCount, listener.handshakeCount], [1, 1])
  const controller = new AbortController()
  const closing = listener.close({ signal: controller.signal })
  const reason = new Error('enough')
  controller.abort(reason)
  await Promise.all([closing, gone])
  assert.equal(await recorder.closed, reason)
  assert.deepEqual([listener.connectionCount, listener.handshakeCount], [0, 0])
  connection.destroy()
})

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

function directory(): string {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-tls-'))
  folders.push(folder)
  return folder
}
