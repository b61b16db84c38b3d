/**
 * Envelopes in base64, `application/grpc-web-text`: for browsers that hand a page text only.
 *
 * Each write of the sender may be a padded piece of its own, and a piece need not end where an
 * envelope does.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder } from '../../core/codec.ts'
import { ProtocolError } from '../../core/errors.ts'
import { Base64Decoder, encodeBase64Bytes } from './base64.ts'
import { type Envelope, EnvelopeDecoder, type EnvelopeOptions, envelopeBytes } from './envelope.ts'

export class TextEnvelopeDecoder implements Decoder<Envelope> {
  readonly #base64 = new Base64Decoder()
  readonly #envelopes: EnvelopeDecoder
  #failure: ProtocolError | undefined

  constructor(options?: EnvelopeOptions) {
    this.#envelopes = new EnvelopeDecoder(options)
  }

  get buffered(): number {
    return this.#base64.buffered + this.#envelopes.buffered
  }

  /** The last envelope was given out. */
  get done(): boolean {
    return this.#envelopes.done
  }

  push(chunk: Uint8Array): void {
    this.#base64.push(chunk)
    // Corrupt text fails after the envelopes that came whole before it, however it was cut.
    try {
      const bytes = this.#base64.next()
      if (bytes !== undefined) this.#envelopes.push(bytes)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      const before = this.#base64.takeBeforeFailure()
      if (before !== undefined) this.#envelopes.push(before)
      this.#failure = error
    }
  }

  next(): Envelope | undefined {
    const envelope = this.#envelopes.next()
    if (envelope === undefined && this.#failure !== undefined) throw this.#failure
    return envelope
  }

  /** What was decoded is the decoder's own: nothing of a chunk is borrowed. */
  copyBorrowed(): void {
    this.#envelopes.copyBorrowed()
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#envelopes.end()
    this.#base64.end()
  }
}

export function encodeTextEnvelope(envelope: Envelope, out: ByteWriter): void {
  out.give(encodeBase64Bytes(envelopeBytes(envelope.flags, envelope.payload)))
}
