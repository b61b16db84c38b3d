/**
 * Runs a fetch-style handler `(Request) => Response` as an `HttpService`.
 *
 *     httpServer(fetchHandler((request) => new Response(`hello ${new URL(request.url).pathname}`)))
 *
 * The `Request` is made lazily: method, url, headers and the body readers come straight from the
 * received message, and a real `Request` is built only for what is left (`clone`, `formData`, …).
 * A handler that is in a hurry may return an `HttpResponse` instead of a `Response`.
 */
import type { CallContext } from '../../core/context.ts'
import type { MaybePromise } from '../../core/service.ts'
import { toWebStream, webStreamSource } from '../../links/web-stream/web-stream.ts'
import { Body, DEFAULT_MAX_COLLECT_BYTES } from '../../protocols/http/body.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'

export type FetchHandler = (
  request: Request,
  context: CallContext,
) => MaybePromise<Response | HttpResponse>

export interface FetchHandlerOptions {
  /**
   * Longest body that `text()`, `json()` and the like collect.
   *
   * @default 16 MiB, as Body.bytes
   */
  maxBodyBytes?: number
}

export function fetchHandler(
  handler: FetchHandler,
  options: FetchHandlerOptions = {},
): HttpService {
  const { maxBodyBytes = DEFAULT_MAX_COLLECT_BYTES } = options
  return (request, context) => {
    const reply = handler(toFetchRequest(request, context, maxBodyBytes), context)
    return reply instanceof Promise ? reply.then(fromFetchResponse) : fromFetchResponse(reply)
  }
}

/** A received message as a fetch `Request`, made lazily. */
export function toFetchRequest(
  request: HttpRequest,
  context: CallContext,
  maxBodyBytes: number = DEFAULT_MAX_COLLECT_BYTES,
): Request {
  return new LazyRequest(request, context, maxBodyBytes) as unknown as Request
}

/** A fetch `Response` as a message. Its body is streamed; `Content-Length` is kept where it is set. */
export function fromFetchResponse(response: Response | HttpResponse): HttpResponse {
  if (response instanceof HttpResponse) return response
  const list: string[] = []
  // Iteration yields each Set-Cookie on its own, everything else joined.
  for (const [name, value] of response.headers) list.push(name, value)
  const { body } = response
  const length = response.headers.get('content-length')
  return new HttpResponse({
    status: response.status,
    ...(response.statusText !== '' && { reason: response.statusText }),
    fields: HttpFields.fromTrusted(list),
    body:
      body === null
        ? undefined
        : Body.from(webStreamSource(body), length === null ? undefined : Number(length)),
  })
}

/** Quacks as a `Request` (and is an instance of it); builds the real one when it must. */
class LazyRequest {
  readonly #message: HttpRequest
  readonly #context: CallContext
  readonly #maxBodyBytes: number
  #headers: Headers | undefined
  #body: ReadableStream<Uint8Array> | null | undefined
  #real: Request | undefined

  constructor(message: HttpRequest, context: CallContext, maxBodyBytes: number) {
    this.#message = message
    this.#context = context
    this.#maxBodyBytes = maxBodyBytes
  }

  get method(): string {
    return this.#message.method
  }
  get url(): string {
    const { target, scheme, authority } = this.#message
    return target.startsWith('/') ? `${scheme}://${authority}${target}` : this.#message.url.href
  }
  get headers(): Headers {
    if (this.#headers === undefined) {
      this.#headers = new Headers()
      for (const [name, value] of this.#message.fields) this.#headers.append(name, value)
    }
    return this.#headers
  }
  get signal(): AbortSignal {
    return this.#context.signal
  }
  get body(): ReadableStream<Uint8Array> | null {
    if (this.#body === undefined) {
      const { body } = this.#message
      this.#body = body.isEmpty ? null : toWebStream(body)
    }
    return this.#body
  }
  get bodyUsed(): boolean {
    return this.#message.body.used && (this.#real?.bodyUsed ?? true)
  }
  get redirect(): Request['redirect'] {
    return 'follow'
  }
  get duplex(): 'half' {
    return 'half'
  }

  async text(): Promise<string> {
    return this.#direct() ? this.#message.body.text(this.#maxBodyBytes) : this.#toReal().text()
  }
  async json(): Promise<unknown> {
    return JSON.parse(await this.text())
  }
  async bytes(): Promise<Uint8Array> {
    if (this.#direct()) return this.#message.body.bytes(this.#maxBodyBytes)
    return new Uint8Array(await this.#toReal().arrayBuffer())
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.bytes()
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
  }
  async blob(): Promise<Blob> {
    return this.#toReal().blob()
  }
  async formData(): Promise<FormData> {
    return this.#toReal().formData()
  }
  clone(): Request {
    return this.#toReal().clone()
  }

  /** Whether the body can still be read without the detour over a web stream. */
  #direct(): boolean {
    return this.#real === undefined && this.#body === undefined
  }

  #toReal(): Request {
    this.#real ??= new Request(this.url, {
      method: this.method,
      headers: this.headers,
      body: this.body,
      signal: this.signal,
      duplex: 'half',
    } as RequestInit)
    return this.#real
  }
}
Object.setPrototypeOf(LazyRequest.prototype, Request.prototype)
