/**
 * JSON documents, one a line: how registries stream what changes (Kubernetes watches, gRPC gateways).
 *
 *     {"type":"ADDED","object":{…}} LF
 *     {"type":"BOOKMARK","object":{…}} LF
 *
 * A blank line is nothing (some servers send them to keep a stream alive). A stream that ends inside
 * a line was cut: what came of the line is never taken for a document.
 */
import type { Decoder } from '../../core/codec.ts'
import { ProtocolError } from '../../core/errors.ts'
import { DelimitedDecoder } from './delimited.ts'

export interface JsonLinesOptions {
  /**
   * Longest line in bytes. A document is held whole before it is parsed: this is what one stream may
   * make a process hold.
   *
   * @default 1_048_576
   */
  maxLineBytes?: number
}

export const jsonLinesDefaults: Readonly<Required<JsonLinesOptions>> = Object.freeze({
  maxLineBytes: 1_048_576, // an object of Kubernetes or etcd has at most 1.5 MB, and few have 0.1
})

/** Documents are plain values: they hold nothing of the chunks they came in. */
export class JsonLinesDecoder implements Decoder<unknown> {
  readonly #lines: DelimitedDecoder
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #failure: ProtocolError | undefined

  constructor(options: JsonLinesOptions = {}) {
    const { maxLineBytes = jsonLinesDefaults.maxLineBytes } = options
    this.#lines = new DelimitedDecoder({ maxFrameBytes: maxLineBytes })
  }

  get buffered(): number {
    return this.#lines.buffered
  }

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk)
  }

  /** `null` is a document as well; undefined: more input is needed. */
  next(): unknown {
    if (this.#failure !== undefined) throw this.#failure
    for (;;) {
      const line = this.#lines.next()
      if (line === undefined) return undefined
      if (!isBlank(line)) return this.#parse(line)
    }
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#lines.end()
  }

  #parse(line: Uint8Array): unknown {
    try {
      return JSON.parse(this.#text.decode(line))
    } catch {
      // Not the parser's own words: they quote the input, which may hold a secret.
      const message = `a line of ${line.length} bytes is not a JSON document`
      throw (this.#failure = new ProtocolError('ERR_MALFORMED', message))
    }
  }
}

function isBlank(line: Uint8Array): boolean {
  for (const byte of line) {
    if (byte !== SPACE && byte !== TAB && byte !== CR) return false
  }
  return true
}

const SPACE = 0x20
const TAB = 0x09
const CR = 0x0d
