/** Errors and statuses as `@grpc/grpc-js` shows them. */
import { ClosedError } from '../../core/errors.ts'
import { grpcStatusOf } from '../../protocols/grpc/error-status.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { Metadata } from '../../protocols/grpc/grpc-js-metadata.ts'
import { GrpcStatus, grpcStatusName } from '../../protocols/grpc/status.ts'

export interface StatusObject {
  code: number
  details: string
  metadata: Metadata
}

export interface ServiceError extends Error, StatusObject {}

/** What a call ended with. */
export function statusOf(error: unknown, trailers: Metadata | undefined): StatusObject {
  if (error === undefined) {
    return { code: GrpcStatus.OK, details: 'OK', metadata: trailers ?? new Metadata() }
  }
  if (error instanceof GrpcError) {
    const { grpcCode: code, grpcMessage: details } = error
    const metadata = trailers ?? Metadata.fromGrpc(error.metadata, toBuffer)
    return { code, details, metadata }
  }
  const cancelled = error instanceof ClosedError || (error as Error | null)?.name === 'AbortError'
  const code = cancelled ? GrpcStatus.CANCELLED : grpcStatusOf(error)
  const details = cancelled
    ? 'Cancelled on client'
    : String((error as Error | null)?.message ?? error)
  return { code, details, metadata: trailers ?? new Metadata() }
}

/** `5 NOT_FOUND: no such order` */
export function serviceError(status: StatusObject, cause?: unknown): ServiceError {
  const { code, details } = status
  const message = `${code} ${grpcStatusName(code)}: ${details}`
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), status)
}

export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
