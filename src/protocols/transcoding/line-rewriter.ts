/**
 * Lines of a body, one by one: NDJSON becomes frames of gRPC. An empty line is nothing; the last one
 * need not end.
 */
import { joinPieces, type Rewriter, type RewrittenEnd } from '../connect/rewritten-body.ts'
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
  /** The beginning of a line, in pieces of our own: joined once, when its end is there. */
  #begun: Uint8Array[] = []
  #begunLength = 0
  #chunk: Uint8Array = EMPTY
  #at = 0

  constructor(options: LineRewriterOptions) {
    this.#options = options
  }

  push(chunk: Uint8Array): void {
    // `next` gave undefined, so nothing of the one before is left.
    this.#chunk = chunk
    this.#at = 0
  }

  /** @throws GrpcError RESOURCE_EXHAUSTED for too long a line */
  next(): Uint8Array | undefined {
    while (this.#at < this.#chunk.length) {
      const end = this.#chunk.indexOf(NEWLINE, this.#at)
      if (end < 0) {
        this.hold()
        return undefined
      }
      this.#checkLength(end - this.#at)
      const line = this.#joined(this.#chunk.subarray(this.#at, end))
      this.#at = end + 1
      const piece = this.#mapped(line)
      if (piece !== undefined) return piece
    }
    return undefined
  }

  /** Keeps what is left up to its first newline as a beginning, or all of it for later. */
  hold(): void {
    const rest = this.#chunk.subarray(this.#at)
    if (rest.length === 0) return
    if (rest.indexOf(NEWLINE) >= 0) {
      this.#chunk = rest.slice()
      this.#at = 0
      return
    }
    this.#checkLength(rest.length)
    this.#begun.push(rest.slice())
    this.#begunLength += rest.length
    this.#chunk = EMPTY
    this.#at = 0
  }

  finish(): RewrittenEnd {
    const rest = this.#joined(this.#chunk.subarray(this.#at))
    const last = rest.length === 0 ? undefined : this.#mapped(rest)
    const end = this.#options.finish?.() ?? {}
    this.#chunk = EMPTY
    this.#at = 0
    if (last === undefined) return end
    if (end.tail === undefined) return { ...end, tail: last }
    return { ...end, tail: joinPieces([last, end.tail]) }
  }

  #joined(end: Uint8Array): Uint8Array {
    if (this.#begun.length === 0) return end
    const line = joinPieces([...this.#begun, end])
    this.#begun = []
    this.#begunLength = 0
    return line
  }

  #mapped(line: Uint8Array): Uint8Array | undefined {
    const length = line.at(-1) === RETURN ? line.length - 1 : line.length
    const skipped = length === 0 && this.#options.emptyLines !== true
    return skipped ? undefined : this.#options.map(line.subarray(0, length))
  }

  #checkLength(more: number): void {
    const { maxLineBytes } = this.#options
    if (this.#begunLength + more <= maxLineBytes) return
    const message = `a line of over ${maxLineBytes} bytes`
    throw new GrpcError('RESOURCE_EXHAUSTED', message)
  }
}

const EMPTY = new Uint8Array(0)
const NEWLINE = 0x0a
const RETURN = 0x0d
