/**
 * Paths in one spelling, before anything is decided by them (RFC 3986, 6.2.2).
 *
 * A route for `/admin` protects nothing when `/%61dmin`, `//admin` or `/x/../admin` reach the same
 * upstream under another name. So the path is normalised first, and the normalised path is both
 * what routes see and what the upstream gets:
 *
 *     %61 → a      percent-encoded unreserved characters are decoded (always)
 *     %2f → %2F    other percent-encodings are written in capitals (always)
 *     /a/./b, /a/../b      resolved, refused or kept
 *     /a//b                merged, refused or kept
 *     %2F, %5C             kept as part of a segment, decoded, or refused
 *     \                    refused, turned into a slash, or kept
 *     /..;x/a, /..%2Fa     refused, unless dot segments are kept: servers that strip parameters or
 *                          decode %2F would climb out of the route after it was chosen
 *
 * The query is not touched. What has no one meaning (`%zz`, a control character, a fragment: `/admin#x`
 * is `/admin` to servers that cut it off) is refused.
 */

export interface PathOptions {
  readonly dotSegments: 'resolve' | 'reject' | 'keep'
  readonly doubleSlashes: 'merge' | 'reject' | 'keep'
  readonly encodedSlashes: 'keep' | 'decode' | 'reject'
  readonly backslashes: 'reject' | 'slash' | 'keep'
}

export const pathDefaults: PathOptions = Object.freeze({
  // As every browser and RFC 3986 5.2.4.
  dotSegments: 'resolve',
  // As nginx: most upstreams serve /a//b as /a/b, so routes must see it so.
  doubleSlashes: 'merge',
  // %2F is data in a segment (an object key, a branch name); decoding it changes the path.
  encodedSlashes: 'keep',
  // Some servers read it as a slash, some do not: nobody sends it for a good reason.
  backslashes: 'reject',
})

/**
 * Normalises a target in origin form (`/path?query`).
 *
 * @returns the same string when nothing is to be done, the common case, decided in one pass;
 *   undefined: the path is refused
 */
export function normalizeTarget(target: string, options: PathOptions): string | undefined {
  const length = target.length
  let end = length
  let plain = true
  let previous = 0
  for (let at = 0; at < length; at++) {
    const unit = target.charCodeAt(at)
    if (unit === QUESTION) {
      end = at
      break
    }
    if (unit === PERCENT || unit === BACKSLASH) plain = false
    else if (unit <= SPACE || unit >= DELETE || unit === HASH) return undefined
    else if (previous === SLASH && (unit === SLASH || unit === DOT)) plain = false
    previous = unit
  }
  if (plain) return target
  const path = normalizePath(target.slice(0, end), options)
  if (path === undefined) return undefined
  return end === length ? path : path + target.slice(end)
}

function normalizePath(raw: string, options: PathOptions): string | undefined {
  let path: string | undefined = raw
  if (path.includes('%')) path = normalizePercent(path, options.encodedSlashes)
  if (path === undefined) return undefined
  // A decoded %5C is a backslash like any other.
  if (path.includes('\\')) {
    if (options.backslashes === 'reject') return undefined
    if (options.backslashes === 'slash') path = path.replaceAll('\\', '/')
  }
  if (path.includes('//')) {
    if (options.doubleSlashes === 'reject') return undefined
    if (options.doubleSlashes === 'merge') path = path.replace(/\/{2,}/g, '/')
  }
  if (DOT_SEGMENT.test(path)) {
    if (options.dotSegments === 'reject') return undefined
    if (options.dotSegments === 'resolve') path = resolveDotSegments(path)
  }
  if (options.dotSegments !== 'keep' && HIDDEN_DOT_SEGMENT.test(path)) return undefined
  return path
}

/** Decodes what is unreserved, capitalises the rest; undefined for what is no percent-encoding. */
function normalizePercent(
  path: string,
  encodedSlashes: PathOptions['encodedSlashes'],
): string | undefined {
  let result = ''
  let from = 0
  for (let at = path.indexOf('%'); at >= 0; at = path.indexOf('%', at + 3)) {
    const high = hexValue(path.charCodeAt(at + 1))
    const low = hexValue(path.charCodeAt(at + 2))
    if (high < 0 || low < 0) return undefined
    const unit = high * 16 + low
    // A decoded NUL or line feed is an attack on whatever takes the path for a file name.
    if (unit < SPACE || unit === DELETE) return undefined
    const slash = unit === SLASH || unit === BACKSLASH
    if (slash && encodedSlashes === 'reject') return undefined
    result += path.slice(from, at)
    if (UNRESERVED[unit] === 1 || (slash && encodedSlashes === 'decode')) {
      result += String.fromCharCode(unit)
    } else result += path.slice(at, at + 3).toUpperCase()
    from = at + 3
  }
  return result + path.slice(from)
}

/** RFC 3986 5.2.4. A path that climbs above the root stays at the root. */
function resolveDotSegments(path: string): string {
  const kept: string[] = []
  const segments = path.split('/')
  for (let index = 1; index < segments.length; index++) {
    const segment = segments[index] as string
    const last = index === segments.length - 1
    if (segment === '..') kept.pop()
    else if (segment !== '.') {
      kept.push(segment)
      continue
    }
    // `/a/.` and `/a/b/..` name the directory: the slash at the end stays.
    if (last) kept.push('')
  }
  return `/${kept.join('/')}`
}

function hexValue(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30
  const lower = unit | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

const SPACE = 0x20
const HASH = 0x23
const PERCENT = 0x25
const DOT = 0x2e
const SLASH = 0x2f
const QUESTION = 0x3f
const BACKSLASH = 0x5c
const DELETE = 0x7f
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/
/** What some servers take for one: with parameters, or between encoded slashes or backslashes. */
const HIDDEN_DOT_SEGMENT = /(?:[/\\]|%2F|%5C)\.{1,2}(?:[/\\;]|%2F|%5C|$)/
/** RFC 3986 2.3. */
const UNRESERVED: Readonly<Uint8Array> = /* @__PURE__ */ (() => {
  const table = new Uint8Array(256)
  for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~') {
    table[char.charCodeAt(0)] = 1
  }
  return table
})()
