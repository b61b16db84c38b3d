/**
 * Which protocol a call speaks, by its content type.
 *
 * | content type                                        | protocol | body |
 * |-----------------------------------------------------|----------|------|
 * | `application/grpc`, `+proto`, `+json`               | gRPC     | envelopes, trailers |
 * | `application/grpc-web`, `+proto`, `+json`           | gRPC-Web | envelopes, the last one trailers |
 * | `application/grpc-web-text`, `+proto`, `+json`      | gRPC-Web | the same in base64 |
 * | `application/connect+proto`, `+json`                | Connect  | envelopes, the last one the end |
 * | `application/proto`, `application/json`             | Connect  | one message |
 *
 * Parameters such as `charset=utf-8` do not matter, case neither.
 */

export type RpcProtocol = 'grpc' | 'grpc-web' | 'connect'

/** How messages are written. */
export type RpcCodec = 'proto' | 'json'

export interface RpcContentType {
  readonly protocol: RpcProtocol
  readonly codec: RpcCodec
  /** Connect: envelopes rather than one message. Always true of gRPC and gRPC-Web. */
  readonly stream: boolean
  /** gRPC-Web in base64. */
  readonly text: boolean
}

/** Undefined: none that calls have, which is answered with 415. */
export function parseRpcContentType(contentType: string | undefined): RpcContentType | undefined {
  if (contentType === undefined) return undefined
  // As it is nearly always written.
  const known = CONTENT_TYPES.get(contentType)
  if (known !== undefined) return known
  const semicolon = contentType.indexOf(';')
  const type = semicolon < 0 ? contentType : contentType.slice(0, semicolon)
  return CONTENT_TYPES.get(type.trim().toLowerCase())
}

/** The type that a body of this kind is sent with. */
export function rpcContentType(
  protocol: RpcProtocol,
  codec: RpcCodec,
  stream: boolean,
  text = false,
): string {
  if (protocol === 'connect') return `application/${stream ? 'connect+' : ''}${codec}`
  return `application/${protocol}${text ? '-text' : ''}+${codec}`
}

/** For `Accept-Post` of a 415. */
export function rpcContentTypes(): string {
  return [...CONTENT_TYPES.keys()].join(', ')
}

const CONTENT_TYPES: ReadonlyMap<string, RpcContentType> = /* @__PURE__ */ (() => {
  const types = new Map<string, RpcContentType>()
  const add = (
    name: string,
    protocol: RpcProtocol,
    codec: RpcCodec,
    stream: boolean,
    text = false,
  ): void => {
    types.set(name, Object.freeze({ protocol, codec, stream, text }))
  }
  for (const protocol of ['grpc', 'grpc-web'] as const) {
    add(`application/${protocol}`, protocol, 'proto', true)
    add(`application/${protocol}+proto`, protocol, 'proto', true)
    add(`application/${protocol}+json`, protocol, 'json', true)
  }
  add('application/grpc-web-text', 'grpc-web', 'proto', true, true)
  add('application/grpc-web-text+proto', 'grpc-web', 'proto', true, true)
  add('application/grpc-web-text+json', 'grpc-web', 'json', true, true)
  for (const codec of ['proto', 'json'] as const) {
    add(`application/connect+${codec}`, 'connect', codec, true)
    add(`application/${codec}`, 'connect', codec, false)
  }
  return types
})()
