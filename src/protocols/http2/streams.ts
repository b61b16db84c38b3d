/**
 * The streams of a connection, whatever their role: bodies in both directions under flow control,
 * the order in which they leave, resets.
 *
 *     DATA ─► wanted? ─► data event                     data ─► windows open? ─► out
 *                └─no─► held, within the window              └─no─► queue ─► pollTransmit ─► out
 *
 * A head is kept back until its input batch is through: when the body and the trailers have come by
 * then, all of it is one event with `content`.
 */
// size: both directions of a body share the stream's flags, its end and its reset

import type { ByteWriter } from '../../core/byte-writer.ts'
import {
  ClosedError,
  type HeddleError,
  OverloadError,
  ProtocolError,
  UsageError,
} from '../../core/errors.ts'
import { NumberedMap } from '../../core/numbered-map.ts'
import { copyToKeep } from '../../core/small-copies.ts'
import type { HttpFields } from '../http/fields.ts'
import { ClosedStreams, PEER_ENDED, PEER_RESET, WE_RESET } from './closed-streams.ts'
import { Http2Connection, resetError } from './connection.ts'
import { DataWriter } from './data-writer.ts'
import { encodeFrameHeader, encodeReset, encodeWindowUpdate } from './encoder.ts'
import { FieldReader } from './field-reader.ts'
import { FieldWriter } from './field-writer.ts'
import type { Http2Limits } from './limits.ts'
import {
  type AbortedEvent,
  type DataEvent,
  type EndEvent,
  FrameFlag,
  FrameType,
  Http2Code,
  http2CodeName,
  MAX_WINDOW,
  type WritableEvent,
} from './messages.ts'
import type { Http2Options } from './options.ts'
import { readPriority } from './priority.ts'
import { SendOrder } from './send-order.ts'
import { encodeBody } from './send-rules.ts'
import {
  CREDITED,
  DELIVERING,
  END_TOLD,
  ENDING,
  HEAD_CAME,
  HEAD_TOLD,
  Http2Stream,
  INCREMENTAL,
  NO_BODY,
  NO_WINDOW,
  OVER,
  PATIENT,
  PEER_DONE,
  STUCK,
  WANTED,
  WE_DONE,
} from './stream.ts'

/** A head whose content may still come. */
export interface PendingHead {
  content: Uint8Array | undefined
  trailers: HttpFields | undefined
}

export abstract class Http2Streams<Head extends PendingHead, Event> extends Http2Connection<Event> {
  protected readonly streams: NumberedMap<Http2Stream<Head>> = new NumberedMap()
  protected readonly order: SendOrder<Head> = new SendOrder<Head>()
  protected readonly closedStreams: ClosedStreams = new ClosedStreams()
  protected readonly reader: FieldReader = new FieldReader()
  protected readonly writer: FieldWriter
  readonly #data: DataWriter
  /** Streams that the wire still has open, of both sides. */
  protected openStreams = 0
  /** Heads of this input batch that wait for their content. */
  #fresh: Http2Stream<Head>[] = []
  /** Streams that hold something that is wanted, or an end. */
  readonly #delivering: Http2Stream<Head>[] = []
  /** Streams whose credit is sent at the end of the batch. */
  #credited: Http2Stream<Head>[] = []
  /** The stream of the DATA frame that arrives; undefined: gone. */
  #arriving: Http2Stream<Head> | undefined
  /** Somebody waits for output to be taken, not for a window. */
  #stuckOutput = false
  /** The earliest time at which a stream's progress is looked at. */
  #dueAt = Number.POSITIVE_INFINITY

  constructor(isServer: boolean, options: Http2Options, limits: Http2Limits, now: number) {
    super(isServer, options, limits, now)
    this.writer = new FieldWriter(this.out, limits.headerTableBytes)
    this.#data = new DataWriter(this.out)
  }

  // --- what is above ---

