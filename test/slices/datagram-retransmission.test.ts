/**
 * Slice: a reliable exchange over datagrams that are lost, doubled and reordered by seed.
 *
 *     | kind 0 data, 1 ack | number u8 | payload |
 *
 * What it proves: `DatagramSession` needs no socket and no clock of its own; retransmission is
 * `pollTimeout` and `handleTimeout`; a `DatagramSocket` drops instead of queueing, and the engine
 * lives with that.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory } from '../../src/core/address.ts'
import type { Clock, Timer } from '../../src/core/clock.ts'
import type {
  DatagramHandler,
  DatagramSession,
  DatagramSocket,
} from '../../src/core/datagram-socket.ts'
import { type HeddleError, TimeoutError } from '../../src/core/errors.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'

type Event =
  | { readonly type: 'message'; readonly payload: Uint8Array }
  | { readonly type: 'acknowledged'; readonly number: number }
  | { readonly type: 'failed'; readonly number: number; readonly error: HeddleError }
interface Command {
  readonly payload: Uint8Array
  readonly to: Address
}
interface Flight {
  readonly number: number
  readonly datagram: Uint8Array
  readonly to: Address
  attempts: number
  sendAt: number
}

/** One message at a time is the peer's; ours are numbered, kept until acknowledged, at most 8. */
class ReliableSession implements DatagramSession<Command, Event> {
  state: 'open' | 'closing' | 'closed' = 'open'
  #next = 1
  readonly #flights: Flight[] = []
  readonly #acks: { payload: Uint8Array; to: Address }[] = []
  readonly #events: Event[] = []
  /** The last 256 numbers, so that a doubled datagram is acknowledged again but delivered once. */
  readonly #seen = new Set<number>()

  receive(payload: Uint8Array, from: Address): void {
    const [kind, number] = payload
    if (number === undefined) return // shorter than a header: not ours
    if (kind === ACK) {
      const at = this.#flights.findIndex((flight) => flight.number === number)
      if (at < 0) return
      this.#flights.splice(at, 1)
      this.#events.push({ type: 'acknowledged', number })
      return
    }
    this.#acks.push({ payload: Uint8Array.of(ACK, number), to: from })
    if (this.#seen.has(number)) return
    this.#seen.add(number)
    this.#events.push({ type: 'message', payload: payload.slice(2) })
  }

  submit({ payload, to }: Command, now: number): void {
    assert.ok(this.#flights.length < 8, 'wait for an acknowledgement')
    const number = this.#next++
    const datagram = new Uint8Array(payload.length + 2)
    datagram.set([DATA, number])
    datagram.set(payload, 2)
    this.#flights.push({ number, datagram, to, attempts: 0, sendAt: now })
  }

  pollTransmit(now: number): { payload: Uint8Array; to: Address } | undefined {
    const ack = this.#acks.shift()
    if (ack !== undefined) return ack
    const due = this.#flights.find((flight) => flight.sendAt <= now)
    if (due === undefined) return undefined
    due.attempts++
    due.sendAt = now + Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (due.attempts - 1))
    return { payload: due.datagram, to: due.to }
  }

  pollEvent(): Event | undefined {
    return this.#events.shift()
  }

  pollTimeout(): number | undefined {
    const times = this.#flights.map((flight) => flight.sendAt)
    return times.length === 0 ? undefined : Math.min(...times)
  }

  handleTimeout(now: number): void {
    for (const flight of this.#flights.slice()) {
      if (flight.sendAt > now || flight.attempts < MAX_ATTEMPTS) continue
      this.#flights.splice(this.#flights.indexOf(flight), 1)
      const message = `no acknowledgement after ${MAX_ATTEMPTS} attempts`
      const error = new TimeoutError('ERR_DEADLINE', message)
      this.#events.push({ type: 'failed', number: flight.number, error })
    }
  }
}

/** Loses, doubles and delays by seed. */
class LossySocket implements DatagramSocket {
  readonly address: Address
  readonly remote = undefined
  readonly maxPayloadBytes = 1_200
  droppedCount = 0
  peer: LossySocket | undefined
  #handler: DatagramHandler | undefined
  readonly #clock: Clock
  readonly #random: () => number
  readonly #loss: number

