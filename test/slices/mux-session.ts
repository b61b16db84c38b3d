/**
 * A multiplexed session as small as one can be, for the slice `multiplexed-connection.test.ts`.
 *
 *     | stream u32 | kind u8 | length u16 | payload |
 *
 *     kind 0 open: urgency u8 · 1 data · 2 credit: u32 · 3 end · 4 reset
 *
 * The client opens odd streams, the server even ones. Nothing is sent beyond the peer's credit, so
 * what a slow consumer holds up is its own stream, within one window.
 */
import { ByteQueue } from '../../src/core/byte-queue.ts'
import { ByteWriter } from '../../src/core/byte-writer.ts'
import type { ConnectionRole } from '../../src/core/connection.ts'
import {
  type HeddleError,
  ProtocolError,
  TransportError,
  UsageError,
} from '../../src/core/errors.ts'
import type {
  CreditCommand,
  PriorityCommand,
  Session,
  SessionState,
} from '../../src/core/session.ts'

export type MuxCommand =
  | CreditCommand
  | PriorityCommand
  | { readonly type: 'open'; readonly stream: number; readonly urgency: number }
  /** The bytes are the session's until `drained`. */
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly stream: number }
  | { readonly type: 'reset'; readonly stream: number }
  /** Closes when the last stream is finished. */
  | { readonly type: 'close' }

export type MuxEvent =
  | { readonly type: 'opened'; readonly stream: number }
  /** Borrowed. */
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly stream: number }
  /** Everything submitted has been encoded. */
  | { readonly type: 'drained'; readonly stream: number }
  /** The last event of a stream: both sides ended (no error), or it was reset. */
  | { readonly type: 'finished'; readonly stream: number; readonly error: HeddleError | undefined }
  /** `openable` became positive again. */
  | { readonly type: 'available' }

export interface MuxSessionOptions {
  /** What each stream may receive ahead of its consumer. @default 65_536 */
  windowBytes?: number
  /** Streams each side may have open. Both sides must agree. @default 100 */
  maxStreams?: number
}

export const muxDefaults: Readonly<Required<MuxSessionOptions>> = Object.freeze({
  windowBytes: 65_536,
  maxStreams: 100,
})

interface Stream {
  readonly id: number
  readonly ours: boolean
  sendCredit: number
  receiveCredit: number
  urgency: number
  queue: Uint8Array[]
  queuedBytes: number
  end: 'no' | 'asked' | 'sent'
  peerEnded: boolean
}

