/**
 * One implementation of a service, four protocols on one port: gRPC, gRPC-Web and Connect as
 * `rpcServer` has them, and REST as the `google.api.http` annotations of its methods say.
 *
 *     const books = grpcService(Books, { get: ({ name }) => find(name) })
 *     await using server = httpServer(restServer([books]))
 */

import type { HttpService } from '../../protocols/http/messages.ts'
import { BUILT_IN_FILES } from '../../protocols/protobuf/built-in-files.ts'
import { schemaOf } from '../../protocols/protobuf/schema.ts'
import { transcode } from '../../protocols/transcoding/transcode.ts'
import type { TranscodingOptions } from '../../protocols/transcoding/transcoding-options.ts'
import { type RpcServerOptions, rpcServer } from '../connect/rpc-server.ts'
import type { GrpcService } from '../grpc/grpc-service.ts'

export interface RestServerOptions extends RpcServerOptions {
  rest?: Omit<TranscodingOptions, 'fallback'>
}

/** @throws UsageError ERR_SCHEMA for annotations that do not fit their methods */
export function restServer(
  services: readonly GrpcService[],
  options: RestServerOptions = {},
): HttpService {
  const { rest = {}, ...rpc } = options
  const calls = rpcServer(services, rpc)
  const schema = schemaOf(
    BUILT_IN_FILES,
    services.map(({ implementation }) => implementation.desc),
  )
  return transcode(schema, calls, { ...rest, fallback: calls })
}
