/**
 * What joins an endpoint to the network: a descriptor, or any `DatagramSocket`.
 */
import type { Address } from '../../../core/address.ts'

export interface Attachment {
  /** For SSL_set_bio. */
  readonly bio: number
  readonly local: Address
  /** Starts receiving. */
  start(sink: AttachmentSink): void
  /** Sends everything that OpenSSL has produced. */
  drain(): void
  /**
   * A BIO_ADDR for a peer, to dial it or because it dialled us; valid until `forget`.
   *
   * @throws TransportError ERR_CONNECT when it cannot be reached from here
   */
  peer(remote: Address): AttachedPeer
  /** Stops receiving. The BIO is OpenSSL's. */
  stop(): void
  /** After `stop` and after the SSL object is free. */
  close(): Promise<void>
  ref(): void
  unref(): void
}

export interface AttachedPeer {
  readonly pointer: number
  /** The same address as text, as `onUnreachable` names it. */
  readonly key: string
  forget(): void
}

/** The endpoint, as its attachment sees it. */
export interface AttachmentSink {
  /** `payloadAt` and `peerAt` are copied before it returns. `from` is asked for newcomers only. */
  onDatagram(
    payloadAt: number,
    length: number,
    firstByte: number,
    peerAt: number,
    from: () => Address,
  ): void
  /** A batch is over. */
  onBatchEnd(): void
  /** A datagram could not be sent to a peer, or came back as unreachable. */
  onUnreachable(key: string, error: Error): void
  onClosed(error: Error | undefined): void
}
