/**
 * Which of many templates a path follows: a trie over segments, in which a literal is preferred to
 * `*`, and that to `**`, whatever the order in which they were added.
 *
 *     v1 ─ shelves ─ * ─ books ─ *        GET, DELETE
 *        │                   └ *:archive  POST
 *        └ books ─ **                     GET
 *
 * Each node is visited at most once for a path, so what a match costs is bounded by the templates,
 * not by who sends the path.
 */
import { GrpcError } from '../grpc/grpc-error.ts'
import type { PathTemplate, PathVariable } from './path-template.ts'

export interface PathMatch<Target> {
  readonly target: Target
  /** Of each variable of its template, in that order. */
  readonly values: readonly string[]
}

/** The path is known, the method is not. */
export interface WrongMethod {
  readonly allowed: readonly string[]
}

export class PathMatcher<Target> {
  readonly #root: Node<Target> = new Node()
  /** A colon in a last segment is a verb only where some template has it. */
  readonly #verbs = new Set<string>()

  /**
   * @param method of HTTP; `*` for any
   * @returns false: the same method and template are there already
   */
  add(method: string, template: PathTemplate, target: Target): boolean {
    let node = this.#root
    for (const segment of template.segments) node = node.child(segment)
    const key = template.verb ?? ''
    if (key !== '') this.#verbs.add(key)
    const methods = node.ends.get(key) ?? new Map<string, End<Target>>()
    node.ends.set(key, methods)
    if (methods.has(method)) return false
    methods.set(method, { target, variables: template.variables })
    return true
  }

  /**
   * @param path as it came, with its percent-encoding, without the query
   * @throws GrpcError INVALID_ARGUMENT for bad percent-encoding, and for `.` and `..` as segments
   */
  match(method: string, path: string): PathMatch<Target> | WrongMethod | undefined {
    if (!path.startsWith('/') || path.length > MAX_PATH) return undefined
    const raw = path.slice(1).split('/')
    if (raw.length > MAX_SEGMENTS) return undefined
    const decoded = raw.map(decodeSegment)
    const allowed = new Set<string>()
    const last = decoded.at(-1) as string
    const colon = last.lastIndexOf(':')
    const verb = colon < 0 ? '' : last.slice(colon + 1)
    if (verb !== '' && this.#verbs.has(verb)) {
      const cut = [...decoded.slice(0, -1), last.slice(0, colon)]
      const rawLast = raw.at(-1) as string
      const rawCut = [...raw.slice(0, -1), cutVerb(rawLast)]
      const found = this.#find(method, verb, cut, rawCut, allowed)
      if (found !== undefined) return found
    }
    const found = this.#find(method, '', decoded, raw, allowed)
    if (found !== undefined) return found
    return allowed.size === 0 ? undefined : { allowed: [...allowed] }
  }

  #find(
    method: string,
    verb: string,
    decoded: readonly string[],
    raw: readonly string[],
    allowed: Set<string>,
  ): PathMatch<Target> | undefined {
    const end = walk(this.#root, 0, decoded, (node) => {
      const methods = node.ends.get(verb)
      if (methods === undefined) return undefined
      const found = methods.get(method) ?? methods.get('*')
      if (found === undefined) for (const one of methods.keys()) allowed.add(one)
      return found
    })
    if (end === undefined) return undefined
    const values = end.variables.map((variable) => textOf(variable, decoded, raw))
    return { target: end.target, values }
  }
}

interface End<Target> {
  readonly target: Target
  readonly variables: readonly PathVariable[]
}

class Node<Target> {
  readonly literals = new Map<string, Node<Target>>()
  readonly ends = new Map<string, Map<string, End<Target>>>()
  one: Node<Target> | undefined
  rest: Node<Target> | undefined

  child(segment: PathTemplate['segments'][number]): Node<Target> {
    if (segment.kind === 'one') return (this.one ??= new Node())
    if (segment.kind === 'rest') return (this.rest ??= new Node())
    const known = this.literals.get(segment.text)
    if (known !== undefined) return known
    const made = new Node<Target>()
    this.literals.set(segment.text, made)
    return made
  }
}

function walk<Target>(
  node: Node<Target>,
  at: number,
  segments: readonly string[],
  endOf: (node: Node<Target>) => End<Target> | undefined,
): End<Target> | undefined {
  if (at === segments.length) {
    return endOf(node) ?? (node.rest === undefined ? undefined : endOf(node.rest))
  }
  const segment = segments[at] as string
  const literal = node.literals.get(segment)
  const found =
    (literal === undefined ? undefined : walk(literal, at + 1, segments, endOf)) ??
    (node.one === undefined || segment === '' ? undefined : walk(node.one, at + 1, segments, endOf))
  if (found !== undefined) return found
  return node.rest === undefined ? undefined : endOf(node.rest)
}

/**
 * A variable of one segment is decoded as a whole. In one of several, `%2F` stays: it is no slash
 * between segments (http.proto).
 */
function textOf(
  { start, end, single, open }: PathVariable,
  decoded: readonly string[],
  raw: readonly string[],
): string {
  if (single) return decoded[start] ?? ''
  return raw
    .slice(start, open ? raw.length : end)
    .map(decodeButSlashes)
    .join('/')
}

function decodeSegment(raw: string): string {
  const decoded = raw.includes('%') ? decode(raw) : raw
  // Whoever makes a path of the value would be led out of where it belongs.
  if (decoded !== '.' && decoded !== '..' && !LEADS_OUT.test(decoded)) return decoded
  throw new GrpcError('INVALID_ARGUMENT', 'the path has a segment that is relative')
}

function decodeButSlashes(raw: string): string {
  if (!raw.includes('%')) return raw
  return raw
    .split(/(%2[Ff])/)
    .map((part, index) => (index % 2 === 1 ? part : decode(part)))
    .join('')
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    const message = 'the path is not percent-encoded UTF-8'
    throw new GrpcError('INVALID_ARGUMENT', message, { cause })
  }
}

/** The colon may be encoded. */
function cutVerb(raw: string): string {
  const at = Math.max(raw.lastIndexOf(':'), raw.toLowerCase().lastIndexOf('%3a'))
  return raw.slice(0, at)
}

/** `..` between slashes that were encoded. */
const LEADS_OUT = /(?:^|\/)\.\.?(?:\/|$)/
const MAX_PATH = 16_384
const MAX_SEGMENTS = 512
