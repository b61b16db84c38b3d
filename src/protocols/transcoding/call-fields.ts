/** The head of a call, from that of a request: deadline and metadata. */
import { GrpcError } from '../grpc/grpc-error.ts'
import { DEADLINE_HEADERS, formatGrpcTimeout, readRemainingMs } from '../http/deadline-header.ts'
import { HttpFields } from '../http/fields.ts'
import type { HttpRequest } from '../http/messages.ts'
import type { TranscodingSettings } from './transcoding-options.ts'

/**
 * A deadline comes in any of {@link DEADLINE_HEADERS}; every other field is metadata, but for those
 * of HTTP itself and `grpc-…`, which would be taken for words of the protocol.
 *
 * @throws GrpcError INVALID_ARGUMENT for a deadline that is none
 */
export function callFields(
  { fields }: HttpRequest,
  { forwardField }: Pick<TranscodingSettings, 'forwardField'>,
): HttpFields {
  const list = ['content-type', 'application/grpc+proto', 'te', 'trailers']
  const given = DEADLINE_HEADERS.find((name) => fields.has(name))
  if (given !== undefined) {
    const remaining = readRemainingMs(fields)
    if (remaining === undefined) {
      throw new GrpcError(
        'INVALID_ARGUMENT',
        `${given} is no number of milliseconds`.replace(
          /^grpc-timeout.*/,
          'grpc-timeout is no timeout, such as 1500m',
        ),
      )
    }
    list.push('grpc-timeout', formatGrpcTimeout(remaining))
  }
  fields.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (lower.startsWith('grpc-') || OF_HTTP.has(lower)) return
    if (forwardField === undefined || forwardField(lower)) list.push(lower, value)
  })
  return HttpFields.fromTrusted(list)
}

const OF_HTTP: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  ...DEADLINE_HEADERS,
])
