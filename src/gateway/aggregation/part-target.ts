/**
 * What a part is asked for: its path and query, with what the route's pattern matched.
 */
import type { AggregatePartConfig } from '../config/schema/aggregate.ts'
import type { RouteMatchConfig } from '../config/schema/route.ts'
import { compileRewrite, pathEnd, type Rewrite } from '../routing/rewrite.ts'

export function compilePartTarget(match: RouteMatchConfig, part: AggregatePartConfig): Rewrite {
  const path = part.path === undefined ? undefined : compileRewrite(match, { path: part.path })
  const query = part.query === undefined ? undefined : compileQuery(match, part.query)
  return (target) => {
    const asked = path === undefined ? target : path(target)
    if (query === undefined) return asked
    return asked.slice(0, pathEnd(asked)) + query(target)
  }
}

function compileQuery(
  match: RouteMatchConfig,
  query: Readonly<Record<string, string>>,
): (target: string) => string {
  const places = placesOf(match.pattern)
  const fields = Object.entries(query).map(([name, value]) => ({
    name: encodeURIComponent(name),
    value: encodeURIComponent(value),
    place: value.startsWith(':') ? places.get(value) : undefined,
  }))
  return (target) => {
    const given = target.slice(0, pathEnd(target)).split('/')
    const parts = fields.map(({ name, value, place }) => {
      return `${name}=${place === undefined ? value : asQueryValue(given[place] ?? '')}`
    })
    return parts.length === 0 ? '' : `?${parts.join('&')}`
  }
}

/** Names of a pattern and the segment that each stands for. */
export function placesOf(pattern: string | undefined): ReadonlyMap<string, number> {
  const places = new Map<string, number>()
  pattern?.split('/').forEach((segment, index) => {
    if (segment.startsWith(':')) places.set(segment, index)
  })
  return places
}

/** `&`, `=` and `+` are data in a path: a client adds no field of its own. */
function asQueryValue(segment: string): string {
  try {
    return encodeURIComponent(decodeURIComponent(segment))
  } catch {
    return encodeURIComponent(segment) // bytes that are no UTF-8
  }
}
