/**
 * `application/grpc`, `application/grpc+proto`, `application/grpc; …`: what tells a call of gRPC from
 * other requests. `application/grpc-web` is another protocol.
 */

/** The format of the messages: `proto`, or what stands behind `+`; undefined: it is no gRPC. */
export function grpcFormat(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return undefined
  // What nearly every client sends.
  if (contentType === 'application/grpc' || contentType === 'application/grpc+proto') return 'proto'
  const match = /^application\/grpc(?:\+([a-z0-9.-]+))?[ \t]*(?:;.*)?$/i.exec(contentType)
  return match === null ? undefined : (match[1] ?? 'proto').toLowerCase()
}
