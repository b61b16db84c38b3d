/**
 * Blocks on WebSocket: JSON as text, everything else as bytes. What ends the connection is told to the
 * peer by a close code, as RFC 6455 and the block protocol have them.
 */
import { HeddleError } from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import { blockCodeOf } from '../../protocols/olocus/block-codes.ts'
import type { OutgoingMessage } from './block-carrier.ts'
import { MessageCarrier } from './message-carrier.ts'

/** What is needed of a WebSocket, of Node or of a browser. */
export interface TextConnection extends MessageConnection {
  open(handler: MessageHandler & { onText?(text: string): void }): void
  sendText(text: string): boolean
  close(code?: number, reason?: string): void
}

export class WebSocketCarrier extends MessageCarrier {
  readonly #webSocket: TextConnection

  constructor(webSocket: TextConnection, maxMessageBytes: number) {
    super(webSocket, maxMessageBytes)
    this.#webSocket = webSocket
  }

  override send(message: OutgoingMessage): boolean {
    if (!message.text) return this.#webSocket.send(message.bytes)
    return this.#webSocket.sendText(DECODER.decode(message.bytes))
  }

  override onMessage(message: Uint8Array): void {
    this.handler?.onProgress()
    const bytes = this.own(message)
    this.handler?.onMessage({ bytes, kind: 'binary', blockHash: undefined })
  }

  onText(text: string): void {
    this.handler?.onProgress()
    const bytes = ENCODER.encode(text)
    this.handler?.onMessage({ bytes, kind: 'text', blockHash: undefined })
  }

  override destroy(reason?: Error): void {
    const code = closeCodeOf(reason)
    if (code === undefined) return this.#webSocket.destroy(reason)
    this.#webSocket.close(code, reason?.message ?? '')
  }
}

/** Undefined: the peer is gone, or not to blame; there is nothing to tell it. */
export function closeCodeOf(reason: Error | undefined): number | undefined {
  if (!(reason instanceof HeddleError)) return undefined
  const block = blockCodeOf(reason)
  if (block === 'SerializationError') return 1007
  if (reason.code === 'ERR_FRAME_TOO_LARGE' || reason.code === 'ERR_EXPANSION') return 1009
  if (block !== undefined) return 1008
  if (reason.code === 'ERR_DRAINING') return 1012
  if (reason.blame === 'peer') return 1002
  return reason.blame === 'library' ? 1011 : undefined
}

const DECODER = new TextDecoder()
const ENCODER = new TextEncoder()
