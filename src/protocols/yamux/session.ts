/**
 * One side of a yamux connection. Client and server differ in the parity of their streams.
 *
 *     open ── close / go away ──> closing ── last stream ended ──> closed
 *        └──── violation, ping without answer, connection lost ────^
 *
 * - **Receiving.** The peer may send the first window (256 KiB) and all credit that was given: so
 *   what a stream holds is never more than the first window and its credit. Credit reaches the peer
 *   in window updates of half a window or more.
 * - **Sending.** Data waits in its stream. `pollTransmit` takes one frame of a stream at a time, the
 *   most urgent streams first and in turn within one urgency; everything else is encoded at once.
 * - **Events of a stream** end with one `stream-closed`. Commands for a stream whose last event has
 *   not been handed out yet are ignored: its owner cannot know.
 */
// size: the state machine of one specification, the rules of both directions in one place
import { ByteQueue } from '../../core/byte-queue.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import {
  ClosedError,
  checkInteger,
  type HeddleError,
  OverloadError,
  ProtocolError,
  RemoteError,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import type { Session, SessionState } from '../../core/session.ts'
import { YamuxDecoder } from './decoder.ts'
import { encodeYamuxHeader, YAMUX_HEADER_BYTES } from './encoder.ts'
import {
  YAMUX_INITIAL_WINDOW,
  YamuxCode,
  type YamuxCommand,
  type YamuxEvent,
  YamuxFlag,
  type YamuxHeader,
  YamuxType,
} from './messages.ts'
import { resolveYamuxOptions, type YamuxOptions } from './options.ts'
import { SendOrder } from './send-order.ts'
import { YamuxStream } from './stream.ts'

type StreamCommand = Exclude<YamuxCommand, { type: 'open' | 'ping' | 'close' }>

