/**
 * Routes made ready: everything a request needs is looked up, parsed and read when the
 * configuration is loaded, nothing of it per request.
 */
import type { Random } from '../../core/clock.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import { type AggregateAction, compileAggregate } from '../aggregation/aggregate-action.ts'
import { durationMs, sizeBytes } from '../config/quantity.ts'
import type { RouteConfig } from '../config/schema/route.ts'
import { withGrpcPath, withGrpcWeb } from '../grpc/grpc-route.ts'
import {
  type ClientView,
  compileRedirect,
  compileRewrite,
  type Rewrite,
} from '../routing/rewrite.ts'
import { Router } from '../routing/router.ts'
import { compileHeaderEdits, type HeaderEdits } from './header-edits.ts'
import { guardedAction, type RouteAccess, type RouteLimits } from './route-policies.ts'
import type { Upstream } from './upstream.ts'

export type { Upstream }

/** What compiling needs from outside. */
export interface RouteSources {
  /** The schema has checked that it is there. */
  upstream(name: string): Upstream
  /** Content of a file that was read beforehand, as text. */
  fileText(name: string): string
  /** Who may use a route; undefined: everybody. */
  access?(route: RouteConfig, name: string): RouteAccess | undefined
  /** How much of it is taken. */
  limits?(config: RouteConfig, name: string): RouteLimits
  /** Puts REST before its upstreams that speak gRPC, or the other way round; undefined: neither. */
  transcoding?(config: RouteConfig): ((upstream: Upstream) => Upstream) | undefined
  /** Puts a cache before its upstreams; undefined: it has none. */
  cache?(config: RouteConfig, name: string): ((upstream: Upstream) => Upstream) | undefined
}

export interface HttpRoute {
  readonly name: string
  readonly action: ProxyAction | AggregateAction | RedirectAction | FixedAction
  readonly requestEdits: HeaderEdits | undefined
  readonly responseEdits: HeaderEdits | undefined
  /** Who may use it; undefined: everybody. */
  readonly access: RouteAccess | undefined
  /** The action with the route's policies around it; undefined: it has none. */
  readonly guarded: HttpService | undefined
  /** Of its requests: 0 is shed last, 7 first. */
  readonly priority: number
}

export interface ProxyAction {
  readonly type: 'proxy'
  readonly split: Split
  readonly rewrite: Rewrite | undefined
  readonly host: string | undefined
  /** Infinity: none. */
  readonly timeoutMs: number
  readonly maxRequestBytes: number | undefined
  readonly upgrades: boolean
  readonly mirror: Mirror | undefined
}

export interface Mirror {
  readonly upstream: Upstream
  /** 0 to 1. */
  readonly share: number
  readonly maxBytes: number
}

export interface RedirectAction {
  readonly type: 'redirect'
  readonly status: number
  readonly location: (view: ClientView) => string
}

export interface FixedAction {
  readonly type: 'fixed'
  readonly status: number
  readonly fields: HttpFields
  readonly body: string | undefined
}

export function compileRoutes(
  configs: readonly RouteConfig[],
  sources: RouteSources,
): Router<HttpRoute> {
  return new Router(
    configs.map((given, index) => {
      const config = { ...given, match: withGrpcPath(given.match) }
      const route = compileRoute(config, config.name ?? `route-${index + 1}`, sources)
      return { match: config.match, route }
    }),
  )
}

/** Files that routes name; read before {@link compileRoutes}. */
export function filesOfRoutes(configs: readonly RouteConfig[]): string[] {
  const files: string[] = []
  for (const { fixed_response, request_headers, response_headers } of configs) {
    if (fixed_response?.body_file !== undefined) files.push(fixed_response.body_file)
    files.push(...Object.values(request_headers?.set_from_file ?? {}))
    files.push(...Object.values(response_headers?.set_from_file ?? {}))
  }
  return files
}

function compileRoute(config: RouteConfig, name: string, sources: RouteSources): HttpRoute {
  // The line feed that editors put at the end of a file is no part of a secret.
  const secret = (file: string): string => sources.fileText(file).replace(/\r?\n$/, '')
  const access = sources.access?.(config, name)
  const guarded = guardedAction(access, sources.limits?.(config, name) ?? {})
  return {
    name,
    action: compileAction(config, name, sources),
    requestEdits: compileHeaderEdits(config.request_headers, secret),
    responseEdits: compileHeaderEdits(config.response_headers, secret),
    access,
    guarded: withGrpcWeb(config, guarded),
    priority: config.priority,
  }
}

function compileAction(
  config: RouteConfig,
  routeName: string,
  sources: RouteSources,
): HttpRoute['action'] {
  const { redirect, fixed_response: fixed, match } = config
  if (redirect !== undefined) {
    const location = compileRedirect(match, redirect)
    return { type: 'redirect', status: redirect.status, location }
  }
  if (fixed !== undefined) {
    const body = fixed.body_file === undefined ? fixed.body : sources.fileText(fixed.body_file)
    const contentType = String(fixed.content_type ?? 'text/plain; charset=utf-8')
    const fields = body === undefined ? [] : ['content-type', contentType]
    return { type: 'fixed', status: fixed.status, fields: HttpFields.fromTrusted(fields), body }
  }
  const cached = sources.cache?.(config, routeName) ?? ((upstream) => upstream)
  const transcoded = sources.transcoding?.(config) ?? ((one) => one)
  const upstream = (name: string): Upstream => cached(transcoded(sources.upstream(name)))
  const { aggregate } = config
  if (aggregate !== undefined) return compileAggregate({ ...config, aggregate }, upstream)
  return compileProxy(config, upstream, sources)
}

function compileProxy(
  config: RouteConfig,
  upstream: (name: string) => Upstream,
  sources: RouteSources,
): ProxyAction {
  const weighted = config.weighted_clusters ?? [{ name: config.cluster ?? '', weight: 1 }]
  const { mirror } = config
  const timeoutMs = durationMs(config.timeout)
  return {
    type: 'proxy',
    split: new Split(weighted.map(({ name, weight }) => ({ upstream: upstream(name), weight }))),
    rewrite: compileRewrite(config.match, config.rewrite),
    host: config.rewrite?.host,
    timeoutMs: timeoutMs === 0 ? Number.POSITIVE_INFINITY : timeoutMs,
    maxRequestBytes:
      config.max_request_body === undefined ? undefined : sizeBytes(config.max_request_body),
    upgrades: config.upgrades,
    mirror: mirror && {
      upstream: sources.upstream(mirror.cluster),
      share: mirror.percent / 100,
      maxBytes: sizeBytes(mirror.max_body),
    },
  }
}

/** Chooses among upstreams by weight. */
export class Split {
  readonly #upstreams: readonly Upstream[]
  /** Upper bounds: weights added up. */
  readonly #bounds: readonly number[]

  constructor(parts: readonly { readonly upstream: Upstream; readonly weight: number }[]) {
    const used = parts.filter(({ weight }) => weight > 0)
    let sum = 0
    this.#upstreams = used.map(({ upstream }) => upstream)
    this.#bounds = used.map(({ weight }) => (sum += weight))
  }

  choose(random: Random): Upstream {
    const upstreams = this.#upstreams
    const last = upstreams.length - 1
    if (last === 0) return upstreams[0] as Upstream
    const drawn = random() * (this.#bounds[last] as number)
    let index = 0
    while (index < last && drawn >= (this.#bounds[index] as number)) index++
    return upstreams[index] as Upstream
  }
}
