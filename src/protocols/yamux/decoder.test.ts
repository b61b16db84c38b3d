import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Decoder } from '../../core/codec.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { YamuxDecoder } from './decoder.ts'
import { encodeYamux } from './encoder.ts'
import { YamuxFlag, type YamuxFrame, type YamuxHeader, YamuxType } from './messages.ts'

const MAX = 1_024

/** Joins the pieces of a payload, because the kit compares messages however the input is cut. */
class WholeFrames implements Decoder<YamuxFrame> {
  readonly #decoder = new YamuxDecoder({ maxFrameBytes: MAX })
  #header: YamuxHeader | undefined
  #payload: number[] = []

  get buffered(): number {
    return this.#decoder.buffered + this.#payload.length
  }

  push(chunk: Uint8Array): void {
    this.#decoder.push(chunk)
  }

  next(): YamuxFrame | undefined {
    this.#header ??= this.#decoder.next()
    if (this.#header === undefined) return undefined
    while (this.#decoder.payloadLeft > 0) {
      const piece = this.#decoder.takePayload()
      if (piece === undefined) return undefined
      this.#payload.push(...piece)
    }
    const header = this.#header
    const payload = Uint8Array.from(this.#payload)
    this.#header = undefined
    this.#payload = []
    return header.type === YamuxType.DATA ? { ...header, payload } : header
  }

  end(): void {
    this.#decoder.end()
  }
}

function data(stream: number, flags: number, payload: Uint8Array): YamuxFrame {
  return { type: YamuxType.DATA, flags, stream, length: payload.length, payload }
}

const header = (type: number, flags: number, stream: number, length: number): Uint8Array => {
  const out = new ByteWriter()
  encodeYamux({ type, flags, stream, length }, out)
  return out.take()
}

decoderConformance(
  'yamux',
  {
    create: () => new WholeFrames(),
    encode: encodeYamux,
    samples: [
      data(1, YamuxFlag.SYN, Uint8Array.of(1, 2, 3)),
      data(2, YamuxFlag.FIN, new Uint8Array(0)),
      data(0xffff_ffff, 0, new Uint8Array(MAX).fill(1)),
      { type: YamuxType.WINDOW_UPDATE, flags: YamuxFlag.ACK, stream: 3, length: 0xffff_ffff },
      { type: YamuxType.PING, flags: YamuxFlag.SYN, stream: 0, length: 7 },
      { type: YamuxType.PING, flags: YamuxFlag.ACK, stream: 0, length: 7 },
      { type: YamuxType.GO_AWAY, flags: 0, stream: 0, length: 2 },
    ],
    malformed: {
      'version 1': Uint8Array.of(1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0),
      'type 4': header(4, 0, 1, 0),
      'an unknown flag': header(YamuxType.DATA, 16, 1, 0),
      'data on stream 0': header(YamuxType.DATA, YamuxFlag.SYN, 0, 0),
      'a window update on stream 0': header(YamuxType.WINDOW_UPDATE, 0, 0, 1),
      'a ping on a stream': header(YamuxType.PING, YamuxFlag.SYN, 1, 0),
      'a ping that is no question and no answer': header(YamuxType.PING, 0, 0, 0),
      'a ping that is both': header(YamuxType.PING, YamuxFlag.SYN | YamuxFlag.ACK, 0, 0),
      'a go away on a stream': header(YamuxType.GO_AWAY, 0, 1, 0),
      'a payload of 2^32−1': header(YamuxType.DATA, 0, 1, 0xffff_ffff),
      'a payload of maxFrameBytes and one': header(YamuxType.DATA, 0, 1, MAX + 1),
    },
  },
  { test, ok: assert.ok },
)

test('YamuxDecoder hands a payload on as it arrives', () => {
  const decoder = new YamuxDecoder()
  decoder.push(header(YamuxType.DATA, 0, 1, 5))
  assert.equal(decoder.next()?.length, 5)
  assert.throws(() => decoder.next(), { code: 'ERR_STATE' })
  decoder.push(Uint8Array.of(1, 2))
  assert.deepEqual(decoder.takePayload(), Uint8Array.of(1, 2))
  assert.equal(decoder.takePayload(), undefined)
  decoder.push(Uint8Array.of(3, 4, 5, 0))
  assert.deepEqual(decoder.takePayload(), Uint8Array.of(3, 4, 5))
  assert.equal(decoder.payloadLeft, 0)
  assert.equal(decoder.next(), undefined)
  assert.equal(decoder.buffered, 1)
})

test('a ping and a data frame are encoded as the specification draws them', () => {
  assert.deepEqual(
    header(YamuxType.PING, YamuxFlag.SYN, 0, 0x0102_0304),
    Uint8Array.of(0, 2, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4),
  )
  const out = new ByteWriter()
  encodeYamux(data(5, YamuxFlag.SYN | YamuxFlag.FIN, Uint8Array.of(9)), out)
  assert.deepEqual(out.take(), Uint8Array.of(0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 1, 9))
})

test('YamuxDecoder refuses maxFrameBytes out of range', () => {
  for (const maxFrameBytes of [0, 1.5, Number.NaN, 0x1_0000_0000]) {
    assert.throws(() => new YamuxDecoder({ maxFrameBytes }), { code: 'ERR_OPTION_RANGE' })
  }
})
