/**
 * HTTP semantics (RFC 9110), the same for every version: a service is written against these.
 *
 *     const hello: HttpService = () => HttpResponse.text('hello')
 */
import type { Connection } from '../../core/connection.ts'
import type { TraceContext } from '../../core/context.ts'
import type { Service } from '../../core/service.ts'
import { Body, type BodyInit } from './body.ts'
import { type FieldsInit, HttpFields } from './fields.ts'

export type HttpVersion = '1.0' | '1.1' | '2' | '3'

export interface HttpRequestInit {
  method?: string
  /** Path and query (`/a?b=c`), `*`, or `host:port` for CONNECT. */
  target?: string
  scheme?: 'http' | 'https'
  /** Host and optional port, as in `Host` and `:authority`. */
  authority?: string
  fields?: FieldsInit
  body?: BodyInit
  version?: HttpVersion
  /** The template of the path (`/users/{id}`), low in cardinality: names spans and metrics. */
  route?: string | undefined
  /**
   * `:protocol` of an extended CONNECT (RFC 8441), such as `websocket`: the method is CONNECT, and
   * the target a path. HTTP/1.1 has none.
   */
  protocol?: string | undefined
}

/** A request that the client has not made (RFC 9113 8.4). */
export interface PushInit {
  /** Path and query. */
  target: string
  /** @default 'GET' */
  method?: 'GET' | 'HEAD'
  /** What the client would have sent: what the answer varies by. */
  fields?: FieldsInit
}

export class HttpRequest {
  readonly method: string
  readonly target: string
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly fields: HttpFields
  readonly body: Body
  readonly version: HttpVersion
  /** `:protocol` of an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined
  /**
   * The template that the path follows, `/users/{id}`. A service that routes sets it; spans and
   * metrics are named by it.
   */
  route: string | undefined
  /** Server side: the trace it belongs to; with a tracer, its own span. */
  trace: TraceContext | undefined
  /** Server side: the connection it came on, for facts. Its bytes are the session's. */
  connection: Connection | undefined
  /** Server side: sends an interim (1xx) response, such as 103 Early Hints. */
  inform: ((status: number, fields?: FieldsInit) => void) | undefined
  /**
   * Server side, HTTP/2, where the client takes pushes: promises the answer to another request of
   * the same authority, and has the same service give it, at once. Before the end of this one's
   * response, and best before what makes the client ask for it.
   *
   * @returns false: no room for another, or too late; nothing was sent
   * @throws UsageError ERR_ARGUMENT for what cannot be pushed
   */
  push: ((init: PushInit) => boolean) | undefined
  /** What a service wants to find again when its server reports the exchange; nobody else looks. */
  note: unknown

  constructor(init: HttpRequestInit = {}) {
    this.method = init.method ?? 'GET'
    this.target = init.target ?? '/'
    this.scheme = init.scheme ?? 'http'
    this.authority = init.authority ?? ''
    this.fields = toFields(init.fields)
    this.body = Body.from(init.body)
    this.version = init.version ?? '1.1'
    this.protocol = init.protocol
    this.route = init.route
    this.trace = undefined
    this.connection = undefined
    this.inform = undefined
    this.push = undefined
    this.note = undefined
  }

  /** The target without its query. */
  get path(): string {
    const query = this.target.indexOf('?')
    return query < 0 ? this.target : this.target.slice(0, query)
  }

  get url(): URL {
    // Joined as text: resolved as a reference, a target such as `//evil.example/` would be a host.
    const path = this.target.startsWith('/') ? this.target : '/'
    return new URL(`${this.scheme}://${this.authority || 'localhost'}${path}`)
  }
}

export interface HttpResponseInit {
  status?: number
  /** HTTP/1.1 reason phrase; the standard one by default. */
  reason?: string
  fields?: FieldsInit
  body?: BodyInit
  version?: HttpVersion
  /**
   * Server side, with status 101 (or 2xx to CONNECT): takes the connection over once the response
   * head has left. The connection has been detached and is the callee's.
   */
  upgrade?: (connection: Connection) => void
}

/** Client side: the exchange that a response's body is still coming from. */
export interface ResponseExchange {
  readonly over: boolean
  /** Gives the rest up: it is cancelled on the wire, and whoever reads the body gets `reason`. */
  abort(reason: Error): void
  /** Called once when it is over, however it ended. One callback: whoever made the call. */
  onOver: (() => void) | undefined
}

export class HttpResponse {
  readonly status: number
  readonly reason: string | undefined
  readonly fields: HttpFields
  readonly body: Body
  readonly version: HttpVersion
  readonly upgrade: ((connection: Connection) => void) | undefined
  /**
   * Client side, after status 101 or 2xx to CONNECT: the detached connection, the caller's. In
   * HTTP/2 it is made of the exchange, and others go on beside it.
   */
  connection: Connection | undefined
  /**
   * Client side, while the body is not through; undefined when it came whole. In HTTP/2 also while
   * the request's body is not, which goes on behind an early response.
   */
  exchange: ResponseExchange | undefined

  constructor(init: HttpResponseInit = NO_INIT) {
    this.status = init.status ?? 200
    this.reason = init.reason
    this.fields = toFields(init.fields)
    this.body = Body.from(init.body)
    this.version = init.version ?? '1.1'
    this.upgrade = init.upgrade
    this.connection = undefined
    this.exchange = undefined
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300
  }

  static text(text: string, init: HttpResponseInit = NO_INIT): HttpResponse {
    return withType(text, TEXT_FIELDS, init)
  }

  static json(value: unknown, init: HttpResponseInit = NO_INIT): HttpResponse {
    return withType(JSON.stringify(value), JSON_FIELDS, init)
  }
}

export type HttpService = Service<HttpRequest, HttpResponse>

/** `list`: the one field that says what it is. */
function withType(body: string, list: readonly string[], init: HttpResponseInit): HttpResponse {
  if (init.fields === undefined) {
    const fields = HttpFields.fromShared(list)
    // Nearly every call: copying nothing still costs as much as all the rest.
    return new HttpResponse(init === NO_INIT ? { fields, body } : { ...init, fields, body })
  }
  const response = new HttpResponse({ ...init, body })
  const { fields } = response
  if (!fields.has('content-type')) fields.set('content-type', list[1] as string)
  return response
}

function toFields(init: FieldsInit | undefined): HttpFields {
  return init instanceof HttpFields ? init : new HttpFields(init)
}

const TEXT_FIELDS = Object.freeze(['content-type', 'text/plain; charset=utf-8'])
const JSON_FIELDS = Object.freeze(['content-type', 'application/json'])
const NO_INIT: HttpResponseInit = Object.freeze({})
