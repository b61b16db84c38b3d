/**
 * One call of gRPC on its way through Connect, and what its unary and its streaming form have in
 * common: fields that change their names, and ends.
 */
import type { DescMethod } from '@bufbuild/protobuf'
import type { GrpcCompression } from '../grpc/compression.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { writeStatus } from '../grpc/trailers.ts'
import { parseGrpcTimeout } from '../http/deadline-header.ts'
import { HttpFields } from '../http/fields.ts'
import type { HttpRequest } from '../http/messages.ts'
import {
  CONNECT_PROTOCOL_VERSION,
  CONNECT_TIMEOUT_FIELD,
  CONNECT_VERSION_FIELD,
  codingFields,
  formatConnectTimeout,
} from './connect-fields.ts'
import { rpcContentType } from './content-type.ts'
import type { ConnectErrorFields } from './error-json.ts'

export interface OverConnectCall {
  readonly method: DescMethod
  readonly codec: 'proto' | 'json'
  readonly useGet: boolean
  readonly maxGetBytes: number
  readonly maxMessageBytes: number
  readonly json: object
  readonly compression: GrpcCompression
}

/** @param compressed the message of a unary call is */
export function connectRequestFields(
  request: HttpRequest,
  call: OverConnectCall,
  stream: boolean,
  compressed: boolean,
): string[] {
  const { fields } = request
  const list = [
    'content-type',
    rpcContentType('connect', call.codec, stream),
    CONNECT_VERSION_FIELD,
    CONNECT_PROTOCOL_VERSION,
  ]
  const timeout = fields.get('grpc-timeout')
  const timeoutMs = timeout === undefined ? undefined : parseGrpcTimeout(timeout)
  if (timeoutMs !== undefined) list.push(CONNECT_TIMEOUT_FIELD, formatConnectTimeout(timeoutMs))
  const { coding, accepted } = codingFields(stream)
  const encoding = fields.get('grpc-encoding')
  if (compressed && encoding !== undefined && call.codec === 'proto') list.push(coding, encoding)
  const accepts = withoutIdentity(fields.get('grpc-accept-encoding'))
  if (accepts !== '' && call.codec === 'proto') list.push(accepted, accepts)
  else if (!stream) list.push(accepted, 'identity')
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (!OF_GRPC.has(lower)) list.push(lower, value)
  }
  return list
}

/** Head of the answer in gRPC's words; `coding` of its messages. */
export function grpcAnswerFields(fields: HttpFields, coding: string | undefined): string[] {
  const list = ['content-type', 'application/grpc+proto']
  if (coding !== undefined) list.push('grpc-encoding', coding)
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (!OF_CONNECT.has(lower)) list.push(lower, value)
  }
  return list
}

/** The end of a call in gRPC's words. */
export function grpcTrailers(
  error: ConnectErrorFields | undefined,
  metadata: Iterable<readonly [string, string]>,
): HttpFields {
  const list: string[] = []
  writeStatus(list, error === undefined ? undefined : grpcErrorOf(error))
  for (const [name, value] of metadata) if (!OF_GRPC.has(name)) list.push(name, value)
  return HttpFields.fromTrusted(list)
}

function grpcErrorOf({ code, message, details }: ConnectErrorFields): GrpcError {
  return new GrpcError(code as GrpcError['grpcCode'], message, { details })
}

function withoutIdentity(accepted: string | undefined): string {
  if (accepted === undefined) return ''
  return accepted
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== 'identity' && coding !== '')
    .join(', ')
}

const OF_GRPC: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'te',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-status',
  'grpc-message',
  'grpc-status-details-bin',
])
const OF_CONNECT: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'connect-content-encoding',
  'connect-accept-encoding',
  'grpc-status',
  'grpc-message',
  'grpc-status-details-bin',
])
