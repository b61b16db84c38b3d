/**
 * What a load generator is asked to do, and what it answers. All loads are closed loops: a
 * connection sends again only when an answer has come, so slow servers are asked less.
 */

export interface HttpRequestShape {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Length of the body that is sent; 0 for none. */
  readonly bodyBytes: number
}

interface LoadShape {
  readonly port: number
  readonly tls: boolean
  readonly connections: number
  /** Requests or messages in flight on each connection. */
  readonly depth: number
  readonly milliseconds: number
}

export interface HttpJob extends LoadShape {
  readonly type: 'http'
  readonly request: HttpRequestShape
}

export interface EchoJob extends LoadShape {
  readonly type: 'echo'
  readonly messageBytes: number
}

/** Messages over WebSocket, each answered by one; raw sockets, no library. */
export interface WebSocketJob extends LoadShape {
  readonly type: 'websocket'
  readonly messageBytes: number
  /** permessage-deflate, each message alone. */
  readonly deflate: boolean
}

/** Datagrams to an echo server, `depth` under way from each of `connections` sockets. */
export interface DatagramJob extends LoadShape {
  readonly type: 'datagrams'
  readonly messageBytes: number
}

/** Opens connections, sends one request on each, and keeps them open until `release`. */
export interface IdleJob {
  readonly type: 'idle'
  readonly port: number
  readonly tls: boolean
  readonly connections: number
  readonly request: HttpRequestShape
  /** The request is a WebSocket handshake; the connection is one then. */
  readonly upgrade?: boolean
}

/** Opens streams of one HTTP/2 connection whose answers wait, until `release`. */
export interface StreamsJob {
  readonly type: 'streams'
  readonly port: number
  readonly streams: number
  /** What is never answered. */
  readonly path: string
}

export interface ReleaseJob {
  readonly type: 'release'
}

export type Job = HttpJob | EchoJob | WebSocketJob | DatagramJob | IdleJob | StreamsJob | ReleaseJob

export interface LoadResult {
  readonly requests: number
  readonly errors: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export type JobAnswer =
  | { readonly type: 'result'; readonly result: LoadResult }
  | { readonly type: 'failed'; readonly message: string }

export function requestBytes(request: HttpRequestShape): Buffer {
  const { method, path, bodyBytes } = request
  const head = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1']
  if (bodyBytes > 0) {
    head.push('Content-Type: application/octet-stream', `Content-Length: ${bodyBytes}`)
  }
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${'x'.repeat(bodyBytes)}`)
}
