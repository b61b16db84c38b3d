import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer, get } from 'node:http'
import { createServer } from 'node:net'
import { Duplex, duplexPair, PassThrough } from 'node:stream'
import { test } from 'node:test'
import {
  connectPair,
  patternByte,
  patternChecker,
  Recorder,
  sendReusingRegion,
} from '../../../test/transports/recorder.ts'
import { ip } from '../../core/address.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { tcp } from '../tcp/tcp.ts'
import { fromDuplex } from './from-duplex.ts'
import { toDuplex } from './to-duplex.ts'

const LOOPBACK = ip('127.0.0.1', 0)

test('toDuplex carries bytes both ways, ends and closes', async () => {
  await using pair = await connectPair(tcp(), LOOPBACK)
  const client = toDuplex(pair.client)
  const server = toDuplex(pair.server)
  server.pipe(server)
  client.end('hello')
  assert.equal(await text(client), 'hello')
  await Promise.all([closed(client), closed(server)])
})

test('toDuplex keeps what it was lent', async () => {
  await using pair = await connectPair(tcp({ readBufferBytes: 4_096 }), LOOPBACK)
  const client = toDuplex(pair.client)
  pair.server.open(new Recorder())
  const total = 300_000
  const whole = Buffer.from(Array.from({ length: total }, (_, index) => patternByte(index)))
  for (let at = 0; at < total; at += 1_000) pair.server.write(whole.subarray(at, at + 1_000))
  pair.server.end()
  assert.deepEqual(await buffer(client), whole)
})

test('toDuplex stops the peer when nobody reads', async () => {
  await using pair = await connectPair(tcp(), LOOPBACK)
  const client = toDuplex(pair.client, { readableHighWaterMarkBytes: 1_000 })
  const writer = new Recorder()
  pair.server.open(writer)
  const chunk = new Uint8Array(65_536)
  let sent = 0
  while (pair.server.write(chunk)) sent += chunk.length
  pair.server.end()
  await new Promise(setImmediate)
  assert.ok(client.readableLength <= 1_000 + 65_536, `${client.readableLength} bytes are buffered`)
  assert.equal((await buffer(client)).length, sent + chunk.length)
})

test('toDuplex calls a write back when the connection has taken it all', async () => {
  await using pair = await connectPair(tcp(), LOOPBACK)
  const client = toDuplex(pair.client)
  const { check, length } = patternChecker()
  const server = new Recorder(check)
  const region = Buffer.alloc(64 * 1024)
  let position = 0
  const writeNext = () => {
    if (position >= 8 * 1024 * 1024) {
      client.end()
      return
    }
    for (let index = 0; index < region.length; index++)
      region[index] = patternByte(position + index)
    position += region.length
    client.write(region, () => {
      region.fill(0xee)
      writeNext()
    })
  }
  writeNext()
  setImmediate(() => pair.server.open(server))
  await server.ended
  assert.equal(length(), 8 * 1024 * 1024)
})

test('toDuplex half-closes when told to, and otherwise ends with its peer, as sockets do', async () => {
  await using pair = await connectPair(tcp(), LOOPBACK)
  const client = toDuplex(pair.client, { allowHalfOpen: true })
  const server = new Recorder()
  pair.server.open(server)
  pair.server.end()
  client.resume()
  await once(client, 'end')
  client.end('after the end')
  assert.equal(await server.closed, undefined)
  assert.equal(server.text, 'after the end')
  await using other = await connectPair(tcp(), LOOPBACK)
  toDuplex(other.client).resume()
  const peer = new Recorder()
  other.server.open(peer)
  other.server.end()
  assert.equal(await peer.closed, undefined)
})

test('toDuplex passes on errors, in both directions', async () => {
  await using pair = await connectPair(tcp(), LOOPBACK)
  const client = toDuplex(pair.client)
  pair.server.open(new Recorder())
  const reason = new Error('from below')
  pair.client.destroy(reason)
  assert.deepEqual(await once(client, 'error'), [reason])
  await closed(client)
  await using other = await connectPair(tcp(), LOOPBACK)
  const duplex = toDuplex(other.client)
  const peer = new Recorder()
  other.server.open(peer)
  duplex.on('error', () => {})
  duplex.destroy(new Error('from above'))
  await closed(duplex)
  await peer.ended
})

