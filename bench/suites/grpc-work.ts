/** What every client of the gRPC suite does, in the words of its variant: `unary 1024 64`. */

export interface GrpcWork {
  readonly kind: 'unary' | 'stream'
  /** Length of the payload. */
  readonly bytes: number
  /** Calls, or streams, at the same time on one connection. */
  readonly depth: number
}

export function parseWork(variant: string | undefined): GrpcWork {
  const [kind, bytes, depth] = (variant ?? '').split(' ')
  if (kind !== 'unary' && kind !== 'stream') throw new Error(`no such work: ${variant}`)
  return { kind, bytes: Number(bytes), depth: Number(depth) }
}

/** A message with a text, a number and a payload: as messages are. */
export function requestOf(bytes: number): { text: string; payload: Buffer; number: number } {
  return { text: 'order 4711', payload: Buffer.alloc(bytes, 0x61), number: 123_456 }
}

/** Sent with every call. */
export const METADATA: Readonly<Record<string, string>> = Object.freeze({
  'x-tenant': 'blue',
  authorization: 'Bearer 3f1c0f9e0a5b4b57a1a7',
  'x-request-id': '01J8ZC9T2J8Y6W',
})

/** Replies of one stream. */
export const STREAM_MESSAGES = 200
