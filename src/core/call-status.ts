/** What spans and metrics make of a protocol's own codes, in one place so that they agree. */
import { HeddleError } from './errors.ts'

/** The protocol's own status of an error of ours. */
export function statusTextOf(error: unknown): string | undefined {
  if (!(error instanceof HeddleError) || error.status === undefined) return undefined
  return String(error.status)
}

export const RPC_SUCCESSES: readonly string[] = Object.freeze(['OK', '0'])
export const GRPC_SERVER_ERRORS: readonly string[] = Object.freeze([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
])
