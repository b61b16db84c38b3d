/**
 * Methods as grpc-tools, ts-proto and `@grpc/proto-loader` describe them for `@grpc/grpc-js`: a path,
 * and functions between messages and bytes. From that a method is made that the rest of heddle calls
 * and serves like one of protobuf-es.
 */
import type { DescMessage, DescMethod } from '@bufbuild/protobuf'
import { UsageError } from '../../core/errors.ts'
import type { TextCodec } from '../../core/host.ts'
import { adoptCodec, type MessageCodec } from '../protobuf/codec.ts'

/** `any`-like on purpose: generated code has functions of its own messages. */
export interface MethodDefinition<Req = never, Res = never> {
  readonly path: string
  readonly requestStream: boolean
  readonly responseStream: boolean
  readonly requestSerialize: (value: Req) => Uint8Array
  readonly requestDeserialize: (bytes: never) => Req
  readonly responseSerialize: (value: Res) => Uint8Array
  readonly responseDeserialize: (bytes: never) => Res
  readonly originalName?: string
}

export type ServiceDefinition = Readonly<Record<string, MethodDefinition>>

export interface DescribeOptions {
  readonly text: TextCodec
  /** What deserialising functions are given: a `Buffer`, where that is what they expect. */
  toBytes(bytes: Uint8Array): Uint8Array
}

/** @throws UsageError ERR_ARGUMENT for a path that is none of gRPC */
export function describeMethod(definition: MethodDefinition, options: DescribeOptions): DescMethod {
  const match = /^\/([^/]+)\/([^/]+)$/.exec(definition.path)
  const [, typeName, name] = match ?? []
  if (typeName === undefined || name === undefined) {
    const message = `path ${JSON.stringify(definition.path)} is not /package.Service/Method`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  const { requestStream, responseStream } = definition
  const sent = { serialize: definition.requestSerialize, parse: definition.requestDeserialize }
  const back = { serialize: definition.responseSerialize, parse: definition.responseDeserialize }
  return {
    kind: 'rpc',
    name,
    localName: name,
    parent: { kind: 'service', typeName, name: typeName.slice(typeName.lastIndexOf('.') + 1) },
    methodKind: KINDS[requestStream ? 1 : 0][responseStream ? 1 : 0],
    input: describeMessage(`${definition.path} request`, sent as Functions, options),
    output: describeMessage(`${definition.path} response`, back as Functions, options),
    idempotency: 0,
    deprecated: false,
  } as unknown as DescMethod
}

interface Functions {
  serialize(value: unknown): Uint8Array
  parse(bytes: Uint8Array): unknown
}

/** Nothing is known of the message but how it becomes bytes. */
function describeMessage(
  typeName: string,
  { serialize, parse }: Functions,
  { text, toBytes }: DescribeOptions,
): DescMessage {
  const desc = { kind: 'message', typeName, name: typeName } as unknown as DescMessage
  const codec: MessageCodec = {
    desc,
    encode(message, room = 0) {
      const bytes = serialize(message)
      if (room === 0) return bytes
      const framed = new Uint8Array(room + bytes.length)
      framed.set(bytes, room)
      return framed
    },
    // The functions may keep what they are given; a chunk is only lent.
    decode: (bytes) => parse(toBytes(bytes.slice())) as never,
  }
  adoptCodec(desc, codec, text)
  return desc
}

const KINDS = [
  ['unary', 'server_streaming'],
  ['client_streaming', 'bidi_streaming'],
] as const
