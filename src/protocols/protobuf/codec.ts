/**
 * Messages of one type to bytes and back, with everything that is the same for each done once.
 *
 *     const codec = messageCodec(EchoRequestSchema)
 *     const bytes = codec.encode({ text: 'hello' })
 *
 * What protobuf-es means is what counts: the functions here are made for what nearly all messages are,
 * and leave the rest to `toBinary` and `fromBinary`: types with parts that they do not know
 * (codec-coverage.ts), values of an unusual kind, and all bytes that are not well formed, so that the
 * errors are the library's as well. A message never comes out otherwise than by the library.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { TextCodec } from '../../core/host.ts'
import { portableText } from '../../core/portable-text.ts'
import { isCovered } from './codec-coverage.ts'
import { type DecodeMessage, decoderOf } from './codec-decoder.ts'
import { type EncodeMessage, encoderOf } from './codec-encoder.ts'
import { CodecReader } from './codec-reader.ts'
import { CodecWriter } from './codec-writer.ts'

export interface MessageCodec<Desc extends DescMessage = DescMessage> {
  readonly desc: Desc
  /**
   * Encodes a message, or what one can be made of.
   *
   * @param room bytes left free in front, for who puts a header there
   * @returns bytes that are the caller's
   * @throws Error for what does not fit its type
   */
  encode(message: MessageInitShape<Desc>, room?: number): Uint8Array
  /** What `encode` returned is looked at by nobody any more: its memory may be used again. */
  release?(bytes: Uint8Array): void
  /**
   * @param bytes kept by the message where it has fields of bytes
   * @param borrowed the bytes are not the message's: it keeps copies. @default false
   * @throws Error for what is no such message
   */
  decode(bytes: Uint8Array, borrowed?: boolean): MessageShape<Desc>
}

/**
 * One codec for each descriptor.
 *
 * @param text how strings are read and written: the host's is faster than the default
 */
export function messageCodec<Desc extends DescMessage>(
  desc: Desc,
  text: TextCodec = portableText,
): MessageCodec<Desc> {
  let codecs = CODECS.get(text)
  if (codecs === undefined) {
    codecs = new WeakMap()
    CODECS.set(text, codecs)
  }
  const known = codecs.get(desc)
  if (known !== undefined) return known as MessageCodec<Desc>
  const made = isCovered(desc) ? new CompiledCodec(desc, text) : new LibraryCodec(desc)
  codecs.set(desc, made as unknown as MessageCodec)
  return made
}

/** A codec that somebody else made, for a descriptor of theirs. */
export function adoptCodec<Desc extends DescMessage>(
  desc: Desc,
  codec: MessageCodec<Desc>,
  text: TextCodec = portableText,
): void {
  let codecs = CODECS.get(text)
  if (codecs === undefined) {
    codecs = new WeakMap()
    CODECS.set(text, codecs)
  }
  codecs.set(desc, codec as unknown as MessageCodec)
}

class LibraryCodec<Desc extends DescMessage> implements MessageCodec<Desc> {
  readonly desc: Desc

  constructor(desc: Desc) {
    this.desc = desc
  }

  encode(message: MessageInitShape<Desc>, room: number = 0): Uint8Array {
    return libraryEncode(this.desc, message, room)
  }

  decode(bytes: Uint8Array, borrowed: boolean = false): MessageShape<Desc> {
    return fromBinary(this.desc, borrowed ? bytes.slice() : bytes)
  }
}

class CompiledCodec<Desc extends DescMessage> implements MessageCodec<Desc> {
  readonly desc: Desc
  readonly #encode: EncodeMessage
  readonly #decode: DecodeMessage
  readonly #writer: CodecWriter
  readonly #reader: CodecReader

  constructor(desc: Desc, text: TextCodec) {
    this.desc = desc
    this.#encode = encoderOf(desc)
    this.#decode = decoderOf(desc)
    this.#writer = new CodecWriter(text)
    this.#reader = new CodecReader(text)
  }

  encode(message: MessageInitShape<Desc>, room: number = 0): Uint8Array {
    const writer = this.#writer
    writer.begin(room)
    if (this.#encode(message as Record<string, unknown>, writer)) return writer.finish()
    writer.drop()
    return libraryEncode(this.desc, message, room)
  }

  release(bytes: Uint8Array): void {
    this.#writer.release(bytes)
  }

  decode(bytes: Uint8Array, borrowed: boolean = false): MessageShape<Desc> {
    const reader = this.#reader
    reader.begin(bytes, borrowed)
    const message = this.#decode(reader, bytes.length, undefined)
    const whole = message !== undefined && reader.at === bytes.length
    reader.begin(NOTHING)
    if (whole) return message as MessageShape<Desc>
    return fromBinary(this.desc, borrowed ? bytes.slice() : bytes)
  }
}

function libraryEncode<Desc extends DescMessage>(
  desc: Desc,
  message: MessageInitShape<Desc>,
  room: number,
): Uint8Array {
  const bytes = toBinary(desc, create(desc, message))
  if (room === 0) return bytes
  const whole = new Uint8Array(room + bytes.length)
  whole.set(bytes, room)
  return whole
}

const CODECS = new WeakMap<TextCodec, WeakMap<DescMessage, MessageCodec>>()
const NOTHING = new Uint8Array(0)
