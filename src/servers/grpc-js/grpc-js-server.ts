/**
 * The server side of `@grpc/grpc-js` over heddle: definitions and handlers stay as they are.
 *
 *     import { Server, ServerCredentials } from 'heddle/grpc-js'
 *
 *     const server = new Server()
 *     server.addService(OrdersService, { get(call, callback) { callback(null, { id: call.request.id }) } })
 *     server.bindAsync('0.0.0.0:50051', ServerCredentials.createInsecure(), (error, port) => …)
 *
 * `service()` is the whole as an `HttpService`: beside other services, on any transport of heddle.
 */
import type { DescMethod } from '@bufbuild/protobuf'
import { UsageError } from '../../core/errors.ts'
import type { Source } from '../../core/flow.ts'
import type { Transport } from '../../core/transport.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import {
  describeMethod,
  type MethodDefinition,
  type ServiceDefinition,
} from '../../protocols/grpc/grpc-js-definition.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { tls } from '../../transports/tls/tls.ts'
import type { TlsCredentials } from '../../transports/tls/tls-options.ts'
import { grpcSettings } from '../grpc/grpc-options.ts'
import { type GrpcService, grpcServer } from '../grpc/grpc-service.ts'
import type { HandlerContext } from '../grpc/handler-context.ts'
import type { ServiceMethod } from '../grpc/service-handlers.ts'
import { type HttpServer, httpServer } from '../http/http-server.ts'
import {
  type SendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  toBuffer,
  toGrpcError,
} from './server-calls.ts'

export interface ServerOptions {
  /** @default 4_194_304, as grpc-js; -1: no limit */
  'grpc.max_receive_message_length'?: number
  /** @default no limit, as grpc-js */
  'grpc.max_send_message_length'?: number
  /** Others of grpc-js are taken and have no effect. */
  [name: string]: unknown
}

export class ServerCredentials {
  readonly transport: Transport

  constructor(transport: Transport) {
    this.transport = transport
  }

  static createInsecure(): ServerCredentials {
    return new ServerCredentials(tcp())
  }

  /** PEM, as grpc-js takes it. */
  static createSsl(
    rootCerts: Uint8Array | null,
    pairs: readonly { readonly private_key: Uint8Array; readonly cert_chain: Uint8Array }[],
    checkClientCertificate = false,
  ): ServerCredentials {
    const [pair] = pairs
    if (pair === undefined) throw new UsageError('ERR_ARGUMENT', 'TLS needs a key and certificate')
    const own: TlsCredentials = { key: pair.private_key, certificate: pair.cert_chain }
    const clients = checkClientCertificate ? 'require' : rootCerts === null ? 'none' : 'request'
    return new ServerCredentials(
      tls({
        credentials: own,
        alpn: ['h2', 'http/1.1'],
        clientCertificates: clients,
        ...(rootCerts && { ca: rootCerts }),
      }),
    )
  }
}

/** A handler of any kind; generated types say which. */
export type UntypedHandler = (call: never, callback: never) => void

export type UntypedServiceImplementation = Readonly<Record<string, UntypedHandler | unknown>>

export class Server {
  readonly #options: ServerOptions
  readonly #services = new Map<string, GrpcService>()
  #service: HttpService | undefined
  #http: HttpServer | undefined

  constructor(options: ServerOptions = {}) {
    this.#options = options
    this.#service = undefined
    this.#http = undefined
  }

