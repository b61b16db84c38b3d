/**
 * The HTTP side of a gateway as a service: request in, route, upstream, response out.
 *
 *     normalise the path → the listener's limits → find the route → its policies →
 *         redirect | fixed response | upstream
 *         upstream: limits → fields → rewrite → (mirror) → the cluster's client stack → fields
 *
 * Bodies are handed through as the sources they are, in both directions: backpressure and
 * cancellation pass from one connection to the other, and nothing is collected here. Per request
 * there is one object, which is note, settlement and record at once, and one new list of fields
 * each way.
 */
import type { Clock, Random } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { Call, type CallContext, callDefaults } from '../../core/context.ts'
import { AccessError, HeddleError, toError } from '../../core/errors.ts'
import { loadSignalOf } from '../../core/load-signal.ts'
import type { Principal } from '../../core/principal.ts'
import type { MaybePromise, Middleware } from '../../core/service.ts'
import { Body } from '../../protocols/http/body.ts'
import { parseGrpcTimeout } from '../../protocols/http/deadline-header.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { type PriorityTrust, readUrgency } from '../../protocols/http/priority-field.ts'
import { attemptsOf } from '../../runtime/middleware/retry.ts'
import { recordError } from '../../runtime/middleware/tracing.ts'
import { type Settlement, settle } from '../../runtime/settle.ts'
import type { AggregateAction, AggregateAnswer } from '../aggregation/aggregate-action.ts'
import { grpcAnswer, grpcTypeOf, isGrpc } from '../grpc/grpc-answer.ts'
import { watchOutcome } from '../grpc/grpc-outcome.ts'
import { normalizeTarget, type PathOptions } from '../routing/path.ts'
import { pathEnd } from '../routing/rewrite.ts'
import type { Router } from '../routing/router.ts'
import type { Forwarder } from './forwarding.ts'
import {
  answerToError,
  answerToRefusal,
  answerToUpstreamError,
  type GatewayAnswer,
  type GatewayRefusal,
  gatewayResponse,
} from './gateway-answer.ts'
import { deleteSpellings } from './header-kind.ts'
import type { HttpRoute, Mirror, ProxyAction, Upstream } from './http-route.ts'
import { BodyCopy, BodyLimit, watchBody } from './request-body.ts'
import type { RequestTracing } from './request-tracing.ts'
import { RouteContext } from './route-context.ts'
import type { Guardable } from './route-policies.ts'

/** What a reload replaces, all at once: a request in flight keeps the plan it began with. */
export interface HttpPlan {
  readonly router: Router<HttpRoute>
  readonly forwarder: Forwarder
  readonly paths: PathOptions
  /** For routes that say nothing. */
  readonly maxRequestBytes: number
  readonly maxInFlight: number
  readonly tracing: RequestTracing
  /** Lower-case names of headers that say who calls: what clients send in them is removed. */
  readonly principalHeaders: readonly string[]
  /** The listener's own limits around routing; undefined: it has none. */
  readonly admission: HttpService | undefined
  /** How far clients may say how urgent their requests are. */
  readonly clientPriority: PriorityTrust
}

/** @returns the listener's limits around everything that follows for a request */
export function admitted(
  limits: Middleware<HttpRequest, HttpResponse> | undefined,
): HttpService | undefined {
  return limits?.((request, context) => (request.note as ProxiedRequest).begin(context))
}

export interface HttpProxyOptions {
  readonly clock: Clock
  readonly random: Random
  /** Requests in flight on the listener, counted by its server. */
  readonly inFlight: () => number
  /** False while nothing could be recorded of a request (audit_log.when_full). */
  readonly accepting: () => boolean
  /** Joins both connections after an upgrade, and keeps an eye on them. */
  readonly onUpgrade: (downstream: Connection, upstream: Connection) => void
  /** An answer of the gateway's own, with the reason where there is one. */
  readonly onFailure: (request: ProxiedRequest, error: Error | undefined) => void
}

