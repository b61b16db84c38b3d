/**
 * A byte stream between two peers: the shape under every stream protocol.
 *
 * Everything is synchronous. There is one handler, no promise, no listener list and no event object
 * per chunk. `onClose` is called exactly once and last.
 *
 * **Who owns what.**
 * - A chunk given to `onData` is *borrowed*: it is valid until `onData` returns, then the transport
 *   may read into the same memory again. To keep the bytes, copy them, or call `leaseChunk()`
 *   inside `onData` to keep the memory itself until `release()`.
 * - A region given to `write` belongs to the connection until `writableLength` is 0. If it is 0
 *   when `write` returns, the kernel has taken everything and the region may be reused at once;
 *   otherwise wait for `onDrain`, which is called when it has become 0.
 */
import type { Address } from './address.ts'

export interface Connection {
  /** Unique in this process, from 1, never reused. */
  readonly id: number
  readonly facts: ConnectionFacts
  /** Bytes accepted by `write` that the layer below has not taken yet. */
  readonly writableLength: number
  /**
   * How many of them have not left this process, which moves while a long write is on its way.
   * Undefined: nothing finer than `writableLength` is known.
   */
  readonly unsentLength?: number

  /**
   * Starts reading. Nothing is read or delivered before. Bytes given to `detach` are delivered
   * first, and may be delivered before `open` returns.
   *
   * @throws UsageError ERR_ALREADY_OPEN when a handler is attached, ERR_STATE when a handler has
   *   heard the close already
   */
  open(handler: ConnectionHandler): void
  /**
   * Queues bytes. After `end` or `destroy` they are dropped: `onClose` tells.
   * @returns false when more than the high-water mark waits: stop until `onDrain`
   */
  write(chunk: Uint8Array): boolean
  /** As `write`, several regions in one system call where the transport can. */
  writeAll(chunks: readonly Uint8Array[]): boolean
  /** Stops `onData` after the current call. At most what the layer below has read is buffered. */
  pause(): void
  resume(): void
  /** Sends everything queued, then end-of-stream (half-close where the transport has one). */
  end(): void
  /** Closes now; queued bytes are lost. `onClose` gets `reason`. Idempotent. */
  destroy(reason?: Error): void

  /**
   * Only inside `onData`: keeps the memory of that chunk valid after the call. The transport reads
   * into other memory until `release`, so leases are bounded by whoever takes them.
   *
   * @throws UsageError ERR_STATE outside `onData`
   */
  leaseChunk(): ChunkLease
  /**
   * Takes the handler away and puts `unread` back in front of the stream, so that another handler
   * can `open` the connection: upgrade, STARTTLS, CONNECT, PROXY header, protocol sniffing.
   * Reading stops; an end-of-stream or close that comes meanwhile is delivered to the next handler.
   * `unread` is copied unless it is empty: it is usually a view of a borrowed chunk. A pause ends
   * with the handler that asked for it; writing goes on, and `end` and `destroy` stay legal.
   *
   * @throws UsageError ERR_NOT_OPEN when no handler is attached
   */
  detach(unread?: Uint8Array): void
  /** Whether this connection keeps the process alive. */
  ref(): void
  unref(): void
}

export interface ConnectionHandler {
  /** One or more bytes, borrowed until this returns. */
  onData(chunk: Uint8Array): void
  /** `writableLength` became 0 after a `write` left something queued. */
  onDrain(): void
  /** The peer sends no more. Writing is still possible where the transport has half-close. */
  onEnd(): void
  /** Exactly once and last. `undefined`: both sides ended and everything was delivered. */
  onClose(reason: Error | undefined): void
}

/** Memory that stays valid until `release`. */
export interface ChunkLease {
  /** Idempotent. After it the memory may be overwritten at any time. */
  release(): void
}

/** What is known of a connection. Facts that need a system call are methods. */
export interface ConnectionFacts {
  /** `tcp`, `tls`, `unix`, `memory`, … */
  readonly transport: string
  readonly local: Address
  readonly remote: Address
  /** Which end this is: only the accepting side stops reading when its own writes are stuck. */
  readonly role: ConnectionRole
  /** Undefined on a connection without TLS. */
  readonly tls: TlsFacts | undefined
  /** What was agreed by a layer that seals with a pre-shared key (links/sealed). */
  readonly seal?: SealFacts | undefined
  /** Largest unit the path carries unfragmented, in bytes, where known. */
  readonly mtu: number | undefined
  readonly receiveBufferBytes: number | undefined
  readonly sendBufferBytes: number | undefined
  /** Bits of {@link Capability} that were verified on this connection, not assumed. */
  readonly capabilities: number
  /** Smoothed round-trip time in milliseconds where the transport knows it. */
  roundTripMs(): number | undefined
}

export type ConnectionRole = 'initiating' | 'accepting'

export interface TlsFacts {
  /** `TLSv1.2`, `TLSv1.3` */
  readonly version: string
  readonly cipher: string
  /** Protocol agreed by ALPN (RFC 7301), if any. */
  readonly alpn: string | undefined
  /** Server name the client asked for (RFC 6066). */
  readonly serverName: string | undefined
  /** Whether the peer's certificate was verified against the trust anchors. */
  readonly authorized: boolean
  readonly resumed: boolean
  /** The peer's certificate, read when asked: parsing costs. */
  peerCertificate(): PeerCertificate | undefined
}

export interface SealFacts {
  /** `aes-256-gcm`, `chacha20-poly1305` */
  readonly cipher: string
  /** Name of the pre-shared key, which the peer has as well: all that is known of who it is. */
  readonly keyId: string
}

export interface PeerCertificate {
  /** Distinguished name as text. */
  readonly subject: string
  readonly issuer: string
  /** `DNS:a.example, IP Address:127.0.0.1` */
  readonly subjectAltName: string | undefined
  readonly fingerprint256: string
  readonly validFrom: string
  readonly validTo: string
  /** DER bytes; the caller must not change them. */
  readonly raw: Uint8Array
}

/** Verified abilities of a connection, or-ed into `facts.capabilities`. */
export const Capability = Object.freeze({
  HALF_CLOSE: 1 << 0,
  VECTORED_WRITE: 1 << 1,
  LEASED_READ: 1 << 2,
  ZERO_COPY_WRITE: 1 << 3,
  KERNEL_TLS: 1 << 4,
  CHECKSUM_OFFLOAD: 1 << 5,
  PEER_CREDENTIALS: 1 << 6,
  DESCRIPTOR: 1 << 7,
})
