import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { DataWriter } from './data-writer.ts'
import { FrameDecoder, PIECE } from './decoder.ts'

const MAX_FRAME = 100

/** What was written, as `stream:length:flags`, and the payload bytes of all of it. */
function framesOf(out: ByteWriter): { frames: string[]; payload: number[] } {
  const decoder = new FrameDecoder(16_384)
  decoder.push(out.take())
  const frames: string[] = []
  const payload: number[] = []
  while (decoder.next() === PIECE) {
    payload.push(...decoder.bytes.subarray(decoder.start, decoder.end))
    if (decoder.last) frames.push(`${decoder.stream}:${decoder.length}:${decoder.flags}`)
  }
  return { frames, payload }
}

function written(regionBytes = 16_384): {
  out: ByteWriter
  data: DataWriter
  put(stream: number, bytes: number, value: number, end?: boolean): void
} {
  const out = new ByteWriter({ regionBytes })
  const data = new DataWriter(out)
  return {
    out,
    data,
    put(stream, bytes, value, end = false) {
      const chunk = new Uint8Array(bytes).fill(value)
      if (!data.append(stream, chunk, end, MAX_FRAME)) data.write(stream, chunk, end, false)
    },
  }
}

test('short pieces of one stream become one frame, up to the longest one', () => {
  const { out, put } = written()
  put(1, 40, 1)
  put(1, 59, 2)
  put(1, 1, 3) // 100: at the limit
  put(1, 1, 4) // one past
  put(1, 2, 5, true)
  put(1, 1, 6) // nothing follows an end
  const { frames, payload } = framesOf(out)
  assert.deepEqual(frames, ['1:100:0', '1:3:1', '1:1:0'])
  assert.deepEqual(payload.slice(98), [2, 3, 4, 5, 5, 6])
})

test('a piece does not join a frame of another stream, or one that something stands behind', () => {
  const { out, put } = written()
  put(1, 2, 1)
  put(3, 2, 2)
  put(1, 2, 3)
  put(1, 2, 4)
  out.copy(new Uint8Array([0, 0, 1, 0, 0, 0, 0, 0, 9, 7])) // a frame of its own
  put(1, 2, 5)
  assert.deepEqual(framesOf(out).frames, ['1:2:0', '3:2:0', '1:4:0', '9:1:0', '1:2:0'])
})

test('what has left does not grow, and a frame never spans two regions', () => {
  const { out, data, put } = written(64)
  put(1, 20, 1)
  data.flushed()
  put(1, 20, 2) // 29 + 29 of 64
  put(1, 6, 3) // 64
  put(1, 1, 4)
  put(1, 60, 5)
  put(1, 3, 6)
  const { frames, payload } = framesOf(out)
  assert.deepEqual(frames, ['1:20:0', '1:26:0', '1:1:0', '1:60:0', '1:3:0'])
  assert.equal(payload.length, 110)
})
