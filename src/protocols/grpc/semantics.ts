/**
 * How gRPC looks in spans and metrics, by OpenTelemetry's conventions for RPC: the same description
 * for both (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/).
 */
import { type ProtocolMetricNames, rpcMetricNames } from '../../core/metric-names.ts'
import { type RpcSemanticsOptions, rpcSemantics } from '../../core/semantics.ts'
import type { CallSemantics } from '../../core/tracing.ts'
import type { HttpRequest, HttpResponse } from '../http/messages.ts'
import { grpcStatusOfResponse } from './classifier.ts'
import { grpcStatusOf } from './error-status.ts'
import { grpcStatusName } from './status.ts'

const description: RpcSemanticsOptions<HttpRequest, HttpResponse> = {
  system: 'grpc',
  // The route is the path of a method that exists: `/package.Service/Method`.
  method: ({ route }) => (route === undefined ? undefined : route.slice(1)),
  status(response) {
    const status = grpcStatusOfResponse(response)
    return status === undefined ? undefined : grpcStatusName(status)
  },
  errorStatus: (error) => grpcStatusName(grpcStatusOf(error)),
}

export const grpcSemantics: CallSemantics<HttpRequest, HttpResponse> =
  /* @__PURE__ */ rpcSemantics(description)

export const grpcMetricNames: ProtocolMetricNames<HttpRequest, HttpResponse> =
  /* @__PURE__ */ rpcMetricNames(description)
