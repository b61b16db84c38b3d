/**
 * A heddle agent as a dispatcher of undici 7 and 8, so that code written for them (and Node's own
 * `fetch` from Node 24 on) runs over our transports, with our retries, breakers and deadlines.
 *
 *     const dispatcher = heddleDispatcher(httpAgent())
 *     await fetch('https://a.example/', { dispatcher })
 *     await undici.request('https://a.example/', { dispatcher })
 *
 * Undici's `bodyTimeout`, `blocking` and `reset` have no meaning here: the agent's options say.
 */
import { EventEmitter } from 'node:events'
import type { Clock } from '../../core/clock.ts'
import { Call } from '../../core/context.ts'
import { ClosedError, TimeoutError, toError, UsageError } from '../../core/errors.ts'
import type { Flow, Sink } from '../../core/flow.ts'
import type { Client } from '../../core/service.ts'
import { iterableSource } from '../../links/web-stream/iterable-source.ts'
import { webStreamSource } from '../../links/web-stream/web-stream.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { Body } from '../../protocols/http/body.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import { type FormPart, randomBoundary, writeMultipart } from '../../protocols/http/multipart.ts'
import { toDuplex } from '../../transports/node-stream/to-duplex.ts'
import type {
  UndiciBody,
  UndiciController,
  UndiciDispatchOptions,
  UndiciHandler,
  UndiciHeaderObject,
  UndiciHeaders,
} from './undici-types.ts'

type HttpCaller = Pick<Client<HttpRequest, HttpResponse>, 'call' | 'close'>

/** @param agent owned by the caller unless the dispatcher is closed */
export function heddleDispatcher(agent: HttpCaller): HeddleDispatcher {
  return new HeddleDispatcher(agent)
}

export class HeddleDispatcher extends EventEmitter implements AsyncDisposable {
  readonly #agent: HttpCaller
  readonly #exchanges = new Set<Dispatched>()
  #closing: Promise<void> | undefined
  #destroyed = false

  constructor(agent: HttpCaller) {
    super()
    this.#agent = agent
  }

  get closed(): boolean {
    return this.#closing !== undefined
  }

  get destroyed(): boolean {
    return this.#destroyed
  }

