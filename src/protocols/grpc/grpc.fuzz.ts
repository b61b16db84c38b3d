/**
 * Any bytes, as a body and as the values of fields: messages or a failure, alike however they are cut,
 * never another exception.
 */
import { ProtocolError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'
import { decodeBinaryValue, encodeBinaryValue } from './base64.ts'
import { GrpcMetadata } from './call-metadata.ts'
import { grpcFormat } from './content-type.ts'
import { GrpcDecoder, onlyMessage } from './decoder.ts'
import { grpcFrame } from './encoder.ts'
import { GrpcError } from './grpc-error.ts'
import { decodeGrpcMessage, encodeGrpcMessage } from './percent.ts'
import { readGrpcTimeout } from './timeout.ts'
import { readStatus } from './trailers.ts'

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  grpcFrame(Uint8Array.of(1, 2, 3)),
  grpcFrame(new Uint8Array(0), true),
  Uint8Array.of(...grpcFrame(Uint8Array.of(1)), ...grpcFrame(Uint8Array.of(2, 3), true)),
  ...['5', '0', '100m', 'application/grpc+proto', 'a%20b%C3', 'CAUSBWhlbGxv'].map((text) =>
    new TextEncoder().encode(text),
  ),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  const whole = decode([bytes])
  const split = decode([bytes.slice(0, cut), bytes.slice(cut)])
  if (whole !== split) throw new Error(`cut at ${cut}: ${split} instead of ${whole}`)
  const only = onlyMessage(bytes)
  if (
    only !== undefined &&
    only.length <= MAX_BYTES &&
    !whole.startsWith(`false:${only.join()};`)
  ) {
    throw new Error(`onlyMessage sees ${only.join()} in ${whole}`)
  }
  readText(String.fromCharCode(...bytes.subarray(0, 4_096)))
}

function decode(chunks: readonly Uint8Array[]): string {
  const decoder = new GrpcDecoder({ maxMessageBytes: MAX_BYTES })
  let outcome = ''
  try {
    for (const chunk of chunks) {
      decoder.push(chunk)
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        outcome += `${frame.compressed}:${frame.payload.join()};`
      }
    }
    decoder.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    outcome += error.code
  }
  return outcome
}

/** The values of fields as they may come from anybody. */
function readText(text: string): void {
  const message = decodeGrpcMessage(text)
  if (message.isWellFormed() && decodeGrpcMessage(encodeGrpcMessage(message)) !== message) {
    throw new Error('a message is another one after it was sent')
  }
  const binary = decodeBinaryValue(text)
  if (
    binary !== undefined &&
    decodeBinaryValue(encodeBinaryValue(binary))?.join() !== binary.join()
  ) {
    throw new Error('a binary value is another one after it was sent')
  }
  grpcFormat(text)
  try {
    readGrpcTimeout(text)
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error
  }
  const list = ['grpc-status', text, 'grpc-message', text, 'x-bin', text]
  const fields = HttpFields.fromTrusted([...list, 'grpc-status-details-bin', text])
  const status = readStatus(fields, 200)
  if ((status === undefined) !== (text === '0')) throw new Error('another success than 0')
  for (const [name] of GrpcMetadata.fromFields(fields)) {
    if (name !== 'x-bin') throw new Error(`${name} is no metadata`)
  }
}

const MAX_BYTES = 256
