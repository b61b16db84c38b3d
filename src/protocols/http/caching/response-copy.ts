/**
 * A response that is the same but for its fields, and perhaps its body.
 */
import type { Body } from '../body.ts'
import type { HttpFields } from '../fields.ts'
import { HttpResponse } from '../messages.ts'

/** The exchange that it comes from stays its. */
export function withFields(
  response: HttpResponse,
  fields: HttpFields,
  body: Body = response.body,
): HttpResponse {
  const { status, reason, version, upgrade, exchange, connection } = response
  const copy = new HttpResponse({
    status,
    fields,
    body,
    version,
    ...(reason !== undefined && { reason }),
    ...(upgrade !== undefined && { upgrade }),
  })
  copy.exchange = exchange
  copy.connection = connection
  return copy
}
