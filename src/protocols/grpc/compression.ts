/**
 * Compression of single messages: `grpc-encoding` says how those with the flag are compressed,
 * `grpc-accept-encoding` what the other side may send. The codecs are the host's.
 *
 * https://github.com/grpc/grpc/blob/master/doc/compression.md
 */
import { ProtocolError } from '../../core/errors.ts'
import type { Host, TransformDone, Transformer } from '../../core/host.ts'
import { listElements } from '../http/fields.ts'
import { GrpcError } from './grpc-error.ts'

/** What messages may be compressed with, besides not at all. */
export type GrpcEncoding = 'gzip' | 'deflate' | 'zstd'

export class GrpcCompression {
  /** The value of `grpc-accept-encoding`. */
  readonly accepted: string
  readonly #compression: Host['compression']
  readonly #known: readonly string[]

  constructor({ compression }: Pick<Host, 'compression'>) {
    this.#compression = compression
    this.#known = ENCODINGS.filter((name) => Object.hasOwn(compression, name))
    this.accepted = [...this.#known, IDENTITY].join(',')
  }

  has(encoding: string): boolean {
    return this.#known.includes(encoding)
  }

  /**
   * How a peer's messages with the flag are decompressed; undefined: they must not have it.
   *
   * @throws GrpcError UNIMPLEMENTED for an encoding that is not known here
   */
  decoder(encoding: string | undefined): Decompress | undefined {
    if (encoding === undefined || encoding === IDENTITY) return undefined
    if (!this.has(encoding)) {
      const name = JSON.stringify(encoding.slice(0, 32))
      throw new GrpcError('UNIMPLEMENTED', `grpc-encoding ${name} is none of ${this.accepted}`)
    }
    return (message, maxBytes) => this.#decompress(encoding, message, maxBytes)
  }

  /** The first of `offered` that a peer's `grpc-accept-encoding` has; undefined: none. */
  choose(offered: readonly GrpcEncoding[], accepted: string | undefined): GrpcEncoding | undefined {
    if (accepted === undefined || offered.length === 0) return undefined
    const wanted = listElements(accepted)
    return offered.find((encoding) => this.has(encoding) && wanted.includes(encoding))
  }

  compress(encoding: string, message: Uint8Array): Promise<Uint8Array> {
    const factory = this.#compression[encoding]
    if (factory === undefined) throw new GrpcError('INTERNAL', `no codec for ${encoding}`)
    return transformed(factory.compress(), message)
  }

  #decompress(encoding: string, message: Uint8Array, maxBytes: number): Promise<Uint8Array> {
    const factory = this.#compression[encoding]
    if (factory === undefined) throw new GrpcError('INTERNAL', `no codec for ${encoding}`)
    return transformed(factory.decompress({ maxOutputBytes: maxBytes }), message)
  }
}

/** @throws ProtocolError ERR_EXPANSION over `maxBytes`, ERR_ENCODING for corrupt data */
export type Decompress = (message: Uint8Array, maxBytes: number) => Promise<Uint8Array>

/** @throws ProtocolError ERR_MALFORMED, INTERNAL to the peer */
export function compressedWithoutEncoding(): ProtocolError {
  const message = 'a message has the compressed flag, and there is no grpc-encoding'
  return new ProtocolError('ERR_MALFORMED', message)
}

function transformed(transformer: Transformer, message: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = []
    const step =
      (next: () => void): TransformDone =>
      (error, output) => {
        if (error !== undefined) {
          transformer.close()
          return reject(error)
        }
        for (const part of output) parts.push(part)
        next()
      }
    const finish = (): void =>
      transformer.finish(
        step(() => {
          transformer.close()
          resolve(joined(parts))
        }),
      )
    if (message.length === 0) finish()
    else transformer.transform(message, step(finish))
  })
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const IDENTITY = 'identity'
/** The preferred one first: by work per byte saved. */
const ENCODINGS: readonly GrpcEncoding[] = Object.freeze(['zstd', 'gzip', 'deflate'])
