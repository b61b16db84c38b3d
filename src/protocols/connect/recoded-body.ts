/** Bodies of envelopes whose messages take their other form: JSON or binary, one by one. */
import type { DescMethod } from '@bufbuild/protobuf'
import { ProtocolError } from '../../core/errors.ts'
import type { GrpcCompression } from '../grpc/compression.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import type { Body } from '../http/body.ts'
import { COMPRESSED, envelopeBytes } from './envelope.ts'
import { type JsonOptions, jsonToBinary } from './method-codec.ts'
import { EnvelopeRewriter, type Finish } from './rewriters.ts'
import { rewriteBody } from './rewritten-body.ts'

export interface Recoding {
  readonly maxMessageBytes: number
  readonly compression: GrpcCompression
  /** How messages with the flag are compressed; they come out plain. */
  readonly coding: string | undefined
  readonly recode: (message: Uint8Array) => Uint8Array
  /** @default trailers stay trailers */
  readonly finish?: Finish
}

/** @throws GrpcError UNIMPLEMENTED for a coding that is not known */
export function recodedBody(body: Body, recoding: Recoding): Body {
  const { maxMessageBytes, compression, coding, recode } = recoding
  const decompress = compression.decoder(coding)
  const rewriter = new EnvelopeRewriter({
    maxMessageBytes,
    flags: COMPRESSED,
    map({ flags, payload }) {
      if ((flags & COMPRESSED) === 0 || payload.length === 0) {
        return envelopeBytes(0, recode(payload))
      }
      if (decompress === undefined) {
        throw new GrpcError('INVALID_ARGUMENT', 'a message is compressed, and no coding was named')
      }
      return decompress(payload.slice(), maxMessageBytes).then((plain) =>
        envelopeBytes(0, recode(plain)),
      )
    },
    finish: recoding.finish ?? ((trailers) => ({ trailers })),
  })
  return rewriteBody(body, rewriter)
}

/** Requests in JSON: what is none of the method is the caller's mistake. */
export function requestRecoder(
  { input }: DescMethod,
  json: JsonOptions,
): (text: Uint8Array) => Uint8Array {
  return (text) => {
    try {
      return jsonToBinary(input, text, json)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      throw new GrpcError('INVALID_ARGUMENT', error.message, { cause: error })
    }
  }
}
