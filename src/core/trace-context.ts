/**
 * W3C Trace Context, level 2 (https://www.w3.org/TR/trace-context-2/): `traceparent` and
 * `tracestate` as text, for whatever a protocol carries them in.
 *
 *     traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03
 *                  │  trace id, 16 bytes              span id, 8 bytes  flags: 1 sampled, 2 random
 *                  version
 *     tracestate:  vendor=opaque,tenant@system=opaque     at most 32 members, the newest first
 *
 * A peer's text is never trusted: what does not follow the grammar is no trace, and a broken
 * tracestate is left out without its traceparent (section 4.3). A version above 00 is read as far
 * as 00 goes, as it demands; flags that level 2 does not know are not passed on.
 */
import type { TraceContext } from './context.ts'

/** What `traceparent` says, without the rest. */
export interface TraceParent {
  readonly traceId: string
  readonly spanId: string
  readonly flags: number
}

export interface TraceStateMember {
  readonly key: string
  readonly value: string
}

export const SAMPLED_FLAG = 1
/** The trace id is random in its 7 rightmost bytes: samplers may rely on it. */
export const RANDOM_FLAG = 2

/** Whether whoever began the trace wants it recorded. */
export function isSampled(trace: TraceContext | undefined): boolean {
  return trace !== undefined && (trace.flags & SAMPLED_FLAG) !== 0
}

/** @returns undefined: not a traceparent, or one whose ids are all zero */
export function parseTraceparent(text: string): TraceParent | undefined {
  // Version 00 has exactly this length; a later one may go on behind another dash.
  if (text.length < TRACEPARENT_LENGTH || !isHex(text, 0, 2)) return undefined
  const isVersion00 = text.charCodeAt(0) === ZERO && text.charCodeAt(1) === ZERO
  if (text.length > TRACEPARENT_LENGTH) {
    if (isVersion00 || text.charCodeAt(TRACEPARENT_LENGTH) !== DASH) return undefined
  }
  if (text.startsWith('ff')) return undefined
  if (text.charCodeAt(2) !== DASH || text.charCodeAt(35) !== DASH) return undefined
  if (text.charCodeAt(52) !== DASH) return undefined
  if (!isHex(text, 3, 35) || !isHex(text, 36, 52) || !isHex(text, 53, 55)) return undefined
  const traceId = text.slice(3, 35)
  const spanId = text.slice(36, 52)
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined
  const flags = Number.parseInt(text.slice(53, 55), 16) & KNOWN_FLAGS
  return { traceId, spanId, flags }
}

/** As version 00, which every later version reads as well. */
export function formatTraceparent({ traceId, spanId, flags }: TraceParent): string {
  return `00-${traceId}-${spanId}-0${flags & KNOWN_FLAGS}`
}

/**
 * @returns the members in their order, empty ones left out; undefined: it breaks the grammar, says a
 *   key twice or has more than 32 members, and none of it is to be believed
 */
export function parseTraceState(text: string): TraceStateMember[] | undefined {
  const members: TraceStateMember[] = []
  const keys = new Set<string>()
  let start = 0
  while (start <= text.length) {
    let end = text.indexOf(',', start)
    if (end < 0) end = text.length
    const member = trimBlanks(text, start, end)
    start = end + 1
    if (member === '') continue
    if (members.length === MAX_STATE_MEMBERS) return undefined
    const equals = member.indexOf('=')
    const key = member.slice(0, equals)
    const value = member.slice(equals + 1)
    if (equals <= 0 || !STATE_KEY.test(key) || !STATE_VALUE.test(value) || keys.has(key)) {
      return undefined
    }
    keys.add(key)
    members.push({ key, value })
  }
  return members
}

export function formatTraceState(members: readonly TraceStateMember[]): string {
  return members.map(({ key, value }) => `${key}=${value}`).join(',')
}

/**
 * Adds a member in front, as whoever changes the state must (section 3.5); an older one of that key
 * goes, and from the right what is over 32.
 */
export function putTraceState(state: string | undefined, key: string, value: string): string {
  const before = state === undefined ? [] : (parseTraceState(state) ?? [])
  const others = before.filter((member) => member.key !== key)
  return formatTraceState([{ key, value }, ...others].slice(0, MAX_STATE_MEMBERS))
}

/**
 * Joins what a peer sent into a trace.
 *
 * @returns undefined: no valid `traceparent`, and without it the others mean nothing
 */
export function traceFrom(
  traceparent: string | undefined,
  tracestate: string | undefined,
  baggage: string | undefined,
): TraceContext | undefined {
  const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent)
  if (parent === undefined) return undefined
  const { traceId, spanId, flags } = parent
  return new PeerTrace(traceId, spanId, flags, validState(tracestate), baggage)
}

/** Whether it is what a peer sent, and no span of this process yet. */
export function isFromPeer(trace: TraceContext): boolean {
  return trace instanceof PeerTrace
}

class PeerTrace implements TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly flags: number
  readonly state: string | undefined
  readonly baggage: string | undefined

  constructor(
    traceId: string,
    spanId: string,
    flags: number,
    state: string | undefined,
    baggage: string | undefined,
  ) {
    this.traceId = traceId
    this.spanId = spanId
    this.flags = flags
    this.state = state
    this.baggage = baggage
  }
}

function validState(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const members = parseTraceState(text)
  return members === undefined || members.length === 0 ? undefined : formatTraceState(members)
}

function isHex(text: string, from: number, to: number): boolean {
  for (let index = from; index < to; index++) {
    const unit = text.charCodeAt(index)
    // Lower case only: upper case is a mistake of the sender (section 3.2.2).
    const isDigit = unit >= ZERO && unit <= 0x39
    if (!isDigit && !(unit >= 0x61 && unit <= 0x66)) return false
  }
  return true
}

/** Space and tab only: `String.trim` takes line ends away, which would then not be refused. */
export function trimBlanks(text: string, start = 0, end: number = text.length): string {
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09
}

const TRACEPARENT_LENGTH = 55
const KNOWN_FLAGS = SAMPLED_FLAG | RANDOM_FLAG
const MAX_STATE_MEMBERS = 32
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)
const ZERO = 0x30
const DASH = 0x2d
const STATE_KEY = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/
/** Printable ASCII without comma and equals sign, not ending with a space. */
const STATE_VALUE = /^[ -+\--<>-~]{0,255}[!-+\--<>-~]$/
