/**
 * Bytes to yamux headers. The payload of a data frame is not waited for: after its header it is
 * taken piece by piece, as it arrives, with `takePayload`.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import type { Decoder } from '../../core/codec.ts'
import { ProtocolError, UsageError } from '../../core/errors.ts'
import { YAMUX_HEADER_BYTES } from './encoder.ts'
import { YamuxFlag, type YamuxHeader, YamuxType } from './messages.ts'
import { resolveYamuxOptions, type YamuxOptions } from './options.ts'

export class YamuxDecoder implements Decoder<YamuxHeader> {
  readonly #maxFrameBytes: number
  readonly #queue = new ByteQueue()
  #payloadLeft = 0
  #failure: ProtocolError | undefined

  constructor(options: YamuxOptions = {}) {
    this.#maxFrameBytes = resolveYamuxOptions(options).maxFrameBytes
  }

  get buffered(): number {
    return this.#queue.length
  }

  /** What is missing of the payload of the last header, in bytes. */
  get payloadLeft(): number {
    return this.#payloadLeft
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
  }

  /** @throws UsageError before the payload of the last header was taken */
  next(): YamuxHeader | undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#payloadLeft > 0) throw new UsageError('ERR_STATE', 'the payload was not taken')
    const queue = this.#queue
    if (queue.length < YAMUX_HEADER_BYTES) {
      queue.copyBorrowed() // the chunk is the transport's again
      return undefined
    }
    const version = queue.readUint8()
    const type = queue.readUint8()
    const flags = queue.readUint16()
    const stream = queue.readUint32()
    const length = queue.readUint32()
    if (version !== 0) this.#fail(new ProtocolError('ERR_VERSION', `yamux version ${version}`))
    this.#check(type, flags, stream)
    if (type === YamuxType.DATA) {
      if (length > this.#maxFrameBytes) {
        const message = `frame of ${length} bytes is over maxFrameBytes ${this.#maxFrameBytes}`
        this.#fail(new ProtocolError('ERR_FRAME_TOO_LARGE', message))
      }
      this.#payloadLeft = length
    }
    return { type, flags, stream, length }
  }

  /** What has arrived of the payload, borrowed as a message is; undefined: more input is needed. */
  takePayload(): Uint8Array | undefined {
    const count = Math.min(this.#payloadLeft, this.#queue.length)
    if (count === 0) {
      this.#queue.copyBorrowed()
      return undefined
    }
    this.#payloadLeft -= count
    return this.#queue.read(count)
  }

  /** Stops in the middle of a chunk: copies the rest, because the chunk is only borrowed. */
  copyBorrowed(): void {
    this.#queue.copyBorrowed()
  }

  /** Nothing more will be decoded. */
  clear(): void {
    this.#queue.clear()
    this.#payloadLeft = 0
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#queue.length === 0 && this.#payloadLeft === 0) return
    this.#fail(new ProtocolError('ERR_TRUNCATED', 'input ended inside a frame'))
  }

  #check(type: number, flags: number, stream: number): void {
    if (type > YamuxType.GO_AWAY || flags > ALL_FLAGS) {
      this.#fail(new ProtocolError('ERR_MALFORMED', `frame of type ${type} with flags ${flags}`))
    }
    const ofSession = type === YamuxType.PING || type === YamuxType.GO_AWAY
    if (ofSession !== (stream === 0)) {
      this.#fail(new ProtocolError('ERR_PROTOCOL', `frame of type ${type} on stream ${stream}`))
    }
    if (type === YamuxType.PING && flags !== YamuxFlag.SYN && flags !== YamuxFlag.ACK) {
      this.#fail(new ProtocolError('ERR_PROTOCOL', `ping with flags ${flags}`))
    }
  }

  #fail(failure: ProtocolError): never {
    this.#failure = failure
    throw failure
  }
}

const ALL_FLAGS = YamuxFlag.SYN | YamuxFlag.ACK | YamuxFlag.FIN | YamuxFlag.RST
