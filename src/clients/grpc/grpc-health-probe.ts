/**
 * Asks a server for its health by `grpc.health.v1`: a probe for whoever checks endpoints.
 *
 *     const probe = grpcHealthProbe(channel, { service: 'acme.v1.Orders' })
 *     await probe(context) // rejects unless it serves
 */
import type { CallContext } from '../../core/context.ts'
import { RemoteError } from '../../core/errors.ts'
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../protocols/grpc/proto/grpc/health/v1/health_pb.ts'
import type { GrpcClientOptions, GrpcTarget } from './client-settings.ts'
import { grpcClient } from './grpc-client.ts'

export interface GrpcHealthProbeOptions {
  /** Whose health. @default '', the server as a whole */
  service?: string
  /** Of the client that asks: another protocol, say. */
  client?: GrpcClientOptions
}

/**
 * @param target sends to the endpoint that is checked and nowhere else
 * @returns resolves for SERVING; rejects with RemoteError ERR_REMOTE (`status`: what it is instead), or
 * with why it could not be asked
 */
export function grpcHealthProbe(
  target: GrpcTarget,
  options: GrpcHealthProbeOptions = {},
): (context: CallContext) => Promise<void> {
  const { service = '', client } = options
  const { check } = grpcClient(Health, target, client)
  return async (context) => {
    const { status } = await check({ service }, { context, timeoutMs: Number.POSITIVE_INFINITY })
    if (status === Status.SERVING) return
    const name = NAMES.get(status) ?? String(status)
    const what = service === '' ? 'the server' : service
    throw new RemoteError('ERR_REMOTE', `${what} is ${name}`, { status: name })
  }
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(Status).map(([name, status]) => [status, name]),
)
