/**
 * One call of Connect on its way through the bridge to gRPC, and what its unary and its streaming form
 * have in common: fields that change their names.
 */
import type { DescMethod } from '@bufbuild/protobuf'
import type { GrpcCompression } from '../grpc/compression.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { readStatus } from '../grpc/trailers.ts'
import { formatGrpcTimeout } from '../http/deadline-header.ts'
import { HttpFields } from '../http/fields.ts'
import type { HttpRequest, HttpResponse } from '../http/messages.ts'
import { CONNECT_TIMEOUT_FIELD, codingFields, parseConnectTimeout } from './connect-fields.ts'
import { parseRpcContentType } from './content-type.ts'
import type { ConnectGet } from './get-query.ts'
import type { JsonOptions } from './method-codec.ts'

export interface ConnectCall {
  readonly codec: 'proto' | 'json'
  readonly method: DescMethod | undefined
  readonly maxMessageBytes: number
  readonly maxReplyBytes: number
  readonly json: JsonOptions
  readonly compression: GrpcCompression
  /** The call came as a GET. */
  readonly get: ConnectGet | undefined
}

/**
 * The head of the call in gRPC's words.
 *
 * @param coding how messages with the flag are compressed
 * @throws ProtocolError ERR_MALFORMED for a timeout that is none
 */
export function grpcRequestFields(
  request: HttpRequest,
  call: ConnectCall,
  stream: boolean,
  coding: string | undefined,
): HttpFields {
  const { fields } = request
  const list = ['content-type', 'application/grpc+proto', 'te', 'trailers']
  const timeoutMs = parseConnectTimeout(fields.get(CONNECT_TIMEOUT_FIELD))
  // None is left, and gRPC has no way to say so: the least that it has.
  if (timeoutMs !== undefined) list.push('grpc-timeout', formatGrpcTimeout(timeoutMs))
  if (call.codec === 'proto') {
    if (coding !== undefined) list.push('grpc-encoding', coding)
    const accepted = fields.get(codingFields(stream).accepted)
    if (accepted !== undefined) list.push('grpc-accept-encoding', accepted)
  }
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (!OF_PROTOCOLS.has(lower)) list.push(lower, value)
  }
  return HttpFields.fromTrusted(list)
}

/** Coding of a request; `identity` and none are the same. */
export function codingOf(fields: HttpFields, name: string): string | undefined {
  const coding = fields.get(name)
  return coding === undefined || coding === 'identity' || coding === '' ? undefined : coding
}

/** Headers of an answer that are neither HTTP's framing nor gRPC's: metadata, cookies, dates. */
export function answerFields(fields: HttpFields, list: string[]): void {
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    if (!OF_PROTOCOLS.has(lower)) list.push(lower, value)
  }
}

/** How a response ended that has no messages; undefined: messages follow, or they are there. */
export function endWithoutMessages(response: HttpResponse): GrpcError | 'ok' | undefined {
  const { status, fields } = response
  const isGrpc = parseRpcContentType(fields.get('content-type'))?.protocol === 'grpc'
  if (status === 200 && isGrpc && !fields.has('grpc-status')) return undefined
  if (isGrpc || status !== 200) return readStatus(fields, status) ?? 'ok'
  return new GrpcError('UNKNOWN', 'the answer is none of gRPC’s')
}

/** Fields that belong to one of the protocols, in either direction. */
const OF_PROTOCOLS: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'accept-encoding',
  'transfer-encoding',
  'te',
  'trailer',
  'connect-protocol-version',
  'connect-timeout-ms',
  'connect-content-encoding',
  'connect-accept-encoding',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-status',
  'grpc-message',
  'grpc-status-details-bin',
])
