/**
 * Messages on a byte stream, each behind its length (protocols/olocus/frame-decoder.ts): TCP, TLS,
 * Unix, memory, a stream of QUIC. The framing itself is `links/framed`; this knows besides whether a
 * message is under way, for the timeout of one that stands still.
 */
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { BlockFrameDecoder, encodeBlockFrame } from '../../protocols/olocus/frame-decoder.ts'
import { FramedConnection } from '../framed/framed-connection.ts'
import { MessageCarrier } from './message-carrier.ts'

export interface StreamCarrierOptions {
  readonly clock: Clock
  readonly maxMessageBytes: number
}

export class StreamCarrier extends MessageCarrier {
  readonly #decoder: WatchedDecoder

  constructor(connection: Connection, options: StreamCarrierOptions) {
    const { clock, maxMessageBytes } = options
    const decoder = new WatchedDecoder(maxMessageBytes)
    super(
      new FramedConnection(connection, decoder, encodeBlockFrame, maxMessageBytes, { clock }),
      maxMessageBytes,
    )
    this.#decoder = decoder
    decoder.onPush = () => this.handler?.onProgress()
  }

  override get partial(): boolean {
    return this.#decoder.partial
  }
}

class WatchedDecoder extends BlockFrameDecoder {
  onPush: (() => void) | undefined

  constructor(maxMessageBytes: number) {
    super({ maxMessageBytes })
  }

  override push(chunk: Uint8Array): void {
    super.push(chunk)
    this.onPush?.()
  }
}
