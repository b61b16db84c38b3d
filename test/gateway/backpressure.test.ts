/**
 * Byte-based backpressure from end to end: a reader that does not read holds up client, gateway and
 * server, in either direction, and each of them holds a bounded number of bytes meanwhile.
 *
 * What is counted: bytes that the sender was asked for and the reader has not got (over memory that
 * is everything there is; over TCP the kernel's buffers as well), and bytes that wait in the
 * process in connections of all three.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { type Address, formatAddress, memory as memoryAddress } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import type { Flow, Sink, Source } from '../../src/core/flow.ts'
import type { ConnectOptions, ListenOptions, Transport } from '../../src/core/transport.ts'
import { nodeTransports } from '../../src/gateway/node-transports.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { Body } from '../../src/protocols/http/body.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { start } from './running-gateway.ts'

const CHUNK = new Uint8Array(64 * 1024).fill(7)

/** Gives chunks as long as somebody takes them, up to `total` bytes. */
class CountingSource implements Source<Uint8Array> {
  readonly total: number
  given = 0

  constructor(total: number) {
    this.total = total
  }

  open(sink: Sink<Uint8Array>): Flow {
    let over = false
    return {
      resume: () => {
        while (!over && this.given < this.total) {
          const chunk = CHUNK.subarray(0, Math.min(CHUNK.length, this.total - this.given))
          this.given += chunk.length
          if (!sink.write(chunk)) return
        }
        if (over) return
        over = true
        sink.end()
      },
      cancel: () => {
        over = true
      },
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    yield* []
  }
}

/** Takes one chunk and then nothing more, until it is told to read on. */
class StubbornSink implements Sink<Uint8Array> {
  readonly done: Promise<void>
  taken = 0
  reading = false
  #flow: Flow | undefined
  #end!: () => void
  #fail!: (reason: Error) => void

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.#end = resolve
      this.#fail = reject
    })
  }

  read(body: Body): void {
    this.#flow = body.open(this)
    this.#flow.resume()
  }

  write(chunk: Uint8Array): boolean {
    this.taken += chunk.length
    return this.reading
  }

  end(): void {
    this.#end()
  }

  fail(reason: Error): void {
    this.#fail(reason)
  }

  readOn(): void {
    this.reading = true
    this.#flow?.resume()
  }
}

/** A transport that knows its connections, of both sides. */
class WatchedTransport implements Transport {
  readonly name: string
  readonly traits: Transport['traits']
  readonly #inner: Transport
  readonly #connections: Set<Connection>
  readonly #map: (address: Address) => Address

  constructor(
    inner: Transport,
    connections: Set<Connection>,
    map: (address: Address) => Address = (address) => address,
  ) {
    this.name = inner.name
    this.traits = inner.traits
    this.#inner = inner
    this.#connections = connections
    this.#map = map
  }

  async connect(address: Address, options?: ConnectOptions): Promise<Connection> {
    const connection = await this.#inner.connect(this.#map(address), options)
    this.#connections.add(connection)
    return connection
  }

  listen(address: Address, options: ListenOptions) {
    return this.#inner.listen(this.#map(address), {
      ...options,
      onConnection: (connection) => {
        this.#connections.add(connection)
        options.onConnection(connection)
      },
    })
  }
}

interface World {
  readonly origin: string
  readonly transport: Transport
  readonly connections: Set<Connection>
  /** What may be between sender and reader. */
  readonly maxBetween: number
}

async function overTcp(t: TestContext, serve: Parameters<typeof httpServer>[0]): Promise<World> {
  const connections = new Set<Connection>()
  const transport = new WatchedTransport(tcp(), connections)
  const server = httpServer(serve)
  const { address } = await server.listen(transport, '127.0.0.1:0')
  t.after(() => server.close({ signal: AbortSignal.abort(new Error('test over')) }))
  const upstream = address.kind === 'ip' ? `127.0.0.1:${address.port}` : ''
  const transports = nodeTransports(systemClock)
  const { url } = await start(t, config(upstream, '127.0.0.1:0'), silentLogger, {
    ...transports,
    plain: (mode) => new WatchedTransport(transports.plain(mode), connections),
    serverTls: (...all) => transports.serverTls(...all),
    clientTls: (...all) => transports.clientTls(...all),
  })
  // Two hops; a kernel may take 4 MiB to send and 6 MiB to receive on each.
  return { origin: url(''), transport, connections, maxBetween: 2 * 10 * 1024 * 1024 }
}