export class HttpProxy {
  plan: HttpPlan
  readonly options: HttpProxyOptions
  readonly service: HttpService = (request, context) =>
    this.plan.tracing.serve(this.#routed, request, context)
  readonly #routed: HttpService = (request, context) => this.#serve(request, context)

  constructor(plan: HttpPlan, options: HttpProxyOptions) {
    this.plan = plan
    this.options = options
  }

  #serve(request: HttpRequest, context: CallContext): MaybePromise<HttpResponse> {
    const { plan } = this
    const { forwarder, maxInFlight, admission } = plan
    const proxied = new ProxiedRequest(request, this.options, plan)
    request.note = proxied
    if (this.options.inFlight() > maxInFlight || !this.options.accepting()) {
      return proxied.refuse('overloaded')
    }
    const target = targetOf(request, plan.paths)
    if (target === undefined) return proxied.refuse('bad_path')
    proxied.target = target
    proxied.clientAddress = forwarder.clientAddress(request)
    if (admission === undefined) return proxied.begin(context)
    return settle(admission, request, context, new GuardedRequest(proxied, context))
  }
}

/**
 * One request on its way. Hangs on the client's request as its note, where the listener's observer
 * finds what to log, and on the upstream's, where the cluster leaves the endpoint's address.
 */
export class ProxiedRequest implements Settlement<HttpResponse>, Guardable {
  readonly request: HttpRequest
  route: HttpRoute | undefined
  cluster: string | undefined
  /** After trusted hops; undefined on a Unix socket. */
  clientAddress: string | undefined
  /** Address of the endpoint that was asked last. */
  upstreamAddress: string | undefined
  /** Attempts made upstream. */
  attempts = 0
  /** Answered from a cache: no cluster was asked. */
  cached: boolean | undefined
  /** Code of an answer that the gateway gave itself. */
  errorCode: string | undefined
  requestId = ''
  /** Once known. */
  principal: Principal | undefined
  /** It is known who calls, and that they may; or nobody asks. */
  known = false
  /** Normalised, with and without the query. */
  target = ''
  path = ''
  readonly #options: HttpProxyOptions
  readonly #plan: HttpPlan
  /** The request as its route's bridges made it. */
  #sent: HttpRequest
  /** Content type of a call of gRPC or gRPC-Web; undefined: it is none. */
  readonly grpcType: string | undefined
  /** How a call of gRPC ended, once known. */
  grpcStatus: number | undefined
  #bodyTooLarge = false
  #client: CallContext | undefined

  constructor(request: HttpRequest, options: HttpProxyOptions, plan: HttpPlan) {
    this.request = request
    this.#sent = request
    this.grpcType = grpcTypeOf(request)
    this.grpcStatus = undefined
    this.route = undefined
    this.cluster = undefined
    this.clientAddress = undefined
    this.upstreamAddress = undefined
    this.cached = undefined
    this.errorCode = undefined
    this.principal = undefined
    this.#options = options
    this.#plan = plan
  }

  /** Its route's priority, as far as the client has not lowered it. */
  get priority(): number {
    const { route, request } = this
    const ofRoute = route?.priority ?? callDefaults.priority
    const trust = this.#plan.clientPriority
    const urgency = trust === 'ignore' ? undefined : readUrgency(request.fields)
    if (urgency === undefined) return ofRoute
    return trust === 'trust' ? urgency : Math.max(ofRoute, urgency)
  }

