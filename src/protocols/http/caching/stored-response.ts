/**
 * A response that is kept: its fields and body, when it came, and how long it may be used.
 *
 * Never changed once made: a validation makes another one with the same body. `storedAt` is
 * monotonic, so age and staleness only grow.
 */
import { HttpFields } from '../fields.ts'
import { type CacheControl, readCacheControl } from './cache-control.ts'
import { type FreshnessRules, freshnessLifetime, initialAge } from './freshness.ts'
import { type StoreRules, storedFields } from './storability.ts'
import { varyKey, varyNames } from './vary.ts'

/** When a response came, by both clocks, and how long the exchange took. */
export interface Arrival {
  readonly now: number
  readonly wallMs: number
  readonly exchangeMs: number
}

export interface StoredResponse {
  /** Of the resource: all its variants have it. */
  readonly key: string
  readonly varyNames: readonly string[]
  readonly varyKey: string
  readonly status: number
  readonly reason: string | undefined
  readonly fields: HttpFields
  /** Never written to. */
  readonly body: Uint8Array
  readonly control: CacheControl
  readonly lifetimeSeconds: number
  readonly initialAgeSeconds: number
  /** Monotonic milliseconds. */
  readonly storedAt: number
  /** What it counts for in the store. */
  readonly bytes: number
}

export interface ResponseHead {
  readonly status: number
  readonly reason: string | undefined
  readonly fields: HttpFields
}

/** @param requestFields by which it was chosen; its `Vary` must not be `*` */
export function storedResponse(
  key: string,
  requestFields: HttpFields,
  head: ResponseHead,
  body: Uint8Array,
  arrival: Arrival,
  rules: FreshnessRules & StoreRules,
): StoredResponse {
  const fields = storedFields(head.fields, rules, head.status === 204 ? undefined : body.length)
  return describe(key, requestFields, { ...head, fields }, body, head.fields, arrival, rules)
}

/**
 * What a 304 makes of a stored response (RFC 9111 3.2 and 4.3.4): its fields, but those about
 * content that did not come, replace those that were there; age and lifetime begin anew.
 */
export function freshened(
  stored: StoredResponse,
  requestFields: HttpFields,
  notModified: HttpFields,
  arrival: Arrival,
  rules: FreshnessRules & StoreRules,
): StoredResponse {
  const fields = new HttpFields(stored.fields)
  const told = storedFields(notModified, rules, undefined)
  const replaced = new Set<string>()
  told.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (KEPT.has(lower)) return
    if (!replaced.has(lower)) fields.delete(lower)
    replaced.add(lower)
    fields.append(name, value)
  })
  const { key, status, reason, body } = stored
  // Of an Age that came with the 304 and is not stored, the new age is made.
  const aged = new HttpFields(fields)
  const age = notModified.get('age')
  if (age !== undefined) aged.set('age', age)
  return describe(key, requestFields, { status, reason, fields }, body, aged, arrival, rules)
}

export function ageSeconds(stored: StoredResponse, now: number): number {
  return stored.initialAgeSeconds + (now - stored.storedAt) / 1_000
}

function describe(
  key: string,
  requestFields: HttpFields,
  head: ResponseHead,
  body: Uint8Array,
  received: HttpFields,
  arrival: Arrival,
  rules: FreshnessRules,
): StoredResponse {
  const { status, reason, fields } = head
  const control = readCacheControl(fields)
  const names = varyNames(fields) ?? []
  const variant = varyKey(names, requestFields)
  const { now, wallMs, exchangeMs } = arrival
  return {
    key,
    varyNames: names,
    varyKey: variant,
    status,
    reason,
    fields,
    body,
    control,
    lifetimeSeconds: freshnessLifetime(status, fields, control, wallMs, rules),
    initialAgeSeconds: initialAge(received, wallMs, exchangeMs),
    storedAt: now,
    bytes: body.length + lengthOf(fields) + key.length + variant.length + OVERHEAD_BYTES,
  }
}

function lengthOf(fields: HttpFields): number {
  let length = 0
  fields.forEach((name, value) => {
    length += name.length + value.length
  })
  return length
}

/** What the objects of an entry take besides its text and bytes, roughly. */
const OVERHEAD_BYTES = 512
/** Said of content that a 304 does not carry. */
const KEPT: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-range',
  'content-type',
])
