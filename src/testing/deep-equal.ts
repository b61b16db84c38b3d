/**
 * Structural equality for messages and events, without a test library: the kits take any runner.
 */

/** Plain data: primitives, arrays, bytes, maps, sets, dates, objects by own enumerable properties. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) {
    // Views that a decoder returns may be of a subclass (Buffer).
    return a instanceof Uint8Array && b instanceof Uint8Array && equalBytes(a, b)
  }
  if (a instanceof Uint8Array) return equalBytes(a, b as Uint8Array)
  if (Array.isArray(a)) return equalItems(a, b as unknown[])
  if (a instanceof Map) return equalItems([...a], [...(b as Map<unknown, unknown>)])
  if (a instanceof Set) return equalItems([...a], [...(b as Set<unknown>)])
  if (a instanceof Date) return a.getTime() === (b as Date).getTime()
  if (a instanceof Error && a.message !== (b as Error).message) return false
  return equalProperties(a as Record<string, unknown>, b as Record<string, unknown>)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}

/** A value for a failure message: short, bytes as hex. */
export function describeValue(value: unknown): string {
  const text = render(value, 0)
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}

function render(value: unknown, depth: number): string {
  if (typeof value === 'string') return `'${value.slice(0, MAX_TEXT)}'`
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object' || value === null) return String(value)
  if (value instanceof Uint8Array) return renderBytes(value)
  if (value instanceof Error) return `${value.name}: ${value.message}`
  if (depth >= MAX_DEPTH) return '…'
  if (Symbol.iterator in value) {
    const items = [...(value as Iterable<unknown>)].slice(0, MAX_ITEMS)
    return `[${items.map((item) => render(item, depth + 1)).join(', ')}]`
  }
  const parts = Object.entries(value).map(([key, item]) => `${key}: ${render(item, depth + 1)}`)
  return `{ ${parts.slice(0, MAX_ITEMS).join(', ')} }`
}

function renderBytes(bytes: Uint8Array): string {
  let hex = ''
  for (const byte of bytes.subarray(0, MAX_ITEMS)) hex += byte.toString(16).padStart(2, '0')
  return `<${bytes.length} bytes ${hex}${bytes.length > MAX_ITEMS ? '…' : ''}>`
}

function equalItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (!deepEqual(a[at], b[at])) return false
  return true
}

function equalProperties(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  // Classes that keep everything private but can be iterated (header lists) are compared by items.
  if (Symbol.iterator in a && Symbol.iterator in b) {
    return equalItems([...(a as Iterable<unknown>)], [...(b as Iterable<unknown>)])
  }
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  for (const key of keys) {
    if (!Object.hasOwn(b, key) || !deepEqual(a[key], b[key])) return false
  }
  return true
}

const MAX_TEXT = 400
const MAX_ITEMS = 32
const MAX_DEPTH = 4
