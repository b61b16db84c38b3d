/**
 * Deadlines between services: what remains of the caller's time travels in a field, because clocks
 * of two machines have nothing in common. Each hop sends what remains *then*, never what was
 * configured: time that passed in queues and earlier attempts is gone.
 *
 * | field                            | value | whose |
 * |----------------------------------|-------|-------|
 * | `x-envoy-expected-rq-timeout-ms` | milliseconds | Envoy, towards upstreams |
 * | `connect-timeout-ms`             | milliseconds, at most 10 digits | Connect protocol |
 * | `grpc-timeout`                   | at most 8 digits and one of `H M S m u n` | gRPC (PROTOCOL-HTTP2) |
 */
import type { HttpFields } from './fields.ts'

export type DeadlineHeader =
  | 'x-envoy-expected-rq-timeout-ms'
  | 'connect-timeout-ms'
  | 'grpc-timeout'

/** The fields that a server reads. */
export const DEADLINE_HEADERS: readonly DeadlineHeader[] = Object.freeze([
  'x-envoy-expected-rq-timeout-ms',
  'connect-timeout-ms',
  'grpc-timeout',
])

/** The value that says that so much remains. Rounded down, never 0, which means no limit to some. */
export function formatRemaining(header: DeadlineHeader, remainingMs: number): string {
  if (header === 'grpc-timeout') return formatGrpcTimeout(remainingMs)
  return String(Math.min(MAX_MS, Math.max(1, Math.floor(remainingMs))))
}

/** The least that any of the fields says, in milliseconds; undefined: none says anything valid. */
export function readRemainingMs(fields: HttpFields): number | undefined {
  let least: number | undefined
  for (const header of DEADLINE_HEADERS) {
    const text = fields.get(header)
    if (text === undefined) continue
    const ms = header === 'grpc-timeout' ? parseGrpcTimeout(text) : parseMs(text)
    if (ms !== undefined && (least === undefined || ms < least)) least = ms
  }
  return least
}

/** As precise as 8 digits allow, rounded down. */
export function formatGrpcTimeout(remainingMs: number): string {
  const nanos = Math.max(1, Math.floor(Math.max(0, remainingMs) * 1e6))
  for (const [unit, perUnit] of GRPC_UNITS) {
    const value = Math.floor(nanos / perUnit)
    if (value <= MAX_GRPC_VALUE) return `${Math.max(1, value)}${unit}`
  }
  return `${MAX_GRPC_VALUE}H`
}

/** Milliseconds; undefined: not a valid timeout. */
export function parseGrpcTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text)
  if (match === null) return undefined
  const unit = GRPC_UNITS.find(([name]) => name === match[2])
  return unit === undefined ? undefined : (Number(match[1]) * unit[1]) / 1e6
}

function parseMs(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

const MAX_MS = 9_999_999_999
const MAX_GRPC_VALUE = 99_999_999
/** Finest first, in nanoseconds. */
const GRPC_UNITS: readonly (readonly [unit: string, nanos: number])[] = [
  ['n', 1],
  ['u', 1e3],
  ['m', 1e6],
  ['S', 1e9],
  ['M', 60e9],
  ['H', 3_600e9],
]
