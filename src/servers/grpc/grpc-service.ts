/**
 * A gRPC service as an `HttpService`: on any version of HTTP, any transport, beside other services.
 *
 *     const greeter = grpcService(Greeter, { hello: ({ name }) => ({ text: `hello ${name}` }) })
 *     await using server = httpServer(greeter)
 *     await server.listen(tcp(), 'tcp://127.0.0.1:50051')
 *
 * Several services, and what is no gRPC: `grpcServer([greeter, orders], { next: website })`.
 */
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import type { CallContext } from '../../core/context.ts'
import { UsageError } from '../../core/errors.ts'
import type { MaybePromise, Service } from '../../core/service.ts'
import { grpcFormat } from '../../protocols/grpc/content-type.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { GrpcMethod } from './grpc-method.ts'
import {
  type GrpcServerCall,
  type GrpcServiceOptions,
  type GrpcSettings,
  grpcSettings,
} from './grpc-options.ts'
import { errorReply } from './grpc-replies.ts'
import type { ServiceHandlers, ServiceImplementation, ServiceMethod } from './service-handlers.ts'

/** Answers calls of its service; anything else gets what `grpcServer` without `next` answers. */
export interface GrpcService extends HttpService {
  readonly implementation: ServiceImplementation
  readonly settings: GrpcSettings
}

export interface GrpcServerOptions {
  /**
   * Answers whatever is no gRPC.
   *
   * @default 415 for a path of a service, 404 for others
   */
  next?: HttpService
}

/** @throws UsageError ERR_ARGUMENT for a method without a handler, or a handler without a method */
export function grpcService<Desc extends DescService>(
  desc: Desc,
  handlers: ServiceHandlers<Desc>,
  options: GrpcServiceOptions = {},
): GrpcService {
  const settings = grpcSettings(options)
  const implementation = implement(desc, handlers, options)
  let serve: HttpService | undefined
  const service = (request: HttpRequest, context: CallContext): MaybePromise<HttpResponse> => {
    serve ??= grpcServer([answering])
    return serve(request, context)
  }
  const answering: GrpcService = Object.assign(service, { implementation, settings })
  return answering
}

/** Several services on one port, each with its own options. */
export function grpcServer(
  services: readonly GrpcService[],
  options: GrpcServerOptions = {},
): HttpService {
  const { next } = options
  const methods = new Map<string, GrpcMethod>()
  for (const { implementation, settings } of services) {
    const { typeName } = implementation.desc
    for (const [name, method] of implementation.methods) {
      const path = `/${typeName}/${name}`
      if (methods.has(path)) throw new UsageError('ERR_ARGUMENT', `${path} is served twice`)
      methods.set(path, new GrpcMethod(path, method, settings))
    }
  }
  return (request, context) => {
    const type = request.fields.get('content-type')
    const format = grpcFormat(type)
    if (format === undefined && next !== undefined) return next(request, context)
    const method = methods.get(request.target) ?? methods.get(request.path)
    if (format === undefined) return refuse(request, method === undefined ? 404 : 415)
    if (format !== 'proto') return refuse(request, 415)
    if (request.method !== 'POST') return refuse(request, 405)
    if (method !== undefined) return method.handle(request, context)
    request.body.discard()
    return errorReply(unknownMethod(request.path, services))
  }
}

function implement<Desc extends DescService>(
  desc: Desc,
  handlers: ServiceHandlers<Desc>,
  { interceptors = [] }: GrpcServiceOptions,
): ServiceImplementation {
  const given = handlers as Readonly<Record<string, unknown>>
  const methods = new Map<string, ServiceMethod>()
  for (const method of desc.methods) {
    const handler = given[method.localName]
    if (typeof handler !== 'function') {
      const message = `${desc.typeName} needs a handler '${method.localName}'`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    const bound = handler.bind(handlers) as ServiceMethod['call']
    methods.set(method.name, { desc: method, call: intercepted(method, bound, interceptors) })
  }
  for (const name of Object.keys(given)) {
    if (desc.method[name] !== undefined) continue
    throw new UsageError('ERR_ARGUMENT', `${desc.typeName} has no method '${name}'`)
  }
  return { desc, methods }
}

function intercepted(
  method: DescMethod,
  handler: ServiceMethod['call'],
  interceptors: NonNullable<GrpcServiceOptions['interceptors']>,
): ServiceMethod['call'] {
  if (interceptors.length === 0) return handler
  return (input, context) => {
    const inner: Service<GrpcServerCall, unknown> = (call, passed) =>
      handler(call.input, context.over(passed))
    const outer = interceptors.reduceRight<Service<GrpcServerCall, unknown>>(
      (next, interceptor) => {
        const service = interceptor(next)
        return (call, passed) => service(call, context.over(passed))
      },
      inner,
    )
    return outer({ method, input }, context)
  }
}

function unknownMethod(path: string, services: readonly GrpcService[]): GrpcError {
  const [, name = '', method = ''] = path.split('/')
  const shown = JSON.stringify(path.slice(0, MAX_SHOWN))
  if (services.some(({ implementation }) => implementation.desc.typeName === name)) {
    const quoted = JSON.stringify(method.slice(0, MAX_SHOWN))
    return new GrpcError('UNIMPLEMENTED', `${name} has no method ${quoted}`)
  }
  return new GrpcError('UNIMPLEMENTED', `nothing is served at ${shown}`)
}

/** What is no call of gRPC gets an answer of HTTP. */
function refuse(request: HttpRequest, status: 404 | 405 | 415): HttpResponse {
  request.body.discard()
  const fields = new HttpFields()
  if (status === 405) fields.set('allow', 'POST')
  if (status === 415) fields.set('accept-post', 'application/grpc, application/grpc+proto')
  return new HttpResponse({ status, fields })
}

const MAX_SHOWN = 128
