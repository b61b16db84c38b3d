/**
 * Rich errors: `grpc-status-details-bin` holds a `google.rpc.Status` in base64, with the code and
 * the message once more and any number of messages as details
 * (https://google.aip.dev/193, https://grpc.io/docs/guides/error/).
 */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf'
import { UsageError } from '../../core/errors.ts'
import { StatusSchema } from '../protobuf/proto/google/rpc/status_pb.ts'
import { decodeBinaryValue, encodeBinaryValue } from './base64.ts'

/** A message with its type, as `google.protobuf.Any`. */
export interface AnyDetail {
  /** Fully qualified: `google.rpc.RetryInfo`. */
  readonly type: string
  readonly value: Uint8Array
}

export interface StatusDetails {
  readonly code: number
  readonly message: string
  readonly details: readonly AnyDetail[]
}

export function encodeDetail(
  detail: readonly [DescMessage, MessageInitShape<DescMessage>] | AnyDetail,
): AnyDetail {
  if (!Array.isArray(detail)) return detail as AnyDetail
  const [schema, message] = detail as readonly [DescMessage, MessageInitShape<DescMessage>]
  if (schema?.kind !== 'message') {
    throw new UsageError('ERR_ARGUMENT', 'a detail is [descriptor, message]')
  }
  return { type: schema.typeName, value: toBinary(schema, create(schema, message)) }
}

/** The value of `grpc-status-details-bin`. */
export function encodeStatusDetails({ code, message, details }: StatusDetails): string {
  const status = create(StatusSchema, {
    code,
    message,
    details: details.map(({ type, value }) => ({ typeUrl: TYPE_PREFIX + type, value })),
  })
  return encodeBinaryValue(toBinary(StatusSchema, status))
}

/** Undefined: broken, which leaves `grpc-status` and `grpc-message` to say it. */
export function decodeStatusDetails(text: string): StatusDetails | undefined {
  const bytes = decodeBinaryValue(text)
  if (bytes === undefined) return undefined
  try {
    const { code, message, details } = fromBinary(StatusSchema, bytes)
    return {
      code,
      message,
      details: details.map(({ typeUrl, value }) => ({
        type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1),
        value,
      })),
    }
  } catch {
    return undefined
  }
}

const TYPE_PREFIX = 'type.googleapis.com/'