  constructor(name: string, clock: Clock, random: () => number, loss: number) {
    this.address = memory(name)
    this.#clock = clock
    this.#random = random
    this.#loss = loss
  }
  open(handler: DatagramHandler): void {
    this.#handler = handler
  }
  send(payload: Uint8Array): boolean {
    if (payload.length > this.maxPayloadBytes || this.#random() < this.#loss) {
      this.droppedCount++
      return false
    }
    const copies = this.#random() < 0.2 ? 2 : 1
    const datagram = payload.slice() // the sender may reuse its memory at once
    for (let copy = 0; copy < copies; copy++) {
      this.#clock.setTimer(this.#clock.now() + this.#random() * 20, () => {
        this.peer?.deliver(datagram, this.address)
      })
    }
    return true
  }
  deliver(datagram: Uint8Array, from: Address): void {
    const borrowed = datagram.slice()
    this.#handler?.onDatagram(borrowed, from)
    borrowed.fill(0xdb)
  }
  pause(): void {}
  resume(): void {}
  async close(): Promise<void> {
    this.#handler?.onClose(undefined)
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** What a driver is for datagrams; short enough to show that the shape has what it needs. */
class DatagramDriver implements DatagramHandler {
  readonly events: Event[] = []
  readonly #socket: DatagramSocket
  readonly #session = new ReliableSession()
  readonly #clock: Clock
  #timer: Timer | undefined

  constructor(socket: DatagramSocket, clock: Clock) {
    this.#socket = socket
    this.#clock = clock
    socket.open(this)
  }
  submit(command: Command): void {
    this.#session.submit(command, this.#clock.now())
    this.#pump()
  }
  onDatagram(payload: Uint8Array, from: Address): void {
    this.#session.receive(payload, from)
    this.#pump()
  }
  onError(): void {}
  onClose(): void {}

  #pump(): void {
    const now = this.#clock.now()
    for (let event = this.#session.pollEvent(); event; event = this.#session.pollEvent()) {
      this.events.push(event)
    }
    for (let out = this.#session.pollTransmit(now); out; out = this.#session.pollTransmit(now)) {
      this.#socket.send(out.payload, out.to) // dropped or not, the timer decides
    }
    this.#timer?.cancel()
    const at = this.#session.pollTimeout()
    if (at === undefined) return
    this.#timer = this.#clock.setTimer(at, () => {
      this.#session.handleTimeout(this.#clock.now())
      this.#pump()
    })
  }
}

const DATA = 0
const ACK = 1
const FIRST_WAIT_MS = 50
const MAX_WAIT_MS = 1_000
const MAX_ATTEMPTS = 24

function link(
  seed: number,
  loss: number,
): { near: DatagramDriver; far: DatagramDriver; to: Address; clock: ManualClock } {
  const clock = new ManualClock()
  const random = seededRandom(seed)
  const [a, b] = [
    new LossySocket('a', clock, random, loss),
    new LossySocket('b', clock, random, loss),
  ]
  a.peer = b
  b.peer = a
  return {
    near: new DatagramDriver(a, clock),
    far: new DatagramDriver(b, clock),
    to: b.address,
    clock,
  }
}

test('every message arrives once over a link that loses a third, for 50 seeds', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { near, far, to, clock } = link(seed, 0.33)
    for (let index = 0; index < 8; index++) near.submit({ payload: Uint8Array.of(index), to })
    clock.advance(60_000)
    const arrived = far.events.flatMap((event) =>
      event.type === 'message' ? [event.payload[0]] : [],
    )
    assert.deepEqual(arrived.toSorted(), [0, 1, 2, 3, 4, 5, 6, 7], `seed ${seed}`)
    const done = near.events.filter((event) => event.type === 'acknowledged').length
    assert.equal(done, 8, `seed ${seed}`)
    assert.equal(clock.pendingTimers, 0, `seed ${seed}`)
  }
})

test('a message to nobody fails after its attempts, and leaves no timer', () => {
  const { near, to, clock } = link(1, 1)
  near.submit({ payload: Uint8Array.of(1), to })
  clock.advance(60_000)
  assert.deepEqual(
    near.events.map((event) => (event.type === 'failed' ? event.error.code : event.type)),
    ['ERR_DEADLINE'],
  )
  assert.equal(clock.pendingTimers, 0)
})
