/**
 * Compression from `node:zlib`, as `Transformer`s: streaming, bounded in output. And LZ4.
 */
import type { Transform } from 'node:stream'
import zlib from 'node:zlib'
import { ProtocolError, toError } from '../core/errors.ts'
import type {
  CompressionFactory,
  CompressOptions,
  DecompressOptions,
  TransformDone,
  Transformer,
} from '../core/host.ts'
import { lz4Compression } from '../core/lz4-compression.ts'

export const nodeCompression: Readonly<Record<string, CompressionFactory>> = Object.freeze({
  gzip: factory(
    (level) => zlib.createGzip(level === undefined ? {} : { level }),
    () => zlib.createGunzip(),
  ),
  deflate: factory(
    (level) => zlib.createDeflate(level === undefined ? {} : { level }),
    () => zlib.createInflate(),
  ),
  br: factory(
    // Quality 11, the library's default, is far too slow for answers made on the fly.
    (level) =>
      zlib.createBrotliCompress({
        params: { [zlib.constants.BROTLI_PARAM_QUALITY]: level ?? BROTLI_QUALITY },
      }),
    () => zlib.createBrotliDecompress(),
  ),
  // zstd came with Node 22.15 and 23.8.
  ...(typeof zlib.createZstdCompress === 'function' && {
    zstd: factory(
      (level) =>
        zlib.createZstdCompress(
          level === undefined
            ? {}
            : { params: { [zlib.constants.ZSTD_c_compressionLevel]: level } },
        ),
      () => zlib.createZstdDecompress(),
    ),
  }),
  // Node has none; ours is a block with its size in front.
  lz4: lz4Compression,
})

function factory(
  compress: (level: number | undefined) => Transform,
  decompress: () => Transform,
): CompressionFactory {
  return Object.freeze({
    compress: (options: CompressOptions = {}) => new StreamTransformer(compress(options.level), {}),
    decompress: (options: DecompressOptions = {}) => new StreamTransformer(decompress(), options),
  })
}

class StreamTransformer implements Transformer {
  readonly #stream: Transform
  readonly #maxOutputBytes: number
  readonly #maxRatio: number
  readonly #ratioFreeBytes: number
  #inputBytes = 0
  #outputBytes = 0
  #output: Uint8Array[] = []
  #done: TransformDone | undefined
  #failure: Error | undefined

  constructor(stream: Transform, limits: DecompressOptions) {
    const { maxOutputBytes, maxRatio, ratioFreeBytes = 0 } = limits
    this.#stream = stream
    this.#maxOutputBytes = maxOutputBytes ?? Number.POSITIVE_INFINITY
    this.#maxRatio = maxRatio ?? Number.POSITIVE_INFINITY
    this.#ratioFreeBytes = ratioFreeBytes
    stream.on('data', (chunk: Uint8Array) => this.#onOutput(chunk))
    stream.on('error', (cause) => {
      const message = `compressed data is corrupt: ${cause.message}`
      this.#fail(new ProtocolError('ERR_ENCODING', message, { cause }))
    })
  }

  transform(chunk: Uint8Array, done: TransformDone): void {
    if (this.#failure !== undefined) return done(this.#failure, NO_OUTPUT)
    this.#done = done
    this.#inputBytes += chunk.length
    // The write callback comes after all output of the chunk was pushed; 'data' is synchronous to
    // the push, so everything is collected by then.
    this.#stream.write(chunk, (error) => this.#settle(error))
  }

  finish(done: TransformDone): void {
    if (this.#failure !== undefined) return done(this.#failure, NO_OUTPUT)
    this.#done = done
    this.#stream.once('end', () => this.#settle(undefined))
    this.#stream.end()
  }

  close(): void {
    this.#done = undefined
    this.#stream.destroy()
  }

  #onOutput(chunk: Uint8Array): void {
    this.#outputBytes += chunk.length
    if (this.#outputBytes > this.#maxOutputBytes) {
      const message = `${this.#outputBytes} bytes decompressed, over the limit of ${this.#maxOutputBytes}`
      return this.#fail(new ProtocolError('ERR_EXPANSION', message))
    }
    const counted = this.#outputBytes - this.#ratioFreeBytes
    if (counted > this.#inputBytes * this.#maxRatio) {
      const message = `${this.#inputBytes} bytes became ${this.#outputBytes}, over the ratio of ${this.#maxRatio}`
      return this.#fail(new ProtocolError('ERR_EXPANSION', message))
    }
    this.#output.push(chunk)
  }

  #settle(error: Error | null | undefined): void {
    const done = this.#done
    this.#done = undefined
    const output = this.#output
    this.#output = []
    done?.(error ? (this.#failure ?? toError(error)) : undefined, output)
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    const done = this.#done
    this.#done = undefined
    this.#output = []
    this.#stream.destroy()
    done?.(error, NO_OUTPUT)
  }
}

const NO_OUTPUT: readonly Uint8Array[] = Object.freeze([])
const BROTLI_QUALITY = 4
