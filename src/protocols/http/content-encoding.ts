/**
 * Content codings (RFC 9110 8.4): decoding bodies within limits of expansion, choosing a coding by
 * `Accept-Encoding`, encoding responses that gain by it. The codecs come from the host.
 *
 *     Content-Encoding: gzip, br      encoded with gzip first, then with br; decoded backwards
 *
 * A bomb is stopped where it goes off: the codec counts while bytes come out, and one operation is
 * under way at a time, so no more is in memory than one step gives.
 */
import { checkInteger, checkRange, ProtocolError, UsageError } from '../../core/errors.ts'
import type { CompressionFactory, Host, Transformer } from '../../core/host.ts'
import type { Middleware } from '../../core/service.ts'
import { Body } from './body.ts'
import { HttpFields, listElements } from './fields.ts'
import { type HttpRequest, HttpResponse } from './messages.ts'
import { isBodiless } from './status.ts'
import { TransformedSource } from './transformed-source.ts'

export interface DecodeContentOptions {
  /**
   * Most bytes that one body may decode to.
   *
   * @default 1_073_741_824
   */
  maxDecodedBytes?: number
  /**
   * Most bytes decoded for each byte received, beyond the first `ratioFreeBytes`.
   *
   * @default 100
   */
  maxDecodedRatio?: number
  /**
   * Decoded bytes for which the ratio does not count.
   *
   * @default 1_048_576
   */
  ratioFreeBytes?: number
  /**
   * Most codings on top of one another.
   *
   * @default 2
   */
  maxCodings?: number
}

export const decodeContentDefaults: Readonly<Required<DecodeContentOptions>> = Object.freeze({
  // Streams may be long, and whoever collects one has a limit of its own (Body.bytes).
  maxDecodedBytes: 1_073_741_824,
  // Text compresses to a tenth, logs to a fiftieth; a bomb of deflate to a thousandth.
  maxDecodedRatio: 100,
  // What a bomb may cost before it is called one. Small repetitive bodies are no bombs.
  ratioFreeBytes: 1_048_576,
  // One is usual, two have been seen; each one costs a codec.
  maxCodings: 2,
})

export interface EncodeContentOptions {
  /**
   * Codings offered, the preferred one first; those the host lacks are left out.
   *
   * @default ['zstd', 'br', 'gzip']
   */
  codings?: readonly string[]
  /**
   * Bodies whose length is known to be below are sent as they are.
   *
   * @default 1_024
   */
  minBytes?: number
  /** Whether content of a type (lower case, without parameters) is worth compressing. */
  compressible?: (type: string) => boolean
}

export const encodeContentDefaults: Readonly<{ codings: readonly string[]; minBytes: number }> =
  Object.freeze({
    // By work per byte saved, at the qualities that suit answers made on the fly.
    codings: Object.freeze(['zstd', 'br', 'gzip']),
    // Less fits one packet with its head either way.
    minBytes: 1_024,
  })

type Codecs = Pick<Host, 'compression'>

/**
 * The body without its codings. `contentEncoding` undefined, empty or `identity`: the same body.
 *
 * @throws ProtocolError ERR_ENCODING (status 415) for a coding that is not known; ERR_LIMIT for too
 * many. Corrupt data and bombs fail the body that is returned.
 */
export function decodeBody(
  body: Body,
  contentEncoding: string | undefined,
  host: Codecs,
  options: DecodeContentOptions = {},
): Body {
  if (contentEncoding === undefined || body.isEmpty) return body
  const {
    maxDecodedBytes = decodeContentDefaults.maxDecodedBytes,
    maxDecodedRatio = decodeContentDefaults.maxDecodedRatio,
    ratioFreeBytes = decodeContentDefaults.ratioFreeBytes,
    maxCodings = decodeContentDefaults.maxCodings,
  } = options
  const limits = {
    maxOutputBytes: checkInteger('maxDecodedBytes', maxDecodedBytes, 0, Number.MAX_SAFE_INTEGER),
    maxRatio: checkRange('maxDecodedRatio', maxDecodedRatio, 1, Number.POSITIVE_INFINITY),
    ratioFreeBytes: checkInteger('ratioFreeBytes', ratioFreeBytes, 0, Number.MAX_SAFE_INTEGER),
  }
  checkInteger('maxCodings', maxCodings, 0, 16)
  const codings = listElements(contentEncoding).filter((one) => one !== '' && one !== 'identity')
  if (codings.length > maxCodings) {
    const message = `${codings.length} content codings, over maxCodings ${maxCodings}`
    throw new ProtocolError('ERR_LIMIT', message, { status: 415 })
  }
  let decoded = body
  for (const coding of codings.reverse()) {
    const codec = codecOf(host, ALIASES.get(coding) ?? coding)
    if (codec === undefined) {
      const message = `content coding ${JSON.stringify(coding)} is not supported`
      throw new ProtocolError('ERR_ENCODING', message, { status: 415 })
    }
    decoded = transformed(decoded, () => codec.decompress(limits))
  }
  return decoded
}

/**
 * The response with its body decoded, and without the fields that described the encoded one.
 * A response that has no coding is returned as it is.
 */
export function decodeResponse(
  response: HttpResponse,
  host: Codecs,
  options?: DecodeContentOptions,
): HttpResponse {
  const body = decodeBody(response.body, response.fields.get('content-encoding'), host, options)
  if (body === response.body) return response
  const fields = new HttpFields(response.fields)
  fields.delete('content-encoding')
  fields.delete('content-length')
  return withBody(response, fields, body)
}

