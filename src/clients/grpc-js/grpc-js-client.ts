/**
 * The client side of `@grpc/grpc-js` over heddle: generated stubs stay as they are.
 *
 *     import { credentials, makeGenericClientConstructor } from 'heddle/grpc-js'
 *
 *     const Orders = makeGenericClientConstructor(OrdersService, 'shop.v1.Orders')
 *     const orders = new Orders('127.0.0.1:50051', credentials.createInsecure())
 *     orders.get({ id: 7 }, (error, order) => …)
 */
import type { DescService } from '@bufbuild/protobuf'
import { UsageError } from '../../core/errors.ts'
import type { Source } from '../../core/flow.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import {
  describeMethod,
  type MethodDefinition,
  type ServiceDefinition,
} from '../../protocols/grpc/grpc-js-definition.ts'
import {
  isMetadata,
  type JsMetadataLike,
  toGrpcMetadata,
} from '../../protocols/grpc/grpc-js-metadata.ts'
import { clientSettings, type GrpcClientSettings } from '../grpc/client-settings.ts'
import type { GrpcCallOptions } from '../grpc/client-types.ts'
import { type GrpcChannelOptions, grpcChannel } from '../grpc/grpc-channel.ts'
import { GrpcMethodClient } from '../grpc/grpc-method-client.ts'
import type { HttpClient } from '../http/http-client.ts'
import {
  type BeginCall,
  ClientDuplexStream,
  ClientReadableStream,
  ClientUnaryCall,
  ClientWritableStream,
  type RequestCallback,
} from './client-calls.ts'
import type { ChannelCredentials } from './credentials.ts'
import { toBuffer } from './service-error.ts'

export interface ChannelOptions {
  /** @default 4_194_304, as grpc-js; -1: no limit */
  'grpc.max_receive_message_length'?: number
  /** @default no limit, as grpc-js */
  'grpc.max_send_message_length'?: number
  'grpc.primary_user_agent'?: string
  /** JSON. */
  'grpc.service_config'?: string
  /** Name to ask for and to check over TLS. */
  'grpc.ssl_target_name_override'?: string
  /** What heddle has beyond grpc-js: another transport, pools, retries, a meter. */
  heddle?: GrpcChannelOptions
  /** Others of grpc-js are taken and have no effect. */
  [name: string]: unknown
}

export interface CallOptions {
  /** When it is to be over: a date, or milliseconds since the epoch. */
  deadline?: Date | number
  waitForReady?: boolean
}

type Parsed = { metadata?: JsMetadataLike; options: CallOptions; callback?: RequestCallback<never> }
type Invoke = (input: unknown, options: GrpcCallOptions) => unknown

export class Client {
  readonly #channel: HttpClient
  readonly #settings: GrpcClientSettings
  readonly #target: string
  readonly #calls = new Map<string, Invoke>()

