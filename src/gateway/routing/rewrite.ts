/**
 * What the upstream sees instead of the client's path, and where a redirect leads.
 *
 * Compiled from the match and the rewrite of a route to one function of the (normalised) target.
 */
import type { RedirectConfig, RewriteConfig, RouteMatchConfig } from '../config/schema/route.ts'

/** From target to target, both with query. */
export type Rewrite = (target: string) => string

/** @returns undefined when the target stays as it is */
export function compileRewrite(
  match: RouteMatchConfig,
  config: Pick<RewriteConfig, 'path' | 'prefix'> | undefined,
): Rewrite | undefined {
  if (config?.path !== undefined) return replacePath(match.pattern, config.path)
  if (config?.prefix !== undefined) return replacePrefix(match, config.prefix)
  return undefined
}

function replacePrefix(match: RouteMatchConfig, replacement: string): Rewrite {
  const matched = withoutSlash(match.prefix ?? match.path ?? '/')
  const base = withoutSlash(replacement)
  return (target) => {
    const end = pathEnd(target)
    // Begins with a slash, or is empty where the path is the prefix itself.
    const rest = target.slice(matched.length, end)
    const path = match.path === undefined ? base + rest : replacement
    return `${path === '' ? '/' : path}${target.slice(end)}`
  }
}

/** `/v2/:id/*`: names are what the pattern matched, the star is the rest. */
function replacePath(pattern: string | undefined, template: string): Rewrite {
  const places = new Map<string, number>()
  pattern?.split('/').forEach((segment, index) => {
    if (segment.startsWith(':') || segment === '*') places.set(segment, index)
  })
  const parts = template.split('/').map((segment) => ({ segment, place: places.get(segment) }))
  if (parts.every(({ place }) => place === undefined)) {
    return (target) => template + target.slice(pathEnd(target))
  }
  return (target) => {
    const end = pathEnd(target)
    const given = target.slice(0, end).split('/')
    const path = parts.map(({ segment, place }) => {
      if (place === undefined) return segment
      return segment === '*' ? given.slice(place).join('/') : (given[place] as string)
    })
    return path.join('/') + target.slice(end)
  }
}

/** Scheme, authority and target of a request, as the client sees them. */
export interface ClientView {
  readonly scheme: string
  readonly authority: string
  readonly target: string
}

/** @returns the Location for a request: absolute, so that `//evil` stays a path */
export function compileRedirect(
  match: RouteMatchConfig,
  config: RedirectConfig,
): (view: ClientView) => string {
  const { path, prefix_rewrite: prefix, strip_query } = config
  const rewrite =
    path === undefined
      ? compileRewrite(match, prefix === undefined ? undefined : { prefix })
      : (target: string) => path + target.slice(pathEnd(target))
  return (view) => {
    const scheme = config.scheme ?? view.scheme
    const target = rewrite === undefined ? view.target : rewrite(view.target)
    const shown = strip_query ? target.slice(0, pathEnd(target)) : target
    const authority = authorityOf(config, view, scheme)
    // HTTP/1.0 without Host: only a path can be said, and it must not begin with two slashes.
    if (authority === '') return shown.replace(/^\/+/, '/')
    return `${scheme}://${authority}${shown}`
  }
}

function authorityOf(config: RedirectConfig, view: ClientView, scheme: string): string {
  const [, givenHost = '', givenPort] = /^(.*?)(?::(\d*))?$/.exec(view.authority) ?? []
  const host = config.host ?? givenHost
  if (config.port !== undefined) {
    return DEFAULT_PORTS[scheme] === config.port ? host : `${host}:${config.port}`
  }
  // Another scheme or host has its own port: the client's says nothing about it.
  const keeps = config.host === undefined && scheme === view.scheme && givenPort !== undefined
  return keeps ? `${host}:${givenPort}` : host
}

/** Index of the query, or the length. */
export function pathEnd(target: string): number {
  const query = target.indexOf('?')
  return query < 0 ? target.length : query
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 }
