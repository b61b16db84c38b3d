import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../core/byte-writer.ts'
import { ProtocolError } from '../../core/errors.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { WebSocketDecoder, type WebSocketDecoderOptions } from './decoder.ts'
import { encodeFrame } from './encoder.ts'
import { Opcode, type WebSocketItem } from './messages.ts'

const { CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG } = Opcode
const MAX = 70_000

function decoder(options: Partial<WebSocketDecoderOptions> = {}): WebSocketDecoder {
  const base = { masked: false, maxFrameBytes: MAX, maxMessageBytes: MAX, compressed: false }
  return new WebSocketDecoder({ ...base, ...options })
}

const item = (opcode: number, payload: Uint8Array, compressed = false): WebSocketItem => ({
  opcode,
  payload,
  compressed,
})
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const filled = (length: number): Uint8Array => new SeededRandom(length).bytes(length)
const copy = ({ opcode, payload, compressed }: WebSocketItem): WebSocketItem =>
  item(opcode, payload.slice(), compressed)

const SAMPLES: readonly WebSocketItem[] = [
  item(TEXT, text('héllo €😀')),
  item(BINARY, new Uint8Array(0)),
  item(BINARY, filled(125)),
  item(PING, text('p')),
  item(BINARY, filled(126)),
  item(PONG, filled(125)),
  item(TEXT, text('é'.repeat(200))),
  item(CLOSE, Uint8Array.of(3, 232)),
  item(BINARY, filled(1_000)),
]

function frame(options: Partial<WebSocketItem> & { final?: boolean; key?: number }): Uint8Array {
  const { opcode = BINARY, payload = new Uint8Array(0), compressed = false } = options
  const out = new ByteWriter()
  encodeFrame(
    out,
    { opcode, final: options.final ?? true, compressed },
    payload,
    options.key,
    false,
  )
  return out.take()
}

const join = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(parts))
const KEY = 0x1234_5678

const FRAGMENTED = join(
  frame({ opcode: TEXT, payload: bytes('61 e2 82'), final: false }),
  frame({ opcode: PING, payload: text('between') }),
  frame({ opcode: CONTINUATION, payload: new Uint8Array(0), final: false }),
  frame({ opcode: CONTINUATION, payload: bytes('ac') }),
)

for (const masked of [false, true]) {
  decoderConformance<WebSocketItem>(
    masked ? 'WebSocket server' : 'WebSocket client',
    {
      create: () => decoder({ masked, compressed: true }),
      encode: ({ opcode, compressed, payload }, out) =>
        encodeFrame(
          out,
          { opcode, final: true, compressed },
          payload,
          masked ? KEY : undefined,
          false,
        ),
      samples: [...SAMPLES, item(BINARY, filled(30), true)],
      malformed: {
        'a reserved bit': bytes(masked ? 'a280 00000000' : 'a200'),
        'a reserved opcode': bytes(masked ? '8380 00000000' : '8300'),
        'a reserved control opcode': bytes(masked ? '8b80 00000000' : '8b00'),
        'a fragmented ping': bytes(masked ? '0980 00000000' : '0900'),
        'a ping of 126 bytes': bytes(masked ? '89fe 007e' : '897e 007e'),
        'a continuation of nothing': bytes(masked ? '8080 00000000' : '8000'),
        'length 125 in 16 bits': bytes(masked ? '82fe 007d 00000000' : '827e 007d'),
        'length 65535 in 64 bits': bytes(
          masked ? '82ff 000000000000ffff 00000000' : '827f 000000000000ffff',
        ),
        'length 2^63': bytes(masked ? '82ff 8000000000000000 00000000' : '827f 8000000000000000'),
        'length 2^32-1': bytes(masked ? '82ff 00000000ffffffff 00000000' : '827f 00000000ffffffff'),
        'a compressed ping': bytes(masked ? 'c980 00000000' : 'c900'),
        'text that is not UTF-8': frame({
          opcode: TEXT,
          payload: bytes('61ff'),
          ...(masked && { key: KEY }),
        }),
        [masked ? 'a frame without a mask' : 'a frame with a mask']: bytes(
          masked ? '8200' : '8280 00000000',
        ),
      },
      ...(!masked && {
        accepted: {
          'a message in fragments around a ping': {
            bytes: FRAGMENTED,
            messages: [item(PING, text('between')), item(TEXT, text('a€'))],
          },
        },
      }),
      copy,
    },
    { test, ok: assert.ok, skip: test.skip },
  )
}

function decode(
  subject: WebSocketDecoder,
  input: Uint8Array,
  chunkBytes = input.length,
): WebSocketItem[] {
  const items: WebSocketItem[] = []
  for (let at = 0; at < input.length; at += chunkBytes) {
    subject.push(input.slice(at, at + chunkBytes))
    for (let next = subject.next(); next !== undefined; next = subject.next())
      items.push(copy(next))
  }
  return items
}

function failure(subject: WebSocketDecoder, input: Uint8Array): ProtocolError {
  try {
    decode(subject, input)
  } catch (error) {
    assert.ok(error instanceof ProtocolError)
    return error
  }
  assert.fail('nothing was refused')
}