/**
 * The coding to send, of `offered` (preferred first); undefined: none. RFC 9110 12.5.3.
 */
export function negotiateCoding(
  acceptEncoding: string | undefined,
  offered: readonly string[],
): string | undefined {
  if (acceptEncoding === undefined) return undefined // anything goes: the plain form is the safe one
  const weights = new Map<string, number>()
  for (const element of listElements(acceptEncoding)) {
    const [coding = '', ...parameters] = element.split(';')
    const name = coding.replace(/[ \t]+$/, '')
    if (name !== '') weights.set(ALIASES.get(name) ?? name, weightOf(parameters))
  }
  const rest = weights.get('*') ?? 0
  let best: string | undefined
  let bestWeight = weights.get('identity') ?? 0 // not named: wanted less than whatever is
  for (const coding of offered) {
    const weight = weights.get(coding) ?? rest
    if (weight > 0 && (weight > bestWeight || (best === undefined && weight === bestWeight))) {
      best = coding
      bestWeight = weight
    }
  }
  return best
}

/**
 * The response encoded as the request accepts it, where that gains something; `Vary` says that it
 * depends on the request either way.
 */
export function encodeResponse(
  request: HttpRequest,
  response: HttpResponse,
  host: Codecs,
  options: EncodeContentOptions = {},
): HttpResponse {
  const {
    codings = encodeContentDefaults.codings,
    minBytes = encodeContentDefaults.minBytes,
    compressible = isCompressible,
  } = options
  if (!gains(request, response, minBytes, compressible)) return response
  const offered = codings.filter((coding) => codecOf(host, coding) !== undefined)
  const coding = negotiateCoding(request.fields.get('accept-encoding'), offered)
  const fields = new HttpFields(response.fields)
  if (!fields.hasToken('vary', 'accept-encoding') && !fields.hasToken('vary', '*')) {
    fields.append('vary', 'accept-encoding')
  }
  if (coding === undefined) return withBody(response, fields, response.body)
  const codec = codecOf(host, coding)
  if (codec === undefined) throw new UsageError('ERR_ARGUMENT', `no codec for ${coding}`)
  fields.set('content-encoding', coding)
  fields.delete('content-length')
  fields.delete('accept-ranges')
  // Other bytes are another representation: only a weak tag may stay the same (RFC 9110 8.8.1).
  const tag = fields.get('etag')
  if (tag !== undefined && !tag.startsWith('W/')) fields.set('etag', `W/${tag}`)
  return withBody(
    response,
    fields,
    transformed(response.body, () => codec.compress()),
  )
}

/** {@link encodeResponse} around a service. */
export function compress(
  host: Codecs,
  options?: EncodeContentOptions,
): Middleware<HttpRequest, HttpResponse> {
  return (next) => (request, context) => {
    const reply = next(request, context)
    if (reply instanceof HttpResponse) return encodeResponse(request, reply, host, options)
    return reply.then((response) => encodeResponse(request, response, host, options))
  }
}

/** Text in its many forms. An event stream is not: each event must leave when it is written. */
export function isCompressible(type: string): boolean {
  if (type === 'text/event-stream') return false
  return /^text\/|^(application|image|font|model|message)\/.*\b(json|xml|javascript|ecmascript|yaml|wasm|graphql|ttf|otf|sfnt|toml|csv|x-ndjson|ld\+json|x-www-form-urlencoded|svg\+xml|bmp|x-icon|rfc822)$/.test(
    type,
  )
}

function gains(
  request: HttpRequest,
  response: HttpResponse,
  minBytes: number,
  compressible: (type: string) => boolean,
): boolean {
  const { status, body, fields, upgrade } = response
  if (request.method === 'HEAD' || isBodiless(status) || upgrade !== undefined) return false
  if (body.isEmpty || status === 206 || fields.has('content-range')) return false
  if (fields.has('content-encoding')) return false
  // RFC 9111 5.2.2.6: also binds the origin's own layers, which is what people use it for.
  if (fields.hasToken('cache-control', 'no-transform')) return false
  const { content } = body
  const length = typeof content === 'string' ? content.length : body.length
  if (length !== undefined && length < minBytes) return false
  const type = fields.get('content-type')
  if (type === undefined) return false
  return compressible((type.split(';')[0] as string).trim().toLowerCase())
}

/** `q=0.5` of an element; 1 where it says nothing, 0 where it says something else. */
function weightOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const match = /^[ \t]*q[ \t]*=[ \t]*(.*?)[ \t]*$/.exec(parameter)
    if (match === null) continue
    return /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(match[1] as string) ? Number(match[1]) : 0
  }
  return 1
}

function transformed(body: Body, create: () => Transformer): Body {
  return Body.from(new TransformedSource(body, create))
}

function withBody(response: HttpResponse, fields: HttpFields, body: Body): HttpResponse {
  const { status, reason, version, upgrade } = response
  const copy = new HttpResponse({
    status,
    fields,
    body,
    version,
    ...(reason !== undefined && { reason }),
    ...(upgrade !== undefined && { upgrade }),
  })
  copy.connection = response.connection
  return copy
}

/** The name comes from a peer: `constructor` is no codec. LZ4 is no content coding of HTTP. */
function codecOf(host: Codecs, coding: string): CompressionFactory | undefined {
  if (coding === 'lz4') return undefined
  return Object.hasOwn(host.compression, coding) ? host.compression[coding] : undefined
}

/** RFC 9110 8.4.1.3. */
const ALIASES: ReadonlyMap<string, string> = new Map([['x-gzip', 'gzip']])
