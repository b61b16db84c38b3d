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
  /** Fixed peer of a connected socket; nobody else is heard. */
  readonly remote: Address | undefined
  readonly maxPayloadBytes: number
  /**
   * Starts receiving. Before it, as while paused, what arrives is kept within what the layer below
   * keeps anyway, or dropped and counted.
   *
   * @throws UsageError ERR_ALREADY_OPEN, ERR_STATE after the close
   */
  open(handler: DatagramHandler): void
  /**
   * Sends one datagram, empty ones too; `payload` may be reused when the call returns. `to` is left
   * out, or the peer, on a connected socket. No callback is called from within.
   *
   * @returns false: dropped here. Counted in `droppedCount`
   * @throws ProtocolError ERR_FRAME_TOO_LARGE over `maxPayloadBytes`; UsageError ERR_ARGUMENT without
   *   `to` or for another than the peer, ERR_ADDRESS_INVALID for what it cannot send to
   */
  send(payload: Uint8Array, to?: Address): boolean
  /** Datagrams dropped here, of both directions. What the network drops nobody knows. */
  readonly droppedCount: number
  pause(): void
  resume(): void
  /** Resolves after `onClose`, which then is the last callback. Idempotent. */
  close(): Promise<void>
}

export interface DatagramHandler {
  /** `payload` is borrowed until the call returns; `from` may be kept, and sent to. */
  onDatagram(payload: Uint8Array, from: Address): void
  /** An error that concerns one peer (ICMP unreachable); the socket goes on. */
  onError(error: Error): void
  /** Exactly once and last. */
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
