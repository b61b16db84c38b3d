/**
 * Connections within one process, by name: `mem:name`. The `Transport` contract in full, so that
 * whatever runs over TCP runs over it; with options that make it a bad network on purpose.
 *
 * - As a link between parts of one process: bounded, with real backpressure, no system call.
 * - As a test link: bytes split and delayed by an injected `random`, and `strict`, which catches a
 *   handler that keeps a borrowed chunk and a writer that changes a region it has given away.
 */
import {
  type Address,
  memory as address,
  formatAddress,
  type MemoryAddress,
} from '../../core/address.ts'
import type { Clock, Random } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import {
  checkInteger,
  checkRange,
  TimeoutError,
  TransportError,
  toError,
  UsageError,
} from '../../core/errors.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  Transport,
  TransportBaseOptions,
  TransportTraits,
} from '../../core/transport.ts'
import { type LinkSettings, linkPair } from './memory-connection.ts'
import { MemoryListener } from './memory-listener.ts'
import { MemoryNetwork } from './memory-network.ts'
import { TurnScheduler } from './turn-scheduler.ts'

export interface MemoryOptions extends TransportBaseOptions {
  /** Turns, delays and connect deadlines come from it. */
  clock: Clock
  /** Who finds whom. @default one network for the process */
  network?: MemoryNetwork
  /**
   * `write` returns false when more than this waits behind a full pipe.
   *
   * @default 65_536
   */
  highWaterMarkBytes?: number
  /**
   * Bytes each direction holds for a reader that does not read: the socket buffer of TCP.
   *
   * @default 65_536
   */
  bufferBytes?: number
  /**
   * Longest chunk given to `onData`.
   *
   * @default 65_536
   */
  maxChunkBytes?: number
  /** Makes each chunk's length random in 1 to `maxChunkBytes`, and each delay in its range. */
  random?: Random
  /** Time each write takes to arrive, at least. Order is kept. @default 0 */
  minDelayMs?: number
  /** … and at most; more than the least needs `random`. @default minDelayMs */
  maxDelayMs?: number
  /**
   * Overwrites each chunk when `onData` returns (unless leased) and each lease when it is released,
   * and throws when a region changed between `write` and `writableLength` 0. For tests.
   *
   * @default false
   */
  strict?: boolean
}

export const memoryDefaults: Readonly<{
  highWaterMarkBytes: number
  bufferBytes: number
  maxChunkBytes: number
  minDelayMs: number
  strict: boolean
}> = Object.freeze({
  highWaterMarkBytes: 65_536, // one turn of a reader
  bufferBytes: 65_536, // as a socket buffer of Linux before it grows
  maxChunkBytes: 65_536, // as Node reads from a socket
  minDelayMs: 0,
  strict: false, // costs a pass over every byte
})

export function memory(options: MemoryOptions): Transport {
  return new MemoryTransport(options)
}

/**
 * Two connections that are each other's peer, without a listener. Strict unless told otherwise:
 * this is what tests use.
 */
export function memoryPair(
  options: MemoryOptions,
): [initiating: Connection, accepting: Connection] {
  const { network = new MemoryNetwork(), strict = true } = options
  const name = network.freshName()
  const settings = checkOptions({ ...options, strict }, network)
  return linkPair(settings, address(`${name}:client`), address(name))
}

class MemoryTransport implements Transport {
  readonly name = 'memory'
  readonly traits: TransportTraits = TRAITS
  readonly #settings: LinkSettings
  readonly #network: MemoryNetwork

  constructor(options: MemoryOptions) {
    this.#network = options.network ?? processNetwork
    this.#settings = checkOptions(options, this.#network)
  }

  connect(to: Address, options: ConnectOptions = {}): Promise<Connection> {
    const { name } = checkAddress(to)
    const { signal, deadline = Number.POSITIVE_INFINITY } = options
    const { clock, minDelayMs, maxDelayMs, random } = this.#settings
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const spread = random === undefined ? 0 : (maxDelayMs - minDelayMs) * random()
      const readyAt = clock.now() + minDelayMs + spread
      const late = readyAt > deadline || clock.now() >= deadline
      let aborted = false
      const onAbort = (): void => {
        aborted = true
        timer?.cancel()
        reject(signal?.reason)
      }
      const onReady = (): void => {
        if (aborted) return
        signal?.removeEventListener('abort', onAbort)
        if (late) return reject(connectTimeout(name))
        try {
          resolve(this.#establish(name))
        } catch (error) {
          reject(error)
        }
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const at = late ? deadline : readyAt
      const timer = at > clock.now() ? clock.setTimer(at, onReady) : undefined
      if (timer === undefined) clock.defer(onReady)
    })
  }