  /** @returns true: the agent's pools queue and refuse, a dispatcher never needs to be waited for */
  dispatch(options: UndiciDispatchOptions, handler: UndiciHandler): boolean {
    if (typeof handler !== 'object' || handler === null) {
      throw new UsageError('ERR_ARGUMENT', 'a dispatch needs a handler')
    }
    if (handler.onResponseError === undefined && 'onError' in handler) {
      throw new UsageError('ERR_ARGUMENT', 'handlers of undici before 7 are not supported')
    }
    const exchange = new Dispatched(handler, systemClock)
    if (this.#closing !== undefined) {
      exchange.fail(new ClosedError('ERR_CLOSED', 'the dispatcher is closed'))
      return true
    }
    this.#exchanges.add(exchange)
    exchange.run(this.#agent, options).finally(() => this.#exchanges.delete(exchange))
    return true
  }

  close(): Promise<void>
  close(callback: () => void): void
  close(callback?: () => void): Promise<void> | void {
    this.#closing ??= this.#agent.close()
    if (callback === undefined) return this.#closing
    this.#closing.then(() => callback())
  }

  /** Aborts what is under way with `reason`, then closes the agent. */
  destroy(reason?: Error | null): Promise<void>
  destroy(reason: Error | null, callback: () => void): void
  destroy(callback: () => void): void
  destroy(reason?: Error | null | (() => void), callback?: () => void): Promise<void> | void {
    const done = typeof reason === 'function' ? reason : callback
    const error =
      reason instanceof Error
        ? reason
        : new ClosedError('ERR_CLOSED', 'the dispatcher was destroyed', { sent: 'some' })
    this.#destroyed = true
    for (const exchange of [...this.#exchanges]) exchange.abort(error)
    this.#closing ??= this.#agent.close({ signal: AbortSignal.abort(error) })
    if (done === undefined) return this.#closing
    this.#closing.then(() => done())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** One dispatch: undici's controller, and the sink of the response's body. */
class Dispatched implements UndiciController, Sink<Uint8Array> {
  aborted = false
  paused = false
  reason: Error | null = null
  rawHeaders: Buffer[] | null = null
  rawTrailers: Buffer[] | null = null
  readonly #handler: UndiciHandler
  readonly #clock: Clock
  readonly #call = new Call()
  readonly #over = Promise.withResolvers<void>()
  #response: HttpResponse | undefined
  #flow: Flow | undefined
  #done = false

  constructor(handler: UndiciHandler, clock: Clock) {
    this.#handler = handler
    this.#clock = clock
  }

  /** Resolves when the handler has heard its last. */
  async run(agent: HttpCaller, options: UndiciDispatchOptions): Promise<void> {
    try {
      this.#handler.onRequestStart?.(this, {})
      if (!this.aborted) await this.#exchange(agent, options)
    } catch (error) {
      this.fail(toError(error))
    }
    await this.#over.promise
  }

  abort(reason: Error): void {
    if (this.aborted || this.#done) return
    this.aborted = true
    this.reason = reason
    this.#call.cancel(reason)
    this.#flow?.cancel(reason)
    this.fail(reason)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.#flow?.resume()
  }

  write(chunk: Uint8Array): boolean {
    this.#tell(() => this.#handler.onResponseData?.(this, Buffer.from(chunk)))
    return !this.paused && !this.#done
  }

  end(): void {
    const trailers = this.#response?.body.trailers
    if (trailers !== undefined) this.rawTrailers = rawFields(trailers)
    this.#finish()
    this.#handler.onResponseEnd?.(this, trailers === undefined ? {} : headerObject(trailers))
  }

  fail(error: Error): void {
    if (this.#done) return
    this.#finish()
    this.#handler.onResponseError?.(this, error)
  }

  async #exchange(agent: HttpCaller, options: UndiciDispatchOptions): Promise<void> {
    const request = toRequest(options)
    request.inform = (status, fields) => this.#head(status, new HttpFields(fields), undefined)
    const timer = this.#startHeadersTimer(options.headersTimeout)
    let response: HttpResponse
    try {
      response = await agent.call(request, this.#call)
    } finally {
      timer?.cancel()
    }
    if (this.#done) return response.body.discard()
    this.#response = response
    if (request.method === 'CONNECT' || options.upgrade) return this.#upgrade(response)
    this.#handler.onResponseStarted?.()
    this.#head(response.status, response.fields, response.reason)
    if (this.#done) return response.body.discard()
    this.#flow = response.body.open(this)
    if (!this.paused) this.#flow.resume()
  }

  #head(status: number, fields: HttpFields, reason: string | undefined): void {
    this.rawHeaders = rawFields(fields)
    this.#tell(() => {
      this.#handler.onResponseStart?.(this, status, headerObject(fields), reason ?? '')
    })
  }

  #upgrade(response: HttpResponse): void {
    const { connection, status, fields } = response
    if (connection === undefined) {
      response.body.discard()
      return this.fail(new ClosedError('ERR_CLOSED', `no upgrade: the answer was ${status}`))
    }
    this.rawHeaders = rawFields(fields)
    const socket = toDuplex(connection)
    this.#finish()
    if (this.#handler.onRequestUpgrade === undefined) socket.destroy()
    else this.#handler.onRequestUpgrade(this, status, headerObject(fields), socket)
  }

  #startHeadersTimer(timeoutMs: number | null | undefined): { cancel(): void } | undefined {
    if (timeoutMs === undefined || timeoutMs === null || timeoutMs === 0) return undefined
    return this.#clock.setTimer(this.#clock.now() + timeoutMs, () => {
      const message = `no response after headersTimeout ${timeoutMs} ms`
      this.abort(new TimeoutError('ERR_DEADLINE', message))
    })
  }

  /** A handler that throws ends its own exchange, as undici does it. */
  #tell(callback: () => void): void {
    if (this.#done) return
    try {
      callback()
    } catch (error) {
      this.abort(toError(error))
    }
  }

  #finish(): void {
    this.#done = true
    this.#call.finish()
    this.#over.resolve()
  }
}

function toRequest(options: UndiciDispatchOptions): HttpRequest {
  const { origin, path, method, query, upgrade } = options
  const url = URL.parse(String(origin ?? ''))
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError('ERR_ARGUMENT', `origin '${origin}' is not an http or https URL`)
  }
  const fields = toFields(options.headers)
  const body = toBody(options.body, fields)
  if (upgrade) {
    fields.set('connection', 'upgrade')
    fields.set('upgrade', upgrade === true ? 'websocket' : upgrade)
  }
  return new HttpRequest({
    method,
    scheme: url.protocol === 'https:' ? 'https' : 'http',
    authority: url.host,
    target: method === 'CONNECT' ? path : withQuery(path, query),
    fields,
    ...(body !== undefined && { body }),
  })
}

function withQuery(path: string, query: UndiciDispatchOptions['query']): string {
  if (query === undefined || query === null) return path
  const parts: string[] = []
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === undefined) continue
      parts.push(
        `${encodeURIComponent(name)}=${encodeURIComponent(one === null ? '' : String(one))}`,
      )
    }
  }
  return parts.length === 0 ? path : `${path}${path.includes('?') ? '&' : '?'}${parts.join('&')}`
}

