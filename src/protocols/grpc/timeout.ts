/**
 * `grpc-timeout`: at most eight digits and a unit. What is no such value ends the call with INTERNAL,
 * as gRPC's servers do: a client that asked for a limit must not run without one.
 */
import { formatGrpcTimeout, parseGrpcTimeout } from '../http/deadline-header.ts'
import { GrpcError } from './grpc-error.ts'

export { formatGrpcTimeout }

/**
 * Milliseconds; undefined: no field.
 *
 * @throws GrpcError INTERNAL
 */
export function readGrpcTimeout(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = parseGrpcTimeout(text)
  if (ms !== undefined) return ms
  throw new GrpcError('INTERNAL', `grpc-timeout ${JSON.stringify(text.slice(0, 32))} is not valid`)
}
