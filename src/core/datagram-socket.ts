/**
 * Unordered, unreliable datagrams. Never queued without bound: a full socket drops, and says so.
 */
import type { Address } from './address.ts'

/** How datagram sockets come into being. Errors are those of `Transport`. */
export interface DatagramTransport {
  /** `udp`, `memory-datagram`, … */
  readonly name: string
  /** A socket at `address` that takes datagrams from anybody; port 0 chooses one. */
  bind(address: Address, options?: BindOptions): Promise<DatagramSocket>
  /** A socket that exchanges datagrams with `remote` only. */
  connect(remote: Address, options?: BindOptions): Promise<DatagramSocket>
}

export interface BindOptions {
  signal?: AbortSignal
  /** Absolute, a value of the transport's clock. Exceeded: TimeoutError ERR_CONNECT_TIMEOUT. */
  deadline?: number
}

export interface DatagramSocket extends AsyncDisposable {
  readonly address: Address
  /** Fixed peer of a connected socket. */
  readonly remote: Address | undefined
  readonly maxPayloadBytes: number
  /** Starts receiving. */
  open(handler: DatagramHandler): void
  /**
   * Sends one datagram; `payload` may be reused when the call returns.
   * @returns false: dropped here. Counted in `droppedCount`
   */
  send(payload: Uint8Array, to?: Address): boolean
  readonly droppedCount: number
  pause(): void
  resume(): void
  close(): Promise<void>
}

export interface DatagramHandler {
  /** `payload` is borrowed until the call returns. */
  onDatagram(payload: Uint8Array, from: Address): void
  /** An error that concerns one peer (ICMP unreachable); the socket goes on. */
  onError(error: Error): void
  onClose(reason: Error | undefined): void
}

/**
 * A protocol over datagrams, sans-I/O: the counterpart of `Session` (session.ts) without a stream.
 * Loss, duplication and reordering are its business; time is an argument.
 */
export interface DatagramSession<Command, Event> {
  readonly state: 'open' | 'closing' | 'closed'
  /** One datagram, borrowed until the call returns. Never throws for what a peer sent. */
  receive(payload: Uint8Array, from: Address, now: number): void
  submit(command: Command, now: number): void
  /** The next datagram to send now, or undefined. The payload is reused by the next call. */
  pollTransmit(now: number): { readonly payload: Uint8Array; readonly to: Address } | undefined
  pollEvent(): Event | undefined
  pollTimeout(): number | undefined
  handleTimeout(now: number): void
}