  listen(at: Address, options: ListenOptions): Promise<Listener> {
    // A promise for what is synchronous here: a wrong argument throws, as everywhere; a taken name
    // is something that happens, and rejects.
    const { name } = checkAddress(at)
    if (options.descriptor !== undefined) {
      const message = 'a memory listener has no descriptor to take over'
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    const chosen = name === ANY_NAME ? this.#network.freshName() : name
    const listener = new MemoryListener(address(chosen), options, (closed) => {
      this.#network.remove(chosen, closed)
    })
    try {
      this.#network.add(chosen, listener)
      return Promise.resolve(listener)
    } catch (error) {
      return Promise.reject(toError(error))
    }
  }

  #establish(name: string): Connection {
    const listener = this.#network.find(name)
    if (listener === undefined) {
      throw new TransportError('ERR_CONNECT_REFUSED', `nobody listens on mem:${name}`, NOTHING_SENT)
    }
    if (listener.full) {
      const message = `mem:${name} has ${listener.backlog} connections waiting to be accepted`
      throw new TransportError('ERR_CONNECT_REFUSED', message, NOTHING_SENT)
    }
    const local = address(`${name}:${this.#network.freshName()}`)
    const [initiating, accepting] = linkPair(this.#settings, local, listener.address)
    listener.offer(accepting, this.#settings.clock)
    return initiating
  }
}

function checkAddress(given: Address): MemoryAddress {
  if (given.kind === 'memory' && given.name !== '') return given
  const message = `memory transport cannot use '${formatAddress(given)}': expected mem:name`
  throw new UsageError('ERR_ADDRESS_INVALID', message)
}

function connectTimeout(name: string): TimeoutError {
  const message = `connecting to mem:${name} passed its deadline`
  return new TimeoutError('ERR_CONNECT_TIMEOUT', message, NOTHING_SENT)
}

function checkOptions(options: MemoryOptions, network: MemoryNetwork): LinkSettings {
  const {
    clock,
    random,
    highWaterMarkBytes = memoryDefaults.highWaterMarkBytes,
    bufferBytes = memoryDefaults.bufferBytes,
    maxChunkBytes = memoryDefaults.maxChunkBytes,
    minDelayMs = memoryDefaults.minDelayMs,
    maxDelayMs = minDelayMs,
    strict = memoryDefaults.strict,
  } = options
  checkRange('minDelayMs', minDelayMs, 0, MAX_DELAY_MS)
  checkRange('maxDelayMs', maxDelayMs, minDelayMs, MAX_DELAY_MS)
  if (maxDelayMs > minDelayMs && random === undefined) {
    throw new UsageError('ERR_ARGUMENT', 'delays in a range need `random`')
  }
  return {
    clock,
    scheduler: new TurnScheduler(clock),
    highWaterMarkBytes: checkInteger('highWaterMarkBytes', highWaterMarkBytes, 0, MAX_BYTES),
    bufferBytes: checkInteger('bufferBytes', bufferBytes, 1, MAX_BYTES),
    maxChunkBytes: checkInteger('maxChunkBytes', maxChunkBytes, 1, MAX_BYTES),
    minDelayMs,
    maxDelayMs,
    random,
    strict,
    onLease: (change) => network.countLease(change),
  }
}

const TRAITS: TransportTraits = Object.freeze({
  halfClose: true,
  secure: false,
  messageBoundaries: false,
})
const processNetwork = new MemoryNetwork()
const NOTHING_SENT = Object.freeze({ sent: 'nothing' } as const)
/** As port 0: the listener gets a name that nobody has. */
const ANY_NAME = '0'
const MAX_BYTES = 0x4000_0000
const MAX_DELAY_MS = 3_600_000
