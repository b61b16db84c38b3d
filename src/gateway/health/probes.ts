/**
 * What a health check asks: a connection is enough (`tcp`), or an answer with an expected status
 * (`http`), or its service says that it serves (`grpc`, grpc.health.v1).
 */
import type { GrpcTargetClient } from '../../clients/grpc/client-settings.ts'
import { grpcHealthProbe } from '../../clients/grpc/grpc-health-probe.ts'
import type { Address } from '../../core/address.ts'
import type { Call } from '../../core/context.ts'
import { RemoteError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import { HttpRequest } from '../../protocols/http/messages.ts'
import type { HealthProbe } from './health-checker.ts'

/** Well when it can be connected to. */
export function connectProbe(transport: Transport, address: Address): HealthProbe {
  return async (call: Call) => {
    const { signal, deadline } = call
    const connection = await transport.connect(address, {
      signal,
      ...(deadline !== undefined && { deadline }),
    })
    connection.destroy()
  }
}

export interface HttpProbeOptions {
  /** A service that sends to the endpoint and nowhere else, without retries. */
  call: HttpService
  path: string
  host: string
  /** `200`, or a range `200-299`. */
  expectedStatuses: readonly (number | string)[]
  /** Asked by gRPC for the health of this service; `''` is the server as a whole. */
  grpcService?: string | undefined
}

/** Well when it answers with an expected status. */
export function httpProbe(options: HttpProbeOptions): HealthProbe {
  const { call, path, host, expectedStatuses, grpcService } = options
  if (grpcService !== undefined) {
    return grpcHealthProbe(
      { call: call as GrpcTargetClient['call'], authority: host },
      { service: grpcService },
    )
  }
  const ranges = expectedStatuses.map(toRange)
  return async (context: Call) => {
    const request = new HttpRequest({
      target: path,
      authority: host,
      fields: { 'user-agent': 'heddle-health-check' },
    })
    const response = await call(request, context)
    response.body.discard()
    const { status } = response
    if (ranges.some(([low, high]) => status >= low && status <= high)) return
    const message = `health check of ${host}${path} answered ${status}, expected ${expectedStatuses.join(', ')}`
    throw new RemoteError('ERR_REMOTE', message, { status })
  }
}

function toRange(expected: number | string): readonly [number, number] {
  if (typeof expected === 'number') return [expected, expected]
  const [low = 0, high = 0] = expected.split('-').map(Number)
  return [low, high]
}
