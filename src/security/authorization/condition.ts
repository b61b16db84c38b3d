/**
 * Conditions on attributes: few, typed, and total. Each says yes, no, or **unknown** when what it
 * asks for is not there or of another kind; unknown never helps a caller:
 *
 *     an allow with an unknown condition does not allow
 *     a deny with an unknown condition denies
 *     not(unknown) is unknown
 *
 * Attributes are named `principal.id`, `principal.method`, `claims.<name>` (what the identity source
 * said) and `context.<name>` (what the server says of the request); dots go into objects.
 */
import ipaddr, { type IPv4, type IPv6 } from 'ipaddr.js'
import type { AccessQuestion } from '../../core/access.ts'
import { UsageError } from '../../core/errors.ts'
import { compileTimeWindow, type TimeWindow } from './time-window.ts'

export type Scalar = string | number | boolean

export type Condition =
  /** A list has it when one of its elements does. */
  | { readonly attribute: string; readonly equals: Scalar }
  | { readonly attribute: string; readonly in: readonly Scalar[] }
  | { readonly attribute: string; readonly present: boolean }
  /** Numbers only; several bounds must all hold. */
  | {
      readonly attribute: string
      readonly atLeast?: number
      readonly atMost?: number
      readonly above?: number
      readonly below?: number
    }
  /** The caller's address is in one of these blocks. */
  | { readonly cidr: readonly string[] }
  | { readonly time: TimeWindow }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition }

export type Truth = 'yes' | 'no' | 'unknown'
export type CompiledCondition = (question: AccessQuestion) => Truth

/** @throws UsageError ERR_ARGUMENT for what is no condition */
export function compileCondition(condition: Condition, depth = 0): CompiledCondition {
  if (depth > MAX_DEPTH) {
    throw new UsageError('ERR_ARGUMENT', `conditions are nested more than ${MAX_DEPTH} deep`)
  }
  if ('all' in condition) return every(compileAll(condition.all, depth))
  if ('any' in condition) {
    const none = every(compileAll(condition.any, depth).map(negate))
    return negate(none)
  }
  if ('not' in condition) return negate(compileCondition(condition.not, depth + 1))
  if ('cidr' in condition) return compileCidr(condition.cidr)
  if ('time' in condition) return compileTime(condition.time)
  if ('attribute' in condition) return compileAttribute(condition)
  throw new UsageError('ERR_ARGUMENT', 'a condition is none of those that are known')
}

/** All of them hold. None: yes. */
export function every(conditions: readonly CompiledCondition[]): CompiledCondition {
  return (question) => {
    let truth: Truth = 'yes'
    for (const condition of conditions) {
      const one = condition(question)
      if (one === 'no') return 'no'
      if (one === 'unknown') truth = 'unknown'
    }
    return truth
  }
}

function compileAll(conditions: readonly Condition[], depth: number): CompiledCondition[] {
  // An empty `all` would always hold and an empty `any` never: neither is meant.
  if (conditions.length === 0) throw new UsageError('ERR_ARGUMENT', 'all and any need conditions')
  return conditions.map((condition) => compileCondition(condition, depth + 1))
}

function negate(condition: CompiledCondition): CompiledCondition {
  return (question) => {
    const truth = condition(question)
    if (truth === 'unknown') return truth
    return truth === 'yes' ? 'no' : 'yes'
  }
}

function compileAttribute(
  condition: Extract<Condition, { readonly attribute: string }>,
): CompiledCondition {
  const read = compileName(condition.attribute)
  if ('present' in condition) {
    const { present } = condition
    return (question) => ((read(question) !== undefined) === present ? 'yes' : 'no')
  }
  if ('equals' in condition) return oneOf(read, [condition.equals])
  if ('in' in condition) return oneOf(read, condition.in)
  const { atLeast, atMost, above, below } = condition
  const bounds = [atLeast, atMost, above, below]
  if (bounds.every((bound) => bound === undefined)) {
    throw new UsageError('ERR_ARGUMENT', `the condition on ${condition.attribute} asks nothing`)
  }
  if (bounds.some((bound) => bound !== undefined && !Number.isFinite(bound))) {
    throw new UsageError('ERR_ARGUMENT', `a bound of ${condition.attribute} is not a number`)
  }
  return (question) => {
    const value = read(question)
    if (typeof value !== 'number' || Number.isNaN(value)) return 'unknown'
    const holds =
      (atLeast === undefined || value >= atLeast) &&
      (atMost === undefined || value <= atMost) &&
      (above === undefined || value > above) &&
      (below === undefined || value < below)
    return holds ? 'yes' : 'no'
  }
}