  /** @throws UsageError ERR_ARGUMENT for a service that is there already, or without a method */
  addService(service: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    const methods = new Map<string, ServiceMethod>()
    let typeName: string | undefined
    for (const [name, definition] of Object.entries(service)) {
      const desc = describeMethod(definition, { text: nodeHost.text, toBytes: toBuffer })
      typeName ??= desc.parent.typeName
      const handler = handlerOf(implementation, name, definition)
      methods.set(desc.name, { desc, call: callOf(desc, definition, handler) })
    }
    if (typeName === undefined) throw new UsageError('ERR_ARGUMENT', 'the service has no method')
    if (this.#services.has(typeName)) {
      throw new UsageError('ERR_ARGUMENT', `${typeName} is served already`)
    }
    const receive = this.#options['grpc.max_receive_message_length']
    const send = this.#options['grpc.max_send_message_length']
    const settings = grpcSettings({
      ...(receive !== undefined && { maxReceiveMessageBytes: receive < 0 ? 0xffff_ffff : receive }),
      ...(send !== undefined && send >= 0 && { maxSendMessageBytes: send }),
    })
    const parent = { typeName, kind: 'service' }
    const served = {
      implementation: { desc: parent, methods },
      settings,
    } as unknown as GrpcService
    this.#services.set(typeName, served)
    this.#service = undefined
  }

  removeService(service: ServiceDefinition): void {
    for (const { path } of Object.values(service)) {
      this.#services.delete(path.slice(1, path.lastIndexOf('/')))
    }
    this.#service = undefined
  }

  /** Services that are added later are served as well. */
  service(): HttpService {
    return (request, context) => {
      this.#service ??= grpcServer([...this.#services.values()])
      return this.#service(request, context)
    }
  }

  bindAsync(
    port: string,
    credentials: ServerCredentials,
    callback: (error: Error | null, port: number) => void,
  ): void {
    this.#http ??= httpServer(this.service())
    const address = port.replace(/^(?:dns|ipv4|ipv6):(?:\/\/[^/]*\/)?/, '')
    this.#http.listen(credentials.transport, address).then(
      (listener) => callback(null, listener.address.kind === 'ip' ? listener.address.port : 1),
      (error: Error) => callback(error, 0),
    )
  }

  /** It serves from the moment it is bound, as grpc-js does since 1.10. */
  start(): void {}

  /** No new calls; those under way finish. */
  tryShutdown(callback: (error?: Error) => void): void {
    const closed = this.#http?.close() ?? Promise.resolve()
    closed.then(
      () => callback(),
      (error: Error) => callback(error),
    )
  }

  /** Calls under way are cut. */
  forceShutdown(): void {
    void this.#http?.close({ signal: AbortSignal.abort() }).catch(() => {})
  }
}

type Handler = (call: unknown, callback: SendUnaryData<unknown>) => void

/** By its name in the definition, or the original one, as grpc-js looks for it. */
function handlerOf(
  implementation: UntypedServiceImplementation,
  name: string,
  { originalName }: MethodDefinition,
): Handler | undefined {
  const found =
    implementation[name] ?? (originalName === undefined ? undefined : implementation[originalName])
  return typeof found === 'function' ? (found.bind(implementation) as Handler) : undefined
}

function callOf(
  desc: DescMethod,
  { requestStream, responseStream }: MethodDefinition,
  handler: Handler | undefined,
): ServiceMethod['call'] {
  if (handler === undefined) {
    const missing = new GrpcError(
      'UNIMPLEMENTED',
      `The server does not implement the method ${desc.name}`,
    )
    return () => Promise.reject(missing)
  }
  if (responseStream) {
    return (input, context) => {
      const call = requestStream
        ? new ServerDuplexStream(context, input as Source<unknown>)
        : new ServerWritableStream(context, input)
      handler(call, () => {})
      return call.replies
    }
  }
  return (input, context) => answerOf(input, context, requestStream, handler)
}

function answerOf(
  input: unknown,
  context: HandlerContext,
  requestStream: boolean,
  handler: Handler,
): Promise<unknown> {
  const call = requestStream
    ? new ServerReadableStream(context, input as Source<unknown>)
    : new ServerUnaryCall(context, input)
  return new Promise((resolve, reject) => {
    handler(call, (error, value, trailer) => {
      call.setTrailers(trailer)
      if (error !== null && error !== undefined) reject(toGrpcError(error))
      else resolve(value)
    })
  })
}
