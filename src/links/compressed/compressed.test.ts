import assert from 'node:assert/strict'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { memory as address } from '../../core/address.ts'
import { HeddleError } from '../../core/errors.ts'
import { compressLz4 } from '../../core/lz4-block.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { messageConformance } from '../../testing/message-conformance.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { type MemoryOptions, memory } from '../../transports/memory/memory-transport.ts'
import { framed } from '../framed/framed.ts'
import { compressed, compressedMessages } from './compressed.ts'
import { CompressionCodec } from './compression-codec.ts'
import {
  availableAlgorithms,
  type CompressedOptions,
  type CompressionAlgorithm,
  resolveCompressedOptions,
} from './compression-options.ts'

function world(options: Partial<MemoryOptions> = {}) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  return {
    carrier: memory({ clock, network, strict: true, ...options }),
    address: address('0'),
    clock,
    turn: () => clock.settle(),
    leaks: {
      timers: () => clock.pendingTimers,
      'deferred calls': () => clock.pendingDeferred,
      leases: () => network.leaseCount,
    },
  }
}

const traits = { halfClose: true, secure: false }

transportConformance(
  'compressed with LZ4',
  {
    traits: { ...traits, messageBoundaries: false },
    bulkBytes: 200_000,
    maxTurns: 2_000,
    create() {
      const { carrier, ...rest } = world()
      return {
        ...rest,
        transport: compressed(carrier, { clock: rest.clock, algorithms: ['lz4', 'gzip'] }),
      }
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)

messageConformance(
  'compressed with gzip, nothing exchanged',
  {
    traits: { ...traits, messageBoundaries: true },
    bulkBytes: 60_000,
    maxTurns: 2_000,
    create() {
      const { carrier, ...rest } = world({ maxChunkBytes: 300 })
      const { clock } = rest
      const messages = framed(carrier, { clock, maxMessageBytes: 30_000 })
      const options = { clock, negotiate: false, algorithms: ['gzip'], level: 1 } as const
      return { ...rest, transport: compressedMessages(messages, options) }
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)

const text = (size: number): Uint8Array =>
  new TextEncoder().encode('{"id":12345,"name":"heddle"},'.repeat(size / 29 + 1).slice(0, size))

function codec(options: CompressedOptions, maxOutputBytes: number = 1_048_576): CompressionCodec {
  const settings = resolveCompressedOptions({ negotiate: false, ...options })
  return new CompressionCodec(settings, 'initiating', maxOutputBytes)
}

function seal(from: CompressionCodec, payload: Uint8Array): Uint8Array {
  let record = new Uint8Array(0)
  from.seal(payload, 0, (pieces) => (record = Buffer.concat(pieces)))
  return record
}

const BOMBS: Readonly<Record<CompressionAlgorithm, (size: number) => Uint8Array>> = {
  gzip: (size) => zlib.gzipSync(new Uint8Array(size)),
  zstd: (size) => zlib.zstdCompressSync(new Uint8Array(size)),
  lz4: (size) => compressLz4(new Uint8Array(size)),
}

for (const algorithm of availableAlgorithms()) {
  const bomb = (size: number): Uint8Array =>
    Buffer.concat([Uint8Array.of(1), BOMBS[algorithm](size)])

  test(`${algorithm} records come back, smaller where that is possible`, () => {
    const one = codec({ algorithms: [algorithm] })
    const random = new SeededRandom(3)
    for (const size of [0, 1, 127, 128, 5_000, 60_000]) {
      const record = seal(one, text(size))
      assert.deepEqual(Buffer.from(one.open(record)), Buffer.from(text(size)))
      assert.equal(record[0], size < 128 ? 0 : 1, `flag of ${size} bytes of text`)
      const noise = random.bytes(size)
      const stored = seal(one, noise)
      assert.deepEqual([stored[0], stored.length], [0, size + 1], 'what does not compress')
    }
  })

  test(`${algorithm} output at the limit passes, one byte more is ERR_EXPANSION`, () => {
    const one = codec({ algorithms: [algorithm], maxRatio: 1e9 }, 100_000)
    assert.equal(one.open(bomb(100_000)).length, 100_000)
    assert.throws(() => one.open(bomb(100_001)), { code: 'ERR_EXPANSION' })
  })

  test(`${algorithm} bombs are refused by their ratio, long before the limit of a message`, () => {
    const one = codec({ algorithms: [algorithm] }, 500_000_000)
    assert.throws(() => one.open(bomb(3_000_000)), { code: 'ERR_EXPANSION' })
    assert.equal(one.open(bomb(65_536)).length, 65_536, 'below ratioFreeBytes')
  })

  test(`${algorithm} sends as it is what its peer would take for a bomb`, () => {
    const one = codec({ algorithms: [algorithm], ratioFreeBytes: 0, maxRatio: 3 })
    const record = seal(one, new Uint8Array(50_000))
    assert.equal(record[0], 0)
    assert.equal(one.open(record).length, 50_000)
  })

  test(`${algorithm} refuses corrupt records: ERR_ENCODING`, () => {
    const one = codec({ algorithms: [algorithm] })
    const record = seal(one, text(3_000))
    for (let length = 2; length < record.length; length++) {
      assert.throws(() => one.open(record.slice(0, length)), { code: 'ERR_ENCODING' })
    }
    assert.throws(() => one.open(record.slice(0, -6)), { code: 'ERR_ENCODING' })
    assert.throws(() => one.open(Uint8Array.of(1)), { code: 'ERR_ENCODING' })
    assert.throws(() => one.open(Uint8Array.of(1, 9, 0, 0, 0, 6, 7)), { code: 'ERR_ENCODING' })
  })
}

test('compressed records that begin with anything else are refused, and those too long', () => {
  const one = codec({ algorithms: ['lz4'] }, 10)
  assert.throws(() => one.open(new Uint8Array(0)), { code: 'ERR_MALFORMED' })
  assert.throws(() => one.open(Uint8Array.of(2, 1)), { code: 'ERR_MALFORMED' })
  assert.equal(one.open(new Uint8Array(11)).length, 10)
  assert.throws(() => one.open(new Uint8Array(12)), { code: 'ERR_FRAME_TOO_LARGE' })
})

test('zstd records of every length come out whole', (context) => {
  if (!availableAlgorithms().includes('zstd')) return context.skip('zstd is not in this Node')
  const one = codec({ algorithms: ['zstd'], maxRatio: 1e9 }, 200_000)
  for (const size of [200, 255, 256, 257, 4_000, 65_535, 65_791, 65_792, 100_000]) {
    const record = seal(one, text(size))
    assert.equal(record[0], 1)
    assert.ok(Buffer.from(text(size)).equals(one.open(record)), `${size} bytes`)
  }
})

test('a zstd frame that announces a large window is refused before the window is made', (context) => {
  if (!availableAlgorithms().includes('zstd')) return context.skip('zstd is not in this Node')
  const one = codec({ algorithms: ['zstd'] }, 100_000)
  // Magic, a frame header without a size, window descriptor 2^27, then one raw block of a byte.
  const frame = Buffer.from('28b52ffd008809000061', 'hex')
  assert.throws(() => one.open(Buffer.concat([Uint8Array.of(1), frame])), { code: 'ERR_EXPANSION' })
})

async function agree(
  client: CompressedOptions,
  server: CompressedOptions,
): Promise<string | undefined> {
  const { carrier, clock } = world()
  const errors: string[] = []
  const listener = await compressed(carrier, { clock, ...server }).listen(address('0'), {
    onConnection: (one) => one.open({ onData() {}, onDrain() {}, onEnd() {}, onClose() {} }),
    onError: (error) => errors.push(error.message),
  })
  const connecting = compressed(carrier, { clock, ...client }).connect(listener.address)
  const outcome = connecting.then(
    () => undefined,
    (error) => (error instanceof HeddleError ? `${error.code} ${errors.join()}` : String(error)),
  )
  await clock.settle()
  return await outcome
}

test('compressed agrees on what both sides have, and says what is missing', async () => {
  assert.equal(await agree({ algorithms: ['lz4', 'gzip'] }, { algorithms: ['gzip'] }), undefined)
  const refused = await agree({ algorithms: ['lz4'] }, { algorithms: ['gzip'] })
  assert.match(String(refused), /^ERR_(CONNECT|RESET) .*the peer has lz4, this side gzip/)
})

test('compressed takes the order of the connecting side', () => {
  const near = new CompressionCodec(
    resolveCompressedOptions({ algorithms: ['gzip', 'lz4'] }),
    'initiating',
    1_000,
  )
  const far = new CompressionCodec(
    resolveCompressedOptions({ algorithms: ['lz4', 'gzip'] }),
    'accepting',
    1_000,
  )
  const [answer] = far.receiveHandshake(near.begin()[0] as Uint8Array)
  near.receiveHandshake(answer as Uint8Array)
  assert.deepEqual([near.algorithm, far.algorithm], ['gzip', 'gzip'])
  for (const wrong of ['', '48435031', '4843503100', '484350310201', '484350320101']) {
    const fresh = new CompressionCodec(resolveCompressedOptions({}), 'accepting', 1_000)
    assert.throws(() => fresh.receiveHandshake(Buffer.from(wrong, 'hex')), { code: 'ERR_CONNECT' })
  }
  // A number of a later version is passed over.
  const later = new CompressionCodec(resolveCompressedOptions({}), 'accepting', 1_000)
  assert.equal(later.receiveHandshake(Buffer.from('48435031026301', 'hex')).length, 1)
})

test('compressed refuses options that cannot be meant', () => {
  const wrong: readonly CompressedOptions[] = [
    { algorithms: [] },
    { algorithms: ['lz4', 'lz4'] },
    { algorithms: ['rar' as 'gzip'] },
    { negotiate: false, algorithms: ['lz4', 'gzip'] },
  ]
  for (const options of wrong) {
    assert.throws(() => resolveCompressedOptions(options), { code: 'ERR_ARGUMENT' })
  }
  const outside = [{ level: 0 }, { level: 10, algorithms: ['gzip'] as const }, { maxRatio: 0.5 }]
  for (const options of outside) {
    assert.throws(() => resolveCompressedOptions(options), { code: 'ERR_OPTION_RANGE' })
  }
})
