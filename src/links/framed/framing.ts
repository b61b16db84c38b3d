/**
 * How messages stand on a byte stream: what `framed` is given. Length prefixes and delimiters are
 * here; whatever has a `Decoder` and an `Encode` can be another one.
 */
import type { Decoder, Encode } from '../../core/codec.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import { DelimitedDecoder, encodeDelimited } from '../../protocols/framing/delimited.ts'
import {
  LengthPrefixedDecoder,
  type LengthPrefixOptions,
  lengthPrefixedEncoder,
  maxPayloadBytes,
} from '../../protocols/framing/length-prefixed.ts'

export interface Framing {
  /** The longest message that it can say. The limit of the transport is never above it. */
  readonly maxMessageBytes: number
  /** A new one for each connection. Payloads are valid until its `next` has returned undefined. */
  createDecoder(maxMessageBytes: number): Decoder<Uint8Array>
  readonly encode: Encode<Uint8Array>
}

/** Each message behind its length: 4 bytes, big-endian, unless the options say otherwise. */
export function lengthPrefix(options: LengthPrefixOptions = {}): Framing {
  const { prefix, includesPrefix, empty } = options
  const chosen = {
    ...(prefix !== undefined && { prefix }),
    ...(includesPrefix !== undefined && { includesPrefix }),
    ...(empty !== undefined && { empty }),
  }
  return Object.freeze({
    maxMessageBytes: maxPayloadBytes(chosen),
    createDecoder: (maxFrameBytes: number) =>
      new LengthPrefixedDecoder({ ...chosen, maxFrameBytes }),
    encode: lengthPrefixedEncoder(chosen),
  })
}

export interface DelimiterOptions {
  /** A carriage return before the delimiter is taken for a part of it. @default false */
  optionalCr?: boolean
}

/**
 * Each message ends with a delimiter, which no message may hold: `send` throws UsageError
 * ERR_ARGUMENT for one that does.
 *
 * @param bytes text (UTF-8) or bytes, not empty
 */
export function delimiter(
  bytes: string | Uint8Array = '\n',
  options: DelimiterOptions = {},
): Framing {
  const { optionalCr = false } = options
  const delimiter = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes.slice()
  if (delimiter.length === 0) throw new UsageError('ERR_ARGUMENT', 'delimiter is empty')
  return Object.freeze({
    maxMessageBytes: 0x4000_0000,
    createDecoder: (maxFrameBytes: number) =>
      new DelimitedDecoder({ delimiter, maxFrameBytes, optionalCr }),
    encode: (payload, out) => encodeDelimited(payload, out, delimiter),
  } satisfies Framing)
}

/** The limit of a connection: what was asked for, as far as the framing can say it. */
export function checkMaxMessageBytes(asked: number, framing: Framing): number {
  return Math.min(checkInteger('maxMessageBytes', asked, 0, 0xffff_ffff), framing.maxMessageBytes)
}