  /** The peer's message is complete: what that ends. */
  protected abstract onPeerDone(stream: Http2Stream<Head>): void
  /** Our message left completely. */
  protected abstract onWeDone(stream: Http2Stream<Head>): void
  /** The exchange ends early: whether its owner hears `aborted`. */
  protected abstract endsEarly(stream: Http2Stream<Head>): boolean
  /** The wire has one stream less. */
  protected abstract onStreamClosed(stream: Http2Stream<Head>): void
  /** A body is longer than `maxBodyBytes`. */
  protected abstract onTooLong(stream: Http2Stream<Head>): void
  /** Time passed without progress: the error, for this role. */
  protected abstract overdue(stream: Http2Stream<Head>): HeddleError

  protected get openExchanges(): number {
    return this.streams.size
  }

  /** Whether `data` of this exchange may be given; after false, `writable` tells unless it ends. */
  isWritable(exchange: number): boolean {
    const stream = this.streams.get(exchange)
    if (stream === undefined || (stream.flags & (WE_DONE | ENDING | OVER)) !== 0) return false
    const used = stream.queuedBytes + (this.sendWindow > 0 ? 0 : 1)
    if (used < this.limits.maxQueuedBytes && this.out.pending < MAX_DIRECT_BYTES) return true
    stream.flags |= STUCK
    // What stuck is the output, not the stream: it hears when output is taken.
    if (stream.queuedBytes === 0) this.#stuckOutput = true
    return false
  }

