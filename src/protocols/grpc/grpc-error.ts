/**
 * A status of gRPC other than OK, as an error: what a handler throws and what a client's call rejects
 * with when the server answered so.
 *
 *     throw new GrpcError('NOT_FOUND', `no order ${id}`)
 *     throw new GrpcError('INVALID_ARGUMENT', 'no name', { details: [[BadRequestSchema, { … }]] })
 */
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { fromBinary } from '@bufbuild/protobuf'
import { type HeddleErrorOptions, RemoteError, UsageError } from '../../core/errors.ts'
import { GrpcMetadata, type GrpcMetadataInit } from './call-metadata.ts'
import { GrpcStatus, type GrpcStatusCode, type GrpcStatusName, grpcStatusName } from './status.ts'
import { type AnyDetail, encodeDetail } from './status-details.ts'

export interface GrpcErrorOptions extends Pick<HeddleErrorOptions, 'cause' | 'sent'> {
  /**
   * Messages that say more, each with its descriptor (`RetryInfoSchema`, `BadRequestSchema`, one of
   * your own), or as `google.protobuf.Any`. They travel in `grpc-status-details-bin`.
   */
  details?: readonly GrpcErrorDetail[]
  /** Trailing metadata. */
  metadata?: GrpcMetadataInit
}

export type GrpcErrorDetail<Desc extends DescMessage = DescMessage> =
  | readonly [Desc, MessageInitShape<Desc>]
  | AnyDetail

const GRPC_ERROR = Symbol.for('heddle.grpc-error')

export class GrpcError extends RemoteError {
  /** 1 to 16, see {@link GrpcStatus}. `status` is its name. */
  readonly grpcCode: GrpcStatusCode
  /** The message by itself; `message` has the name of the status in front of it. */
  readonly grpcMessage: string
  /** As they travel; {@link GrpcError.find} decodes them. */
  readonly details: readonly AnyDetail[]
  readonly metadata: GrpcMetadata

  constructor(
    status: GrpcStatusName | GrpcStatusCode,
    message: string = '',
    options: GrpcErrorOptions = {},
  ) {
    const code = typeof status === 'number' ? status : GrpcStatus[status]
    if (code === undefined || code === GrpcStatus.OK || !Number.isInteger(code)) {
      throw new UsageError('ERR_ARGUMENT', `${String(status)} is no status of a failed call`)
    }
    const name = grpcStatusName(code)
    super('ERR_REMOTE', message === '' ? name : `${name}: ${message}`, {
      cause: options.cause,
      status: name,
      retryable: RETRYABLE.has(code) ? 'if-idempotent' : 'no',
      ...(options.sent !== undefined && { sent: options.sent }),
    })
    this.grpcCode = code
    this.grpcMessage = message
    this.details = (options.details ?? []).map(encodeDetail)
    this.metadata =
      options.metadata instanceof GrpcMetadata
        ? options.metadata
        : new GrpcMetadata(options.metadata)
  }

  get [GRPC_ERROR](): true {
    return true
  }

  /** Every detail of one type; what cannot be decoded is left out. */
  find<Desc extends DescMessage>(schema: Desc): MessageShape<Desc>[] {
    const found: MessageShape<Desc>[] = []
    for (const { type, value } of this.details) {
      if (type !== schema.typeName) continue
      try {
        found.push(fromBinary(schema, value))
      } catch {
        // A detail is an extra: a broken one must not hide the error itself.
      }
    }
    return found
  }

  /** Recognises those of another copy of this package too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && GRPC_ERROR in value
  }
}

/** Where another attempt may go better. Whether it may be made, idempotence says. */
const RETRYABLE: ReadonlySet<number> = new Set([
  GrpcStatus.RESOURCE_EXHAUSTED,
  GrpcStatus.ABORTED,
  GrpcStatus.UNAVAILABLE,
])
