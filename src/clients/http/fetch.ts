/**
 * The fetch API over an HTTP service: `createFetch(agent.call)` has the signature of `fetch`.
 *
 * Made for code that already speaks fetch. A service called directly is several times cheaper: the
 * fetch classes cost more than the wire.
 */
import { Call } from '../../core/context.ts'
import { UsageError } from '../../core/errors.ts'
import type { Source } from '../../core/flow.ts'
import { toWebStream, webStreamSource } from '../../links/web-stream/web-stream.ts'
import { Body } from '../../protocols/http/body.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { type DecompressOptions, decompress } from './decompress.ts'
import { followRedirects, type RedirectOptions } from './redirect.ts'

export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

export interface FetchOptions extends RedirectOptions {
  /** Limits of decoding compressed answers; `false`: neither asked for nor decoded. */
  decompress?: DecompressOptions | false
}

export function createFetch(service: HttpService, options: FetchOptions = {}): Fetch {
  const { decompress: decoding = {}, ...redirects } = options
  const following = followRedirects(redirects)
  const decoded = decoding === false ? service : decompress(decoding)(service)
  return async (input, init) => {
    const request = new Request(input, init)
    const context = new Call({ signal: request.signal })
    let location = request.url
    let calls = 0
    const traced: HttpService = (message, call) => {
      location = message.url.href
      calls++
      return decoded(message, call)
    }
    try {
      const call = request.redirect === 'follow' ? following(traced) : traced
      const response = await call(await toMessage(request), context)
      if (request.redirect === 'error' && response.status >= 300 && response.status < 400) {
        response.body.discard()
        throw new UsageError('ERR_STATE', `redirect ${response.status} from ${location}`)
      }
      return toFetchResponse(response, location, calls > 1, context)
    } catch (error) {
      context.finish()
      throw error
    }
  }
}

async function toMessage(request: Request): Promise<HttpRequest> {
  const url = new URL(request.url)
  const list: string[] = []
  for (const [name, value] of request.headers) list.push(name, value)
  if (!request.headers.has('accept')) list.push('accept', '*/*')
  return new HttpRequest({
    method: request.method,
    scheme: url.protocol === 'https:' ? 'https' : 'http',
    authority: url.host,
    target: url.pathname + url.search,
    fields: HttpFields.fromTrusted(list),
    body: await requestBody(request),
  })
}

/**
 * A body that a `Request` was given whole is read at once, so that a redirect or retry can send it
 * again; a stream stays one. The standard does not tell which it was: a length does.
 */
async function requestBody(request: Request): Promise<Body | undefined> {
  const { body } = request
  if (body === null) return undefined
  const first: Uint8Array[] = []
  const reader = body.getReader()
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return Body.from(Buffer.concat(first))
    first.push(value)
    length += value.byteLength
    if (length > MAX_REPLAY_BYTES) break
  }
  reader.releaseLock()
  return Body.from(prepend(Buffer.concat(first), webStreamSource(body)))
}

/** A source with bytes in front. */
function prepend(head: Uint8Array, rest: Source<Uint8Array>): Source<Uint8Array> {
  const source: Source<Uint8Array> = {
    open(sink) {
      const flow = rest.open(sink)
      let pending: Uint8Array | undefined = head
      return {
        resume() {
          const bytes = pending
          pending = undefined
          if (bytes === undefined || sink.write(bytes)) flow.resume()
        },
        cancel: (reason) => flow.cancel(reason),
      }
    },
    [Symbol.asyncIterator]: () => rest[Symbol.asyncIterator](),
  }
  return source
}

function toFetchResponse(
  message: HttpResponse,
  url: string,
  redirected: boolean,
  context: Call,
): Response {
  const headers = new Headers()
  for (const [name, value] of message.fields) headers.append(name, value)
  const nullBody = NULL_BODY_STATUS.has(message.status) || message.body.isEmpty
  if (nullBody) {
    message.body.discard()
    context.finish()
  }
  const response = new Response(
    nullBody ? null : toWebStream(message.body, () => context.finish()),
    {
      status: message.status,
      statusText: message.reason ?? '',
      headers,
    },
  )
  Object.defineProperty(response, 'url', { value: url })
  Object.defineProperty(response, 'redirected', { value: redirected })
  return response
}

const NULL_BODY_STATUS: ReadonlySet<number> = new Set([101, 204, 205, 304])
/** Bodies up to this are kept for a redirect or retry; longer ones are streamed. */
const MAX_REPLAY_BYTES = 65_536
