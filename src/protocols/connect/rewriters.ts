/**
 * The ways in which bodies are rewritten: as they are with something at their end, from and to base64,
 * envelope by envelope.
 */
import type { HttpFields } from '../http/fields.ts'
import { Base64Decoder, encodeBase64Bytes } from './base64.ts'
import { type Envelope, EnvelopeDecoder, type EnvelopeOptions } from './envelope.ts'
import { TextEnvelopeDecoder } from './grpc-web-text.ts'
import type { Rewriter, RewrittenEnd } from './rewritten-body.ts'

export type Finish = (trailers: HttpFields | undefined) => RewrittenEnd

/** Chunks as they come; in base64 with `text`, its last piece too. */
export class PassingRewriter implements Rewriter {
  readonly #finish: Finish
  readonly #text: boolean
  #chunk: Uint8Array | undefined

  constructor(finish: Finish, text: boolean = false) {
    this.#finish = finish
    this.#text = text
  }

  push(chunk: Uint8Array): void {
    this.#chunk = this.#text ? encodeBase64Bytes(chunk) : chunk
  }

  next(): Uint8Array | undefined {
    const chunk = this.#chunk
    this.#chunk = undefined
    return chunk
  }

  hold(): void {
    if (!this.#text) this.#chunk = this.#chunk?.slice()
  }

  finish(trailers: HttpFields | undefined): RewrittenEnd {
    const end = this.#finish(trailers)
    if (!this.#text || end.tail === undefined) return end
    return { ...end, tail: encodeBase64Bytes(end.tail) }
  }
}

/** Text to bytes. */
export class Base64Rewriter implements Rewriter {
  readonly #decoder = new Base64Decoder()

  push(chunk: Uint8Array): void {
    this.#decoder.push(chunk)
  }

  next(): Uint8Array | undefined {
    return this.#decoder.next()
  }

  hold(): void {
    this.#decoder.hold()
  }

  finish(trailers: HttpFields | undefined): RewrittenEnd {
    this.#decoder.end()
    return { trailers }
  }
}

export interface EnvelopeRewriterOptions extends EnvelopeOptions {
  /** In base64. @default false */
  readonly text?: boolean
  /** What is written for an envelope, whose payload is borrowed; undefined: nothing. */
  readonly map: (envelope: Envelope) => Uint8Array | Promise<Uint8Array> | undefined
  readonly finish: Finish
}

export class EnvelopeRewriter implements Rewriter {
  readonly #decoder: EnvelopeDecoder | TextEnvelopeDecoder
  readonly #options: EnvelopeRewriterOptions

  constructor(options: EnvelopeRewriterOptions) {
    this.#decoder =
      options.text === true ? new TextEnvelopeDecoder(options) : new EnvelopeDecoder(options)
    this.#options = options
  }

  push(chunk: Uint8Array): void {
    this.#decoder.push(chunk)
  }

  next(): Uint8Array | Promise<Uint8Array> | undefined {
    for (;;) {
      const envelope = this.#decoder.next()
      if (envelope === undefined) return undefined
      const piece = this.#options.map(envelope)
      if (piece !== undefined) return piece
    }
  }

  hold(): void {
    this.#decoder.copyBorrowed()
  }

  finish(trailers: HttpFields | undefined): RewrittenEnd {
    this.#decoder.end()
    return this.#options.finish(trailers)
  }
}