  constructor(
    address: string,
    channelCredentials: ChannelCredentials,
    options: ChannelOptions = {},
  ) {
    const { tls } = channelCredentials
    const serviceConfig = options['grpc.service_config']
    const serverName = options['grpc.ssl_target_name_override']
    this.#target = address
    this.#channel = grpcChannel(originOf(address, tls !== undefined), {
      version: '2',
      ...(tls && { tls: { ...tls, ...(serverName !== undefined && { serverName }) } }),
      ...(serviceConfig !== undefined && { serviceConfig }),
      ...options.heddle,
    })
    const receive = options['grpc.max_receive_message_length']
    const send = options['grpc.max_send_message_length']
    const userAgent = options['grpc.primary_user_agent']
    const service = {} as DescService
    this.#settings = clientSettings(service, this.#channel, {
      // grpc-js has no deadline that the caller did not give.
      timeoutMs: Number.POSITIVE_INFINITY,
      ...(receive !== undefined && { maxReceiveMessageBytes: receive < 0 ? 0xffff_ffff : receive }),
      ...(send !== undefined && send >= 0 && { maxSendMessageBytes: send }),
      ...(userAgent !== undefined && { userAgent: `${userAgent} grpc-heddle/0.1` }),
      ...(serviceConfig !== undefined && { serviceConfig }),
    })
  }

  /** Calls under way go on, new ones are refused. */
  close(): void {
    void this.#channel.close()
  }

  getChannel(): HttpClient {
    return this.#channel
  }

  makeUnaryRequest<Req, Res>(
    path: string,
    serialize: (value: Req) => Uint8Array,
    deserialize: (bytes: Buffer) => Res,
    argument: Req,
    ...rest: unknown[]
  ): ClientUnaryCall {
    const { callback, given } = this.#parse(rest, true)
    const invoke = this.#invoke(path, serialize, deserialize, false, false)
    const begin: BeginCall<Promise<Res>> = (listeners) =>
      invoke(argument, { ...given, ...listeners }) as Promise<Res>
    return new ClientUnaryCall(this.#target).begin(begin, callback as RequestCallback<Res>)
  }

  makeClientStreamRequest<Req, Res>(
    path: string,
    serialize: (value: Req) => Uint8Array,
    deserialize: (bytes: Buffer) => Res,
    ...rest: unknown[]
  ): ClientWritableStream<Req> {
    const { callback, given } = this.#parse(rest, true)
    const invoke = this.#invoke(path, serialize, deserialize, true, false)
    const begin =
      (requests: Source<Req>): BeginCall<Promise<Res>> =>
      (listeners) =>
        invoke(requests, { ...given, ...listeners }) as Promise<Res>
    const stream = new ClientWritableStream<Req>(this.#target)
    return stream.begin(begin, callback as RequestCallback<Res>)
  }

  makeServerStreamRequest<Req, Res>(
    path: string,
    serialize: (value: Req) => Uint8Array,
    deserialize: (bytes: Buffer) => Res,
    argument: Req,
    ...rest: unknown[]
  ): ClientReadableStream<Res> {
    const { given } = this.#parse(rest, false)
    const invoke = this.#invoke(path, serialize, deserialize, false, true)
    return new ClientReadableStream<Res>(this.#target).begin(
      (listeners) => invoke(argument, { ...given, ...listeners }) as Source<Res>,
    )
  }

  makeBidiStreamRequest<Req, Res>(
    path: string,
    serialize: (value: Req) => Uint8Array,
    deserialize: (bytes: Buffer) => Res,
    ...rest: unknown[]
  ): ClientDuplexStream<Req, Res> {
    const { given } = this.#parse(rest, false)
    const invoke = this.#invoke(path, serialize, deserialize, true, true)
    const begin =
      (requests: Source<Req>): BeginCall<Source<Res>> =>
      (listeners) =>
        invoke(requests, { ...given, ...listeners }) as Source<Res>
    return new ClientDuplexStream<Req, Res>(this.#target).begin(begin)
  }

  #invoke(
    path: string,
    serialize: (value: never) => Uint8Array,
    deserialize: (bytes: never) => unknown,
    requestStream: boolean,
    responseStream: boolean,
  ): Invoke {
    // The generated code has one pair of functions for a path.
    const known = this.#calls.get(path)
    if (known !== undefined) return known
    const definition: MethodDefinition = {
      path,
      requestStream,
      responseStream,
      requestSerialize: serialize,
      requestDeserialize: unused,
      responseSerialize: unused,
      responseDeserialize: deserialize as never,
    }
    const method = describeMethod(definition, { text: nodeHost.text, toBytes: toBuffer })
    const invoke = new GrpcMethodClient(method, this.#settings).toFunction() as Invoke
    this.#calls.set(path, invoke)
    return invoke
  }

  #parse(
    rest: readonly unknown[],
    needsCallback: boolean,
  ): { given: GrpcCallOptions; callback: RequestCallback<never> | undefined } {
    const { metadata, options, callback } = parseArguments(rest)
    if (needsCallback && callback === undefined) {
      throw new UsageError('ERR_ARGUMENT', 'the call needs a callback for its answer')
    }
    const { deadline, waitForReady } = options
    const asked = metadata?.getOptions?.()
    const ready = waitForReady ?? asked?.waitForReady
    const given: GrpcCallOptions = {
      metadata: toGrpcMetadata(metadata),
      ...(deadline !== undefined && { timeoutMs: remainingMs(deadline) }),
      ...(ready !== undefined && { waitForReady: ready }),
      ...(asked?.idempotentRequest === true && { idempotent: true }),
    }
    return { given, callback }
  }
}

export interface ServiceClient extends Client {
  [method: string]: unknown
}

export interface ServiceClientConstructor {
  new (address: string, credentials: ChannelCredentials, options?: ChannelOptions): ServiceClient
  readonly service: ServiceDefinition
  readonly serviceName: string
}

/** A client class with a function for each method, by its name and by its original name. */
export function makeClientConstructor(
  methods: ServiceDefinition,
  serviceName: string,
): ServiceClientConstructor {
  class GeneratedClient extends Client {
    static readonly service = methods
    static readonly serviceName = serviceName
  }
  for (const [name, definition] of Object.entries(methods)) {
    if (name.startsWith('$')) {
      throw new UsageError('ERR_ARGUMENT', `method ${name}: a name cannot begin with $`)
    }
    const call = callOf(definition)
    for (const one of [name, definition.originalName]) {
      if (one === undefined || isUnsafe(one)) continue
      Object.defineProperty(GeneratedClient.prototype, one, { value: call, writable: true })
    }
  }
  return GeneratedClient as unknown as ServiceClientConstructor
}

export const makeGenericClientConstructor: typeof makeClientConstructor = makeClientConstructor

export interface GrpcObject {
  [name: string]: GrpcObject | ServiceClientConstructor | object
}

/** What `@grpc/proto-loader` loaded, as nested packages of client classes. */
export function loadPackageDefinition(definition: Readonly<Record<string, object>>): GrpcObject {
  const root: GrpcObject = Object.create(null) as GrpcObject
  for (const [fullName, entry] of Object.entries(definition)) {
    const names = fullName.split('.')
    if (names.some(isUnsafe)) continue
    const last = names.pop() as string
    let at = root
    for (const name of names) at = (at[name] ??= Object.create(null) as GrpcObject) as GrpcObject
    // Messages and enums have a format, services have methods.
    at[last] =
      'format' in entry ? entry : makeClientConstructor(entry as ServiceDefinition, fullName)
  }
  return root
}

function callOf(definition: MethodDefinition): (this: Client, ...given: unknown[]) => unknown {
  const { path, requestStream, responseStream } = definition
  const serialize = definition.requestSerialize as (value: unknown) => Uint8Array
  const deserialize = definition.responseDeserialize as unknown as (bytes: Buffer) => unknown
  if (requestStream && responseStream) {
    return function (...rest) {
      return this.makeBidiStreamRequest(path, serialize, deserialize, ...rest)
    }
  }
  if (requestStream) {
    return function (...rest) {
      return this.makeClientStreamRequest(path, serialize, deserialize, ...rest)
    }
  }
  if (responseStream) {
    return function (argument, ...rest) {
      return this.makeServerStreamRequest(path, serialize, deserialize, argument, ...rest)
    }
  }
  return function (argument, ...rest) {
    return this.makeUnaryRequest(path, serialize, deserialize, argument, ...rest)
  }
}

/** `metadata?, options?, callback?`, each of which may be left out. */
function parseArguments(rest: readonly unknown[]): Parsed {
  const parsed: Parsed = { options: {} }
  for (const one of rest) {
    if (typeof one === 'function') parsed.callback = one as RequestCallback<never>
    else if (isMetadata(one)) parsed.metadata = one
    else if (typeof one === 'object' && one !== null) parsed.options = one as CallOptions
  }
  return parsed
}

function remainingMs(deadline: Date | number): number {
  const at = typeof deadline === 'number' ? deadline : deadline.getTime()
  return Math.max(0, at - systemClock.wallNow())
}

/** `host:port`, `dns:host:port`, `dns:///host:port`, `unix:/path`. */
function originOf(address: string, secure: boolean): string {
  const scheme = secure ? 'https' : 'http'
  if (address.startsWith('unix:')) {
    return `${scheme}+unix:${address.replace(/^unix:(?:\/\/)?/, '')}`
  }
  const host = address.replace(/^(?:dns|ipv4|ipv6):(?:\/\/[^/]*\/)?/, '')
  return `${scheme}://${host}`
}

function isUnsafe(name: string): boolean {
  return name === '__proto__' || name === 'prototype' || name === 'constructor'
}

function unused(): never {
  throw new UsageError('ERR_STATE', 'a client does not read requests')
}
