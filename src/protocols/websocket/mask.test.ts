import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../testing/seeded-random.ts'
import * as mask from './mask.ts'
import { MaskKeys } from './mask-keys.ts'
import { loadSimdMask, WINDOW_BYTES } from './mask-simd.ts'

/** RFC 6455 5.3 to the letter. */
function expected(bytes: Uint8Array, key: Uint8Array, phase: number): number[] {
  return Array.from(bytes, (byte, index) => byte ^ (key[(index + phase) % 4] as number))
}

type Masking = Pick<typeof import('./mask.ts'), 'maskInto' | 'maskInPlace'>

function checkMasking(
  { maskInto, maskInPlace }: Masking,
  lengths: readonly number[],
  places: number,
) {
  const random = new SeededRandom(3)
  const key = random.bytes(4)
  const word = new DataView(key.buffer, key.byteOffset).getInt32(0, true)
  for (const length of lengths) {
    for (let from = 0; from < places; from++) {
      for (let at = 0; at < places; at++) {
        const phase = (from + at) % 4
        const source = random.bytes(from + length + 8)
        const target = new Uint8Array(at + length + 8).fill(0xdb)
        const payload = source.slice(from, from + length)
        maskInto(source, from, target, at, length, word, phase)
        const where = `${length} bytes from ${from} to ${at}`
        const masked = target.slice(at, at + length)
        assert.deepEqual(masked, Uint8Array.from(expected(payload, key, phase)), where)
        const around = [...target.subarray(0, at), ...target.subarray(at + length)]
        assert.ok(
          around.every((byte) => byte === 0xdb),
          `${where}: wrote around the payload`,
        )
        maskInPlace(target, at, length, word, phase)
        assert.deepEqual(target.slice(at, at + length), payload, where)
      }
    }
  }
}

const SHORT = [0, 1, 3, 4, 7, 23, 24, 25, 26, 27, 28, 64, 101]
/** Around where vectors begin, and where a second piece does. */
const LONG = [383, 384, 385, 447, 448, 1_003, WINDOW_BYTES - 1, WINDOW_BYTES, WINDOW_BYTES + 1]

test('maskInto and maskInPlace mask at every alignment, length and phase', () => {
  checkMasking(mask, SHORT, 5)
  checkMasking(mask, LONG, 5)
  checkMasking(mask, [3 * WINDOW_BYTES + 65], 2)
  assert.ok(loadSimdMask() !== undefined, 'vectors were not tried')
})

test('where there is no WebAssembly, words mask the same', async () => {
  const scope = globalThis as { WebAssembly?: unknown }
  const had = scope.WebAssembly
  scope.WebAssembly = undefined
  try {
    assert.equal(loadSimdMask(), undefined)
    // Another instance of the module, which has not loaded vectors yet.
    const without = (await import(`${'./mask.ts'}?without`)) as Masking
    checkMasking(without, [...SHORT, ...LONG], 5)
  } finally {
    scope.WebAssembly = had
  }
})

test('MaskKeys gives every word of its stock once, then asks for more', () => {
  let asked = 0
  const keys = new MaskKeys((into) => {
    asked += 1
    new Int32Array(into.buffer).forEach((_, index, words) => {
      words[index] = asked * 1_000 + index
    })
  })
  assert.equal(asked, 0)
  const first = Array.from({ length: 256 }, () => keys.next())
  assert.deepEqual([first[0], first[255], asked], [1_000, 1_255, 1])
  assert.deepEqual([keys.next(), asked], [2_000, 2])
})
