/**
 * Which route a request takes.
 *
 * The most specific route wins, whatever its place in the file (as in the Kubernetes Gateway API):
 *
 * 1. host: exact, then the longest `*.suffix`, then any. A host whose routes do not match falls
 *    through to the less specific ones.
 * 2. path: exact, then segment by segment from the left: a literal beats `:name`, longer beats
 *    shorter; a pattern that ends here beats a prefix.
 * 3. a method, then more headers, then a source; at last the place in the file.
 *
 * Compiled once into a tree of segments per host. A request walks it without a regular expression
 * and without backtracking over a node twice.
 */
import { BlockList, isIPv6 } from 'node:net'
import type { HttpFields } from '../../protocols/http/fields.ts'
import type { RouteMatchConfig } from '../config/schema/route.ts'

/** What routes look at. */
export interface RouteQuery {
  /** As in `Host`: with a port, in any case. */
  readonly authority: string
  /** Normalised, without query; empty for `*` and CONNECT, which have no path. */
  readonly path: string
  readonly method: string
  readonly fields: HttpFields
  /** The client's address, after trusted hops; undefined on a Unix socket. */
  readonly source: string | undefined
}

export class Router<Route> {
  readonly #exactHosts = new Map<string, Table<Route>>()
  /** By suffix, from its dot: `.example`. */
  readonly #wildcardHosts = new Map<string, Table<Route>>()
  readonly #anyHost = new Table<Route>()
  readonly #namesHosts: boolean

  constructor(routes: Iterable<{ readonly match: RouteMatchConfig; readonly route: Route }>) {
    let order = 0
    for (const { match, route } of routes) {
      const entry = new Entry(match, route, order++)
      for (const host of match.hosts ?? ANY_HOST) this.#tableOf(host.toLowerCase()).add(entry)
    }
    this.#namesHosts = this.#exactHosts.size + this.#wildcardHosts.size > 0
  }

  match(query: RouteQuery): Route | undefined {
    if (this.#namesHosts) {
      const host = hostOf(query.authority)
      const found = this.#exactHosts.get(host)?.match(query) ?? this.#matchWildcard(host, query)
      if (found !== undefined) return found.route
    }
    return this.#anyHost.match(query)?.route
  }

  #matchWildcard(host: string, query: RouteQuery): Entry<Route> | undefined {
    if (this.#wildcardHosts.size === 0) return undefined
    // The longest suffix comes first: a.b.example asks .b.example, then .example.
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      if (dot === 0) continue // the star is at least one label
      const found = this.#wildcardHosts.get(host.slice(dot))?.match(query)
      if (found !== undefined) return found
    }
    return undefined
  }

  #tableOf(host: string): Table<Route> {
    if (host === '*') return this.#anyHost
    const wildcard = host.startsWith('*.')
    const tables = wildcard ? this.#wildcardHosts : this.#exactHosts
    const key = wildcard ? host.slice(1) : host
    const table = tables.get(key) ?? new Table<Route>()
    tables.set(key, table)
    return table
  }
}

/** Host without port, in lower case. */
export function hostOf(authority: string): string {
  let end = authority.length
  for (let at = end - 1; at >= 0; at--) {
    const unit = authority.charCodeAt(at)
    if (unit === COLON) {
      end = at
      break
    }
    if (unit < 0x30 || unit > 0x39) break // no port: `[::1]` and names end otherwise
  }
  // Fully qualified names may end with a dot; they are the same host.
  if (end > 1 && authority.charCodeAt(end - 1) === DOT) end--
  return authority.slice(0, end).toLowerCase()
}

/** The routes of one host. */
class Table<Route> {
  readonly #exact = new Map<string, Entry<Route>[]>()
  readonly #root = new Node<Route>()

  add(entry: Entry<Route>): void {
    const { path, prefix, pattern } = entry.match
    if (path !== undefined) {
      const entries = this.#exact.get(path) ?? []
      insert(entries, entry)
      this.#exact.set(path, entries)
      return
    }
    const segments = (prefix ?? pattern ?? '').split('/').slice(1)
    const last = segments.at(-1)
    let node = this.#root
    for (const [index, segment] of segments.entries()) {
      const final = index === segments.length - 1
      // `/api/` and `/api/*`: what is deeper, not `/api` itself.
      if (final && (pattern === undefined ? segment === '' : segment === '*')) break
      node = node.child(segment, pattern !== undefined)
    }
    if (pattern === undefined) insert(last === '' ? node.deeper : node.prefixes, entry)
    else insert(last === '*' ? node.deeper : node.ends, entry)
  }

  match(query: RouteQuery): Entry<Route> | undefined {
    const exact = this.#exact.get(query.path)
    if (exact !== undefined) {
      const found = first(exact, query)
      if (found !== undefined) return found
    }
    return walk(this.#root, 0, query)
  }
}

/** A place in the tree of segments. */
class Node<Route> {
  literals: Map<string, Node<Route>> | undefined
  /** `:name`: any one segment that is not empty. */
  named: Node<Route> | undefined
  /** Patterns that end here. */
  readonly ends: Entry<Route>[] = []
  /** `prefix: /api/` and `pattern: /api/*`: a slash follows. */
  readonly deeper: Entry<Route>[] = []
  /** `prefix: /api`: here and below. At the root: no condition on the path. */
  readonly prefixes: Entry<Route>[] = []

