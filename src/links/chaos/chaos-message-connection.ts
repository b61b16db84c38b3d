/** A message connection with toxics in both directions (chaos-path.ts). Messages stay whole. */
import { ByteWriter } from '../../core/byte-writer.ts'
import type { ChunkLease, ConnectionFacts } from '../../core/connection.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import { LayerFace } from '../layer/layer-face.ts'
import { ChaosPath, type ChaosSettings } from './chaos-path.ts'

/** Where messages of text are told apart (WebSocket, WebRTC), they stay so. */
export interface ChaosMessageHandler extends MessageHandler {
  onText?(text: string): void
}

/** What some message connections have besides. */
interface Extras {
  sendText?(text: string): boolean
  close?(code?: number, reason?: string): void
}

export class ChaosMessageConnection<Carried extends MessageConnection = MessageConnection>
  extends LayerFace<Uint8Array | string, ChaosMessageHandler>
  implements MessageConnection
{
  readonly id: number
  readonly facts: ConnectionFacts
  readonly ownsMessages: boolean
  /** What it runs over. What is sent there meets no toxic; its owner is this connection. */
  readonly carried: Carried
  /** As of what it runs over, where that has it: a message of text. */
  readonly sendText?: (text: string) => boolean
  /** As of what it runs over, where that has it: an end with a code (WebSocket). */
  readonly close?: (code?: number, reason?: string) => void
  readonly leaseMessage?: () => ChunkLease
  readonly #path: ChaosPath<Kind>
  /** Ends the carrier, with a code if there is one. */
  #endCarrier: () => void

  constructor(
    carried: Carried,
    settings: ChaosSettings,
    seed: number,
    onGone: (gone: ChaosMessageConnection<Carried>) => void,
  ) {
    super(settings.clock)
    this.id = carried.id
    this.facts = carried.facts
    this.ownsMessages = carried.ownsMessages
    this.carried = carried
    const { sendText, close } = carried as Extras
    if (sendText !== undefined) this.sendText = (text) => this.#sendText(text)
    if (carried.leaseMessage !== undefined) {
      this.leaseMessage = () => this.leaseItem('leaseMessage is legal inside onMessage only')
    }
    this.#endCarrier = () => carried.end()
    if (close !== undefined) {
      this.close = (code, reason) => {
        if (this.sends) this.#endCarrier = () => close.call(carried, code, reason)
        this.end()
      }
    }
    this.#path = this.#createPath(settings, seed, onGone)
  }

  get maxMessageBytes(): number {
    return this.carried.maxMessageBytes
  }

  get writableLength(): number {
    return this.#path.writableLength
  }

  override open(handler: ChaosMessageHandler): void {
    super.open(handler)
    if (this.over) return
    this.#path.opened()
    this.carried.open(this.#carrierHandler(handler.onText !== undefined))
  }

  send(message: Uint8Array): boolean {
    ByteWriter.checkLength('message', message.length, this.maxMessageBytes)
    if (!this.sends) return false
    const path = this.#path
    if (path.outIsOpen) path.sent(this.carried.send(message))
    else path.push(message.slice(), 'bytes')
    return this.afterWrite()
  }

  override ref(): void {
    this.carried.ref?.()
  }
  override unref(): void {
    this.carried.unref?.()
  }

  /** As of {@link ChaosPath}. */
  cut(how: 'close' | 'reset', by: string): void {
    this.#path.cut(how, by)
  }

  protected hand(handler: ChaosMessageHandler, message: Uint8Array | string): void {
    if (typeof message === 'string') handler.onText?.(message)
    else handler.onMessage(message)
  }

  protected copied(message: Uint8Array | string): Uint8Array | string {
    return typeof message === 'string' ? message : message.slice()
  }

  protected get writable(): boolean {
    return this.#path.writable
  }

  protected transmitEnd(): void {
    this.#path.end()
  }

  protected abort(reason: Error | undefined): void {
    this.#path.destroy(reason)
  }

  protected readingChanged(reading: boolean): void {
    this.#path.readingChanged(reading)
  }

  #sendText(text: string): boolean {
    const path = this.#path
    if (!this.sends) return false
    if (path.outIsOpen) path.sent(this.#textToCarrier(text))
    else {
      const bytes = ENCODER.encode(text)
      ByteWriter.checkLength('message', bytes.length, this.maxMessageBytes)
      path.push(bytes, 'text')
    }
    return this.afterWrite()
  }

  #textToCarrier(text: string): boolean {
    return (this.carried as Extras).sendText?.(text) ?? false
  }

  /** Text is refused by the carrier itself, as always, where the owner takes none. */
  #carrierHandler(takesText: boolean): ChaosMessageHandler {
    const path = this.#path
    const { carried } = this
    const lease = carried.ownsMessages ? undefined : () => carried.leaseMessage?.() ?? OWN_MEMORY
    const handler: MessageHandler = {
      onMessage: (message) => {
        if (!path.receives) return
        if (path.inIsOpen) this.deliver(message, lease)
        else path.receive(carried.ownsMessages ? message : message.slice(), 'bytes')
        path.updateCarrier()
      },
      onDrain: () => path.onDrain(),
      onEnd: () => path.onEnd(),
      onClose: (reason) => path.onClose(reason),
    }
    if (!takesText) return handler
    const onText = (text: string): void => {
      if (!path.receives) return
      if (path.inIsOpen) this.deliver(text)
      else path.receive(ENCODER.encode(text), 'text')
      path.updateCarrier()
    }
    return { ...handler, onText }
  }

  #createPath(
    settings: ChaosSettings,
    seed: number,
    onGone: (gone: ChaosMessageConnection<Carried>) => void,
  ): ChaosPath<Kind> {
    const { carried } = this
    const isReading = (): boolean => this.reading
    const isOver = (): boolean => this.over
    return new ChaosPath<Kind>({
      ...settings,
      carrier: carried,
      seed,
      send: (bytes, kind) =>
        kind === 'text' ? this.#textToCarrier(textOf(bytes)) : carried.send(bytes),
      end: () => this.#endCarrier(),
      onGone: () => onGone(this),
      face: {
        get reading() {
          return isReading()
        },
        get over() {
          return isOver()
        },
        give: (bytes, kind) => this.deliver(kind === 'text' ? textOf(bytes) : bytes),
        receiveEnd: () => this.receiveEnd(),
        drained: () => this.drained(),
        receiveClose: (reason) => this.receiveClose(reason),
      },
    })
  }
}

type Kind = 'bytes' | 'text'

/**
 * Text whose bytes a toxic has changed has replacement characters; where they make it longer than it
 * was, it could be too long to be sent.
 */
function textOf(bytes: Uint8Array): string {
  const text = DECODER.decode(bytes)
  const isLonger = text.includes('\uFFFD') && ENCODER.encode(text).length > bytes.length
  return isLonger ? text.replaceAll('\uFFFD', '?') : text
}

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder('utf-8', { ignoreBOM: true })
/** Where nothing can be leased, nobody asks. */
const OWN_MEMORY: ChunkLease = Object.freeze({ release() {} })
