/**
 * Calls of a gRPC service, over any client of HTTP: balanced, retried and limited as that one is.
 *
 *     await using client = grpcClient(Greeter, 'http://127.0.0.1:50051')
 *     const reply = await client.hello({ name: 'Ada' }, { timeoutMs: 500 })
 *
 * Several services over one channel: `const channel = grpcChannel('http://…')`, then
 * `grpcClient(Greeter, channel)`. A service of this process is a target too: nothing is encoded into
 * HTTP then.
 *
 * A call rejects with the server's own status as `GrpcError`; with what went wrong here as the error
 * it is (`TimeoutError`, `TransportError`, the reason of the caller's own signal). `grpcStatusOf`
 * names the status of any of them.
 */
import type { DescService } from '@bufbuild/protobuf'
import { clientSettings, type GrpcClientOptions, type GrpcTarget } from './client-settings.ts'
import type { GrpcClient } from './client-types.ts'
import { grpcChannel } from './grpc-channel.ts'
import { GrpcMethodClient } from './grpc-method-client.ts'

/** A client made of an address owns its channel: `await using`, or dispose it. */
export function grpcClient<Desc extends DescService>(
  desc: Desc,
  target: GrpcTarget | string | URL,
  options: GrpcClientOptions = {},
): GrpcClient<Desc> {
  const owned = typeof target === 'string' || target instanceof URL
  const { serviceConfig } = options
  const channel = owned
    ? grpcChannel(target, {
        // What needs no trailers goes over whatever the server speaks.
        version: (options.protocol ?? 'grpc') === 'grpc' ? '2' : 'auto',
        ...options.channel,
        ...(serviceConfig !== undefined && { serviceConfig }),
      })
    : undefined
  const settings = clientSettings(desc, channel ?? (target as GrpcTarget), options)
  const calls: Record<string | symbol, unknown> = {}
  for (const method of desc.methods) {
    calls[method.localName] = new GrpcMethodClient(method, settings).toFunction()
  }
  calls[Symbol.asyncDispose] = async (): Promise<void> => channel?.close()
  return Object.freeze(calls) as unknown as GrpcClient<Desc>
}