  /** Finds its route, and goes on through what stands around that. */
  begin(context: CallContext): MaybePromise<HttpResponse> {
    const { request, target, clientAddress } = this
    this.path = target.charCodeAt(0) === SLASH ? target.slice(0, pathEnd(target)) : target
    const route = this.#plan.router.match({
      authority: request.authority,
      path: target.charCodeAt(0) === SLASH ? this.path : '',
      method: request.method,
      fields: request.fields,
      source: clientAddress,
    })
    if (route === undefined) return this.refuse('no_route')
    this.route = route
    if (route.guarded === undefined) return this.act(context)
    // The route's time begins here: waiting in its queues counts.
    this.requestId = this.#plan.forwarder.requestIdOf(request)
    const deadline = this.#deadlineOf(route)
    const timed = new RouteContext(context, deadline, this.priority, this.requestId)
    return settle(route.guarded, request, timed, new GuardedRequest(this, context))
  }

  /** The route's action, behind its policies. */
  act(context: CallContext, request = this.request): MaybePromise<HttpResponse> {
    const { route } = this
    this.#sent = request
    if (route === undefined) return this.refuse('no_route')
    switch (route.action.type) {
      case 'proxy':
        return this.#proxy(route.action, context)
      case 'aggregate':
        return this.#aggregate(route.action, context)
      case 'redirect': {
        const { status, location } = route.action
        const scheme = this.#plan.forwarder.clientScheme(this.request)
        const { authority } = this.request
        const to = location({ scheme, authority, target: this.target })
        return this.answer(status, HttpFields.fromTrusted(['location', to]), undefined)
      }
      case 'fixed':
        return this.answer(route.action.status, route.action.fields, route.action.body)
    }
  }

  /** A policy refused it. */
  refusedBy(error: unknown, client: CallContext): HttpResponse {
    this.#client = client
    if (client.cancelled) {
      this.errorCode = 'client_closed'
      return CLIENT_GONE
    }
    const worded = error instanceof AccessError || loadSignalOf(error) !== undefined
    // It was found out neither who calls nor that nobody does: the gateway's trouble.
    if (!this.known && !worded) return this.#fail(answerToRefusal('unknown_caller'), toError(error))
    // Who comes too often is no trouble of ours: the access log has it.
    const expected = error instanceof HeddleError && error.code === 'ERR_RATE_LIMITED'
    return this.#fail(answerToError(error), expected ? undefined : toError(error), error)
  }

  #deadlineOf({ action }: HttpRoute): number | undefined {
    const ofRoute = 'timeoutMs' in action ? action.timeoutMs : Number.POSITIVE_INFINITY
    const timeoutMs = Math.min(ofRoute, this.#grpcTimeoutMs())
    return timeoutMs === Number.POSITIVE_INFINITY
      ? undefined
      : this.#options.clock.now() + timeoutMs
  }

  /** The time that a client of gRPC gives its call; it can only shorten the route's. */
  #grpcTimeoutMs(): number {
    const text = this.grpcType && this.request.fields.get('grpc-timeout')
    const timeoutMs = text === undefined ? undefined : parseGrpcTimeout(text)
    return timeoutMs ?? Number.POSITIVE_INFINITY
  }

  #proxy(action: ProxyAction, context: CallContext): MaybePromise<HttpResponse> {
    this.#client = context
    const { target } = this
    const request = this.#sent
    const { random } = this.#options
    const limit = action.maxRequestBytes ?? this.#plan.maxRequestBytes
    const { body } = request
    if (body.length !== undefined && body.length > limit) return this.refuse('body_too_large')
    const fields = this.#forwardedFields(action.upgrades)
    if (fields === undefined) return this.refuse('loop')
    const upstream = action.split.choose(random)
    this.cluster = upstream.name
    const forwarded = new HttpRequest({
      method: request.method,
      target: action.rewrite === undefined ? target : action.rewrite(target),
      scheme: request.scheme,
      authority: action.host ?? request.authority,
      fields,
      body: this.#watch(body, limit),
    })
    forwarded.inform = request.inform
    forwarded.note = this
    const sent = action.mirror === undefined ? forwarded : this.#mirror(action.mirror, forwarded)
    const { route } = this
    const deadline = route && this.#deadlineOf(route)
    const timed = new RouteContext(context, deadline, this.priority, this.requestId)
    return settle(upstream.call, sent, timed, this)
  }

  /** Undefined: it has passed this gateway before. */
  #forwardedFields(upgrades: boolean): HttpFields | undefined {
    const { forwarder, tracing, principalHeaders } = this.#plan
    const edits = this.route?.requestEdits
    const head = forwarder.forwardRequest(this.#sent, edits, upgrades, this.requestId)
    this.requestId = head.requestId
    if (head.fields === undefined) return undefined
    tracing.cleanse(head.fields)
    if (principalHeaders.length > 0) this.#tellPrincipal(head.fields)
    return head.fields
  }

  async #aggregate(action: AggregateAction, context: CallContext): Promise<HttpResponse> {
    this.#client = context
    const { request, target, route } = this
    const { clock } = this.#options
    const limit = action.maxBodyBytes
    if (limit === undefined) request.body.discard()
    else if ((request.body.length ?? 0) > limit) return this.refuse('body_too_large')
    const fields = this.#forwardedFields(false)
    if (fields === undefined) return this.refuse('loop')
    const { principalHeaders, forwarder } = this.#plan
    const own = [...principalHeaders, forwarder.options.requestIdHeader]
    try {
      const body = limit === undefined ? undefined : await request.body.bytes(limit)
      const deadline = route && this.#deadlineOf(route)
      const timed = new RouteContext(context, deadline, this.priority, this.requestId)
      const call = { clock, request, target, fields, own, body, context: timed, note: this }
      return this.#answerAggregate(await action.run(call))
    } catch (error) {
      if (context.cancelled) return this.onError(error)
      const long = error instanceof HeddleError && error.code === 'ERR_LIMIT'
      return long ? this.refuse('body_too_large') : this.#fail(answerToError(error), toError(error))
    }
  }

  #answerAggregate({ status, body, failed, error }: AggregateAnswer): HttpResponse {
    const list = ['content-type', 'application/json', 'cache-control', 'no-store']
    if (failed.length > 0) list.push('x-heddle-partial', failed.join(', '))
    if (error !== undefined) {
      this.errorCode = 'part_failed'
      this.#options.onFailure(this, error)
      list.push('x-heddle-error', 'part_failed')
    }
    return this.answer(status, HttpFields.fromTrusted(list), body)
  }

  /** Of the settlement: the upstream answered. */
  onReply(response: HttpResponse): HttpResponse {
    if (this.cached !== true) this.attempts = attemptsOf(response).length + 1
    const { forwarder } = this.#plan
    const { status, reason, version, connection } = response
    const body = this.grpcType === undefined ? response.body : this.#watchGrpc(response)
    const edits = this.route?.responseEdits
    const upgraded = connection !== undefined
    const fields = forwarder.forwardResponse(response.fields, edits, this.requestId, upgraded)
    if (connection === undefined) {
      return new HttpResponse({ status, fields, body, version, ...(reason && { reason }) })
    }
    return new HttpResponse({
      status,
      fields,
      upgrade: (downstream) => this.#options.onUpgrade(downstream, connection),
    })
  }

  #watchGrpc(response: HttpResponse): Body {
    return watchOutcome(response, (status) => {
      this.grpcStatus = status
    })
  }

  /** Of the settlement: there is no answer. */
  onError(error: unknown): HttpResponse {
    if (typeof error === 'object' && error !== null) this.attempts = attemptsOf(error).length + 1
    // Nobody is there to be answered, and nobody failed.
    if (this.#client?.cancelled) {
      this.errorCode = 'client_closed'
      return CLIENT_GONE
    }
    if (this.#bodyTooLarge) return this.#fail(answerToRefusal('body_too_large'), toError(error))
    return this.#fail(answerToUpstreamError(error), toError(error), error)
  }

  refuse(refusal: GatewayRefusal): HttpResponse {
    return this.#fail(answerToRefusal(refusal), undefined)
  }

  /** An answer that the route holds. */
  answer(status: number, fields: HttpFields, body: string | undefined): HttpResponse {
    const { forwarder } = this.#plan
    if (this.requestId === '') this.requestId = forwarder.requestIdOf(this.request)
    const edits = this.route?.responseEdits
    return new HttpResponse({
      status,
      fields: forwarder.forwardResponse(fields, edits, this.requestId, false),
      body,
    })
  }

  /** @param refusal what says when to come again, or how to log in */
  #fail(answer: GatewayAnswer, error: Error | undefined, refusal?: unknown): HttpResponse {
    const { forwarder } = this.#plan
    if (this.requestId === '') this.requestId = forwarder.requestIdOf(this.request)
    this.errorCode = answer.code
    if (error !== undefined && this.#client !== undefined) recordError(this.#client, error)
    this.#options.onFailure(this, error)
    const { requestIdHeader } = forwarder.options
    const { requestId, request, grpcType } = this
    if (grpcType === undefined) {
      return gatewayResponse(answer, request, requestIdHeader, requestId, refusal)
    }
    const type = isGrpc(this.#sent) ? 'application/grpc' : grpcType
    const response = grpcAnswer(answer, type, requestIdHeader, requestId, refusal)
    this.#watchGrpc(response)
    return response
  }

  /** Only the gateway says who calls. */
  #tellPrincipal(fields: HttpFields): void {
    // `X_User` is the same variable as `X-User` to servers that stand on CGI.
    for (const name of this.#plan.principalHeaders) deleteSpellings(fields, name)
    const { principal, route } = this
    if (principal === undefined) return
    const told = route?.access?.principalFields(principal) ?? []
    for (const [name, value] of told) fields.append(name, value)
  }

  /** A body whose length is known was checked; one that only ends is counted. */
  #watch(body: Body, limit: number): Body {
    if (body.isEmpty || body.length !== undefined) return body
    // Some servers take trailers for fields: they tell nobody who calls or where from either.
    const { principalHeaders, forwarder } = this.#plan
    const ours = [...principalHeaders, ...FORWARDING, forwarder.options.requestIdHeader]
    const onExceeded = (): void => {
      this.#bodyTooLarge = true
    }
    return watchBody(body, new BodyLimit(limit, onExceeded, ours))
  }

  /** Sends a copy as well, now or once the body is there. @returns what to send to the upstream */
  #mirror(mirror: Mirror, forwarded: HttpRequest): HttpRequest {
    const { random } = this.#options
    const { body } = forwarded
    if (mirror.share < 1 && random() >= mirror.share) return forwarded
    if (body.isEmpty) {
      this.#sendCopy(mirror.upstream, forwarded, undefined)
      return forwarded
    }
    if (body.length !== undefined && body.length > mirror.maxBytes) return forwarded
    const onCopied = (bytes: Uint8Array): void => {
      this.#sendCopy(mirror.upstream, forwarded, bytes)
    }
    const { method, target, scheme, authority, fields, inform, note } = forwarded
    const watched = watchBody(body, new BodyCopy(mirror.maxBytes, onCopied))
    const copied = new HttpRequest({ method, target, scheme, authority, fields, body: watched })
    copied.inform = inform
    copied.note = note
    return copied
  }

  /** Fire and forget: neither answer nor error of a mirror reaches anybody but its own metrics. */
  #sendCopy(upstream: Upstream, request: HttpRequest, bytes: Uint8Array | undefined): void {
    const { method, target, scheme, authority } = request
    const fields = new HttpFields(request.fields)
    for (const name of NOT_MIRRORED) fields.delete(name)
    const body = bytes === undefined ? Body.empty : Body.from(bytes)
    const copy = new HttpRequest({ method, target, scheme, authority, fields, body })
    const deadline = this.#options.clock.now() + MIRROR_TIMEOUT_MS
    settle(upstream.call, copy, new Call({ deadline }), DROP)
  }
}

