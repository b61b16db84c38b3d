/** `heddle/http`: HTTP clients and servers over any transport. */

export * from '../clients/http/client-tunnel.ts'
export { Coalescing, type Lookup } from '../clients/http/coalescing.ts'
export {
  type Http1ConnectionOptions,
  type Http2ConnectionOptions,
  type HttpVersionChoice,
  httpConnectionDefaults,
} from '../clients/http/connect-http.ts'
export * from '../clients/http/credentials.ts'
export * from '../clients/http/decompress.ts'
export type { OriginTlsOptions, ProxyOption } from '../clients/http/default-transport.ts'
export * from '../clients/http/explain-client.ts'
export * from '../clients/http/fetch.ts'
export * from '../clients/http/http-agent.ts'
export type {
  HttpCallInit,
  OneShotCallInit,
  ReplayableRequestInit,
} from '../clients/http/http-call-init.ts'
export * from '../clients/http/http-client.ts'
export * from '../clients/http/http-client-connection.ts'
export * from '../clients/http/json-request.ts'
export * from '../clients/http/node-agent.ts'
export * from '../clients/http/oauth-tokens.ts'
export * from '../clients/http/redirect.ts'
export * from '../clients/http/undici-dispatcher.ts'
export type * from '../clients/http/undici-types.ts'
export { iterate } from '../core/channel.ts'
export { Call, type CallContext } from '../core/context.ts'
export * from '../core/errors.ts'
export type { Flow, Sink, Source } from '../core/flow.ts'
export { type ChunkIterable, iterableSource } from '../links/web-stream/iterable-source.ts'
export * from '../protocols/http/body.ts'
export {
  type CacheControl,
  parseCacheControl,
  readCacheControl,
} from '../protocols/http/caching/cache-control.ts'
export type { HttpCacheStats } from '../protocols/http/caching/cache-parts.ts'
export * from '../protocols/http/caching/cache-store.ts'
export { HttpCache } from '../protocols/http/caching/http-cache.ts'
export {
  type HttpCacheOptions,
  httpCacheDefaults,
} from '../protocols/http/caching/http-cache-options.ts'
export * from '../protocols/http/classifier.ts'
export * from '../protocols/http/content-encoding.ts'
export * from '../protocols/http/credentials.ts'
export * from '../protocols/http/date.ts'
export * from '../protocols/http/fields.ts'
export * from '../protocols/http/hash-key.ts'
export * from '../protocols/http/load-field.ts'
export * from '../protocols/http/messages.ts'
export * from '../protocols/http/methods.ts'
export * from '../protocols/http/metric-names.ts'
export * from '../protocols/http/multipart.ts'
export * from '../protocols/http/multipart-decoder.ts'
export * from '../protocols/http/priority-field.ts'
export * from '../protocols/http/propagation.ts'
export * from '../protocols/http/rate-limit-fields.ts'
export * from '../protocols/http/semantics.ts'
export * from '../protocols/http/server-sent-events.ts'
export * from '../protocols/http/status.ts'
export * from '../protocols/http1/options.ts'
export * from '../servers/http/authentication/api-key.ts'
export * from '../servers/http/authentication/authenticate.ts'
export * from '../servers/http/authentication/authorization-field.ts'
export * from '../servers/http/authentication/basic.ts'
export * from '../servers/http/authentication/bearer.ts'
export * from '../servers/http/authentication/mutual-tls.ts'
export * from '../servers/http/authorize.ts'
export * from '../servers/http/fetch-handler.ts'
export * from '../servers/http/http-server.ts'
export * from '../servers/http/node-handler.ts'
