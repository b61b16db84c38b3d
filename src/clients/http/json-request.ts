/**
 * One question and its answer in JSON, within limits: what key sets, policy services and token
 * endpoints have in common.
 */
import { ProtocolError, RemoteError } from '../../core/errors.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { FieldsInit } from '../../protocols/http/fields.ts'
import type { HttpResponse } from '../../protocols/http/messages.ts'
import {
  ExternalAuthorizer,
  type ExternalAuthorizerOptions,
} from '../../security/authorization/external-authorizer.ts'
import { RemoteKeySet, type RemoteKeySetOptions } from '../../security/identity/json-web-keys.ts'
import type { HttpClient } from './http-client.ts'

export interface JsonRequestOptions {
  /** Of the whole exchange, body included, in milliseconds. @default 5_000 */
  timeoutMs?: number
  /** Longest answer. @default 262_144: a key set of a hundred keys, twice */
  maxBytes?: number
  signal?: AbortSignal
  fields?: FieldsInit
}

export const jsonRequestDefaults: Readonly<{ timeoutMs: number; maxBytes: number }> = Object.freeze(
  { timeoutMs: 5_000, maxBytes: 262_144 },
)

/**
 * GETs, or POSTs `body` as JSON.
 *
 * @throws RemoteError ERR_REMOTE for another status than 200, ProtocolError ERR_MALFORMED for what
 *   is not JSON, and whatever a call may throw
 */
export async function requestJson(
  client: HttpClient,
  target: string,
  body?: unknown,
  options: JsonRequestOptions = {},
): Promise<unknown> {
  const { maxBytes = jsonRequestDefaults.maxBytes, timeoutMs, signal, fields } = options
  const asking = body !== undefined
  const response = await client.request({
    method: asking ? 'POST' : 'GET',
    target,
    timeoutMs: timeoutMs ?? jsonRequestDefaults.timeoutMs,
    // A question changes nothing: it may be asked again.
    idempotent: true,
    ...(signal && { signal }),
    fields: jsonFields(fields, asking),
    ...(asking && { body: JSON.stringify(body) }),
  })
  if (response.status !== 200) {
    response.body.discard()
    const message = `${client.authority} answered ${response.status} where 200 was expected`
    throw new RemoteError('ERR_REMOTE', message, { status: response.status })
  }
  return readJson(response, maxBytes)
}

/** @throws ProtocolError ERR_MALFORMED, which does not show what it could not read */
export async function readJson(response: HttpResponse, maxBytes: number): Promise<unknown> {
  const text = await response.body.text(maxBytes)
  // What came in one piece with its head was not counted.
  if (text.length > maxBytes) {
    const message = `an answer of ${text.length} characters is over the limit of ${maxBytes}`
    throw new ProtocolError('ERR_LIMIT', message)
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new ProtocolError('ERR_MALFORMED', 'the answer is not JSON')
  }
}

/** The keys of an issuer behind a URL, for {@link bearer}. */
export function remoteKeys(
  client: HttpClient,
  target: string,
  options: Omit<RemoteKeySetOptions, 'clock' | 'fetch'> &
    Partial<Pick<RemoteKeySetOptions, 'clock'>> &
    JsonRequestOptions = {},
): RemoteKeySet {
  const { timeoutMs, maxBytes, fields, clock = systemClock, ...rest } = options
  const limits = given({ timeoutMs, maxBytes, fields })
  return new RemoteKeySet({
    ...rest,
    clock,
    fetch: () => requestJson(client, target, undefined, limits),
  })
}

/** An {@link ExternalAuthorizer} behind a URL, as `/v1/data/<package>` of Open Policy Agent. */
export function policyService(
  client: HttpClient,
  target: string,
  options: Omit<ExternalAuthorizerOptions, 'clock' | 'ask'> &
    Partial<Pick<ExternalAuthorizerOptions, 'clock'>> &
    Pick<JsonRequestOptions, 'maxBytes' | 'fields'> = {},
): ExternalAuthorizer {
  const { maxBytes, fields, clock = systemClock, ...rest } = options
  return new ExternalAuthorizer({
    ...rest,
    clock,
    ask: (input, signal) => requestJson(client, target, input, given({ signal, maxBytes, fields })),
  })
}

function jsonFields(fields: FieldsInit | undefined, asking: boolean): [string, string][] {
  const list: [string, string][] = [['accept', 'application/json']]
  if (asking) list.push(['content-type', 'application/json'])
  if (fields === undefined) return list
  const own = Symbol.iterator in fields ? fields : Object.entries(fields)
  for (const [name, value] of own as Iterable<readonly [string, string | readonly string[]]>) {
    for (const one of typeof value === 'string' ? [value] : value) list.push([name, one])
  }
  return list
}

function given(
  options: { [Key in keyof JsonRequestOptions]: JsonRequestOptions[Key] | undefined },
): JsonRequestOptions {
  const set = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(set) as JsonRequestOptions
}
