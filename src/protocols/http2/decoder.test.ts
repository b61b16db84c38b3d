/** The frame decoder against the published kit: however the bytes are cut, the frames are the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder } from '../../core/codec.ts'
import { ProtocolError } from '../../core/errors.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { FRAME, FrameDecoder, NOTHING, PIECE } from './decoder.ts'
import { encodeFrameHeader } from './encoder.ts'
import { FrameFlag, FrameType } from './messages.ts'

interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  /** Without padding. */
  readonly payload: Uint8Array
  readonly padding: number
}

const MAX = 16_384

/** Whole frames: pieces of DATA are put together, as no session does. */
class WholeFrames implements Decoder<Frame> {
  readonly #frames = new FrameDecoder(MAX)
  #pieces: Uint8Array[] = []
  #failure: ProtocolError | undefined

  get buffered(): number {
    return this.#frames.buffered + this.#pieces.reduce((sum, { length }) => sum + length, 0)
  }

  push(chunk: Uint8Array): void {
    this.#frames.push(chunk)
  }

  next(): Frame | undefined {
    const frames = this.#frames
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      const found = frames.next()
      if (found === NOTHING) {
        frames.hold()
        return undefined
      }
      if (found !== FRAME && found !== PIECE) {
        const code = frames.problem === 'padding' ? 'ERR_PROTOCOL' : 'ERR_FRAME_TOO_LARGE'
        this.#failure = new ProtocolError(code, String(frames.problem))
        throw this.#failure
      }
      const { type, flags, stream, padding } = frames
      this.#pieces.push(frames.bytes.slice(frames.start, frames.end))
      if (found === PIECE && !frames.last) continue
      const payload = Uint8Array.from(Buffer.concat(this.#pieces))
      this.#pieces = []
      return { type, flags, stream, payload, padding: found === PIECE ? padding : 0 }
    }
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (!this.#frames.inFrame) return
    this.#failure = new ProtocolError('ERR_TRUNCATED', 'input ended inside a frame')
    throw this.#failure
  }
}

function encode(frame: Frame, out: ByteWriter): void {
  const { type, flags, stream, payload, padding } = frame
  encodeFrameHeader(out, payload.length + padding, type, flags, stream)
  if (padding > 0) out.uint8(padding - 1)
  out.copy(payload)
  if (padding > 0) out.copy(new Uint8Array(padding - 1))
}

function frame(type: number, flags: number, length: number, padding = 0): Frame {
  const payload = Uint8Array.from({ length }, (_, at) => at & 0xff)
  return { type, flags, stream: 0x7fff_ffff, payload, padding }
}

const { DATA, HEADERS, PING } = FrameType
const { END_STREAM, PADDED } = FrameFlag

decoderConformance(
  'HTTP/2 frames',
  {
    create: () => new WholeFrames(),
    encode,
    samples: [
      frame(DATA, END_STREAM, 0),
      frame(DATA, 0, 5),
      frame(DATA, PADDED, 7, 1),
      frame(DATA, PADDED | END_STREAM, 0, 256),
      frame(DATA, 0, 100),
      frame(HEADERS, 5, 40),
      frame(HEADERS, 0, 0),
      frame(PING, 0, 8),
      frame(200, 0xff, 3),
    ],
    malformed: {
      'a frame one byte over the limit': Uint8Array.of(0, 0x40, 1, 0, 0, 0, 0, 0, 1),
      'a frame of 16 MB': Uint8Array.of(0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 1),
      'padding without a length': Uint8Array.of(0, 0, 0, DATA, PADDED, 0, 0, 0, 1),
      'padding longer than its frame': Uint8Array.of(0, 0, 1, DATA, PADDED, 0, 0, 0, 1, 1),
    },
  },
  { test, ok: assert.ok },
)

test('FrameDecoder hands DATA out in the pieces in which it arrives, without a copy', () => {
  const frames = new FrameDecoder()
  const out = new ByteWriter()
  encode(frame(DATA, END_STREAM, 100), out)
  const bytes = out.take()
  const chunk = bytes.subarray(0, 50)
  frames.push(chunk)
  assert.equal(frames.next(), PIECE)
  assert.equal(frames.bytes, chunk)
  assert.deepEqual([frames.first, frames.last, frames.end - frames.start], [true, false, 41])
  assert.equal(frames.next(), NOTHING)
  frames.hold()
  assert.equal(frames.buffered, 0)
  frames.push(bytes.subarray(50))
  assert.equal(frames.next(), PIECE)
  assert.deepEqual([frames.first, frames.last, frames.end - frames.start], [false, true, 50 + 9])
})