test('toDuplex emits timeout when idle, as a socket does', async () => {
  await using pair = await connectPair(tcp(), LOOPBACK)
  const clock = new ManualClock()
  const client = toDuplex(pair.client, { clock })
  let timeouts = 0
  client.setTimeout(1_000, () => timeouts++)
  clock.advance(900)
  client.write('x')
  clock.advance(900)
  assert.equal(timeouts, 0)
  clock.advance(100)
  assert.equal(timeouts, 1)
  client.setTimeout(0)
  client.write('x')
  assert.equal(clock.pendingTimers, 0)
  assert.equal(client.setNoDelay().setKeepAlive().unref().ref(), client)
  assert.deepEqual([client.remoteAddress, client.remotePort], ['127.0.0.1', portOf(pair.listener)])
  assert.equal(client.readyState, 'open')
  client.destroy()
  assert.equal(client.readyState, 'closed')
})

test('toDuplex carries node:http as server and as client', async () => {
  const server = createHttpServer((request, response) => {
    request.on('data', () => {}).on('end', () => response.end('x'.repeat(200_000)))
  })
  await using listener = await tcp().listen(LOOPBACK, {
    onConnection: (connection) => server.emit('connection', toDuplex(connection)),
  })
  const connection = await tcp().connect(listener.address)
  const [response] = await once(
    get({ createConnection: () => toDuplex(connection), host: 'x' }),
    'response',
  )
  assert.equal((await buffer(response)).length, 200_000)
})

test('fromDuplex is a connection over any stream', async () => {
  const [one, two] = duplexPair()
  const left = fromDuplex(one)
  const right = fromDuplex(two, { role: 'accepting', transport: 'pair' })
  const { check, length } = patternChecker()
  const reader = new Recorder((chunk) => {
    check(chunk)
    right.pause()
    setImmediate(() => right.resume())
  })
  const writer = new Recorder()
  left.open(writer)
  right.open(reader)
  const { waits } = sendReusingRegion(left, writer, 48 * 1024, 1024 * 1024)
  await reader.ended
  assert.equal(length(), 1024 * 1024)
  assert.ok(waits() > 0)
  right.end()
  assert.deepEqual(await Promise.all([writer.closed, reader.closed]), [undefined, undefined])
  assert.deepEqual([right.facts.transport, right.facts.role], ['pair', 'accepting'])
})

test('fromDuplex copies what a stream may keep after its callback', async () => {
  const stream = new PassThrough()
  const connection = fromDuplex(stream)
  const region = Buffer.from('first')
  connection.write(region)
  while (connection.writableLength > 0) await new Promise(setImmediate)
  region.write('xxxxx')
  const recorder = new Recorder()
  connection.open(recorder)
  await recorder.received(5)
  assert.equal(recorder.text, 'first')
  connection.destroy()
})

test('fromDuplex of a socket knows its addresses, and ends with it', async () => {
  const server = createServer({ allowHalfOpen: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = once(server, 'connection')
  const client = await tcp().connect(ip('127.0.0.1', portOfServer(server)))
  const [socket] = await accepted
  const connection = fromDuplex(socket)
  assert.deepEqual(connection.facts.local, ip('127.0.0.1', portOfServer(server)))
  const recorder = new Recorder()
  const peer = new Recorder()
  connection.open(recorder)
  client.open(peer)
  connection.end()
  client.end()
  assert.deepEqual(await Promise.all([recorder.closed, peer.closed]), [undefined, undefined])
  assert.deepEqual(connection.facts.local, ip('127.0.0.1', portOfServer(server)))
  server.close()
})

test('fromDuplex reports a stream that breaks or closes early', async () => {
  const broken = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const recorder = new Recorder()
  const connection = fromDuplex(broken)
  connection.open(recorder)
  broken.destroy(new Error('unplugged'))
  const reason = await recorder.closed
  assert.equal((reason as { code?: string }).code, 'ERR_DISCONNECTED')
  assert.match(String(reason?.message), /unplugged/)
  const early = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const other = new Recorder()
  fromDuplex(early).open(other)
  early.destroy()
  assert.match(String((await other.closed)?.message), /closed before it ended/)
})

test('fromDuplex refuses streams that do not carry bytes', () => {
  const objects = new PassThrough({ objectMode: true })
  const textual = new PassThrough().setEncoding('utf8')
  const dead = new PassThrough()
  dead.destroy()
  for (const stream of [objects, textual, dead]) {
    assert.throws(() => fromDuplex(stream), { code: 'ERR_ARGUMENT' })
  }
})

async function buffer(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  return (await buffer(stream)).toString()
}

function closed(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve()
    else stream.once('close', resolve)
  })
}

function portOf(listener: { address: unknown }): number {
  return (listener.address as { port: number }).port
}

function portOfServer(server: { address(): unknown }): number {
  return (server.address() as { port: number }).port
}
