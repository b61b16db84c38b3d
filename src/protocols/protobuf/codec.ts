/**
 * Messages of one type to bytes and back, with what is needed for it looked up once.
 *
 *     const codec = messageCodec(EchoRequestSchema)
 *     const bytes = codec.encode({ text: 'hello' })
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'

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
  /**
   * @param bytes kept by the message where it has fields of bytes
   * @throws Error for what is no such message
   */
  decode(bytes: Uint8Array): MessageShape<Desc>
}

/** One codec for each descriptor. */
export function messageCodec<Desc extends DescMessage>(desc: Desc): MessageCodec<Desc> {
  const known = CODECS.get(desc)
  if (known !== undefined) return known as MessageCodec<Desc>
  const made = makeCodec(desc)
  CODECS.set(desc, made as unknown as MessageCodec)
  return made
}

function makeCodec<Desc extends DescMessage>(desc: Desc): MessageCodec<Desc> {
  return Object.freeze({
    desc,
    encode(message: MessageInitShape<Desc>, room: number = 0): Uint8Array {
      const bytes = toBinary(desc, create(desc, message))
      if (room === 0) return bytes
      const whole = new Uint8Array(room + bytes.length)
      whole.set(bytes, room)
      return whole
    },
    decode: (bytes: Uint8Array) => fromBinary(desc, bytes),
  })
}

const CODECS = new WeakMap<DescMessage, MessageCodec>()
