import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HeddleError } from './errors.ts'
import type { Transformer } from './host.ts'
import { compressLz4 } from './lz4-block.ts'
import { lz4Compression } from './lz4-compression.ts'

/** Everything that came out, or the first error. */
function run(transformer: Transformer, chunks: readonly Uint8Array[]): Uint8Array | HeddleError {
  const output: number[] = []
  let failure: Error | undefined
  const done = (error: Error | undefined, pieces: readonly Uint8Array[]): void => {
    failure ??= error
    for (const piece of pieces) output.push(...piece)
  }
  for (const chunk of chunks) {
    transformer.transform(chunk, done)
    chunk.fill(0xdb) // it is the caller's again
  }
  transformer.finish(done)
  transformer.close()
  return (failure as HeddleError | undefined) ?? Uint8Array.from(output)
}

const text = new TextEncoder().encode('many words, many words, many words, many words')

test('lz4Compression compresses what comes in chunks, and gives it back, byte by byte', () => {
  const chunks = [text.slice(0, 7), text.slice(7)]
  const compressed = run(lz4Compression.compress(), chunks)
  assert.ok(compressed instanceof Uint8Array && compressed.length < text.length)
  const bytes = Array.from(compressed, (byte) => Uint8Array.of(byte))
  assert.deepEqual(run(lz4Compression.decompress({ maxOutputBytes: text.length }), bytes), text)
})

test('lz4Compression refuses a size over its limit as soon as it has come', () => {
  const transformer = lz4Compression.decompress({ maxOutputBytes: 1_000 })
  const errors: unknown[] = []
  transformer.transform(Uint8Array.of(0xe9, 3, 0, 0), (error) => errors.push(error))
  transformer.transform(Uint8Array.of(0), (error) => errors.push(error))
  assert.deepEqual(
    errors.map((error) => (error as HeddleError).code),
    ['ERR_EXPANSION', 'ERR_EXPANSION'],
  )
})

test('lz4Compression holds no more input than a block of its size can have', () => {
  const transformer = lz4Compression.decompress({ maxOutputBytes: 1_000 })
  let failure: Error | undefined
  transformer.transform(Uint8Array.of(10, 0, 0, 0), () => {})
  for (let count = 0; count < 30 && failure === undefined; count++) {
    transformer.transform(Uint8Array.of(0), (error) => (failure = error))
  }
  assert.equal((failure as HeddleError | undefined)?.code, 'ERR_ENCODING')
})

test('lz4Compression refuses corrupt input and bombs', () => {
  const corrupt = run(lz4Compression.decompress(), [Uint8Array.of(1, 0, 0, 0, 0x20, 1)])
  assert.equal((corrupt as HeddleError).code, 'ERR_ENCODING')
  const bomb = [compressLz4(new Uint8Array(500_000))]
  const refused = run(lz4Compression.decompress({ maxRatio: 100, ratioFreeBytes: 65_536 }), bomb)
  assert.equal((refused as HeddleError).code, 'ERR_EXPANSION')
})
