/**
 * Datagrams within one process, by name: `mem:name`. The `DatagramTransport` contract without a
 * kernel: nothing is lost, doubled or reordered unless a socket's buffer is full, so that what a
 * protocol does about loss is decided by whoever injects it.
 *
 * Deliveries come in turns of their own, deferred by the clock: none is made from within `send`.
 */
import {
  type Address,
  memory as address,
  formatAddress,
  type MemoryAddress,
} from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type {
  BindOptions,
  DatagramHandler,
  DatagramSocket,
  DatagramTransport,
} from '../../core/datagram-socket.ts'
import {
  checkInteger,
  ProtocolError,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import { TurnScheduler } from './turn-scheduler.ts'

export interface MemoryDatagramOptions extends TransportBaseOptions {
  /** Turns and deadlines come from it. */
  clock: Clock
  /** Who finds whom. @default one network for the process */
  network?: MemoryDatagramNetwork
  /** Longest payload. @default 65_507 */
  maxPayloadBytes?: number
  /** What a socket holds for a handler that does not read; the rest is dropped. @default 212_992 */
  bufferBytes?: number
  /** Overwrites each payload when `onDatagram` returns. For tests. @default false */
  strict?: boolean
}

export const memoryDatagramDefaults: Readonly<{
  maxPayloadBytes: number
  bufferBytes: number
  strict: boolean
}> = Object.freeze({
  maxPayloadBytes: 65_507, // as UDP over IPv4
  bufferBytes: 212_992, // as a socket of Linux
  strict: false, // costs a pass over every byte
})

export function memoryDatagrams(options: MemoryDatagramOptions): DatagramTransport {
  return new MemoryDatagramTransport(options)
}

/** Which names are taken. Tests make their own, so that they share nothing. */
export class MemoryDatagramNetwork {
  readonly #sockets = new Map<string, MemoryDatagramSocket>()
  #names = 0

  get socketCount(): number {
    return this.#sockets.size
  }

  /** @throws TransportError ERR_ADDRESS_IN_USE */
  add(name: string, socket: MemoryDatagramSocket): void {
    if (this.#sockets.has(name)) {
      throw new TransportError('ERR_ADDRESS_IN_USE', `mem:${name} is in use`, NOTHING_SENT)
    }
    this.#sockets.set(name, socket)
  }

  find(name: string): MemoryDatagramSocket | undefined {
    return this.#sockets.get(name)
  }

  remove(name: string): void {
    this.#sockets.delete(name)
  }

  freshName(): string {
    for (;;) {
      this.#names += 1
      const name = `datagram-${this.#names}`
      if (!this.#sockets.has(name)) return name
    }
  }
}

interface Settings {
  readonly clock: Clock
  readonly scheduler: TurnScheduler
  readonly network: MemoryDatagramNetwork
  readonly maxPayloadBytes: number
  readonly bufferBytes: number
  readonly strict: boolean
}

class MemoryDatagramTransport implements DatagramTransport {
  readonly name = 'memory-datagram'
  readonly #settings: Settings

  constructor(options: MemoryDatagramOptions) {
    const {
      clock,
      network = processNetwork,
      maxPayloadBytes = memoryDatagramDefaults.maxPayloadBytes,
      bufferBytes = memoryDatagramDefaults.bufferBytes,
      strict = memoryDatagramDefaults.strict,
    } = options
    this.#settings = {
      clock,
      scheduler: new TurnScheduler(clock),
      network,
      maxPayloadBytes: checkInteger('maxPayloadBytes', maxPayloadBytes, 0, MAX_BYTES),
      bufferBytes: checkInteger('bufferBytes', bufferBytes, 1, MAX_BYTES),
      strict,
    }
  }

  async bind(at: Address, options: BindOptions = {}): Promise<DatagramSocket> {
    const { name } = checkAddress(at)
    return this.#make(name === ANY_NAME ? undefined : name, undefined, options)
  }

  async connect(remote: Address, options: BindOptions = {}): Promise<DatagramSocket> {
    return this.#make(undefined, checkAddress(remote), options)
  }

  #make(
    name: string | undefined,
    remote: MemoryAddress | undefined,
    options: BindOptions,
  ): DatagramSocket {
    const { signal, deadline = Number.POSITIVE_INFINITY } = options
    signal?.throwIfAborted()
    const { clock, network } = this.#settings
    if (clock.now() >= deadline) {
      const message = 'binding a memory socket passed its deadline'
      throw new TimeoutError('ERR_CONNECT_TIMEOUT', message, NOTHING_SENT)
    }
    const chosen = name ?? network.freshName()
    const socket = new MemoryDatagramSocket(this.#settings, address(chosen), remote)
    network.add(chosen, socket)
    return socket
  }
}

class MemoryDatagramSocket implements DatagramSocket {
  readonly address: MemoryAddress
  readonly remote: MemoryAddress | undefined
  readonly maxPayloadBytes: number
  readonly #settings: Settings
  readonly #runTurn = (): void => this.#turn()
  #handler: DatagramHandler | undefined
  #inbox: Arrival[] = []
  #inboxHead = 0
  #inboxBytes = 0
  #unreachable: Error | undefined
  #dropped = 0
  #paused = false
  #scheduled = false
  #closed = false
  #closing: Promise<void> | undefined
  #onClosed: (() => void) | undefined

  constructor(settings: Settings, local: MemoryAddress, remote: MemoryAddress | undefined) {
    this.#settings = settings
    this.address = local
    this.remote = remote
    this.maxPayloadBytes = settings.maxPayloadBytes
  }

  get droppedCount(): number {
    return this.#dropped
  }

  open(handler: DatagramHandler): void {
    if (this.#handler !== undefined) {
      const message = `${formatAddress(this.address)} has a handler`
      throw new UsageError('ERR_ALREADY_OPEN', message)
    }
    if (this.#closed) {
      throw new UsageError('ERR_STATE', `${formatAddress(this.address)} is closed`)
    }
    this.#handler = handler
    this.#schedule()
  }

  send(payload: Uint8Array, to?: Address): boolean {
    const target = this.#targetOf(to)
    if (payload.length > this.maxPayloadBytes) throw this.#tooLarge(payload.length)
    if (this.#closed) {
      this.#dropped += 1
      return false
    }
    const receiver = this.#settings.network.find(target.name)
    if (receiver !== undefined) receiver.receive(payload, this.address)
    else if (this.remote !== undefined) {
      const message = `nobody receives on ${formatAddress(target)}`
      this.#unreachable = new TransportError('ERR_CONNECT_REFUSED', message, NOTHING_SENT)
      this.#schedule()
    }
    return true
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#schedule()
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#onClosed = resolve
      this.#closed = true
      this.#settings.network.remove(this.address.name)
      this.#clear()
      this.#schedule()
    })
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** From `send` of another socket. */
  receive(payload: Uint8Array, from: MemoryAddress): void {
    if (this.remote !== undefined && from.name !== this.remote.name) return
    const bytes = payload.length + OVERHEAD_BYTES
    // An empty buffer takes one of any length, as kernels do.
    if (this.#inboxBytes > 0 && this.#inboxBytes + bytes > this.#settings.bufferBytes) {
      this.#dropped += 1
      return
    }
    this.#inboxBytes += bytes
    this.#inbox.push({ payload: payload.slice(), from })
    this.#schedule()
  }

  #targetOf(to: Address | undefined): MemoryAddress {
    const { remote } = this
    if (to === undefined) {
      if (remote !== undefined) return remote
      throw new UsageError('ERR_ARGUMENT', 'a socket that is not connected needs to know where to')
    }
    const target = checkAddress(to)
    if (remote !== undefined && target.name !== remote.name) {
      const [other, peer] = [formatAddress(to), formatAddress(remote)]
      throw new UsageError('ERR_ARGUMENT', `${other}: the socket is connected to ${peer}`)
    }
    return target
  }

  #tooLarge(length: number): ProtocolError {
    const message = `datagram of ${length} bytes is over maxPayloadBytes ${this.maxPayloadBytes}`
    return new ProtocolError('ERR_FRAME_TOO_LARGE', message, NOTHING_SENT)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#settings.scheduler.schedule(this.#runTurn)
  }

  #turn(): void {
    this.#scheduled = false
    if (this.#closed) return this.#finish()
    const error = this.#unreachable
    if (error !== undefined && this.#handler !== undefined) {
      this.#unreachable = undefined
      this.#handler.onError(error)
    }
    for (let left = TURN_DATAGRAMS; this.#readable; left--) {
      if (left === 0) return this.#schedule()
      this.#deliver()
    }
  }

  get #readable(): boolean {
    const open = this.#handler !== undefined && !this.#paused && !this.#closed
    return open && this.#inboxHead < this.#inbox.length
  }

  #deliver(): void {
    const { payload, from } = this.#inbox[this.#inboxHead] as Arrival
    this.#inboxHead += 1
    this.#inboxBytes -= payload.length + OVERHEAD_BYTES
    if (this.#inboxHead === this.#inbox.length || this.#inboxHead === COMPACT_DATAGRAMS) {
      this.#inbox = this.#inbox.slice(this.#inboxHead)
      this.#inboxHead = 0
    }
    let threw = true
    try {
      this.#handler?.onDatagram(payload, from)
      threw = false
    } finally {
      if (this.#settings.strict) payload.fill(OVERWRITTEN)
      if (threw) this.#schedule() // the rest is not stuck behind a handler's mistake
    }
  }

  #finish(): void {
    const handler = this.#handler
    const resolve = this.#onClosed
    this.#onClosed = undefined
    if (resolve === undefined) return
    try {
      handler?.onClose(undefined)
    } finally {
      resolve()
    }
  }

  #clear(): void {
    this.#inbox = []
    this.#inboxHead = 0
    this.#inboxBytes = 0
    this.#unreachable = undefined
  }
}

interface Arrival {
  readonly payload: Uint8Array
  readonly from: MemoryAddress
}

function checkAddress(given: Address): MemoryAddress {
  if (given.kind === 'memory' && given.name !== '') return given
  const message = `memory transport cannot use '${formatAddress(given)}': expected mem:name`
  throw new UsageError('ERR_ADDRESS_INVALID', message)
}

const processNetwork = new MemoryDatagramNetwork()
const NOTHING_SENT = Object.freeze({ sent: 'nothing' } as const)
/** As port 0: the socket gets a name that nobody has. */
const ANY_NAME = '0'
/** What a datagram costs beside its payload: empty ones must be bounded too. */
const OVERHEAD_BYTES = 64
const TURN_DATAGRAMS = 64
/** Shifting an array for each one would move all that wait behind it. */
const COMPACT_DATAGRAMS = 1_024
const OVERWRITTEN = 0xdb
const MAX_BYTES = 0x4000_0000
