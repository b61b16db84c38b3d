/**
 * An HTTP client that knows gRPC: what a status means for retries, breakers, spans and metrics.
 * Services share it: connections, balancing and limits are of the channel.
 */
import { type HttpClient, type HttpClientOptions, httpClient } from '../http/http-client.ts'

export interface GrpcChannelOptions extends HttpClientOptions {}

/** @param target an origin, as `httpClient` takes it */
export function grpcChannel(target: string | URL, options: GrpcChannelOptions = {}): HttpClient {
  // Calls bring their deadlines, and a stream may take as long as it likes to begin.
  return httpClient(target, { timeoutMs: Number.POSITIVE_INFINITY, ...options })
}
