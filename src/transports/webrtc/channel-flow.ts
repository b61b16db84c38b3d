/**
 * What two heddle ends say to each other inside a data channel: who may send how much, and that one
 * side has finished. A data channel alone has neither: nothing stops a sender whose receiver does
 * not read, and closing ends both directions at once.
 *
 * Both ends announce it by one line of their descriptions, with the bytes they accept before the
 * first grant:
 *
 *     a=heddle-flow:1 offer 4194304        … answer 4194304
 *
 * Unknown attributes are ignored (RFC 8866, section 5.13), so other peers are not disturbed, and
 * with them nothing of this is used. A library may copy what it does not know from the offer into
 * its answer (libdatachannel does), so the line says whose it is. These are text messages; binary ones are always the user's:
 *
 *     credit 2097152      the sender of this accepts so many bytes more
 *     end                 the sender of this sends no more messages
 *     done                the accepting side has heard the end as well, so the other may leave
 *     text hello          a text message of the user
 *
 * A message costs its length and 64 bytes, so that empty messages do not come for free.
 */
import { ProtocolError } from '../../core/errors.ts'

/** What a message costs beside its length. */
export const MESSAGE_COST_BYTES = 64
/** What a text message of the user begins with. It counts as part of the message. */
export const TEXT_PREFIX = 'text '
/** The least window, so that a message of 16 KiB, which every peer takes, fits. */
export const MIN_WINDOW_BYTES = 65_536

export type ControlMessage =
  | { readonly type: 'credit'; readonly bytes: number }
  | { readonly type: 'end' }
  | { readonly type: 'done' }

export type DescriptionType = 'offer' | 'answer'

/** The description with the line added. */
export function announceFlow(sdp: string, type: DescriptionType, windowBytes: number): string {
  const line = `a=heddle-flow:${VERSION} ${type} ${windowBytes}\r\n`
  return `${sdp}${sdp.endsWith('\n') ? '' : '\r\n'}${line}`
}

/** The window that a description announces; undefined: none, or a version that is not ours. */
export function announcedWindow(sdp: string, type: DescriptionType): number | undefined {
  const match = LINE[type].exec(sdp)
  if (match === null) return undefined
  const bytes = Number(match[1])
  return bytes >= MIN_WINDOW_BYTES && bytes <= MAX_WINDOW_BYTES ? bytes : undefined
}

export function formatControl(message: ControlMessage): string {
  return message.type === 'credit' ? `credit ${message.bytes}` : message.type
}

/** @throws ProtocolError ERR_MALFORMED */
export function parseControl(text: string): ControlMessage {
  if (text === 'end' || text === 'done') return { type: text }
  const match = /^credit (\d{1,10})$/.exec(text)
  if (match !== null && Number(match[1]) > 0) return { type: 'credit', bytes: Number(match[1]) }
  const shown = JSON.stringify(text.slice(0, 40))
  throw new ProtocolError('ERR_MALFORMED', `text message ${shown} is no control message`)
}

/** What this end may still send. */
export class SendCredit {
  #bytes: number

  constructor(initialBytes: number) {
    this.#bytes = initialBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @returns false: it has to wait for credit */
  take(messageBytes: number): boolean {
    const cost = messageBytes + MESSAGE_COST_BYTES
    if (cost > this.#bytes) return false
    this.#bytes -= cost
    return true
  }

  /** @throws ProtocolError ERR_LIMIT when the sum makes no sense */
  add(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes <= MAX_WINDOW_BYTES) return
    throw new ProtocolError('ERR_LIMIT', `credit of ${this.#bytes} is over ${MAX_WINDOW_BYTES}`)
  }
}

/** What this end has allowed its peer to send, and when to allow more. */
export class ReceiveWindow {
  readonly #windowBytes: number
  /** What the peer may still send. */
  #open: number
  /** What has been consumed and not granted again. */
  #consumed = 0

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes
    this.#open = windowBytes
  }

  /** @throws ProtocolError ERR_LIMIT when the peer had no credit for it */
  received(messageBytes: number): void {
    this.#open -= messageBytes + MESSAGE_COST_BYTES
    if (this.#open >= 0) return
    const message = `message of ${messageBytes} bytes is ${-this.#open} over the credit of its sender`
    throw new ProtocolError('ERR_LIMIT', message)
  }

  /** @returns bytes to grant now; 0: later. Half a window at a time, so that grants are rare. */
  consumed(messageBytes: number): number {
    this.#consumed += messageBytes + MESSAGE_COST_BYTES
    if (this.#consumed * 2 < this.#windowBytes) return 0
    const grant = this.#consumed
    this.#consumed = 0
    this.#open += grant
    return grant
  }
}

const VERSION = 1
const LINE = Object.freeze({
  offer: /^a=heddle-flow:1 offer (\d{1,10})\r?$/m,
  answer: /^a=heddle-flow:1 answer (\d{1,10})\r?$/m,
})
/** Highest window and highest sum of credit. */
export const MAX_WINDOW_BYTES = 0x4000_0000