test('WebSocketDecoder takes a frame of maxFrameBytes and refuses one of a byte more by its header', () => {
  const limits = { maxFrameBytes: 200, maxMessageBytes: 1_000 }
  const [whole] = decode(decoder(limits), frame({ payload: filled(200) }))
  assert.equal(whole?.payload.length, 200)
  const error = failure(decoder(limits), frame({ payload: filled(201) }).subarray(0, 4))
  assert.deepEqual([error.code, error.status], ['ERR_FRAME_TOO_LARGE', 1009])
  assert.match(error.message, /201 bytes is over maxFrameBytes 200/)
})

test('WebSocketDecoder counts a message over all its fragments', () => {
  const limits = { maxFrameBytes: 200, maxMessageBytes: 300 }
  const first = frame({ payload: filled(200), final: false })
  const rest = (length: number) => frame({ opcode: CONTINUATION, payload: filled(length) })
  const [whole] = decode(decoder(limits), join(first, rest(100)))
  assert.equal(whole?.payload.length, 300)
  const error = failure(decoder(limits), join(first, rest(101).subarray(0, 2)))
  assert.deepEqual([error.code, error.status], ['ERR_FRAME_TOO_LARGE', 1009])
  assert.match(error.message, /message of 301 bytes is over maxMessageBytes 300/)
})

test('WebSocketDecoder refuses what breaks fragmentation with 1002', () => {
  const started = frame({ payload: filled(3), final: false })
  for (const next of [frame({ opcode: TEXT }), frame({ opcode: BINARY, final: false })]) {
    assert.equal(failure(decoder(), join(started, next)).status, 1002)
  }
  const again = frame({ opcode: CONTINUATION, compressed: true })
  assert.equal(failure(decoder({ compressed: true }), join(started, again)).status, 1002)
  assert.equal(failure(decoder(), frame({ compressed: true })).status, 1002)
})

test('WebSocketDecoder refuses text as soon as it is wrong, before its end has come', () => {
  const wrong = frame({ opcode: TEXT, payload: join(bytes('61c328'), filled(100)) })
  const error = failure(decoder(), wrong.subarray(0, 10))
  assert.deepEqual([error.code, error.status], ['ERR_ENCODING', 1007])
  const cut = frame({ opcode: TEXT, payload: bytes('e282'), final: false })
  const end = frame({ opcode: CONTINUATION })
  assert.equal(failure(decoder(), join(cut, end)).status, 1007)
})

test('WebSocketDecoder puts a long message together from any chunks, masked or not', () => {
  const payload = filled(66_000)
  for (const key of [undefined, KEY]) {
    const input = frame({ payload, ...(key !== undefined && { key }) })
    for (const chunkBytes of [1, 1_001, 65_536]) {
      const [whole] = decode(decoder({ masked: key !== undefined }), input, chunkBytes)
      assert.deepEqual(Buffer.compare(whole?.payload as Uint8Array, payload), 0)
    }
  }
})

test('WebSocketDecoder allocates by what has arrived, not by what is announced', () => {
  const subject = decoder({ masked: true, maxFrameBytes: 2 ** 30, maxMessageBytes: 2 ** 30 })
  const header = bytes('82ff 0000000040000000 00000000')
  const before = process.memoryUsage().arrayBuffers
  for (let count = 0; count < 20; count++) {
    const one = decoder({ masked: true, maxFrameBytes: 2 ** 30, maxMessageBytes: 2 ** 30 })
    decode(one, join(header, filled(100)))
  }
  decode(subject, join(header, filled(100)))
  const grown = process.memoryUsage().arrayBuffers - before
  assert.ok(grown < 1_000_000, `${grown} bytes for 2,000 that arrived`)
  assert.equal(subject.buffered, 100)
})

test('WebSocketDecoder keeps the memory of a message until its lease is released', () => {
  const subject = decoder({ masked: true })
  const messages = [filled(50), filled(60)]
  subject.push(join(...messages.map((payload) => frame({ payload, key: KEY }))))
  const first = subject.next()?.payload as Uint8Array
  const lease = subject.keep()
  const again = subject.keep()
  assert.ok(lease && again)
  subject.next()
  assert.equal(subject.next(), undefined)
  decode(subject, frame({ payload: filled(70), key: KEY }))
  assert.deepEqual([...first], [...filled(50)])
  lease.release()
  lease.release()
  decode(subject, frame({ payload: filled(70), key: KEY }))
  assert.deepEqual([...first], [...filled(50)], 'the second lease still holds it')
  again.release()
})

test('WebSocketDecoder holds what was not looked at when its chunk goes away', () => {
  const subject = decoder()
  const chunk = join(frame({ payload: filled(5) }), frame({ payload: filled(6) }))
  subject.push(chunk)
  assert.equal(subject.next()?.payload.length, 5)
  subject.hold()
  chunk.fill(0)
  assert.deepEqual([...(subject.next()?.payload ?? [])], [...filled(6)])
})

test('WebSocketDecoder takes an end inside a message for a truncation', () => {
  for (const input of [frame({ payload: filled(9) }).subarray(0, 5), frame({ final: false })]) {
    const subject = decoder()
    decode(subject, input)
    assert.throws(() => subject.end(), { code: 'ERR_TRUNCATED' })
  }
  decoder().end()
})
