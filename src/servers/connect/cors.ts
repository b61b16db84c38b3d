/**
 * Cross-origin calls of browsers (https://fetch.spec.whatwg.org/#http-cors-protocol): answers preflights
 * and says which pages may read the answers.
 *
 *     const service = cors({ origins: ['https://app.example'] })(rpcServer([users]))
 *
 * Fields of gRPC, gRPC-Web and Connect are allowed and exposed; metadata of one's own is named in
 * `allowFields` and `exposeFields`.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { HttpFields, isToken } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'

export interface CorsOptions {
  /**
   * Origins whose pages may call: `https://app.example`, or `*` for any. There is no default, because
   * a browser sends what it has for this server along with a page's call.
   */
  origins: readonly string[] | '*'
  /**
   * Lets pages send cookies and client certificates. Not with `origins: '*'`.
   *
   * @default false
   */
  credentials?: boolean
  /** Further fields that a page may send, such as `authorization`. @default none */
  allowFields?: readonly string[]
  /** Further fields that a page may read. @default none */
  exposeFields?: readonly string[]
  /**
   * How long a browser may keep the answer to a preflight, in seconds.
   *
   * @default 7_200, the most that Chromium takes
   */
  maxAgeSeconds?: number
}

export const corsDefaults: Readonly<{ credentials: boolean; maxAgeSeconds: number }> =
  Object.freeze({ credentials: false, maxAgeSeconds: 7_200 })

/** @throws UsageError ERR_OPTION_UNSUPPORTED for credentials of any origin, ERR_ARGUMENT */
export function cors(options: CorsOptions): Middleware<HttpRequest, HttpResponse> {
  const { origins, credentials = corsDefaults.credentials } = options
  const {
    maxAgeSeconds = corsDefaults.maxAgeSeconds,
    allowFields = [],
    exposeFields = [],
  } = options
  checkInteger('maxAgeSeconds', maxAgeSeconds, 0, 86_400)
  if (origins === '*' && credentials) {
    throw new UsageError('ERR_OPTION_UNSUPPORTED', 'credentials need origins that are named')
  }
  const allowed = origins === '*' ? undefined : new Set(origins.map(checkOrigin))
  const exposed = [...EXPOSED, ...exposeFields.map(checkField)].join(', ')
  const preflight: readonly string[] = [
    ...['access-control-allow-methods', 'GET, POST'],
    ...['access-control-allow-headers', [...ALLOWED, ...allowFields.map(checkField)].join(', ')],
    ...['access-control-max-age', String(maxAgeSeconds)],
  ]
  const grant = (origin: string, fields: HttpFields): HttpFields => {
    fields.set('access-control-allow-origin', allowed === undefined ? '*' : origin)
    if (credentials) fields.set('access-control-allow-credentials', 'true')
    return fields
  }
  const share = (origin: string, response: HttpResponse): HttpResponse => {
    grant(origin, response.fields).set('access-control-expose-headers', exposed)
    return response
  }
  return (next) => (request, context) => {
    const origin = request.fields.get('origin')
    const granted = origin !== undefined && (allowed === undefined || allowed.has(origin))
    if (isPreflight(request)) {
      const fields = new HttpFields()
      if (granted) grant(origin, fields)
      for (let at = 0; granted && at < preflight.length; at += 2) {
        fields.set(preflight[at] as string, preflight[at + 1] as string)
      }
      return varied(new HttpResponse({ status: 204, fields }), allowed)
    }
    const reply: MaybePromise<HttpResponse> = next(request, context)
    const finish = (response: HttpResponse): HttpResponse =>
      varied(granted ? share(origin, response) : response, allowed)
    return reply instanceof HttpResponse ? finish(reply) : reply.then(finish)
  }
}

function isPreflight(request: HttpRequest): boolean {
  return request.method === 'OPTIONS' && request.fields.has('access-control-request-method')
}

/** Whatever was answered, another origin may be answered otherwise. */
function varied(response: HttpResponse, allowed: ReadonlySet<string> | undefined): HttpResponse {
  const { fields } = response
  if (allowed !== undefined && !fields.hasToken('vary', 'origin')) fields.append('vary', 'origin')
  return response
}

function checkOrigin(origin: string): string {
  const known = !origin.includes('*') && URL.canParse(origin)
  if (known && new URL(origin).origin === origin) return origin
  throw new UsageError(
    'ERR_ARGUMENT',
    `${JSON.stringify(origin)} is no origin: scheme://host[:port]`,
  )
}

function checkField(name: string): string {
  if (isToken(name)) return name.toLowerCase()
  throw new UsageError('ERR_ARGUMENT', `field name ${JSON.stringify(name)} is not a token`)
}

const ALLOWED: readonly string[] = [
  'content-type',
  'connect-protocol-version',
  'connect-timeout-ms',
  'grpc-timeout',
  'x-grpc-web',
  'x-user-agent',
]
const EXPOSED: readonly string[] = ['grpc-status', 'grpc-message', 'grpc-status-details-bin']
