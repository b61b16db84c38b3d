/**
 * Unmodified npm drivers over heddle's transports:
 *
 *     ioredis ── toDuplex ── memory, Unix, TLS, WebSocket, QUIC ── splice ── TCP, or a Unix socket ── redis-server
 *
 * The driver sees a stream that behaves as a socket; the server sees a client.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Redis } from 'ioredis'
import { type Address, ip, memory as memoryAddress } from '../src/core/address.ts'
import type { Listener, Transport } from '../src/core/transport.ts'
import { byteStream } from '../src/links/byte-stream/byte-stream.ts'
import { webSocket } from '../src/links/websocket/websocket.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { splice } from '../src/runtime/splice.ts'
import { DevAuthority } from '../src/security/dev-certificate.ts'
import { MemoryNetwork } from '../src/transports/memory/memory-network.ts'
import { memory } from '../src/transports/memory/memory-transport.ts'
import { toDuplex } from '../src/transports/node-stream/to-duplex.ts'
import { quicAvailability } from '../src/transports/quic/quic-availability.ts'
import { type QuicStreamsTransport, quicStreams } from '../src/transports/quic/quic-streams.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { tls } from '../src/transports/tls/tls.ts'
import { unix } from '../src/transports/unix/unix.ts'
import { requirePeer } from './peers.ts'

const redis = requirePeer('redis-server')
const { skip } = redis
const folder = mkdtempSync(join(tmpdir(), 'heddle-drivers-'))
const socketPath = join(folder, 'redis.sock')
let port = 0
let stop = async (): Promise<void> => {}

before(async () => {
  if (skip) return
  // A free port, found by asking for one.
  const probe = await tcp().listen(ip('127.0.0.1', 0), { onConnection: (c) => c.destroy() })
  port = (probe.address as { port: number }).port
  await probe.close()
  const server = spawn(
    redis.path,
    [
      '--port',
      `${port}`,
      '--bind',
      '127.0.0.1',
      '--unixsocket',
      socketPath,
      '--save',
      '',
      '--dir',
      folder,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exited = new Promise((resolve) => server.once('exit', resolve))
  stop = async () => {
    server.kill()
    await exited
  }
  let log = ''
  await new Promise<void>((resolve, reject) => {
    server.once('exit', () => reject(new Error(`redis-server ended: ${log}`)))
    server.stdout.on('data', (chunk) => {
      log += chunk
      if (log.includes('ready to accept connections')) resolve()
    })
  })
})

after(async () => {
  await stop()
  await overQuic?.close()
  rmSync(folder, { recursive: true })
})

/** A relay from `from` to `to`, and the driver on a connection to it. */
async function relay(from: Transport, at: Address, to: Transport, target: () => Address) {
  const listener: Listener = await from.listen(at, {
    async onConnection(near) {
      try {
        splice(near, await to.connect(target()))
      } catch (error) {
        near.destroy(error as Error)
      }
    },
  })
  class Connector {
    stream: ReturnType<typeof toDuplex> | undefined
    check(): boolean {
      return true
    }
    async connect() {
      const options = { serverName: 'localhost' }
      this.stream = toDuplex(await from.connect(listener.address, options))
      return this.stream
    }
    disconnect(): void {
      this.stream?.end()
    }
  }
  const client = new Redis({
    Connector: Connector as never,
    maxRetriesPerRequest: 0,
    connectTimeout: 5_000,
  })
  return { client, listener }
}

const clock = systemClock
const authority = await DevAuthority.create(clock)
const secure = { credentials: await authority.issue(), ca: authority.ca }
const network = () => memory({ clock, network: new MemoryNetwork() })

const quicState = quicAvailability()
const overQuic: QuicStreamsTransport | undefined = quicState.available
  ? quicStreams(secure)
  : undefined

const ROUTES: readonly [
  name: string,
  from: Transport,
  at: Address,
  to: Transport,
  () => Address,
][] = [
  ['memory, then TCP', network(), memoryAddress('0'), tcp(), () => ip('127.0.0.1', port)],
  [
    'memory, then a Unix socket',
    network(),
    memoryAddress('0'),
    unix(),
    () => ({ kind: 'unix', path: socketPath }),
  ],
  [
    'a Unix socket, then TCP',
    unix(),
    { kind: 'unix', path: join(folder, 'relay.sock') },
    tcp(),
    () => ip('127.0.0.1', port),
  ],
  [
    'WebSocket, then TCP',
    byteStream(webSocket()),
    ip('127.0.0.1', 0),
    tcp(),
    () => ip('127.0.0.1', port),
  ],
  ['QUIC, then TCP', overQuic ?? tcp(), ip('127.0.0.1', 0), tcp(), () => ip('127.0.0.1', port)],
  ['TLS, then TCP', tls(secure), ip('127.0.0.1', 0), tcp(), () => ip('127.0.0.1', port)],
  [
    'TLS over memory, then TCP on net.Socket',
    tls({ ...secure, inner: network() }),
    memoryAddress('0'),
    tcp({ engine: 'net' }),
    () => ip('127.0.0.1', port),
  ],
]

for (const [name, from, at, to, target] of ROUTES) {
  const absent = name.startsWith('QUIC') && overQuic === undefined && `no QUIC: ${quicState.reason}`
  test(`ioredis works over ${name}`, { skip: skip || absent }, async () => {
    const { client, listener } = await relay(from, at, to, target)
    assert.equal(await client.set('key', 'value'), 'OK')
    assert.equal(await client.get('key'), 'value')

    const pipeline = client.pipeline()
    for (let index = 0; index < 1_000; index++) pipeline.set(`k${index}`, index).get(`k${index}`)
    const results = (await pipeline.exec()) ?? []
    assert.equal(results.length, 2_000)
    for (let index = 0; index < 1_000; index++) {
      assert.deepEqual(results[2 * index + 1], [null, String(index)])
    }

    const large = Buffer.alloc(8 * 1024 * 1024)
    for (let index = 0; index < large.length; index += 1) large[index] = (index * 31) ^ (index >> 9)
    await client.set('large', large)
    assert.ok((await client.getBuffer('large'))?.equals(large))
    // Many large answers at once, faster than the driver takes them: backpressure all the way.
    const copies = await Promise.all(Array.from({ length: 6 }, () => client.getBuffer('large')))
    assert.ok(copies.every((copy) => copy?.equals(large)))

    const inFlight = await Promise.all(Array.from({ length: 500 }, (_, n) => client.echo(`${n}`)))
    assert.deepEqual(
      inFlight,
      Array.from({ length: 500 }, (_, n) => `${n}`),
    )
    assert.equal(await client.quit(), 'OK')
    await listener.close({ signal: AbortSignal.timeout(5_000) })
  })
}

test('ioredis receives pushes over a splice, and hears when the server goes', {
  skip,
}, async () => {
  const route = ROUTES[0]
  assert.ok(route)
  const [, from, at, to, target] = route
  const { client, listener } = await relay(from, at, to, target)
  const received = new Promise<string[]>((resolve) => {
    client.on('message', (channel, message) => resolve([channel, message]))
  })
  await client.subscribe('news')
  const publisher = new Redis(port, '127.0.0.1')
  await publisher.publish('news', 'hello')
  assert.deepEqual(await received, ['news', 'hello'])
  const closed = new Promise((resolve) => client.once('close', resolve))
  client.options.retryStrategy = () => null
  await publisher.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await closed
  await publisher.quit()
  client.disconnect()
  await listener.close({ signal: AbortSignal.timeout(5_000) })
})