  pollTransmit(maxBytes: number): ByteWriter {
    if (maxBytes > 0 && this.state !== 'closed') {
      this.flushes++
      this.#data.flushed()
      this.controlLeft()
      if (!this.order.isEmpty) this.#sendQueued(maxBytes)
      if (this.#stuckOutput) this.#unstick()
    }
    return this.out
  }

  // --- streams ---

  protected open(id: number, flags: number): Http2Stream<Head> {
    const stream = new Http2Stream<Head>(
      id,
      flags | INCREMENTAL,
      this.peer.windowBytes,
      this.streamWindow,
    )
    this.streams.add(stream)
    this.openStreams++
    return stream
  }

  /** Nothing more is sent or expected on the wire. */
  protected closeStream(stream: Http2Stream<Head>, ending: 1 | 2 | 3): void {
    this.order.remove(stream)
    if (this.#arriving === stream) this.#arriving = undefined
    this.closedStreams.add(stream.id, ending, stream.receiveWindow)
    stream.queue = undefined
    stream.queuedBytes = 0
    stream.flags |= PEER_DONE | WE_DONE
    this.openStreams--
    this.onStreamClosed(stream)
  }

  /** Nobody is told anything more about it. */
  protected forget(stream: Http2Stream<Head>): void {
    if ((stream.flags & OVER) !== 0) return
    stream.flags |= OVER
    if (stream.heldBytes > 0) this.giveBack(stream.heldBytes)
    stream.held = undefined
    stream.heldBytes = 0
    stream.head = undefined
    this.streams.delete(stream.id)
  }

  /** RST_STREAM, and the exchange ends with `error`. */
  protected resetStream(stream: Http2Stream<Head>, code: number, error: HeddleError): void {
    const isOpen = (stream.flags & (PEER_DONE | WE_DONE)) !== (PEER_DONE | WE_DONE)
    if (isOpen) encodeReset(this.out, stream.id, code)
    this.abort(stream, error, WE_RESET)
  }

  /** The exchange ends with `error`. */
  protected abort(stream: Http2Stream<Head>, error: HeddleError, ending: 1 | 2 | 3): void {
    const told = !this.endsEarly(stream)
    const isOpen = (stream.flags & (PEER_DONE | WE_DONE)) !== (PEER_DONE | WE_DONE)
    if (isOpen) this.closeStream(stream, ending)
    const { head } = stream
    this.forget(stream)
    if (told) return
    // Its body is not handed out any more, but that it had begun is a difference to the owner.
    if (head !== undefined) this.events.push(head as unknown as Event)
    const event: AbortedEvent = { type: 'aborted', exchange: stream.id, error }
    this.events.push(event as Event)
  }

  /** The peer did on one stream what it may not: that stream ends. */
  protected violate(stream: Http2Stream<Head>, code: number, message: string): void {
    if (!this.chargeReset(`streams that it broke; the last one: ${message}`)) return
    const text = `${http2CodeName(code)} on stream ${stream.id}: ${message}`
    const error = new ProtocolError('ERR_PROTOCOL', text, { status: this.isServer ? 400 : 502 })
    this.chargeControl(13)
    if (!this.isClosed) this.resetStream(stream, code, error)
  }

  protected abortAll(error: HeddleError): void {
    for (const stream of this.streams.values()) {
      // What came whole is handed out, wanted or not: there is no later.
      if (this.handOutWhole(stream)) continue
      this.abort(stream, this.errorFor(stream, error), PEER_RESET)
    }
    this.#fresh = []
    this.#credited = []
    this.#delivering.length = 0
  }

  /** A client's message says what of the request had left. */
  protected errorFor(_stream: Http2Stream<Head>, error: HeddleError): HeddleError {
    return error
  }

  /** The connection is gone. @returns whether the exchange ended well all the same */
  protected handOutWhole(_stream: Http2Stream<Head>): boolean {
    return false
  }

  // --- receiving ---

  protected onPiece(): void {
    const { frames } = this
    if (frames.first && !this.#beginData()) return
    const stream = this.#arriving
    const count = frames.end - frames.start
    if (stream === undefined) return this.giveBack(count)
    if (count > 0 && !this.#takePiece(stream, count)) return
    if (frames.last && (frames.flags & FrameFlag.END_STREAM) !== 0) {
      this.peerDone(stream, undefined)
    }
  }

  /** A DATA frame begins. @returns false: the connection has failed */
  #beginData(): boolean {
    const { frames } = this
    const { length, stream: id, padding } = frames
    this.#arriving = undefined
    if (id === 0) {
      this.fail(Http2Code.PROTOCOL_ERROR, 'DATA on stream 0')
      return false
    }
    if (!this.takeWindow(length)) return false
    if (padding > 0) this.giveBack(padding)
    const stream = this.streams.get(id)
    if (stream === undefined || (stream.flags & PEER_DONE) !== 0) {
      return this.#onLateData(id, stream, length - padding)
    }
    if ((stream.flags & HEAD_CAME) === 0) {
      this.violate(stream, Http2Code.PROTOCOL_ERROR, 'DATA before HEADERS')
      return this.state !== 'closed'
    }
    stream.receiveWindow -= length
    if (stream.receiveWindow < 0) {
      const message = `DATA over the window by ${-stream.receiveWindow} bytes`
      this.violate(stream, Http2Code.FLOW_CONTROL_ERROR, message)
      return this.state !== 'closed'
    }
    if (length === padding && (frames.flags & FrameFlag.END_STREAM) === 0) {
      this.chargeIdle('empty DATA')
    } else this.earnIdle(1)
    if (padding > 0) this.#credit(stream)
    this.#arriving = stream
    return this.state !== 'closed'
  }

  /** DATA where none may come any more. */
  #onLateData(id: number, stream: Http2Stream<Head> | undefined, bytes: number): boolean {
    if (stream === undefined && this.isIdle(id)) {
      this.fail(Http2Code.PROTOCOL_ERROR, `DATA on stream ${id}, which was never opened`)
      return false
    }
    const ending = this.closedStreams.endingOf(id)
    if (stream !== undefined && ending === 0) {
      const message = 'DATA after the end of the stream'
      this.violate(stream, Http2Code.STREAM_CLOSED, message)
      return this.state !== 'closed'
    }
    if (ending === PEER_ENDED || ending === PEER_RESET) {
      this.fail(Http2Code.STREAM_CLOSED, `DATA on stream ${id}, which it has ended`)
      return false
    }
    // What was on its way when we reset it is no flood: thousands of frames, where messages are short.
    const granted = ending === WE_RESET && bytes > 0 && this.closedStreams.take(id, bytes)
    if (!granted) this.chargeIdle('DATA on streams that are closed')
    return this.state !== 'closed'
  }

  /** Whether nobody has opened the stream yet. */
  protected abstract isIdle(id: number): boolean

  /** @returns false: the stream has ended with it */
  #takePiece(stream: Http2Stream<Head>, count: number): boolean {
    const { frames, limits } = this
    stream.received += count
    stream.progress += count
    if (stream.bodyLeft >= 0) {
      stream.bodyLeft -= count
      if (stream.bodyLeft < 0) {
        this.giveBack(count)
        this.violate(stream, Http2Code.PROTOCOL_ERROR, 'a body longer than its content-length')
        return false
      }
    } else if ((stream.flags & NO_BODY) !== 0) {
      this.giveBack(count)
      this.violate(stream, Http2Code.PROTOCOL_ERROR, 'a body where none can be')
      return false
    }
    if (stream.received > limits.maxBodyBytes) {
      this.giveBack(count)
      this.onTooLong(stream)
      return false
    }
    const direct =
      (stream.flags & WANTED) !== 0 && stream.head === undefined && stream.held === undefined
    if (!direct) {
      stream.hold(copyToKeep(frames.bytes, frames.start, frames.end))
      return true
    }
    this.#read(stream, count)
    const chunk = frames.bytes.subarray(frames.start, frames.end)
    const event: DataEvent = { type: 'data', exchange: stream.id, chunk }
    this.events.push(event as Event)
    return true
  }

  /** Bytes of the stream were handed out. */
  #read(stream: Http2Stream<Head>, count: number): void {
    this.giveBack(count)
    this.#credit(stream)
  }

