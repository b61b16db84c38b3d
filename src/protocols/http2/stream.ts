/**
 * What a session knows of one stream. One small object of a fixed shape; what a short exchange does
 * not need is not made.
 */
import type { HttpFields } from '../http/fields.ts'

/** Parts of the body that wait to be sent, oldest first. */
export interface SendQueue {
  pieces: Uint8Array[]
  /** Of the first piece, what was sent. */
  offset: number
}

export class Http2Stream<Head = unknown> {
  readonly id: number
  /** See the bits below. */
  flags: number
  /** What may be sent. Negative after the peer made windows smaller. */
  sendWindow: number
  /** What the peer may still send. */
  receiveWindow: number
  /** Of what the peer has sent: read, and not given back yet. */
  credit = 0
  /** The event of its head, while it may still get its content. */
  head: Head | undefined = undefined
  /** Received and not handed out: one piece, or several. Owned. */
  held: Uint8Array | Uint8Array[] | undefined = undefined
  heldBytes = 0
  /** Received trailers that wait behind `held`. */
  trailers: HttpFields | undefined = undefined
  /** Body bytes received so far. */
  received = 0
  /** Of the announced content-length, what has not come; -1: none was announced. */
  bodyLeft = -1
  /** Of the length we announced, what was not given; -1: none was announced. */
  sendLeft = -1
  queue: SendQueue | undefined = undefined
  queuedBytes = 0
  /** Sent behind the queue. */
  sendTrailers: HttpFields | undefined = undefined
  urgency = 3
  /** Neighbours in the order of sending. */
  before: Http2Stream<Head> | undefined = undefined
  behind: Http2Stream<Head> | undefined = undefined
  /** When progress is looked at next; 0: never. */
  dueAt = 0
  progress = 0
  /** Client: in which flush the request left. Server: interim responses are not counted. */
  mark = 0
  informs = 0

  constructor(id: number, flags: number, sendWindow: number, receiveWindow: number) {
    this.id = id
    this.flags = flags
    this.sendWindow = sendWindow
    this.receiveWindow = receiveWindow
  }

  hold(piece: Uint8Array): void {
    const { held } = this
    this.heldBytes += piece.length
    if (held === undefined) this.held = piece
    else if (Array.isArray(held)) held.push(piece)
    else this.held = [held, piece]
  }

  /** The oldest piece held. */
  takeHeld(): Uint8Array | undefined {
    const { held } = this
    if (held === undefined) return undefined
    let piece: Uint8Array
    if (Array.isArray(held)) {
      piece = held.shift() as Uint8Array
      if (held.length === 0) this.held = undefined
    } else {
      piece = held
      this.held = undefined
    }
    this.heldBytes -= piece.length
    return piece
  }

  /** Everything held, in one. */
  takeContent(): Uint8Array {
    const { held } = this
    const length = this.heldBytes
    this.held = undefined
    this.heldBytes = 0
    if (held === undefined) return EMPTY
    if (!Array.isArray(held)) return held
    const whole = new Uint8Array(length)
    let at = 0
    for (const piece of held) {
      whole.set(piece, at)
      at += piece.length
    }
    return whole
  }
}

/** The peer has ended its side. */
export const PEER_DONE = 1
/** We have ended our side. */
export const WE_DONE = 2
/** Body chunks are wanted. */
export const WANTED = 4
/** `end` follows the queue. */
export const ENDING = 8
/** The owner was told to wait for `writable`. */
export const STUCK = 16
/** Has its place in the order of sending. */
export const ORDERED = 32
/** Told that its own window is used up: it is put in order again when there is more. */
export const NO_WINDOW = 64
/** The head of our message was sent. */
export const HEAD_SENT = 128
/** The head of the peer's (final) message has come. */
export const HEAD_CAME = 256
/** The other side describes a body without sending it, or we do: HEAD, 204, 304. */
export const NO_BODY = 512
/** `held` or the end can be handed out: the stream stands in the list of those. */
export const DELIVERING = 1_024
/** Its credit waits for the end of the batch. */
export const CREDITED = 2_048
/** Of its urgency, in turn with others (RFC 9218 4.2). */
export const INCREMENTAL = 4_096
export const WAS_CONNECT = 8_192
export const WAS_HEAD = 16_384
/** Messages that may pause: gRPC and the like, tunnels. */
export const PATIENT = 32_768
/** The owner has had its last event. */
export const OVER = 65_536
/** `end` was handed out. */
export const END_TOLD = 131_072
/** The stream was opened by the server. */
export const PUSHED = 262_144
export const AWAITS_CONTINUE = 524_288
/** Client: the server wants no more of the request; its owner is told behind the response. */
export const CUT = 2_097_152
/** The event of the peer's head was handed out, or the owner knows of the stream otherwise. */
export const HEAD_TOLD = 1_048_576
/** Server: a CONNECT that was accepted. Each side ends on its own. */
export const TUNNEL = 2_097_152

const EMPTY = new Uint8Array(0)
