/**
 * A reliable exchange of messages over datagrams that are lost, doubled and reordered, sans-I/O:
 * each message arrives once or its sender hears that it may not have. There is no order among them,
 * no flow control but a number of messages in flight, and nobody is authenticated.
 *
 * - A message is sent again after 250 ms, 500 ms, 1 s and 2 s, and has failed 4 s later.
 * - A copy is acknowledged as the original was, because it was that acknowledgement that got lost,
 *   and is not handed out. Copies are known by number, for as many messages as are remembered: a
 *   sender never has messages in flight that are further apart than that.
 * - What a peer makes the session keep is bounded: peers, numbers, acknowledgements that wait.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { DatagramSession } from '../../core/datagram-socket.ts'
import {
  checkInteger,
  type HeddleError,
  OverloadError,
  ProtocolError,
  TimeoutError,
  UsageError,
} from '../../core/errors.ts'
import {
  ackCount,
  decodeReliableDatagram,
  encodeAck,
  encodeData,
  HEADER_BYTES,
} from './datagram-format.ts'
import type { ReliableDatagramCommand, ReliableDatagramEvent } from './messages.ts'
import { type ReliableDatagramOptions, resolveReliableDatagramOptions } from './options.ts'
import { PeerMemories, type PeerMemory, peerKey } from './peer-memory.ts'

export class ReliableDatagramSession
  implements DatagramSession<ReliableDatagramCommand, ReliableDatagramEvent>
{
  readonly maxMessageBytes: number
  readonly #options: Readonly<Required<ReliableDatagramOptions>>
  readonly #epoch: number
  readonly #peers: PeerMemories
  /** By number, which is also by age. */
  readonly #flights = new Map<number, Flight>()
  /**
   * Flights by how often they were sent. All of one stage wait equally long, so each stage is in the
   * order of its times and the first one is due first.
   */
  readonly #stages: readonly Set<Flight>[]
  readonly #unsent = new Set<Flight>()
  readonly #acknowledging = new Set<PeerMemory>()
  readonly #events: ReliableDatagramEvent[] = []
  #nextNumber = 0
  #state: 'open' | 'closing' | 'closed' = 'open'

  /** @param epoch random, 32 bits: what tells this session from the one that had its address before */
  constructor(epoch: number, options: ReliableDatagramOptions = {}) {
    this.#options = resolveReliableDatagramOptions(options)
    this.#epoch = checkInteger('epoch', epoch, 0, 0xffff_ffff)
    const { maxDatagramBytes, maxPeers, rememberedMessages, maxAttempts } = this.#options
    this.maxMessageBytes = maxDatagramBytes - HEADER_BYTES
    this.#peers = new PeerMemories(maxPeers, rememberedMessages)
    this.#stages = Array.from({ length: maxAttempts }, () => new Set<Flight>())
  }

  get state(): 'open' | 'closing' | 'closed' {
    return this.#state
  }

  /** Messages that were neither acknowledged nor given up. */
  get inFlight(): number {
    return this.#flights.size
  }

  /** Peers whose messages are remembered. */
  get peerCount(): number {
    return this.#peers.size
  }

  /** Whether `submit` would take a message now. */
  get writable(): boolean {
    const { maxInFlight, rememberedMessages } = this.#options
    if (this.#state !== 'open' || this.#flights.size >= maxInFlight) return false
    const [oldest] = this.#flights.keys()
    return oldest === undefined || distance(oldest, this.#nextNumber) < rememberedMessages
  }

  receive(payload: Uint8Array, from: Address, _now: number): void {
    if (this.#state === 'closed') return
    const datagram = decodeReliableDatagram(payload)
    if (datagram instanceof ProtocolError) {
      this.#events.push({ type: 'malformed', from, error: datagram })
    } else if (datagram.kind === 'ack') {
      if (datagram.epoch !== this.#epoch) return // of a session that had this address before
      for (const number of datagram.numbers) this.#acknowledged(number, from)
    } else {
      this.#receiveData(datagram.epoch, datagram.number, datagram.payload, from)
    }
  }

  /**
   * @throws ProtocolError ERR_FRAME_TOO_LARGE over `maxMessageBytes`; OverloadError ERR_BUSY when too
   *   many messages wait for their acknowledgement; UsageError ERR_STATE when it is closing
   */
  submit(command: ReliableDatagramCommand, _now: number): void {
    const { payload, to, reference } = command
    if (this.#state !== 'open') {
      throw new UsageError('ERR_STATE', `the session is ${this.#state}`)
    }
    if (payload.length > this.maxMessageBytes) {
      const message = `message of ${payload.length} bytes is over ${this.maxMessageBytes}`
      throw new ProtocolError('ERR_FRAME_TOO_LARGE', message, { sent: 'nothing' })
    }
    if (!this.writable) {
      const message = `${this.#flights.size} messages wait for their acknowledgement`
      throw new OverloadError('ERR_BUSY', message)
    }
    const number = this.#nextNumber
    this.#nextNumber = (number + 1) % NUMBERS
    const datagram = encodeData(this.#epoch, number, payload)
    const flight: Flight = { number, datagram, to, reference, attempts: 0, dueAt: 0 }
    this.#flights.set(number, flight)
    this.#unsent.add(flight)
  }

  pollTransmit(now: number): { readonly payload: Uint8Array; readonly to: Address } | undefined {
    for (const peer of this.#acknowledging) return this.#nextAck(peer)
    for (const flight of this.#unsent) {
      this.#unsent.delete(flight)
      this.#enterStage(flight, now)
      return { payload: flight.datagram, to: flight.to }
    }
    return undefined
  }

  pollEvent(): ReliableDatagramEvent | undefined {
    return this.#events.shift()
  }

  pollTimeout(): number | undefined {
    let next: number | undefined
    for (const stage of this.#stages) {
      for (const { dueAt } of stage) {
        if (next === undefined || dueAt < next) next = dueAt
        break
      }
    }
    return next
  }

  handleTimeout(now: number): void {
    for (const stage of this.#stages) {
      for (const flight of stage) {
        if (flight.dueAt > now) break
        stage.delete(flight)
        if (flight.attempts < this.#options.maxAttempts) this.#unsent.add(flight)
        else this.#fail(flight, unacknowledged(flight))
      }
    }
  }

  /** Takes no more messages; is closed when those in flight have come to an end. */
  close(): void {
    if (this.#state === 'open') this.#state = 'closing'
    this.#settle()
  }

  /** Everything in flight fails now. */
  abort(error: HeddleError): void {
    for (const flight of [...this.#flights.values()]) this.#fail(flight, error)
    this.#acknowledging.clear()
    this.#state = 'closed'
  }

  #receiveData(epoch: number, number: number, payload: Uint8Array, from: Address): void {
    const peer = this.#peers.find(from)
    const isCopy = peer.note(epoch, number)
    if (peer.pendingEpoch !== epoch) {
      peer.pendingEpoch = epoch
      peer.pending = []
    }
    // One that does not fit is not lost: its sender asks again.
    if (peer.pending.length < MAX_PENDING && this.#acknowledging.size < MAX_PENDING) {
      peer.pending.push(number)
      this.#acknowledging.add(peer)
    }
    if (!isCopy) this.#events.push({ type: 'message', payload, from })
  }

  #acknowledged(number: number, from: Address): void {
    const flight = this.#flights.get(number)
    // From somebody else it proves nothing; before it was sent it cannot be true.
    if (flight === undefined || flight.attempts === 0) return
    if (flight.to !== from && peerKey(flight.to) !== peerKey(from)) return
    this.#forget(flight)
    const { reference, attempts } = flight
    this.#events.push({ type: 'delivered', reference, attempts })
    this.#settle()
  }

  #nextAck(peer: PeerMemory): { readonly payload: Uint8Array; readonly to: Address } {
    const payload = encodeAck(peer.pendingEpoch, peer.pending, this.#options.maxDatagramBytes)
    peer.pending.splice(0, ackCount(payload))
    if (peer.pending.length === 0) this.#acknowledging.delete(peer)
    return { payload, to: peer.address }
  }

  #enterStage(flight: Flight, now: number): void {
    flight.dueAt = now + this.#options.retransmitMs * 2 ** flight.attempts
    this.#stages[flight.attempts]?.add(flight)
    flight.attempts += 1
  }

  #fail(flight: Flight, error: HeddleError): void {
    this.#forget(flight)
    this.#events.push({ type: 'failed', reference: flight.reference, error })
    this.#settle()
  }

  #forget(flight: Flight): void {
    this.#flights.delete(flight.number)
    this.#unsent.delete(flight)
    this.#stages[flight.attempts - 1]?.delete(flight)
  }

  #settle(): void {
    if (this.#state === 'closing' && this.#flights.size === 0) this.#state = 'closed'
  }
}

function unacknowledged({ attempts, to }: Flight): TimeoutError {
  const message = `no acknowledgement from ${formatAddress(to)} after ${attempts} attempts`
  return new TimeoutError('ERR_ATTEMPT_TIMEOUT', message, { sent: 'all' })
}

/** How far apart two numbers are, once around included. */
function distance(from: number, to: number): number {
  return (to - from + NUMBERS) % NUMBERS
}

interface Flight {
  readonly number: number
  readonly datagram: Uint8Array
  readonly to: Address
  readonly reference: number
  /** How often it was sent. */
  attempts: number
  dueAt: number
}

const NUMBERS = 0x1_0000_0000
/** Acknowledgements of one peer, and peers with some, that wait to be sent. */
const MAX_PENDING = 1_024