/** The end of a request as its policies give it: their answers pass, their refusals are worded. */
class GuardedRequest implements Settlement<HttpResponse> {
  readonly #proxied: ProxiedRequest
  readonly #client: CallContext

  constructor(proxied: ProxiedRequest, client: CallContext) {
    this.#proxied = proxied
    this.#client = client
  }

  onReply(response: HttpResponse): HttpResponse {
    return response
  }

  onError(error: unknown): HttpResponse {
    return this.#proxied.refusedBy(error, this.#client)
  }
}

/** Never sent. 499 as nginx logs it. */
const CLIENT_GONE = new HttpResponse({ status: 499 })

/** Drops whatever comes. */
const DROP: Settlement<HttpResponse> = {
  onReply(response) {
    response.connection?.destroy()
    response.body.discard()
    return response
  },
  onError: () => new HttpResponse({ status: 502 }),
}

/** What only proxies write. In trailers nobody's is believed, trusted or not. */
const FORWARDING = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']
/** A copy must not upgrade, and has its own framing. */
const NOT_MIRRORED = ['connection', 'upgrade', 'content-length', 'te']
/** Nobody waits for a mirror, but nothing may wait for ever. */
const MIRROR_TIMEOUT_MS = 10_000
const SLASH = 0x2f

/** The target to route and send; `*` and CONNECT have no path to normalise. */
function targetOf(request: HttpRequest, paths: PathOptions): string | undefined {
  const { target } = request
  return target.charCodeAt(0) === SLASH ? normalizeTarget(target, paths) : target
}