  #credit(stream: Http2Stream<Head>): void {
    if ((stream.flags & (CREDITED | PEER_DONE)) !== 0) return
    stream.flags |= CREDITED
    this.#credited.push(stream)
  }

  /** The peer's message ends. */
  protected peerDone(stream: Http2Stream<Head>, trailers: HttpFields | undefined): void {
    if (stream.bodyLeft > 0 && (stream.flags & NO_BODY) === 0) {
      const message = `a body that ends ${stream.bodyLeft} bytes short of its content-length`
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, message)
    }
    stream.flags |= PEER_DONE
    this.#arriving = undefined
    const { head } = stream
    if (head !== undefined) {
      this.giveBack(stream.heldBytes)
      head.content = stream.takeContent()
      head.trailers = trailers
      stream.head = undefined
      stream.flags |= END_TOLD | HEAD_TOLD
      this.events.push(head as unknown as Event)
    } else {
      stream.trailers = trailers
      if (stream.held === undefined) this.#tellEnd(stream)
      else this.#deliverLater(stream)
    }
    if ((stream.flags & WE_DONE) !== 0) this.closeStream(stream, PEER_ENDED)
    this.onPeerDone(stream)
  }

  #tellEnd(stream: Http2Stream<Head>): void {
    stream.flags |= END_TOLD
    const event: EndEvent = { type: 'end', exchange: stream.id, trailers: stream.trailers }
    this.events.push(event as Event)
    stream.trailers = undefined
  }

  #deliverLater(stream: Http2Stream<Head>): void {
    if ((stream.flags & (DELIVERING | OVER)) !== 0) return
    stream.flags |= DELIVERING
    this.#delivering.push(stream)
  }

  protected deliver(): Event | undefined {
    while (this.#delivering.length > 0) {
      const stream = this.#delivering[0] as Http2Stream<Head>
      const piece =
        (stream.flags & (WANTED | OVER)) === WANTED && stream.head === undefined
          ? stream.takeHeld()
          : undefined
      if (piece !== undefined) {
        this.#read(stream, piece.length)
        const event: DataEvent = { type: 'data', exchange: stream.id, chunk: piece }
        return event as Event
      }
      this.#delivering.shift()
      stream.flags &= ~DELIVERING
      if (stream.held !== undefined || (stream.flags & (PEER_DONE | END_TOLD | OVER)) !== PEER_DONE)
        continue
      this.#tellEnd(stream)
      this.onPeerDone(stream)
      return this.events.shift()
    }
    return undefined
  }

  /** What is held and the end, wanted or not: the connection is gone. */
  protected finishDelivery(stream: Http2Stream<Head>): void {
    if ((stream.flags & (END_TOLD | OVER)) !== 0) return
    for (let piece = stream.takeHeld(); piece !== undefined; piece = stream.takeHeld()) {
      const event: DataEvent = { type: 'data', exchange: stream.id, chunk: piece }
      this.events.push(event as Event)
    }
    this.#tellEnd(stream)
  }

  /** The head of the peer's message came, and its body may follow. */
  protected holdHead(stream: Http2Stream<Head>, head: Head): void {
    stream.head = head
    this.#fresh.push(stream)
  }

  protected endBatch(): boolean {
    const fresh = this.#fresh
    if (fresh.length > 0) {
      this.#fresh = []
      for (const stream of fresh) {
        if (stream.head === undefined) continue
        this.events.push(stream.head as unknown as Event)
        stream.head = undefined
        stream.flags |= HEAD_TOLD
        if (stream.held !== undefined && (stream.flags & WANTED) !== 0) this.#deliverLater(stream)
      }
    }
    if (this.#credited.length > 0) this.#sendCredits()
    return !this.events.isEmpty
  }

  /** WINDOW_UPDATEs of streams, once for each batch. */
  #sendCredits(): void {
    const credited = this.#credited
    this.#credited = []
    const target = Math.max(this.bandwidth.target - this.streamWindowComing, 1)
    for (const stream of credited) {
      stream.flags &= ~CREDITED
      if ((stream.flags & (PEER_DONE | OVER)) !== 0) continue
      const more = Math.min(target - stream.heldBytes, MAX_WINDOW) - stream.receiveWindow
      if (more <= 0 || more < stream.receiveWindow) continue
      encodeWindowUpdate(this.out, stream.id, more)
      stream.receiveWindow += more
    }
  }

  protected setDemand(stream: Http2Stream<Head>, wanted: boolean): void {
    if (!wanted) {
      stream.flags &= ~WANTED
      return
    }
    const was = stream.flags & WANTED
    stream.flags |= WANTED
    if (was === 0 && (stream.flags & (PEER_DONE | PATIENT)) === 0) this.watchBody(stream)
    if (stream.held !== undefined) this.#deliverLater(stream)
  }

  // --- frames of streams ---

  protected onReset(id: number, code: number): void {
    const stream = this.streams.get(id)
    if (stream === undefined || (stream.flags & (PEER_DONE | WE_DONE)) === (PEER_DONE | WE_DONE)) {
      if (stream === undefined && this.isIdle(id)) {
        return this.fail(Http2Code.PROTOCOL_ERROR, `RST_STREAM of stream ${id}, never opened`)
      }
      return this.chargeIdle('RST_STREAM of streams that are closed')
    }
    this.onStreamReset(stream, code)
  }

  protected onStreamReset(stream: Http2Stream<Head>, code: number): void {
    const error = resetError(code, `exchange ${stream.id}`)
    if (code !== Http2Code.REFUSED_STREAM) return this.abort(stream, error, PEER_RESET)
    const refused = new OverloadError('ERR_BUSY', error.message, {
      sent: 'nothing',
      status: http2CodeName(code),
    })
    this.abort(stream, refused, PEER_RESET)
  }

  protected onStreamWindow(id: number, bytes: number): void {
    const stream = this.streams.get(id)
    if (stream === undefined) {
      if (!this.isIdle(id)) return
      return this.fail(Http2Code.PROTOCOL_ERROR, `WINDOW_UPDATE of stream ${id}, never opened`)
    }
    if (bytes === 0) {
      return this.violate(stream, Http2Code.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0')
    }
    if (stream.sendWindow + bytes > MAX_WINDOW) {
      const message = `its window would be ${stream.sendWindow + bytes}`
      return this.violate(stream, Http2Code.FLOW_CONTROL_ERROR, message)
    }
    stream.sendWindow += bytes
    this.#windowOpened(stream)
  }

  #windowOpened(stream: Http2Stream<Head>): void {
    if ((stream.flags & NO_WINDOW) === 0 || stream.sendWindow <= 0) return
    stream.flags &= ~NO_WINDOW
    this.order.add(stream)
  }

  protected onPeerSettings(windowChange: number): void {
    const { peer } = this
    this.writer.maxFrameBytes = peer.maxFrameBytes
    this.writer.setPeerTableBytes(peer.headerTableBytes)
    if (windowChange === 0) return
    for (const stream of this.streams.values()) {
      if (stream.sendWindow + windowChange > MAX_WINDOW) {
        const message = `the window of stream ${stream.id} would be ${stream.sendWindow + windowChange}`
        return this.fail(Http2Code.FLOW_CONTROL_ERROR, message)
      }
      stream.sendWindow += windowChange
      if (windowChange > 0) this.#windowOpened(stream)
    }
  }

  protected onOwnWindow(change: number): void {
    for (const stream of this.streams.values()) stream.receiveWindow += change
  }

  protected onSendWindow(): void {
    // What is in order is sent by the next pollTransmit.
  }

  // --- sending ---

  /** Body bytes. What the windows let through leaves at once, unless something urgent waits. */
  protected sendData(stream: Http2Stream<Head>, chunk: Uint8Array, owned: boolean): void {
    const { length } = chunk
    if (stream.sendLeft >= 0) {
      if (length > stream.sendLeft) {
        const message = `${length} more body bytes, ${stream.sendLeft} were left of the length announced`
        throw new UsageError('ERR_STATE', message)
      }
      stream.sendLeft -= length
    }
    if (length === 0 || (stream.flags & NO_BODY) !== 0) return
    if (this.#isDirect(stream, length)) return this.#sendNow(stream, chunk, false, owned)
    this.#enqueue(stream, owned ? chunk : copyToKeep(chunk, 0, length))
  }

  #isDirect(stream: Http2Stream<Head>, length: number): boolean {
    return (
      stream.queuedBytes === 0 &&
      length <= stream.sendWindow &&
      length <= this.sendWindow &&
      length <= this.peer.maxFrameBytes &&
      this.out.pending < MAX_DIRECT_BYTES &&
      (this.order.next?.urgency ?? 8) >= stream.urgency
    )
  }

  #sendNow(stream: Http2Stream<Head>, chunk: Uint8Array, end: boolean, owned: boolean): void {
    if (!this.#data.append(stream.id, chunk, end, this.peer.maxFrameBytes)) {
      this.#data.write(stream.id, chunk, end, owned)
    }
    this.#sent(stream, chunk.length)
  }

  /** DATA of so many bytes was written. */
  #sent(stream: Http2Stream<Head>, length: number): void {
    stream.sendWindow -= length
    this.sendWindow -= length
    this.wroteMessage = true
    this.earnIdle(4)
  }

  #enqueue(stream: Http2Stream<Head>, chunk: Uint8Array): void {
    if (stream.queue === undefined) stream.queue = { pieces: [chunk], offset: 0 }
    else stream.queue.pieces.push(chunk)
    stream.queuedBytes += chunk.length
    if (stream.sendWindow > 0) this.order.add(stream)
    else stream.flags |= NO_WINDOW
  }

  /** A whole body behind a head that is not written yet. @returns whether it may leave at once */
  protected fitsNow(stream: Http2Stream<Head>, length: number): boolean {
    return this.#isDirect(stream, length)
  }

  /** Our message ends, with `chunk` as the last of its body where there is one. */
  protected sendEnd(
    stream: Http2Stream<Head>,
    chunk: Uint8Array | undefined,
    trailers: HttpFields | undefined,
  ): void {
    if (stream.sendLeft > 0 && (stream.flags & NO_BODY) === 0) {
      const left = stream.sendLeft - (chunk?.length ?? 0)
      if (left > 0) {
        const message = `body ends ${left} bytes short of the length announced`
        throw new UsageError('ERR_STATE', message)
      }
    }
    const last = trailers === undefined
    if (chunk !== undefined && chunk.length > 0) {
      if (!this.#isDirect(stream, chunk.length)) this.#enqueue(stream, chunk)
      else {
        this.#sendNow(stream, chunk, last, true)
        if (last) return this.#weDone(stream)
      }
    }
    if (stream.queuedBytes > 0) {
      stream.flags |= ENDING
      stream.sendTrailers = trailers
      return
    }
    this.#writeEnd(stream, trailers)
  }

  /** A text that is the whole body: a short one is encoded in the place that it leaves from. */
  protected sendText(
    stream: Http2Stream<Head>,
    text: string,
    length: number,
    trailers: HttpFields | undefined,
  ): void {
    if (length > MAX_TEXT_IN_PLACE || !this.#isDirect(stream, length)) {
      return this.sendEnd(stream, encodeBody(this.out, text), trailers)
    }
    const last = trailers === undefined
    const { out } = this
    encodeFrameHeader(out, length, FrameType.DATA, last ? FrameFlag.END_STREAM : 0, stream.id)
    // As many bytes as characters: each is one byte in Latin-1 too.
    if (length === text.length) out.latin1(text)
    else out.utf8(text)
    this.#sent(stream, length)
    if (last) this.#weDone(stream)
    else this.#writeEnd(stream, trailers)
  }

  #writeEnd(stream: Http2Stream<Head>, trailers: HttpFields | undefined): void {
    if (trailers === undefined) {
      encodeFrameHeader(this.out, 0, FrameType.DATA, FrameFlag.END_STREAM, stream.id)
    } else this.writeTrailers(stream, trailers)
    this.#weDone(stream)
  }

  protected writeTrailers(stream: Http2Stream<Head>, trailers: HttpFields): void {
    this.writer.begin(trailers)
    this.writer.trailers(trailers)
    this.writer.finish(stream.id, FrameFlag.END_STREAM)
    this.wroteMessage = true
  }

  /** END_STREAM was written. */
  protected weDone(stream: Http2Stream<Head>): void {
    this.#weDone(stream)
  }

  #weDone(stream: Http2Stream<Head>): void {
    stream.flags |= WE_DONE
    stream.flags &= ~ENDING
    this.order.remove(stream)
    if ((stream.flags & PEER_DONE) !== 0) this.closeStream(stream, PEER_ENDED)
    this.onWeDone(stream)
  }

  #sendQueued(maxBytes: number): void {
    const before = this.events.isEmpty
    let room = maxBytes
    while (room > 0 && this.sendWindow > 0) {
      const stream = this.order.next
      if (stream === undefined) break
      room -= this.#sendPiece(stream)
    }
    // Nobody asks again by himself: neither for what found no room, nor for what now happened.
    const rest = !this.order.isEmpty && this.sendWindow > 0
    if (rest || (before && !this.events.isEmpty)) this.onWake?.()
  }

  /** One frame of the stream. @returns how many bytes */
  #sendPiece(stream: Http2Stream<Head>): number {
    const queue = stream.queue
    const piece = queue?.pieces[0]
    if (queue === undefined || piece === undefined || stream.sendWindow <= 0) {
      this.order.remove(stream)
      if (piece !== undefined) stream.flags |= NO_WINDOW
      return 0
    }
    const left = piece.length - queue.offset
    const count = Math.min(left, stream.sendWindow, this.sendWindow, this.peer.maxFrameBytes)
    const { offset } = queue
    if (count === left) {
      queue.pieces.shift()
      queue.offset = 0
    } else queue.offset += count
    stream.queuedBytes -= count
    const ends = stream.queuedBytes === 0 && (stream.flags & ENDING) !== 0
    const trailers = stream.sendTrailers
    const part = count === piece.length ? piece : piece.subarray(offset, offset + count)
    this.#sendNow(stream, part, ends && trailers === undefined, true)
    if (stream.queuedBytes === 0) this.order.remove(stream)
    else if (stream.sendWindow <= 0) {
      this.order.remove(stream)
      stream.flags |= NO_WINDOW
    } else this.order.rotate(stream)
    if (ends) {
      if (trailers === undefined) this.#weDone(stream)
      else this.#writeEnd(stream, trailers)
    } else if ((stream.flags & STUCK) !== 0) this.#maybeWritable(stream)
    return count
  }

  #maybeWritable(stream: Http2Stream<Head>): void {
    if (stream.queuedBytes * 2 > this.limits.maxQueuedBytes) return
    stream.flags &= ~STUCK
    const event: WritableEvent = { type: 'writable', exchange: stream.id }
    this.events.push(event as Event)
  }

  /** Output is taken now: who waited for that goes on. */
  #unstick(): void {
    this.#stuckOutput = false
    const before = this.events.isEmpty
    for (const stream of this.streams.values()) {
      if ((stream.flags & STUCK) !== 0 && stream.queuedBytes === 0) this.#maybeWritable(stream)
    }
    if (before && !this.events.isEmpty) this.onWake?.()
  }

  protected applyPriority(stream: Http2Stream<Head>, value: string): void {
    const priority = readPriority(value)
    this.order.setPriority(stream, priority.urgency, priority.incremental)
  }

  /** The owner gives an exchange up. */
  protected giveUp(stream: Http2Stream<Head>, error: HeddleError): void {
    const code = error instanceof ClosedError ? Http2Code.CANCEL : Http2Code.INTERNAL_ERROR
    this.resetStream(stream, code, error)
  }

  // --- timeouts of streams ---

  protected watchBody(stream: Http2Stream<Head>): void {
    this.watch(stream, this.limits.bodyTimeoutMs)
  }

  /** The stream's progress is looked at in `ms`. */
  protected watch(stream: Http2Stream<Head>, ms: number): void {
    if (ms === Number.POSITIVE_INFINITY) {
      stream.dueAt = 0
      return
    }
    stream.dueAt = this.now + ms
    stream.progress = 0
    if (stream.dueAt < this.#dueAt) this.#dueAt = stream.dueAt
  }

  protected get streamsDueAt(): number {
    return this.streams.size === 0 ? Number.POSITIVE_INFINITY : this.#dueAt
  }

  protected handleStreamTimeouts(): void {
    if (this.now < this.#dueAt) return
    this.#dueAt = Number.POSITIVE_INFINITY
    for (const stream of this.streams.values()) {
      const due = stream.dueAt
      if (due === 0) continue
      if (due > this.now) this.#dueAt = Math.min(this.#dueAt, due)
      else this.#checkProgress(stream)
      if (this.state === 'closed') return
    }
  }

  #checkProgress(stream: Http2Stream<Head>): void {
    stream.dueAt = 0
    const awaitsHead = (stream.flags & HEAD_CAME) === 0
    const awaitsBody = (stream.flags & (WANTED | PEER_DONE | PATIENT)) === WANTED
    if (!awaitsHead && !awaitsBody) return
    if (awaitsBody && !awaitsHead && stream.progress >= this.limits.minBodyBytes) {
      return this.watchBody(stream)
    }
    this.resetStream(stream, Http2Code.CANCEL, this.overdue(stream))
  }

  protected bodyOverdue(stream: Http2Stream<Head>): string {
    return `${stream.progress} bytes of a body in ${this.limits.bodyTimeoutMs} ms`
  }
}

/** Above it nothing is encoded ahead of being asked for: the connection takes no more. */
const MAX_DIRECT_BYTES = 131_072
/** Longer texts are encoded for themselves and handed over, as bytes are. */
const MAX_TEXT_IN_PLACE = 4_095
