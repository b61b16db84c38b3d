/**
 * A client and a server by seed: bodies of random lengths both ways, random demand, resets, pauses,
 * windows and cuts. Every byte arrives in order, or the exchange ends early on both sides; and when
 * all is over the windows are what they were.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClosedError } from '../../core/errors.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { HttpFields } from '../http/fields.ts'
import { Http2ClientSession } from './client-session.ts'
import type {
  ClientEvent,
  Http2ClientCommand,
  Http2ServerCommand,
  ServerEvent,
} from './messages.ts'
import { Http2ServerSession } from './server-session.ts'

const NONE = new HttpFields()

function pick<Item>(random: SeededRandom, items: readonly Item[]): Item {
  return items[random.integer(0, items.length - 1)] as Item
}

/** What one side of an exchange sent and heard. */
class Side {
  readonly toSend: number
  sent = 0
  heard = 0
  ended = false
  over: 'well' | 'early' | undefined
  mayWrite = false
  wanted = false

  constructor(toSend: number) {
    this.toSend = toSend
  }
}

class World {
  readonly random: SeededRandom
  readonly client: Http2ClientSession
  readonly server: Http2ServerSession
  readonly asked = new Map<number, Side>()
  readonly served = new Map<number, Side>()
  readonly total: number
  #longest = 150_000
  #up: number[] = []
  #down: number[] = []
  now = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    const { random } = this
    const windows = () => {
      const windowBytes = pick(random, [1, 100, 4_096, 65_535])
      // A window of a byte needs a round for each.
      if (windowBytes < 1_000) this.#longest = 2_000
      return {
        windowBytes,
        maxWindowBytes: windowBytes * pick(random, [1, 8]),
        connectionWindowBytes: pick(random, [65_535, 100_000]),
        maxQueuedBytes: pick(random, [1, 1_000, 65_536]),
        bodyTimeoutMs: Number.POSITIVE_INFINITY,
      }
    }
    this.client = new Http2ClientSession({ ...windows(), headTimeoutMs: 1e9 }, 0)
    const maxConcurrentStreams = pick(random, [1, 3, 100])
    this.server = new Http2ServerSession({ ...windows(), maxConcurrentStreams }, 0)
    this.total = random.integer(1, 12)
  }

  /** The byte at a place of the body of an exchange; each way has its own. */
  static byteAt(exchange: number, place: number, way: number): number {
    return (exchange * 31 + place * 7 + way) & 0xff
  }

  piece(exchange: number, side: Side, way: number): Uint8Array {
    const most = pick(this.random, [1, 50, 5_000, 40_000])
    const length = Math.min(side.toSend - side.sent, this.random.integer(1, most))
    const from = side.sent
    side.sent += length
    return Uint8Array.from({ length }, (_, at) => World.byteAt(exchange, from + at, way))
  }

  hear(exchange: number, side: Side, chunk: Uint8Array, way: number): void {
    for (const byte of chunk) {
      if (byte !== World.byteAt(exchange, side.heard, way)) {
        assert.fail(`exchange ${exchange}: byte ${side.heard} is ${byte}`)
      }
      side.heard++
    }
  }

  onServer(event: ServerEvent): void {
    const { exchange } = event
    if (event.type === 'request') {
      const side = new Side(Math.min(this.#longest, pick(this.random, [0, 10, 1_000, 100_000])))
      this.served.set(exchange, side)
      if (event.content !== undefined) this.hear(exchange, side, event.content, 0)
      side.ended = event.content !== undefined || !event.hasBody
      return
    }
    const side = this.served.get(exchange)
    if (side === undefined) return
    if (event.type === 'data') this.hear(exchange, side, event.chunk, 0)
    else if (event.type === 'end') side.ended = true
    else if (event.type === 'turn' || event.type === 'writable') side.mayWrite = true
    else if (event.type === 'sent') side.over = 'well'
    else if (event.type === 'aborted') side.over = 'early'
  }

  onClient(event: ClientEvent): void {
    if (!('exchange' in event) || event.exchange === 0) return
    const { exchange } = event
    const side = this.asked.get(exchange) as Side
    if (event.type === 'response') {
      if (event.content !== undefined) this.hear(exchange, side, event.content, 1)
      if (event.content !== undefined || !event.hasBody) side.over = 'well'
    } else if (event.type === 'data') this.hear(exchange, side, event.chunk, 1)
    else if (event.type === 'end') side.over = 'well'
    else if (event.type === 'writable') side.mayWrite = true
    else if (event.type === 'aborted') side.over = 'early'
  }

  /** One thing that somebody may do now. */
  act(): void {
    const { random } = this
    if (random.integer(0, 3) === 0) return this.#ask()
    const isClient = random.integer(0, 1) === 0
    const sides = [...(isClient ? this.asked : this.served)].filter(([, { over }]) => !over)
    if (sides.length === 0) return
    const [exchange, side] = pick(random, sides)
    if (isClient) this.#actClient(exchange, side)
    else this.#actServer(exchange, side)
  }

  #ask(): void {
    const { client, random } = this
    if (this.asked.size >= this.total || client.capacity === 0) return
    const exchange = client.nextExchange
    const side = new Side(Math.min(this.#longest, pick(random, [0, 5, 20_000, 150_000])))
    side.mayWrite = true
    this.asked.set(exchange, side)
    const base = { method: 'POST', target: '/', authority: 'a', fields: NONE } as const
    const streams = random.integer(0, 1) === 0
    const body = streams ? undefined : this.#whole(exchange, side)
    if (!streams) side.mayWrite = false
    const rest = { body, streams, bodyLength: undefined } as const
    this.#tell({ type: 'request', exchange, ...base, ...rest })
  }

  #whole(exchange: number, side: Side): Uint8Array {
    side.sent = side.toSend
    return Uint8Array.from({ length: side.toSend }, (_, at) => World.byteAt(exchange, at, 0))
  }

  #tell(command: Http2ClientCommand): void {
    this.client.submit(command, this.now)
  }

  #answer(command: Http2ServerCommand): void {
    this.server.submit(command, this.now)
  }

  #actClient(exchange: number, side: Side): void {
    const { random } = this
    const dice = random.integer(0, 60)
    if (dice === 0) {
      const error = new ClosedError('ERR_ABORTED', 'by seed')
      return this.#tell({ type: 'reset', exchange, error })
    }
    if (dice < 30) {
      side.wanted = random.integer(0, 3) > 0
      return this.#tell({ type: 'demand', exchange, wanted: side.wanted })
    }
    if (!side.mayWrite) return
    if (side.sent === side.toSend) {
      side.mayWrite = false
      return this.#tell({ type: 'end', exchange, trailers: undefined })
    }
    const chunk = this.piece(exchange, side, 0)
    this.#tell({ type: 'data', exchange, chunk, owned: random.integer(0, 1) === 0 })
    side.mayWrite = this.client.isWritable(exchange)
  }

  #actServer(exchange: number, side: Side): void {
    const { random } = this
    const dice = random.integer(0, 60)
    if (dice === 0) {
      const error = new ClosedError('ERR_ABORTED', 'by seed')
      return this.#answer({ type: 'reset', exchange, error })
    }
    if (dice < 30) {
      side.wanted = random.integer(0, 3) > 0
      return this.#answer({ type: 'demand', exchange, wanted: side.wanted })
    }
    // `over` is heard with the batch; `toSend` of -1 stands for a head that was sent.
    if (!side.mayWrite) {
      if (side.sent > 0 || dice < 50 || this.#heads.has(exchange)) return
      this.#heads.add(exchange)
      const head = { status: 200, reason: undefined, fields: NONE, bodyLength: undefined }
      return this.#answer({ type: 'head', exchange, ...head })
    }
    if (side.sent === side.toSend) {
      if (!side.ended) return
      side.mayWrite = false
      return this.#answer({ type: 'end', exchange, trailers: undefined })
    }
    const chunk = this.piece(exchange, side, 1)
    this.#answer({ type: 'data', exchange, chunk, owned: random.integer(0, 1) === 0 })
    side.mayWrite = this.server.isWritable(exchange)
  }
  readonly #heads = new Set<number>()

  /** Some bytes of each way arrive. */
  move(): boolean {
    const { client, server, random } = this
    this.now += pick(random, [0, 0, 1])
    for (const byte of client.pollTransmit(pick(random, [1, 20_000])).take()) this.#up.push(byte)
    for (const byte of server.pollTransmit(pick(random, [1, 20_000])).take()) this.#down.push(byte)
    const up = this.#up.splice(0, random.integer(1, 30_000))
    const down = this.#down.splice(0, random.integer(1, 30_000))
    if (up.length > 0) server.receive(Uint8Array.from(up), this.now)
    for (let event = server.pollEvent(); event; event = server.pollEvent()) this.onServer(event)
    if (down.length > 0) client.receive(Uint8Array.from(down), this.now)
    for (let event = client.pollEvent(); event; event = client.pollEvent()) this.onClient(event)
    assert.equal(client.failure, undefined, client.failure?.message ?? '')
    assert.equal(server.failure, undefined, server.failure?.message ?? '')
    return up.length + down.length > 0
  }

  /** Everybody reads and goes on, until all is over. */
  finish(): void {
    for (let rounds = 0; rounds < 20_000; rounds++) {
      for (const [exchange, side] of this.asked) {
        if (side.over) continue
        this.#tell({ type: 'demand', exchange, wanted: true })
        while (side.mayWrite && side.over === undefined) this.#actClientOn(exchange, side)
      }
      for (const [exchange, side] of this.served) {
        if (side.over) continue
        this.#answer({ type: 'demand', exchange, wanted: true })
        this.#finishServer(exchange, side)
      }
      const moved = this.move()
      const sides = [...this.asked.values(), ...this.served.values()]
      if (!moved && sides.every(({ over }) => over !== undefined)) return
    }
    assert.fail('the exchanges do not end')
  }

  #actClientOn(exchange: number, side: Side): void {
    if (side.sent === side.toSend) {
      side.mayWrite = false
      return this.#tell({ type: 'end', exchange, trailers: undefined })
    }
    const chunk = this.piece(exchange, side, 0)
    this.#tell({ type: 'data', exchange, chunk, owned: true })
    side.mayWrite = this.client.isWritable(exchange)
  }

  #finishServer(exchange: number, side: Side): void {
    if (!this.#heads.has(exchange)) {
      this.#heads.add(exchange)
      const head = { status: 200, reason: undefined, fields: NONE, bodyLength: undefined }
      this.#answer({ type: 'head', exchange, ...head })
      return
    }
    while (side.mayWrite && side.sent < side.toSend) {
      const chunk = this.piece(exchange, side, 1)
      this.#answer({ type: 'data', exchange, chunk, owned: true })
      side.mayWrite = this.server.isWritable(exchange)
    }
    if (side.mayWrite && side.ended) {
      side.mayWrite = false
      this.#answer({ type: 'end', exchange, trailers: undefined })
    }
  }
}

for (let seed = 1; seed <= 8; seed++) {
  test(`Http2 sessions, seed ${seed}: every byte in order, or aborted on both sides`, () => {
    const world = new World(seed)
    for (let step = 0; step < 400; step++) {
      world.act()
      if (world.random.integer(0, 2) === 0) world.move()
    }
    world.finish()
    for (const [exchange, side] of world.asked) {
      const other = world.served.get(exchange)
      if (side.over === 'well') {
        assert.ok(other)
        assert.equal(side.heard, other.toSend, `exchange ${exchange}: response`)
        assert.equal(other.heard, side.toSend, `exchange ${exchange}: request`)
      }
    }
    assert.equal(world.client.pending + world.server.pending, 0)
    assert.equal(world.client.buffered + world.server.buffered, 0)
    assert.equal(world.client.receiveWindowBytes, world.server.sendWindowBytes)
    assert.equal(world.server.receiveWindowBytes, world.client.sendWindowBytes)
  })
}