function toFields(headers: UndiciHeaders | undefined): HttpFields {
  const fields = new HttpFields()
  if (headers === undefined || headers === null) return fields
  const add = (name: string, value: string | readonly string[] | undefined): void => {
    if (value === undefined) return
    for (const one of Array.isArray(value) ? value : [value]) fields.append(name, String(one))
  }
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    for (let at = 0; at < headers.length; at += 2) add(headers[at], headers[at + 1])
    return fields
  }
  const entries = Symbol.iterator in headers ? headers : Object.entries(headers)
  for (const [name, value] of entries as Iterable<[string, string | string[]]>) add(name, value)
  return fields
}

/** The length that the fields state is kept as the body's own. */
function toBody(body: UndiciBody | undefined, fields: HttpFields): Body | undefined {
  const stated = fields.get('content-length')
  const length = stated !== undefined && /^\d{1,15}$/.test(stated) ? Number(stated) : undefined
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string' || body instanceof Uint8Array) return Body.from(body)
  if (body instanceof ArrayBuffer) return Body.from(new Uint8Array(body))
  if (isForm(body)) return formBody(body, fields)
  if (body instanceof Blob) return Body.from(webStreamSource(body.stream()), body.size)
  if (body instanceof ReadableStream) return Body.from(webStreamSource(body), length)
  return Body.from(iterableSource(body), length)
}

/** By name: a form of undici's package is none of Node's class. */
function isForm(body: object): body is FormData {
  return (body as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === 'FormData'
}

function formBody(form: FormData, fields: HttpFields): Body {
  const parts: FormPart[] = []
  for (const [name, value] of form) {
    if (typeof value === 'string') parts.push({ name, body: value })
    else {
      const content = Body.from(webStreamSource(value.stream()), value.size)
      const type = value.type || 'application/octet-stream'
      parts.push({ name, filename: value.name, type, body: content })
    }
  }
  const { contentType, body } = writeMultipart(parts, randomBoundary(nodeHost))
  fields.set('content-type', contentType)
  return body
}

function headerObject(fields: HttpFields): UndiciHeaderObject {
  const headers: UndiciHeaderObject = {}
  fields.forEach((name, value) => {
    const key = name.toLowerCase()
    const before = Object.hasOwn(headers, key) ? headers[key] : undefined
    if (before === undefined) {
      // Not by assignment: a field may be called `__proto__`.
      Object.defineProperty(headers, key, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    } else if (Array.isArray(before)) before.push(value)
    else headers[key] = [before, value]
  })
  return headers
}

function rawFields(fields: HttpFields): Buffer[] {
  return fields.toFlat().map((text) => Buffer.from(text, 'latin1'))
}
