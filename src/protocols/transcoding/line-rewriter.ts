/**
 * Lines of a body, one by one: NDJSON becomes frames of gRPC. An empty line is nothing; the last one
 * need not end.
 */
import type { Rewriter, RewrittenEnd } from '../connect/rewritten-body.ts'
import { GrpcError } from '../grpc/grpc-error.ts'

export interface LineRewriterOptions {
  /** Longest line, in bytes. */
  readonly maxLineBytes: number
  /** Empty lines mean something too. @default false */
  readonly emptyLines?: boolean
  /** What is written for a line, which is borrowed; undefined: nothing. */
  readonly map: (line: Uint8Array) => Uint8Array | undefined
  /** What is written at the end. */
  readonly finish?: () => RewrittenEnd
}

export class LineRewriter implements Rewriter {
  readonly #options: LineRewriterOptions
  #pending: Uint8Array = EMPTY
  #at = 0
  /** Where the search for the end of the line goes on. */
  #searched = 0

  constructor(options: LineRewriterOptions) {
    this.#options = options
  }

  push(chunk: Uint8Array): void {
    const rest = this.#pending.subarray(this.#at)
    this.#searched -= this.#at
    this.#at = 0
    if (rest.length === 0) this.#pending = chunk
    else {
      const joined = new Uint8Array(rest.length + chunk.length)
      joined.set(rest)
      joined.set(chunk, rest.length)
      this.#pending = joined
    }
  }

  /** @throws GrpcError RESOURCE_EXHAUSTED for too long a line */
  next(): Uint8Array | undefined {
    for (;;) {
      const end = this.#pending.indexOf(NEWLINE, Math.max(this.#searched, this.#at))
      if (end < 0) {
        this.#searched = this.#pending.length
        this.#checkLength(this.#pending.length - this.#at)
        return undefined
      }
      this.#checkLength(end - this.#at)
      const line = this.#pending.subarray(this.#at, end)
      this.#at = end + 1
      this.#searched = this.#at
      const piece = this.#mapped(line)
      if (piece !== undefined) return piece
    }
  }

  hold(): void {
    this.#pending = this.#pending.slice(this.#at)
    this.#searched -= this.#at
    this.#at = 0
  }

  finish(): RewrittenEnd {
    const rest = this.#pending.subarray(this.#at)
    const last = rest.length === 0 ? undefined : this.#mapped(rest)
    const end = this.#options.finish?.() ?? {}
    this.#pending = EMPTY
    this.#at = 0
    if (last === undefined) return end
    if (end.tail === undefined) return { ...end, tail: last }
    const tail = new Uint8Array(last.length + end.tail.length)
    tail.set(last)
    tail.set(end.tail, last.length)
    return { ...end, tail }
  }

  #mapped(line: Uint8Array): Uint8Array | undefined {
    const length = line.at(-1) === RETURN ? line.length - 1 : line.length
    const skipped = length === 0 && this.#options.emptyLines !== true
    return skipped ? undefined : this.#options.map(line.subarray(0, length))
  }

  #checkLength(length: number): void {
    const { maxLineBytes } = this.#options
    if (length <= maxLineBytes) return
    const message = `a line of over ${maxLineBytes} bytes`
    throw new GrpcError('RESOURCE_EXHAUSTED', message)
  }
}

const EMPTY = new Uint8Array(0)
const NEWLINE = 0x0a
const RETURN = 0x0d
