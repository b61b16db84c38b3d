// Strict TypeScript in a project that installed the package.
import { type Decoder, HeddleError, ProtocolError, UsageError } from 'heddle/core'

/** A user's own decoder satisfies the interface: one message per byte. */
class ByteDecoder implements Decoder<number> {
  readonly #bytes: number[] = []

  get buffered(): number {
    return this.#bytes.length
  }

  push(chunk: Uint8Array): void {
    this.#bytes.push(...chunk)
  }

  next(): number | undefined {
    return this.#bytes.shift()
  }

  end(): void {
    if (this.#bytes.length > 0) throw new ProtocolError('ERR_TRUNCATED', 'bytes are left')
  }
}

export const decoder: Decoder<number> = new ByteDecoder()

export function describe(error: unknown): string {
  if (error instanceof UsageError) return `wrong use: ${error.message}`
  return error instanceof HeddleError ? error.code : 'something else'
}