  child(segment: string, isPattern: boolean): Node<Route> {
    if (isPattern && segment.startsWith(':')) {
      this.named ??= new Node()
      return this.named
    }
    this.literals ??= new Map()
    const known = this.literals.get(segment)
    if (known !== undefined) return known
    const node = new Node<Route>()
    this.literals.set(segment, node)
    return node
  }
}

/** @param at index of the slash in front of the next segment, or the length of the path */
function walk<Route>(node: Node<Route>, at: number, query: RouteQuery): Entry<Route> | undefined {
  const { path } = query
  if (at === path.length) return first(node.ends, query) ?? first(node.prefixes, query)
  if (node.literals !== undefined || node.named !== undefined) {
    const slash = path.indexOf('/', at + 1)
    const end = slash < 0 ? path.length : slash
    const segment = path.slice(at + 1, end)
    const literal = node.literals?.get(segment)
    if (literal !== undefined) {
      const found = walk(literal, end, query)
      if (found !== undefined) return found
    }
    if (node.named !== undefined && segment !== '') {
      const found = walk(node.named, end, query)
      if (found !== undefined) return found
    }
  }
  return first(node.deeper, query) ?? first(node.prefixes, query)
}

function first<Route>(
  entries: readonly Entry<Route>[],
  query: RouteQuery,
): Entry<Route> | undefined {
  for (const entry of entries) if (entry.accepts(query)) return entry
  return undefined
}

/** A route with what it asks for besides host and path. */
class Entry<Route> {
  readonly match: RouteMatchConfig
  readonly route: Route
  readonly rank: readonly number[]
  readonly #methods: ReadonlySet<string> | undefined
  readonly #headers: readonly HeaderTest[] | undefined
  readonly #source: BlockList | undefined
  readonly #unconditional: boolean

  constructor(match: RouteMatchConfig, route: Route, order: number) {
    this.match = match
    this.route = route
    this.#methods = match.methods === undefined ? undefined : new Set(match.methods)
    this.#headers = match.headers?.map(headerTest)
    this.#source = match.source === undefined ? undefined : addressSet(match.source)
    const headerCount = match.headers?.length ?? 0
    this.#unconditional =
      this.#methods === undefined && headerCount === 0 && this.#source === undefined
    const method = this.#methods === undefined ? 1 : 0
    this.rank = [method, -headerCount, this.#source === undefined ? 1 : 0, order]
  }

  accepts(query: RouteQuery): boolean {
    // A tunnel is only made where a route names the method: `match: {}` must not be a proxy for all.
    if (query.path === '' && this.#methods === undefined && query.method === 'CONNECT') return false
    if (this.#unconditional) return true
    if (this.#methods !== undefined && !this.#methods.has(query.method)) return false
    if (this.#headers !== undefined) {
      for (const test of this.#headers) if (!test(query.fields)) return false
    }
    return this.#source === undefined || isInSet(this.#source, query.source)
  }
}

type HeaderTest = (fields: HttpFields) => boolean

function headerTest(match: NonNullable<RouteMatchConfig['headers']>[number]): HeaderTest {
  const name = match.name.toLowerCase()
  const { exact, prefix, contains, present } = match
  if (exact !== undefined) return (fields) => fields.get(name) === exact
  if (prefix !== undefined) return (fields) => fields.get(name)?.startsWith(prefix) === true
  if (contains !== undefined) return (fields) => fields.get(name)?.includes(contains) === true
  return (fields) => fields.has(name) === present
}

/** Addresses and ranges, as `10.0.0.0/8`. */
export function addressSet(ranges: readonly string[]): BlockList {
  const set = new BlockList()
  for (const range of ranges) {
    const [host = '', bits] = range.split('/')
    const family = isIPv6(host) ? 'ipv6' : 'ipv4'
    if (bits === undefined) set.addAddress(host, family)
    else set.addSubnet(host, Number(bits), family)
  }
  return set
}

export function isInSet(set: BlockList, address: string | undefined): boolean {
  if (address === undefined) return false
  const zone = address.indexOf('%')
  const host = zone < 0 ? address : address.slice(0, zone)
  // A dual-stack listener sees IPv4 clients as ::ffff:a.b.c.d.
  if (host.startsWith('::ffff:') && host.includes('.')) return set.check(host.slice(7), 'ipv4')
  return set.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
}

/** Keeps a list in the order of specificity. */
function insert<Route>(entries: Entry<Route>[], entry: Entry<Route>): void {
  const at = entries.findIndex((other) => compareRanks(entry.rank, other.rank) < 0)
  entries.splice(at < 0 ? entries.length : at, 0, entry)
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] as number) - (b[index] as number)
    if (difference !== 0) return difference
  }
  return 0
}

const COLON = 0x3a
const DOT = 0x2e
const ANY_HOST: readonly string[] = ['*']