export class MuxSession implements Session<MuxCommand, MuxEvent> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  readonly windowBytes: number
  readonly #maxStreams: number
  readonly #ownParity: number
  readonly #streams = new Map<number, Stream>()
  readonly #queue = new ByteQueue()
  readonly #out = new ByteWriter()
  #events: MuxEvent[] = []
  #ownStreams = 0
  #peerStreams = 0
  #highestPeer = 0
  #highestOwn = 0
  #peerEnded = false

  constructor(role: ConnectionRole, options: MuxSessionOptions = {}) {
    const { windowBytes = muxDefaults.windowBytes, maxStreams = muxDefaults.maxStreams } = options
    this.#ownParity = role === 'initiating' ? 1 : 0
    this.windowBytes = windowBytes
    this.#maxStreams = maxStreams
  }

  get openable(): number {
    return this.state === 'open' ? this.#maxStreams - this.#ownStreams : 0
  }

  get nextStream(): number {
    return this.#highestOwn === 0 ? 2 - this.#ownParity : this.#highestOwn + 2
  }

  /** Credit bounds everything that is read. */
  get wantsRead(): boolean {
    return this.state !== 'closed'
  }

  queuedBytes(stream: number): number {
    return this.#streams.get(stream)?.queuedBytes ?? 0
  }

  receive(chunk: Uint8Array): void {
    if (this.state !== 'closed') this.#queue.push(chunk)
  }

  receiveEnd(): void {
    this.#peerEnded = true
  }

  receiveClose(reason: Error | undefined): void {
    if (this.state === 'closed') return
    const lost = new TransportError('ERR_RESET', 'the connection is gone', { cause: reason })
    this.#close(this.#streams.size > 0 ? lost : undefined)
  }

  pollEvent(): MuxEvent | undefined {
    for (;;) {
      const event = this.#events.shift() ?? this.#parse()
      if (event !== undefined) return event
      if (this.#events.length > 0) continue
      this.#queue.copyBorrowed()
      if (!this.#peerEnded || this.state === 'closed') return undefined
      this.#endOfInput()
    }
  }

  submit(command: MuxCommand): void {
    if (this.state === 'closed') throw new UsageError('ERR_STATE', 'the session is closed')
    if (command.type === 'close') {
      this.state = 'closing'
      this.#closeWhenEmpty()
      return
    }
    if (command.type === 'open') return this.#open(command.stream, command.urgency)
    const stream = this.#streams.get(command.stream)
    if (stream === undefined) {
      throw new UsageError('ERR_STATE', `stream ${command.stream} is not open`)
    }
    switch (command.type) {
      case 'data':
        if (stream.end !== 'no') throw new UsageError('ERR_STATE', 'data after end')
        stream.queue.push(command.bytes)
        stream.queuedBytes += command.bytes.length
        return
      case 'end':
        if (stream.end === 'no') stream.end = 'asked'
        return
      case 'reset':
        this.#frame(stream.id, RESET, 0)
        return this.#finish(stream, new TransportError('ERR_RESET', 'reset here'))
      case 'credit':
        stream.receiveCredit += command.bytes
        this.#frame(stream.id, CREDIT, 4)
        return this.#out.uint32(command.bytes)
      case 'priority':
        stream.urgency = command.urgency
    }
  }

  /** Urgent streams first, those of one urgency a frame each in turn, within their credit. */
  pollTransmit(maxBytes: number): ByteWriter {
    const out = this.#out
    while (out.pending < maxBytes) {
      const stream = this.#pick()
      if (stream === undefined) break
      this.#sendFrame(stream, Math.max(1, maxBytes - out.pending))
    }
    return out
  }

  pollTimeout(): undefined {}
  handleTimeout(): void {}

  takeUnread(): Uint8Array {
    throw new UsageError('ERR_STATE', 'never handed over')
  }

  #open(id: number, urgency: number): void {
    if (this.openable === 0) throw new UsageError('ERR_STATE', 'the peer takes no more streams')
    this.#highestOwn = id
    this.#ownStreams += 1
    this.#add(id, true, urgency)
    this.#frame(id, OPEN, 1)
    this.#out.uint8(urgency)
  }

  #add(id: number, ours: boolean, urgency: number): void {
    this.#streams.set(id, {
      id,
      ours,
      sendCredit: this.windowBytes,
      receiveCredit: this.windowBytes,
      urgency,
      queue: [],
      queuedBytes: 0,
      end: 'no',
      peerEnded: false,
    })
  }

  #pick(): Stream | undefined {
    let best: Stream | undefined
    for (const stream of this.#streams.values()) {
      const ready = stream.queuedBytes > 0 ? stream.sendCredit > 0 : stream.end === 'asked'
      if (ready && (best === undefined || stream.urgency < best.urgency)) best = stream
    }
    return best
  }

  #sendFrame(stream: Stream, room: number): void {
    if (stream.queuedBytes > 0) {
      const first = stream.queue[0] as Uint8Array
      const length = Math.min(first.length, stream.sendCredit, MAX_FRAME_BYTES, room)
      this.#frame(stream.id, DATA, length)
      this.#out.copy(first.subarray(0, length))
      if (length < first.length) stream.queue[0] = first.subarray(length)
      else stream.queue.shift()
      stream.queuedBytes -= length
      stream.sendCredit -= length
      if (stream.queuedBytes === 0) this.#tell({ type: 'drained', stream: stream.id })
      // Behind the others of its urgency.
      this.#streams.delete(stream.id)
      this.#streams.set(stream.id, stream)
      return
    }
    stream.end = 'sent'
    this.#frame(stream.id, END, 0)
    if (stream.peerEnded) this.#finish(stream, undefined)
  }

  #frame(stream: number, kind: number, length: number): void {
    this.#out.uint32(stream)
    this.#out.uint8(kind)
    this.#out.uint16(length)
  }

  #parse(): MuxEvent | undefined {
    const queue = this.#queue
    while (this.state !== 'closed' && queue.length >= HEADER_BYTES) {
      const length = (queue.byteAt(5) << 8) | queue.byteAt(6)
      if (queue.length < HEADER_BYTES + length) return undefined
      const id = queue.readUint32()
      const kind = queue.readUint8()
      queue.skip(2)
      const event = this.#handle(id, kind, queue.read(length))
      if (event !== undefined) return event
      if (this.#events.length > 0) return undefined
    }
    return undefined
  }

  #handle(id: number, kind: number, payload: Uint8Array): MuxEvent | undefined {
    if (kind === OPEN) return this.#handleOpen(id, payload)
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      const known = (id & 1) === this.#ownParity ? this.#highestOwn : this.#highestPeer
      // Frames of a stream that was reset here are still on their way.
      if (id > known) this.#fail('ERR_PROTOCOL', `frame for stream ${id}, which was never opened`)
      return undefined
    }
    switch (kind) {
      case DATA:
        stream.receiveCredit -= payload.length
        if (stream.receiveCredit >= 0 && !stream.peerEnded) {
          return { type: 'data', stream: id, bytes: payload }
        }
        return this.#fail('ERR_LIMIT', `stream ${id} sent ${-stream.receiveCredit} over its credit`)
      case CREDIT:
        if (payload.length !== 4) return this.#fail('ERR_MALFORMED', 'credit frame')
        stream.sendCredit += new DataView(payload.buffer, payload.byteOffset).getUint32(0)
        return undefined
      case END:
        stream.peerEnded = true
        if (stream.end === 'sent') this.#finish(stream, undefined)
        return { type: 'end', stream: id }
      case RESET:
        this.#finish(stream, new TransportError('ERR_RESET', 'the peer reset the stream'))
        return undefined
      default:
        return this.#fail('ERR_PROTOCOL', `frame of kind ${kind}`)
    }
  }

  #handleOpen(id: number, payload: Uint8Array): MuxEvent | undefined {
    if ((id & 1) === this.#ownParity || id <= this.#highestPeer || payload.length !== 1) {
      return this.#fail('ERR_PROTOCOL', `stream ${id} cannot be opened`)
    }
    if (this.#peerStreams >= this.#maxStreams) {
      return this.#fail('ERR_LIMIT', `more than ${this.#maxStreams} streams`)
    }
    this.#highestPeer = id
    this.#peerStreams += 1
    this.#add(id, false, payload[0] as number)
    return { type: 'opened', stream: id }
  }

  #finish(stream: Stream, error: HeddleError | undefined): void {
    this.#streams.delete(stream.id)
    const full = this.openable === 0
    if (stream.ours) this.#ownStreams -= 1
    else this.#peerStreams -= 1
    this.#tell({ type: 'finished', stream: stream.id, error })
    if (full && this.openable > 0) this.#tell({ type: 'available' })
    this.#closeWhenEmpty()
  }

  #closeWhenEmpty(): void {
    if (this.state === 'closing' && this.#streams.size === 0) this.#close(undefined)
  }

  #endOfInput(): void {
    const cut = this.#queue.length > 0 || this.#streams.size > 0
    const message = 'the peer ended the connection with streams open'
    this.#close(cut ? new TransportError('ERR_DISCONNECTED', message) : undefined)
  }

  #fail(code: 'ERR_PROTOCOL' | 'ERR_LIMIT' | 'ERR_MALFORMED', message: string): undefined {
    this.#close(new ProtocolError(code, message))
  }

  #close(failure: HeddleError | undefined): void {
    this.state = 'closed'
    this.failure ??= failure
    this.#queue.clear()
    const left = [...this.#streams.keys()]
    this.#streams.clear()
    for (const stream of left) this.#tell({ type: 'finished', stream, error: failure })
  }

  /** Events also come about while output is encoded, when nobody polls. */
  #tell(event: MuxEvent): void {
    this.#events.push(event)
    this.onWake?.()
  }
}

const OPEN = 0
const DATA = 1
const CREDIT = 2
const END = 3
const RESET = 4
const HEADER_BYTES = 7
/** Small enough that an urgent stream never waits behind much. */
const MAX_FRAME_BYTES = 8_192
