/**
 * One record of the audit log: a line of canonical JSON, bound to the line before it.
 *
 *     {"action":"GET","alg":"sha256","hash":"…","prev":"…","resource":"/a","seq":7,"ts":"…","type":"decision"}
 *
 * `hash` is SHA-256 over the line without it, or HMAC-SHA-256 where the log has a key; `prev` is the
 * hash of the record before, so that none can be changed, taken out, put in or moved. Keys are in
 * alphabetical order and there is no space: a record has one spelling only, and a line that is
 * spelt in any other way has been touched.
 */
import { createHash, createHmac, type KeyObject } from 'node:crypto'
import type { AccessEvent } from '../../core/access.ts'

/** What is told to the log. Never a credential. */
export interface AuditEvent {
  /** `login`, `decision`, `lockout`, `reload`, `admin`, `certificate`, `start`, `stop`, … */
  readonly type: string
  readonly outcome?: string | undefined
  /** Who, once that is known; before that the name that was claimed. */
  readonly principal?: string | undefined
  readonly method?: string | undefined
  readonly address?: string | undefined
  readonly action?: string | undefined
  readonly resource?: string | undefined
  readonly reason?: string | undefined
  readonly correlationId?: string | undefined
  readonly traceId?: string | undefined
  readonly connectionId?: number | undefined
  /** Anything else, small. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined
}

export type AuditAlgorithm = 'sha256' | 'hmac-sha256'

/** A line, read. */
export interface AuditRecord {
  readonly alg: AuditAlgorithm
  readonly seq: number
  readonly prev: string
  readonly hash: string
  readonly ts: string
  readonly type: string
}

/** Before the first record. */
export const GENESIS: string = '0'.repeat(64)

/** Makes records one after the other. */
export class AuditChain {
  readonly alg: AuditAlgorithm
  readonly #key: KeyObject | undefined
  #seq: number
  #hash: string

  /** Goes on after the record of that number and hash. */
  constructor(key: KeyObject | undefined, seq = 0, hash: string = GENESIS) {
    this.alg = key === undefined ? 'sha256' : 'hmac-sha256'
    this.#key = key
    this.#seq = seq
    this.#hash = hash
  }

  /** Of the last record. */
  get seq(): number {
    return this.#seq
  }

  get hash(): string {
    return this.#hash
  }

  /** The next record as a line with its newline. */
  next(event: AuditEvent, wallNow: number): string {
    const fields = { ...fieldsOf(event), alg: this.alg, seq: this.#seq + 1, prev: this.#hash }
    const body = { ...fields, ts: new Date(wallNow).toISOString() }
    const hash = recordHash(canonical(body), this.#key)
    this.#seq++
    this.#hash = hash
    return `${canonical({ ...body, hash })}\n`
  }
}

/**
 * Reads a line strictly.
 *
 * @returns the record, or what is wrong with the line by itself
 */
export function readRecord(line: string, key: KeyObject | undefined): AuditRecord | string {
  let value: unknown
  let spelling: string
  try {
    value = JSON.parse(line)
    // What is nested deeper than the stack is no record of ours either.
    spelling = canonical(value)
  } catch {
    return 'it is not a record'
  }
  if (!isRecord(value)) return 'it is not a record'
  if (spelling !== line) return 'it is spelt in another way than records are'
  if (value.alg !== (key === undefined ? 'sha256' : 'hmac-sha256')) {
    return value.alg === 'sha256' ? 'it was made without a key' : 'it was made with a key'
  }
  const { hash, ...body } = value
  if (recordHash(canonical(body), key) !== hash) return 'its hash is not that of its content'
  return value
}

/**
 * JSON with one spelling only: keys in the order of their code units, no space (as RFC 8785, for
 * texts, whole numbers, booleans, lists and maps).
 */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const { toJSON } = value as { toJSON?: () => unknown }
  if (typeof toJSON === 'function') return canonical(toJSON.call(value))
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined && typeof item !== 'function')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, item]) => `${JSON.stringify(name)}:${canonical(item)}`)
  return `{${entries.join(',')}}`
}

/** Hash of a text as records are hashed. */
export function recordHash(text: string, key: KeyObject | undefined): string {
  const hash = key === undefined ? createHash('sha256') : createHmac('sha256', key)
  return hash.update(text, 'utf8').digest('hex')
}

export function accessAuditEvent(event: AccessEvent): AuditEvent {
  const { type, outcome, address, correlationId, traceId, connectionId, reason, method } = event
  const common = { type, outcome, address, correlationId, traceId, connectionId, reason, method }
  if (event.type === 'login') return { ...common, principal: event.name }
  const { principal, action, resource, level } = event
  return { ...common, principal, action, resource, detail: { level } }
}

function fieldsOf(event: AuditEvent): Record<string, unknown> {
  const detail = event.detail === undefined ? undefined : boundedDetail(event.detail)
  return {
    type: bounded(event.type),
    outcome: bounded(event.outcome),
    principal: bounded(event.principal),
    method: bounded(event.method),
    address: bounded(event.address),
    action: bounded(event.action),
    resource: bounded(event.resource),
    reason: bounded(event.reason),
    correlation_id: bounded(event.correlationId),
    trace_id: bounded(event.traceId),
    connection_id: event.connectionId,
    detail,
  }
}

function bounded(text: string | undefined): string | undefined {
  if (text === undefined || text.length <= MAX_TEXT) return text
  return `${text.slice(0, MAX_TEXT)}…`
}

function boundedDetail(detail: Readonly<Record<string, unknown>>): unknown {
  try {
    const text = canonical(detail)
    return text.length <= MAX_DETAIL ? JSON.parse(text) : { omitted: `${text.length} characters` }
  } catch {
    return { omitted: 'not JSON' }
  }
}

function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { seq, prev, hash, ts, type, alg } = value as Record<string, unknown>
  return (
    Number.isSafeInteger(seq) &&
    typeof prev === 'string' &&
    typeof hash === 'string' &&
    typeof ts === 'string' &&
    typeof type === 'string' &&
    (alg === 'sha256' || alg === 'hmac-sha256')
  )
}

/** Longest text of one field, in characters. A URL of usual length fits. */
const MAX_TEXT = 2_048
const MAX_DETAIL = 8_192
/** No line is longer: 11 texts, each character at most six when escaped, and the detail. */
export const MAX_LINE_BYTES: number = 11 * 6 * (MAX_TEXT + 1) + 6 * MAX_DETAIL + 1_024