export class YamuxSession implements Session<YamuxCommand, YamuxEvent> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  readonly #options: Required<YamuxOptions>
  readonly #parity: number
  readonly #decoder: YamuxDecoder
  readonly #out = new ByteWriter()
  /** Those whose last event was not handed out yet included. */
  readonly #streams = new Map<number, YamuxStream>()
  readonly #sendOrder = new SendOrder()
  /** Streams that hold something and have credit. */
  readonly #deliverable = new Set<YamuxStream>()
  #events: YamuxEvent[] = []
  #nextStream: number
  #highestOfPeer = 0
  #openStreams = 0
  #openOfPeer = 0
  #unacceptedOfPeer = 0
  #unacceptedOwn = 0
  #heldBytes = 0
  /** The data frame that is arriving: its stream unless that is gone, and whether it ends it. */
  #arriving: YamuxStream | undefined
  #arrivingEnds = false
  #answers = 0
  /** Frames without payload since nothing waited. */
  #controls = 0
  #nextPing = 0
  /** Number and time of each ping that waits for its answer, oldest first. */
  readonly #pings = new Map<number, number>()
  #lastReceived: number
  #told = { goAway: false, notOpenable: false, closed: false }
  #peerWentAway = false
  #ended: 'no' | 'heard' | 'done' = 'no'
  /** Streams were cut by the end of input; the session goes on for those that were complete. */
  #lost: HeddleError | undefined

  constructor(parity: 0 | 1, options: YamuxOptions, now: number) {
    this.#options = resolveYamuxOptions(options)
    this.#decoder = new YamuxDecoder(options)
    this.#parity = parity
    this.#nextStream = parity === 1 ? 1 : 2
    this.#lastReceived = now
  }

  get wantsRead(): boolean {
    if (this.state === 'closed') return false
    return this.#heldBytes < this.#options.maxBufferedBytes && !this.#answersWait
  }

  /** The id that the next `open` must have. */
  get nextStream(): number {
    return this.#nextStream
  }

  /** Streams this side may open now. */
  get openableStreams(): number {
    if (this.state !== 'open' || this.#nextStream > 0xffff_ffff) return 0
    return Math.max(0, this.#options.acceptBacklog - this.#unacceptedOwn)
  }

  /** Streams that are open, of both sides. */
  get streamCount(): number {
    return this.#openStreams
  }

  /** Whether the stream takes data now; after false, `writable` tells unless it has ended. */
  isWritable(id: number): boolean {
    const stream = this.#streams.get(id)
    if (stream === undefined || stream.closed || stream.ending || stream.stuck) return false
    return stream.own || stream.accepted
  }

  /** What the stream was given and has not sent, in bytes. */
  queuedBytes(id: number): number {
    return this.#streams.get(id)?.queuedBytes ?? 0
  }

  receive(chunk: Uint8Array, now: number): void {
    if (this.state === 'closed') return
    this.#lastReceived = now
    this.#decoder.push(chunk)
  }

  receiveEnd(_now: number): void {
    if (this.#ended === 'no') this.#ended = 'heard'
  }

  receiveClose(reason: Error | undefined, _now: number): void {
    if (this.state === 'closed') return
    const clean = reason === undefined && this.#openStreams === 0
    this.#close(clean ? undefined : lost(reason))
  }

  pollEvent(): YamuxEvent | undefined {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) {
        if (event.type === 'stream-closed') this.#streams.delete(event.stream)
        return event
      }
      if (this.state === 'closed') {
        if (this.#told.closed) return undefined
        this.#told.closed = true
        return { type: 'closed', error: this.failure }
      }
      const held = this.#deliverHeld()
      if (held !== undefined) return held
      const next = this.#advance()
      if (typeof next === 'object') return next
      if (!next) return undefined
    }
  }

  submit(command: YamuxCommand, now: number): void {
    const { type } = command
    if (type === 'close' || type === 'ping' || type === 'open') {
      if (this.state === 'closed') throw illegal(`${type} after the session was closed`)
      if (type === 'close') this.#drain()
      else if (type === 'ping') this.#ping(now)
      else this.#open(command.stream)
      return
    }
    const stream = this.#streams.get(command.stream)
    if (stream === undefined) throw illegal(`${type} on stream ${command.stream}, there is none`)
    if (!stream.closed) this.#command(stream, command)
  }

  pollTransmit(maxBytes: number): ByteWriter {
    let room = maxBytes
    while (room > 0) {
      const stream = this.#sendOrder.take()
      if (stream === undefined) break
      room -= this.#sendFrame(stream, room)
      if (stream.sendable) this.#sendOrder.add(stream)
    }
    // Nobody asks again by himself: neither for what found no room, nor for what now happened.
    if (this.#sendOrder.size > 0 || this.#events.length > 0 || this.#answersWait) this.onWake?.()
    return this.#out
  }

  pollTimeout(): number | undefined {
    if (this.state === 'closed' || this.#ended !== 'no') return undefined
    const { keepAliveMs, pingTimeoutMs } = this.#options
    const [sentAt] = this.#pings.values()
    if (sentAt !== undefined) return sentAt + pingTimeoutMs
    return keepAliveMs === Number.POSITIVE_INFINITY ? undefined : this.#lastReceived + keepAliveMs
  }

  handleTimeout(now: number): void {
    const at = this.pollTimeout()
    if (at === undefined || now < at) return
    if (!this.wantsRead) {
      // The answer may be there and not be read: that is not the peer's fault.
      this.#lastReceived = now
      for (const id of this.#pings.keys()) this.#pings.set(id, now)
      return
    }
    if (this.#pings.size === 0) return this.#ping(now)
    const message = `no answer to a ping within ${this.#options.pingTimeoutMs} ms`
    this.#fail(new TimeoutError('ERR_IDLE', message), YamuxCode.INTERNAL_ERROR)
  }

  takeUnread(): Uint8Array {
    throw new UsageError('ERR_STATE', 'a yamux session never hands its connection over')
  }

  // Commands.

  #open(id: number): void {
    if (id !== this.#nextStream) throw illegal(`open ${id}, the next stream is ${this.#nextStream}`)
    if (this.openableStreams === 0) {
      this.#told.notOpenable = this.state === 'open'
      throw illegal('open while openableStreams is 0')
    }
    this.#nextStream += 2
    this.#unacceptedOwn += 1
    if (this.openableStreams === 0) this.#told.notOpenable = true
    this.#addStream(new YamuxStream(id, true))
    this.#control(YamuxType.WINDOW_UPDATE, YamuxFlag.SYN, id, 0)
  }

  #command(stream: YamuxStream, command: StreamCommand): void {
    if (!stream.own && !stream.accepted && command.type !== 'accept' && command.type !== 'reset') {
      throw illegal(`${command.type} on stream ${stream.id} before it was accepted`)
    }
    switch (command.type) {
      case 'accept':
        if (stream.own || stream.accepted) throw illegal(`accept ${stream.id} again`)
        stream.accepted = true
        this.#unacceptedOfPeer -= 1
        this.#control(YamuxType.WINDOW_UPDATE, YamuxFlag.ACK, stream.id, 0)
        return
      case 'data':
        return this.#queueData(stream, command.bytes)
      case 'end':
        if (stream.ending) throw illegal(`end of stream ${stream.id} again`)
        stream.ending = true
        this.#sendOrder.delete(stream)
        if (stream.sendable) this.#sendOrder.add(stream)
        return
      case 'reset':
        this.#control(YamuxType.WINDOW_UPDATE, YamuxFlag.RST, stream.id, 0)
        this.#closeStream(stream, new ClosedError('ERR_ABORTED', 'the stream was reset here'))
        return this.#finishDrain()
      case 'credit':
        return this.#credit(stream, checkInteger('bytes', command.bytes, 1, 0x7fff_ffff))
      case 'hold':
        stream.onHold = command.held
        if (command.held) this.#deliverable.delete(stream)
        else if (stream.heldBytes > 0 && stream.credit > 0) this.#deliverable.add(stream)
        return
      case 'priority': {
        const urgency = checkInteger('urgency', command.urgency, 0, 7)
        this.#sendOrder.delete(stream)
        stream.urgency = urgency
        if (stream.sendable) this.#sendOrder.add(stream)
      }
    }
  }

  #queueData(stream: YamuxStream, bytes: Uint8Array): void {
    if (stream.ending) throw illegal(`data after the end of stream ${stream.id}`)
    if (stream.stuck) throw illegal(`stream ${stream.id} is stuck, wait for writable`)
    if (bytes.length === 0) return
    stream.queue.push(bytes)
    stream.queuedBytes += bytes.length
    stream.stuck = stream.queuedBytes >= this.#options.maxQueuedBytes
    if (stream.sendable) this.#sendOrder.add(stream)
  }

  #credit(stream: YamuxStream, bytes: number): void {
    stream.credit += bytes
    if (stream.heldBytes > 0 && !stream.onHold) this.#deliverable.add(stream)
    if (stream.remoteEnded) return
    // The window is a 32-bit number at the peer: what it cannot hold yet is told later.
    stream.untold += bytes
    this.#tellCredit(stream)
  }

  #tellCredit(stream: YamuxStream): void {
    const { untold, receiveWindow } = stream
    if (untold < YAMUX_INITIAL_WINDOW / 2) return
    const told = Math.min(untold, 0xffff_ffff - receiveWindow)
    if (told === 0) return
    stream.untold -= told
    stream.receiveWindow += told
    this.#control(YamuxType.WINDOW_UPDATE, 0, stream.id, told)
  }

  #ping(now: number): void {
    if (this.#pings.size >= this.#options.maxPings) throw illegal('too many pings without answer')
    const id = this.#nextPing
    this.#nextPing = (id + 1) >>> 0
    this.#pings.set(id, now)
    this.#control(YamuxType.PING, YamuxFlag.SYN, 0, id)
  }

  #drain(): void {
    if (this.#told.goAway) throw illegal('close again')
    this.#goAway(YamuxCode.NORMAL)
    this.state = 'closing'
    this.#finishDrain()
  }

  // Input.

  /** One step of parsing. An event, true for "look again", false when there is nothing to do. */
  #advance(): YamuxEvent | boolean {
    if (!this.wantsRead) {
      this.#decoder.copyBorrowed()
      return false
    }
    try {
      if (this.#decoder.payloadLeft > 0) {
        const bytes = this.#decoder.takePayload()
        if (bytes !== undefined) return this.#onPayload(bytes) ?? true
      } else {
        const header = this.#decoder.next()
        if (header !== undefined) {
          this.#onHeader(header)
          return true
        }
      }
      if (this.#ended !== 'heard') return false
      this.#ended = 'done'
      this.#decoder.end()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#fail(error, YamuxCode.PROTOCOL_ERROR)
      return true
    }
    this.#onEnd()
    return true
  }

  #onHeader(header: YamuxHeader): void {
    const { type, flags, length } = header
    if (type === YamuxType.PING) this.#onPing(flags, length)
    else if (type === YamuxType.GO_AWAY) this.#onGoAway(length)
    else this.#onStreamFrame(header)
  }

  #onPing(flags: number, id: number): void {
    if (flags === YamuxFlag.SYN) {
      this.#answer(YamuxType.PING, YamuxFlag.ACK, 0, id)
      return
    }
    const sentAt = this.#pings.get(id)
    if (sentAt === undefined) throw violation(`answer to ping ${id} that nobody sent`)
    this.#pings.delete(id)
    this.#events.push({ type: 'pong', roundTripMs: this.#lastReceived - sentAt })
  }

  #onGoAway(code: number): void {
    if (code !== YamuxCode.NORMAL) {
      this.#close(new RemoteError('ERR_REMOTE', `go away with code ${code}`, { status: code }))
      return
    }
    if (this.#peerWentAway) return
    this.#peerWentAway = true
    this.state = 'closing'
    this.#events.push({ type: 'go-away' })
    this.#finishDrain()
  }

  #onStreamFrame(header: YamuxHeader): void {
    const { type, flags, stream: id, length } = header
    const stream = (flags & YamuxFlag.SYN) !== 0 ? this.#onSyn(header) : this.#live(id)
    if (type === YamuxType.DATA) {
      this.#arriving = undefined
      this.#arrivingEnds = false
    }
    if (stream === undefined) return // ended or refused before: the peer could not know
    if ((flags & YamuxFlag.ACK) !== 0 && stream.own && !stream.accepted) {
      stream.accepted = true
      this.#unacceptedOwn -= 1
      this.#events.push({ type: 'accepted', stream: id })
      this.#tellOpenable()
    }
    if ((flags & YamuxFlag.RST) !== 0) {
      this.#closeStream(stream, resetOf(stream))
      this.#finishDrain()
      return
    }
    const ends = (flags & YamuxFlag.FIN) !== 0
    if (stream.remoteEnded && (ends || (type === YamuxType.DATA && length > 0))) {
      throw violation(`stream ${id} goes on after its end`)
    }
    if (type === YamuxType.WINDOW_UPDATE) this.#onWindowUpdate(stream, length)
    else if (length > 0) {
      if (length > stream.receiveWindow) {
        const message = `${length} bytes on stream ${id}, its window is ${stream.receiveWindow}`
        throw new ProtocolError('ERR_LIMIT', message)
      }
      stream.receiveWindow -= length
      this.#tellCredit(stream)
      this.#arriving = stream
      this.#arrivingEnds = ends
      return
    }
    if (ends) this.#onFin(stream)
  }

  /** A stream that takes frames; undefined if it has ended. */
  #live(id: number): YamuxStream | undefined {
    const stream = this.#streams.get(id)
    if (stream !== undefined) return stream.closed ? undefined : stream
    const never = id % 2 === this.#parity ? id >= this.#nextStream : id > this.#highestOfPeer
    if (never) throw violation(`frame on stream ${id}, which was never opened`)
    return undefined
  }

  #onSyn({ flags, stream: id }: YamuxHeader): YamuxStream | undefined {
    if (id % 2 === this.#parity) throw violation(`the peer opened stream ${id}, which is ours`)
    if (this.#streams.has(id)) throw violation(`stream ${id} was opened twice`)
    // Some peers open streams from several threads: ids may come out of order.
    this.#highestOfPeer = Math.max(this.#highestOfPeer, id)
    if ((flags & YamuxFlag.RST) !== 0) return undefined
    const { maxStreams, acceptBacklog } = this.#options
    if (
      this.state !== 'open' ||
      this.#openOfPeer >= maxStreams ||
      this.#unacceptedOfPeer >= acceptBacklog
    ) {
      this.#answer(YamuxType.WINDOW_UPDATE, YamuxFlag.RST, id, 0)
      return undefined
    }
    const stream = new YamuxStream(id, false)
    this.#openOfPeer += 1
    this.#unacceptedOfPeer += 1
    this.#addStream(stream)
    this.#events.push({ type: 'stream', stream: id })
    return stream
  }

  #onWindowUpdate(stream: YamuxStream, length: number): void {
    stream.sendWindow += length
    if (stream.sendWindow > 0xffff_ffff) {
      throw new ProtocolError('ERR_LIMIT', `the window of stream ${stream.id} is over 32 bits`)
    }
    if (stream.sendable) this.#sendOrder.add(stream)
  }

  /** A piece of the payload: delivered as far as there is credit, the rest is held. */
  #onPayload(bytes: Uint8Array): YamuxEvent | undefined {
    const stream = this.#arriving
    let event: YamuxEvent | undefined
    if (stream !== undefined) {
      // What is held comes first; if there were credit it would not be held.
      const waits = stream.onHold || stream.heldBytes > 0
      const count = waits ? 0 : Math.min(stream.credit, bytes.length)
      if (count < bytes.length) this.#hold(stream, bytes.subarray(count))
      if (count > 0) {
        stream.credit -= count
        event = { type: 'data', stream: stream.id, bytes: bytes.subarray(0, count) }
      }
    }
    if (this.#decoder.payloadLeft === 0) {
      this.#arriving = undefined
      if (stream !== undefined && this.#arrivingEnds) this.#onFin(stream)
    }
    return event
  }

  #hold(stream: YamuxStream, bytes: Uint8Array): void {
    stream.held ??= new ByteQueue()
    stream.held.push(bytes)
    stream.held.copyBorrowed()
    this.#heldBytes += bytes.length
  }

  #deliverHeld(): YamuxEvent | undefined {
    for (const stream of this.#deliverable) {
      this.#deliverable.delete(stream)
      const { held } = stream
      if (held === undefined) continue
      const count = Math.min(stream.credit, held.length)
      stream.credit -= count
      this.#heldBytes -= count
      const bytes = held.read(count)
      // The view keeps the memory; an idle stream holds none.
      if (held.length === 0) stream.held = undefined
      this.#tellEnd(stream)
      return { type: 'data', stream: stream.id, bytes }
    }
    return undefined
  }

  #onFin(stream: YamuxStream): void {
    stream.remoteEnded = true
    this.#tellEnd(stream)
  }

  #tellEnd(stream: YamuxStream): void {
    if (!stream.remoteEnded || stream.endTold || stream.heldBytes > 0) return
    stream.endTold = true
    this.#events.push({ type: 'end', stream: stream.id })
    this.#closeIfDone(stream)
  }

  /** The peer sends no more at all: only streams that were complete live on, for what they hold. */
  #onEnd(): void {
    for (const stream of this.#streams.values()) {
      if (stream.closed || (stream.remoteEnded && stream.ended)) continue
      // It closed because all its streams had ended: it never took this one.
      const untaken = this.#peerWentAway && stream.own && !stream.accepted
      this.#closeStream(
        stream,
        untaken ? new ClosedError('ERR_DRAINING', 'the peer took no new stream') : lost(undefined),
      )
      if (!untaken) this.#lost = lost(undefined)
    }
    this.state = 'closing'
    this.#finishDrain()
  }

  // Output.

  #control(type: number, flags: number, stream: number, length: number): void {
    if (this.#out.pending === 0) this.#controls = 0
    this.#controls += 1
    encodeYamuxHeader(type, flags, stream, length, this.#out)
  }

  /** A frame that the peer caused. */
  #answer(type: number, flags: number, stream: number, length: number): void {
    if (this.#out.pending === 0) this.#answers = 0
    this.#answers += 1
    this.#control(type, flags, stream, length)
  }

  get #answersWait(): boolean {
    // Streams that a peer opens cost it as little as pings: each is accepted or reset here. By bytes
    // that wait as well, because a busy connection may never be without output.
    const waiting = Math.min(this.#controls, this.#out.pending / YAMUX_HEADER_BYTES)
    if (waiting >= this.#options.maxAnswers * CONTROLS_PER_ANSWER) return true
    if (this.#answers < this.#options.maxAnswers) return false
    if (this.#out.pending > 0) return true
    this.#answers = 0
    return false
  }

  /** Encodes one frame of a stream. @returns its bytes */
  #sendFrame(stream: YamuxStream, room: number): number {
    const most = Math.min(stream.sendWindow, room, this.#options.sendFrameBytes)
    const [piece] = stream.queue
    const count = Math.min(piece?.length ?? 0, most)
    stream.queuedBytes -= count
    stream.sendWindow -= count
    const ends = stream.ending && stream.queuedBytes === 0
    if (piece !== undefined) {
      encodeYamuxHeader(YamuxType.DATA, 0, stream.id, count, this.#out)
      this.#out.give(count === piece.length ? piece : piece.subarray(0, count))
      if (count === piece.length) stream.queue.shift()
      else stream.queue[0] = piece.subarray(count)
    }
    if (stream.stuck && stream.queuedBytes === 0) {
      stream.stuck = false
      if (!stream.ending) this.#events.push({ type: 'writable', stream: stream.id })
    }
    if (ends) {
      // In a frame of its own: libp2p-yamux 8.0.1 drops the data of a frame that has the end as well.
      encodeYamuxHeader(YamuxType.WINDOW_UPDATE, YamuxFlag.FIN, stream.id, 0, this.#out)
      stream.ended = true
      this.#closeIfDone(stream)
    }
    return YAMUX_HEADER_BYTES + count
  }

  #goAway(code: number): void {
    this.#told.goAway = true
    this.#control(YamuxType.GO_AWAY, 0, 0, code)
  }

  // The ends of streams and of the session.

  #addStream(stream: YamuxStream): void {
    this.#streams.set(stream.id, stream)
    this.#openStreams += 1
  }

  #closeIfDone(stream: YamuxStream): void {
    if (!stream.ended || !stream.endTold) return
    this.#closeStream(stream, undefined)
    this.#finishDrain()
  }

  #closeStream(stream: YamuxStream, error: HeddleError | undefined): void {
    if (stream.closed) return
    stream.closed = true
    this.#openStreams -= 1
    if (!stream.own) this.#openOfPeer -= 1
    if (!stream.accepted) {
      if (stream.own) this.#unacceptedOwn -= 1
      else this.#unacceptedOfPeer -= 1
    }
    this.#heldBytes -= stream.heldBytes
    stream.held = undefined
    stream.queue = []
    this.#sendOrder.delete(stream)
    this.#deliverable.delete(stream)
    if (this.#arriving === stream) this.#arriving = undefined
    this.#events.push({ type: 'stream-closed', stream: stream.id, error })
    this.#tellOpenable()
  }

  #tellOpenable(): void {
    if (!this.#told.notOpenable || this.openableStreams === 0) return
    this.#told.notOpenable = false
    this.#events.push({ type: 'openable' })
  }

  #finishDrain(): void {
    if (this.state === 'closing' && this.#openStreams === 0) this.#close(this.#lost)
  }

  #fail(error: HeddleError, code: number): void {
    this.#goAway(code)
    this.#close(error)
  }

  #close(error: HeddleError | undefined): void {
    this.failure ??= error
    this.state = 'closed'
    for (const stream of this.#streams.values()) this.#closeStream(stream, this.failure)
    this.#decoder.clear()
    this.#pings.clear()
  }
}

/** So many more than its own maximum that only a peer that reads nothing gets there. */
const CONTROLS_PER_ANSWER = 1_024

/** Opens odd streams. */
export class YamuxClientSession extends YamuxSession {
  constructor(options: YamuxOptions = {}, now: number = 0) {
    super(1, options, now)
  }
}

/** Opens even streams. */
export class YamuxServerSession extends YamuxSession {
  constructor(options: YamuxOptions = {}, now: number = 0) {
    super(0, options, now)
  }
}

function illegal(message: string): UsageError {
  return new UsageError('ERR_STATE', message)
}

function violation(message: string): ProtocolError {
  return new ProtocolError('ERR_PROTOCOL', message)
}

/** A reset before the acknowledgement is a refusal: nobody has seen what was sent. */
function resetOf(stream: YamuxStream): HeddleError {
  return stream.own && !stream.accepted
    ? new OverloadError('ERR_BUSY', `the peer refused stream ${stream.id}`)
    : new TransportError('ERR_RESET', `the peer reset stream ${stream.id}`)
}

function lost(cause: Error | undefined): TransportError {
  const message = `the connection was lost${cause === undefined ? '' : `: ${cause.message}`}`
  return new TransportError('ERR_DISCONNECTED', message, { cause })
}
