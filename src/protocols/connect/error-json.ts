/**
 * Errors and ends of streams of the Connect protocol, as JSON.
 *
 *     {"code":"not_found","message":"no such user",
 *      "details":[{"type":"google.rpc.RetryInfo","value":"CgIIPA"}]}          a unary answer's body
 *     {"error":{"code":"…"},"metadata":{"x-quota":["7"]}}                     the last envelope
 *
 * What a peer sends is taken with care: an object without a code that is known has the code that its
 * HTTP status stands for, and details that cannot be read are left out, as the specification asks.
 */
import { ProtocolError } from '../../core/errors.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { connectCodeName, connectCodeOf } from './codes.ts'

/** A message of `google.rpc.Status.details`: its full name, without a prefix, and its bytes. */
export interface ErrorDetail {
  readonly type: string
  readonly value: Uint8Array
}

export interface ConnectErrorFields {
  /** gRPC's number, 1 to 16. */
  readonly code: number
  readonly message: string
  readonly details: readonly ErrorDetail[]
}

export interface EndOfStream {
  readonly error: ConnectErrorFields | undefined
  /** Trailers: lower-case names, each value on its own. */
  readonly metadata: readonly (readonly [name: string, value: string])[]
}

/** The body of a unary answer with an error. */
export function encodeConnectError(error: ConnectErrorFields): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(JSON.stringify(errorToJson(error)))
}

/**
 * @param fallbackCode what it is when the body does not say it: by the HTTP status
 * @returns undefined: not an error of Connect's
 */
export function parseConnectError(
  body: Uint8Array,
  fallbackCode: number,
): ConnectErrorFields | undefined {
  let json: unknown
  try {
    json = JSON.parse(DECODER.decode(body))
  } catch {
    return undefined
  }
  return errorFromJson(json, fallbackCode)
}

export function encodeEndOfStream(end: EndOfStream): Uint8Array<ArrayBuffer> {
  const metadata: Record<string, string[]> = Object.create(null)
  for (const [name, value] of end.metadata) {
    const values = (metadata[name] ??= [])
    values.push(value)
  }
  return ENCODER.encode(
    JSON.stringify({
      ...(end.error !== undefined && { error: errorToJson(end.error) }),
      ...(end.metadata.length > 0 && { metadata }),
    }),
  )
}

/** @throws ProtocolError ERR_MALFORMED for what is no end of a stream */
export function parseEndOfStream(payload: Uint8Array): EndOfStream {
  let json: unknown
  try {
    json = JSON.parse(DECODER.decode(payload))
  } catch (cause) {
    throw new ProtocolError('ERR_MALFORMED', 'the end of the stream is not JSON', { cause })
  }
  if (!isObject(json)) {
    throw new ProtocolError('ERR_MALFORMED', 'the end of the stream is not an object')
  }
  const { error, metadata } = json
  const fields = error === undefined || error === null ? undefined : errorFromJson(error, UNKNOWN)
  if (fields === undefined && error !== undefined && error !== null) {
    throw new ProtocolError('ERR_MALFORMED', 'the error at the end of the stream is not an object')
  }
  return { error: fields, metadata: metadataFromJson(metadata) }
}

function errorToJson(error: ConnectErrorFields): Record<string, unknown> {
  return {
    code: connectCodeName(error.code),
    ...(error.message !== '' && { message: error.message }),
    ...(error.details.length > 0 && {
      details: error.details.map(({ type, value }) => ({
        type,
        value: encodeBase64(value, { padding: false }),
      })),
    }),
  }
}

function errorFromJson(json: unknown, fallbackCode: number): ConnectErrorFields | undefined {
  if (!isObject(json)) return undefined
  const { code, message, details } = json
  return {
    code: connectCodeOf(code) ?? fallbackCode,
    message: typeof message === 'string' ? message : '',
    details: Array.isArray(details) ? details.flatMap(detailFromJson) : [],
  }
}

function detailFromJson(json: unknown): ErrorDetail[] {
  if (!isObject(json)) return []
  const { type, value } = json
  if (typeof type !== 'string' || typeof value !== 'string') return []
  const bytes = decodeBase64(value)
  return bytes === undefined ? [] : [{ type, value: bytes }]
}

function metadataFromJson(json: unknown): [string, string][] {
  if (json === undefined || json === null) return []
  if (!isObject(json)) throw new ProtocolError('ERR_MALFORMED', 'metadata is not an object')
  const metadata: [string, string][] = []
  for (const [name, values] of Object.entries(json)) {
    if (!Array.isArray(values) || values.some((value) => typeof value !== 'string')) {
      throw new ProtocolError('ERR_MALFORMED', 'metadata holds something else than lists of text')
    }
    for (const value of values as string[]) metadata.push([name.toLowerCase(), value])
  }
  return metadata
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const UNKNOWN = 2
const ENCODER = new TextEncoder()
const DECODER = new TextDecoder()