function oneOf(
  read: (question: AccessQuestion) => unknown,
  wanted: readonly Scalar[],
): CompiledCondition {
  if (wanted.length === 0) throw new UsageError('ERR_ARGUMENT', 'in needs values')
  const set = new Set<unknown>(wanted)
  return (question) => {
    const value = read(question)
    if (Array.isArray(value)) return value.some((one) => set.has(one)) ? 'yes' : 'no'
    if (!isScalar(value)) return 'unknown'
    return set.has(value) ? 'yes' : 'no'
  }
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function compileName(name: string): (question: AccessQuestion) => unknown {
  const [source, ...path] = name.split('.')
  if (path.length === 0 || path.includes('')) throw unknownName(name)
  switch (source) {
    case 'principal':
      if (path.length === 1 && path[0] === 'id') return ({ principal }) => principal?.id
      if (path.length === 1 && path[0] === 'method') return ({ principal }) => principal?.method
      throw unknownName(name)
    case 'claims':
      return ({ principal }) => lookUp(principal?.attributes, path)
    case 'context':
      return ({ context }) => lookUp(context.attributes, path)
    default:
      throw unknownName(name)
  }
}

function unknownName(name: string): UsageError {
  const known = 'principal.id, principal.method, claims.<name> or context.<name>'
  return new UsageError('ERR_ARGUMENT', `attribute '${name}' is not ${known}`)
}

/** Own properties only: `constructor` is nobody's claim. */
function lookUp(from: unknown, path: readonly string[]): unknown {
  let value = from
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function compileTime(window: TimeWindow): CompiledCondition {
  const within = compileTimeWindow(window)
  return ({ context: { wallTime } }) => {
    if (wallTime === undefined || !Number.isFinite(wallTime)) return 'unknown'
    return within(wallTime) ? 'yes' : 'no'
  }
}

function compileCidr(blocks: readonly string[]): CompiledCondition {
  if (blocks.length === 0) throw new UsageError('ERR_ARGUMENT', 'cidr needs blocks')
  const ranges = blocks.map((block) => parseBlock(block))
  return ({ context }) => {
    const address = context.address === undefined ? undefined : parseAddress(context.address)
    if (address === undefined) return 'unknown'
    const kind = address.kind()
    const inside = ranges.some(([base, bits]) => {
      return base.kind() === kind && address.match([base, bits] as never)
    })
    return inside ? 'yes' : 'no'
  }
}

function parseBlock(block: string): [IPv4 | IPv6, number] {
  try {
    if (block.includes('/')) return unmapped(...ipaddr.parseCIDR(block))
    const address = ipaddr.parse(block)
    return unmapped(address, address.kind() === 'ipv4' ? 32 : 128)
  } catch (error) {
    throw new UsageError('ERR_ARGUMENT', `'${block}' is not an address block`, { cause: error })
  }
}

/** `::ffff:192.0.2.0/120` is `192.0.2.0/24`. */
function unmapped(base: IPv4 | IPv6, bits: number): [IPv4 | IPv6, number] {
  if (base.kind() === 'ipv4') return [base, bits]
  const six = base as IPv6
  return six.isIPv4MappedAddress() && bits >= 96 ? [six.toIPv4Address(), bits - 96] : [six, bits]
}

/** An IPv4 address that came through an IPv6 socket is an IPv4 address. */
function parseAddress(text: string): IPv4 | IPv6 | undefined {
  const zone = text.indexOf('%')
  try {
    return unmapped(ipaddr.parse(zone < 0 ? text : text.slice(0, zone)), 128)[0]
  } catch {
    return undefined
  }
}

const MAX_DEPTH = 8