async function overMemory(t: TestContext, serve: Parameters<typeof httpServer>[0]): Promise<World> {
  const connections = new Set<Connection>()
  const network = new MemoryNetwork()
  const byName = (address: Address): Address =>
    memoryAddress(formatAddress(address).replace(/^\w+:\/\//, ''))
  const inner = memory({ clock: systemClock, network })
  const transport = new WatchedTransport(inner, connections, byName)
  const server = httpServer(serve)
  await server.listen(transport, '127.0.0.1:1')
  t.after(() => server.close({ signal: AbortSignal.abort(new Error('test over')) }))
  const transports = nodeTransports(systemClock)
  await start(t, config('127.0.0.1:1', '127.0.0.1:2'), silentLogger, {
    plain: () => transport,
    serverTls: (...all) => transports.serverTls(...all),
    clientTls: (...all) => transports.clientTls(...all),
  })
  // Two hops, each: what waits to be written, the pipe, and what the reader's channel holds.
  const maxBetween = 2 * (64 + 64 + 64 + 64) * 1024 + 2 * CHUNK.length
  return { origin: 'http://127.0.0.1:2', transport, connections, maxBetween }
}

const config = (upstream: string, address: string) => ({
  listeners: [{ name: 'http', address }],
  routes: [{ cluster: 'server', timeout: '0s' }],
  clusters: [{ name: 'server', endpoints: [upstream] }],
})

/** Until nothing moves any more. */
async function standstill(given: () => number): Promise<void> {
  let last = -1
  for (let still = 0; still < STILL_TURNS; still++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (given() === last) continue
    last = given()
    still = 0
  }
}

/** Bytes that wait in this process, in connections of client, gateway and server. */
function waiting({ connections }: World): number {
  let sum = 0
  for (const connection of connections) sum += connection.writableLength
  return sum
}

function assertBounded(world: World, source: CountingSource, sink: StubbornSink): void {
  const between = source.given - sink.taken
  assert.ok(sink.taken > 0 && sink.taken <= 2 * CHUNK.length, `${sink.taken} bytes taken`)
  assert.ok(source.given < source.total, 'the sender was held up')
  assert.ok(between <= world.maxBetween, `${between} of ${world.maxBetween} bytes between`)
  const buffered = waiting(world)
  assert.ok(buffered <= MAX_WAITING, `${buffered} bytes wait in connections`)
}

for (const [name, make, total] of [
  ['TCP', overTcp, 64 * 1024 * 1024],
  ['memory', overMemory, 16 * 1024 * 1024],
] as const) {
  test(`a slow reader of an answer holds up client, gateway and server over ${name}`, async (t) => {
    const source = new CountingSource(total)
    const world = await make(t, () => new HttpResponse({ body: Body.from(source) }))
    const client = httpClient(world.origin, { transport: world.transport })
    t.after(() => client.core.destroy())
    const sink = new StubbornSink()
    const response = await client.get('/')
    sink.read(response.body)
    await standstill(() => source.given)
    assertBounded(world, source, sink)
    sink.readOn()
    await sink.done
    assert.equal(sink.taken, total)
  })

  test(`a slow reader of a request holds up server, gateway and client over ${name}`, async (t) => {
    const source = new CountingSource(total)
    const sink = new StubbornSink()
    const begun = Promise.withResolvers<void>()
    const world = await make(t, async (request) => {
      sink.read(request.body)
      begun.resolve()
      await sink.done
      return HttpResponse.text(String(sink.taken))
    })
    const client = httpClient(world.origin, { transport: world.transport, timeoutMs: 120_000 })
    t.after(() => client.core.destroy())
    const reply = client.post('/', Body.from(source))
    await begun.promise
    await standstill(() => source.given)
    assertBounded(world, source, sink)
    sink.readOn()
    const response = await reply
    assert.equal(await response.body.text(), String(total))
  })
}

const STILL_TURNS = 500
/** In each of the six ends: the high-water mark and the chunk that went over it. */
const MAX_WAITING = 6 * (64 * 1024 + CHUNK.length)
