/**
 * LZ4 as a `CompressionFactory`, for any host: `{ compression: { lz4: lz4Compression } }`.
 *
 * One block with its size in front (lz4-block.ts), not the LZ4 frame format: the whole input is held
 * until `finish`. What a decompressor holds is bounded by its output limit, because the size comes
 * first and no block is longer than its output by more than a 255th.
 */
import { UsageError } from './errors.ts'
import type { CompressionFactory, DecompressOptions, TransformDone, Transformer } from './host.ts'
import { checkExpansion, compressLz4, decompressLz4, lz4BlockBound, lz4Size } from './lz4-block.ts'

export const lz4Compression: CompressionFactory = Object.freeze({
  /** There is one level: the fast one. */
  compress: () => new WholeInput(compressLz4),
  decompress: (limits: DecompressOptions = {}) => new Lz4Decompressor(limits),
})

class WholeInput implements Transformer {
  readonly #transform: (input: Uint8Array) => Uint8Array
  #chunks: Uint8Array[] = []
  #length = 0
  #finished = false

  constructor(transform: (input: Uint8Array) => Uint8Array) {
    this.#transform = transform
  }

  get length(): number {
    return this.#length
  }

  transform(chunk: Uint8Array, done: TransformDone): void {
    if (this.#finished) throw new UsageError('ERR_STATE', 'transform after finish')
    this.#chunks.push(chunk.slice()) // it is ours only until `done`
    this.#length += chunk.length
    done(undefined, NO_OUTPUT)
  }

  finish(done: TransformDone): void {
    if (this.#finished) throw new UsageError('ERR_STATE', 'finish again')
    this.#finished = true
    let output: Uint8Array
    try {
      output = this.#transform(this.take())
    } catch (error) {
      return done(error as Error, NO_OUTPUT)
    }
    done(undefined, output.length === 0 ? NO_OUTPUT : [output])
  }

  close(): void {
    this.#chunks = []
    this.#length = 0
  }

  /** What has come, in one piece. */
  take(): Uint8Array {
    const [only] = this.#chunks
    if (this.#chunks.length === 1 && only !== undefined) return only
    const whole = new Uint8Array(this.#length)
    let at = 0
    for (const chunk of this.#chunks) {
      whole.set(chunk, at)
      at += chunk.length
    }
    if (whole.length > 0) this.#chunks = [whole]
    return whole
  }
}

class Lz4Decompressor implements Transformer {
  readonly #limits: DecompressOptions
  readonly #input: WholeInput
  #most: number | undefined
  #failure: Error | undefined

  constructor(limits: DecompressOptions) {
    this.#limits = limits
    this.#input = new WholeInput((input) => decompressLz4(input, limits))
  }

  transform(chunk: Uint8Array, done: TransformDone): void {
    if (this.#failure !== undefined) return done(this.#failure, NO_OUTPUT)
    this.#input.transform(chunk, () => {})
    try {
      this.#checkSize()
    } catch (error) {
      this.#failure = error as Error
      this.#input.close()
      return done(this.#failure, NO_OUTPUT)
    }
    done(undefined, NO_OUTPUT)
  }

  finish(done: TransformDone): void {
    if (this.#failure !== undefined) return done(this.#failure, NO_OUTPUT)
    this.#input.finish(done)
  }

  close(): void {
    this.#input.close()
  }

  /** As soon as the size is there: what follows is no longer than such a block can be. */
  #checkSize(): void {
    if (this.#most === undefined) {
      if (this.#input.length < 4) return
      const size = lz4Size(this.#input.take()) as number
      const { maxOutputBytes } = this.#limits
      if (maxOutputBytes !== undefined) checkExpansion(size, this.#input.length, { maxOutputBytes })
      this.#most = 4 + lz4BlockBound(size)
    }
    if (this.#input.length <= this.#most) return
    // No such block is so long: the decoder says so of what is there.
    decompressLz4(this.#input.take(), this.#limits)
  }
}

const NO_OUTPUT: readonly Uint8Array[] = Object.freeze([])
