/** Formats, frames, fragments: what carries a block. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nodeHost } from '../../platform/node-host.ts'
import { ed25519Key, nodeSigning } from '../../platform/node-signing.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { ackPayload, readAck } from './ack-payload.ts'
import { assembleBlock, Block } from './block.ts'
import { decodeAuto, fromWireFormat, toWireFormat } from './compressed.ts'
import { createGenesis, createStandalone } from './create.ts'
import {
  encodeFragment,
  FragmentReassembler,
  fragmentBlock,
  type ReassembledBlock,
  readFragment,
} from './fragments.ts'
import { BlockFrameDecoder, encodeBlockFrame } from './frame-decoder.ts'
import { bytesPayload } from './payload.ts'
import { type BlockCompression, WireFormat } from './wire-format.ts'

const key = ed25519Key(new Uint8Array(32).fill(7))
const options = { key, host: nodeSigning, timestamp: 1_640_995_200 }
const host = nodeHost
const blockOf = async (length: number): Promise<Block> =>
  await createGenesis(bytesPayload(new Uint8Array(length).fill(5)), options)

decoderConformance(
  'block frames',
  {
    create: () => new BlockFrameDecoder({ maxMessageBytes: 1_024 }),
    encode: encodeBlockFrame,
    samples: [Uint8Array.of(1), new Uint8Array(186).fill(7), new Uint8Array(1_024).fill(1)],
    malformed: {
      'a message of length 0': Uint8Array.of(0, 0, 0, 0),
      'a message one byte too long': Uint8Array.of(0, 0, 4, 1),
      'a message of length 2^32−1': Uint8Array.of(255, 255, 255, 255),
    },
    copy: (message) => message.slice(),
  },
  { test, ok: assert.ok },
)

test('BlockFrameDecoder knows whether a message is under way', () => {
  const decoder = new BlockFrameDecoder()
  assert.equal(decoder.partial, false)
  decoder.push(Uint8Array.of(0))
  assert.equal(decoder.next(), undefined)
  assert.equal(decoder.partial, true)
  decoder.push(Uint8Array.of(0, 0, 1, 9))
  assert.deepEqual(decoder.next(), Uint8Array.of(9))
  assert.equal(decoder.partial, false)
  for (const maxMessageBytes of [0, 2 ** 32, 1.5]) {
    assert.throws(() => new BlockFrameDecoder({ maxMessageBytes }), { code: 'ERR_OPTION_RANGE' })
  }
})

test('every format that this host has brings a block back', async () => {
  const block = await blockOf(1_000)
  const compressions = ['none', 'gzip', 'lz4', 'zstd'].filter(
    (name) => name === 'none' || name in host.compression,
  )
  for (const encoding of ['binary', 'json', 'messagepack', 'protobuf', 'ssz'] as const) {
    for (const compression of compressions as readonly BlockCompression[]) {
      const format = new WireFormat(encoding, compression)
      const bytes = await toWireFormat(block, format, host)
      const again = await fromWireFormat(bytes, format, { host })
      assert.deepEqual(again.bytes, block.bytes, String(format))
      // LZ4 and SSZ have nothing to be known by.
      if (encoding !== 'ssz' && compression !== 'lz4') {
        assert.deepEqual((await decodeAuto(bytes, { host })).bytes, block.bytes, String(format))
      }
    }
  }
})

test('a compression that the host has not is an error, not another one', async () => {
  const block = await blockOf(1)
  const format = new WireFormat('binary', 'zstd')
  assert.throws(() => toWireFormat(block, format), { code: 'ERR_OPTION_UNSUPPORTED' })
  const none = { compression: {} }
  assert.throws(() => fromWireFormat(block.bytes, format, { host: none }), {
    code: 'ERR_OPTION_UNSUPPORTED',
  })
})

test('a bomb is refused by its output, and corrupt input by what it is', async () => {
  const format = new WireFormat('binary', 'gzip')
  const block = await blockOf(10_000)
  const bytes = await toWireFormat(block, format, host)
  const at = { host, maxPayloadBytes: 10_000 }
  assert.equal((await fromWireFormat(bytes, format, at)).payloadSize, 10_000)
  // Room for the envelope is 1 KiB: past it the decompressor stops.
  const bomb = fromWireFormat(bytes, format, { host, maxPayloadBytes: 9_000 })
  await assert.rejects(async () => bomb, { code: 'ERR_EXPANSION' })
  const over = fromWireFormat(bytes, format, { host, maxPayloadBytes: 9_999 })
  await assert.rejects(async () => over, { code: 'ERR_FRAME_TOO_LARGE', status: 9 })
  bytes[40] = (bytes[40] as number) ^ 0xff
  await assert.rejects(async () => fromWireFormat(bytes, format, { host }), { status: 39 })
  const cut = bytes.subarray(0, 12)
  await assert.rejects(async () => fromWireFormat(cut, format, { host }), { status: 39 })
})

test('WireFormat has presets, content types of both sets, descriptors and names', () => {
  assert.equal(WireFormat.default(), WireFormat.binary())
  assert.equal(WireFormat.messagepack(), WireFormat.msgpack())
  assert.equal(WireFormat.json().contentType, 'application/json')
  assert.equal(WireFormat.compressedBinary().contentType, 'application/x-olocus-block+zstd')
  assert.deepEqual([WireFormat.compressedBinary().level, WireFormat.compressedJson().level], [3, 6])
  const pairs: [string, string][] = [
    ['application/x-olocus', 'binary'],
    ['application/x-olocus-block', 'binary'],
    ['application/msgpack; charset=binary', 'messagepack'],
    ['application/x-msgpack+lz4', 'messagepack+lz4'],
    ['Application/JSON+gzip', 'json+gzip'],
    ['application/ssz', 'ssz'],
    ['application/x-ssz', 'ssz'],
    ['application/x-protobuf', 'protobuf'],
  ]
  for (const [type, name] of pairs) assert.equal(String(WireFormat.fromContentType(type)), name)
  assert.throws(() => WireFormat.fromContentType('text/html'), { status: 39 })
  for (const name of ['binary', 'json+gzip', 'messagepack+zstd', 'protobuf', 'ssz+lz4']) {
    const format = WireFormat.parse(name)
    assert.equal(String(WireFormat.fromDescriptor(format.toDescriptor())), name)
    assert.equal(String(WireFormat.fromContentType(format.contentType)), name)
  }
  assert.deepEqual(WireFormat.compressedJson().toDescriptor(), Uint8Array.of(1, 3, 1, 0))
  for (const bytes of [[5, 0, 1, 0], [0, 4, 1, 0], [0, 0, 2, 0], [0, 0, 1, 1], [0, 0, 1], []]) {
    assert.throws(() => WireFormat.fromDescriptor(Uint8Array.from(bytes)), { status: 39 })
  }
  for (const name of ['cbor', 'json+br', 'json+gzip+gzip', '']) {
    assert.throws(() => WireFormat.parse(name), { code: 'ERR_ARGUMENT' }, name)
  }
  assert.throws(() => new WireFormat('json', 'gzip', 10), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => new WireFormat('json', 'zstd', 0), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => new WireFormat('json', 'none', 1), { code: 'ERR_OPTION_RANGE' })
})

const HASH = new Uint8Array(32).fill(9)
const bytesOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31) & 0xff)

function feed(
  reassembler: FragmentReassembler,
  messages: Iterable<Uint8Array>,
): ReassembledBlock[] {
  const whole: ReassembledBlock[] = []
  for (const message of messages) {
    const fragment = readFragment(message)
    assert.ok(fragment !== undefined, 'this is no fragment')
    const found = reassembler.receive(fragment, 0)
    if (found !== undefined) whole.push(found)
  }
  return whole
}

test('a message of 15,360 bytes stays whole, of 15,361 it becomes two fragments', () => {
  assert.deepEqual([...fragmentBlock(HASH, bytesOf(15_360))].length, 1)
  const two = [...fragmentBlock(HASH, bytesOf(15_361))]
  assert.deepEqual(
    two.map((message) => message.length),
    [15_404, 45],
  )
  assert.deepEqual(feed(new FragmentReassembler(), two)[0]?.encoded, bytesOf(15_361))
})

test('fragments are put together in any order, and any number of times', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 9, max: 120 }),
      fc.integer({ min: 0, max: 1_000 }),
      fc.boolean(),
      (length, turn, twice) => {
        const messages = [...fragmentBlock(HASH, bytesOf(length), 8)]
        const shuffled = messages
          .map((message, index) => ({ message, at: (index * 7_919 + turn * 104_729) % 1_009 }))
          .sort((a, b) => a.at - b.at)
          .map(({ message }) => message)
        // Once more each, before the last is there: nothing changes.
        const early = twice ? shuffled.slice(0, -1) : []
        const reassembler = new FragmentReassembler({ chunkBytes: 8 })
        const whole = feed(reassembler, [...early, ...shuffled])
        assert.equal(whole.length, 1)
        assert.deepEqual(whole[0]?.encoded, bytesOf(length))
        assert.equal(reassembler.bufferedBytes + reassembler.incompleteCount, 0)
      },
    ),
    { numRuns: 50 },
  )
})

test('a fragment that is missing: the block is given up after ten seconds', () => {
  const reassembler = new FragmentReassembler({ chunkBytes: 8 })
  const [first, , third] = [...fragmentBlock(HASH, bytesOf(24), 8)] as [Uint8Array, 0, Uint8Array]
  assert.equal(feed(reassembler, [first, third]).length, 0)
  assert.equal(reassembler.pollTimeout(), 10_000)
  assert.equal(reassembler.handleTimeout(9_999), 0)
  assert.equal(reassembler.bufferedBytes, 16)
  assert.equal(reassembler.handleTimeout(10_000), 1)
  assert.equal(reassembler.bufferedBytes, 0)
  assert.equal(reassembler.pollTimeout(), undefined)
})

test('fragments that contradict each other give the block up with ERR_PROTOCOL', () => {
  const [first] = [...fragmentBlock(HASH, bytesOf(24), 8)] as [Uint8Array]
  const changed = first.slice()
  changed[44] = 99
  const total = first.slice()
  total[34] = 4
  const short = encodeFragment({
    blockHash: HASH,
    fragmentId: 1,
    totalFragments: 3,
    data: HASH.subarray(0, 7),
  })
  const long = encodeFragment({
    blockHash: HASH,
    fragmentId: 2,
    totalFragments: 3,
    data: HASH.subarray(0, 9),
  })
  for (const wrong of [changed, total, short, long]) {
    const reassembler = new FragmentReassembler({ chunkBytes: 8 })
    feed(reassembler, [first])
    assert.throws(() => feed(reassembler, [wrong]), { code: 'ERR_PROTOCOL' })
    assert.equal(reassembler.incompleteCount + reassembler.bufferedBytes, 0)
  }
})

test('what is incomplete is bounded in number and in bytes', () => {
  const part = (id: number) =>
    encodeFragment({
      blockHash: new Uint8Array(32).fill(id),
      fragmentId: 0,
      totalFragments: 65_535,
      data: bytesOf(8),
    })
  const few = new FragmentReassembler({ chunkBytes: 8, maxIncomplete: 2 })
  feed(few, [part(1), part(2)])
  assert.throws(() => feed(few, [part(3)]), { code: 'ERR_LIMIT' })
  const small = new FragmentReassembler({ chunkBytes: 8, maxBufferedBytes: 16 })
  feed(small, [part(1), part(2)])
  assert.throws(() => feed(small, [part(3)]), { code: 'ERR_LIMIT' })
  assert.equal(small.bufferedBytes, 16)
  small.clear()
  assert.equal(small.incompleteCount + small.bufferedBytes, 0)
  assert.throws(() => new FragmentReassembler({ maxIncomplete: 0 }), { code: 'ERR_OPTION_RANGE' })
})

test('a block whose bytes look like anything is no fragment, and a fragment no block', async () => {
  const block = await blockOf(0)
  assert.equal(readFragment(block.bytes), undefined)
  const fragment = [...fragmentBlock(HASH, bytesOf(9), 8)][0] as Uint8Array
  for (const [offset, value] of [
    [32, 2],
    [34, 1],
    [36, 9],
    [43, 1],
  ] as const) {
    const other = fragment.slice()
    other[offset] = value
    assert.equal(readFragment(other), undefined)
  }
  assert.equal(readFragment(fragment.subarray(0, 44)), undefined)
  const tooMany = () => [...fragmentBlock(HASH, bytesOf(65_536), 1)]
  assert.throws(tooMany, { code: 'ERR_FRAME_TOO_LARGE' })
})

test('an acknowledgement names the block, its index and the code', async () => {
  const ack = { blockHash: HASH, index: 2n ** 53n + 1n, code: 6 } as const
  const block = await createStandalone(ackPayload(ack), options)
  assert.equal(block.bytes.length, 227)
  assert.deepEqual(readAck(block), ack)
  assert.equal(readAck(await blockOf(41)), undefined)
  const odd = block.bytes.slice()
  odd[226] = 17 // no code
  assert.equal(readAck(new Block(odd)), undefined)
  const fields = {
    ...block.header,
    payload: new Uint8Array(40),
    publicKey: HASH,
    signature: block.signature,
  }
  assert.equal(readAck(new Block(assembleBlock(fields))), undefined)
})
