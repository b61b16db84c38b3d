import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  fragmentDefaults,
  fragmentMessage,
  MessageReassembler,
  MIN_PIECE_BYTES,
} from './fragments.ts'

const bytes = (length: number, key = 0) => Uint8Array.from({ length }, (_, at) => (at + key) & 255)
const cut = (id: number, message: Uint8Array, piece = MIN_PIECE_BYTES) => [
  ...fragmentMessage(id, message, piece),
]

/** A piece by hand. */
function piece(id: number, index: number, total: number, length: number, data: Uint8Array) {
  const part = new Uint8Array(13 + data.length)
  const view = new DataView(part.buffer)
  part[0] = 1
  view.setUint32(1, id)
  view.setUint16(5, index)
  view.setUint16(7, total)
  view.setUint32(9, length)
  part.set(data, 13)
  return part
}

test('a message that fits with its kind stays whole, one past it is cut', () => {
  const [whole, ...none] = cut(1, bytes(MIN_PIECE_BYTES - 1))
  assert.equal(none.length, 0)
  assert.equal(whole?.[0], 0)
  const parts = cut(1, bytes(MIN_PIECE_BYTES))
  assert.deepEqual(
    parts.map((part) => part.length),
    [MIN_PIECE_BYTES, 13 + 13],
  )
})

test('the bytes of a piece are as the page has them', () => {
  assert.equal(
    Buffer.from(cut(0x01020304, bytes(64))[1]!).toString('hex'),
    // kind, id, index, total, length, data
    '01' + '01020304' + '0001' + '0002' + '00000040' + '333435363738393a3b3c3d3e3f',
  )
})

test('whatever is shuffled and doubled comes out whole, once', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 700 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(messages, fc.integer({ min: 64, max: 200 }), fc.gen(), (sent, maxPiece, gen) => {
      const parts = sent.flatMap((message, id) => cut(id, message, maxPiece))
      // Whole messages have no id: only pieces may come twice.
      const doubled = parts.flatMap((part) =>
        part[0] === 1 && gen(fc.boolean) ? [part, part] : part,
      )
      const order = gen(fc.shuffledSubarray, doubled, { minLength: doubled.length })
      const reassembler = new MessageReassembler()
      const out = order.flatMap((part) => reassembler.receive(part, 0)?.slice() ?? [])
      const text = (all: readonly Uint8Array[]) => all.map((one) => one.join()).sort()
      assert.deepEqual(text(out), text(sent))
      assert.equal(reassembler.bufferedBytes, 0)
      assert.equal(reassembler.incompleteCount, 0)
    }),
    { numRuns: 200 },
  )
})

test('a message that misses a piece never comes out, and is given up in time', () => {
  const parts = cut(1, bytes(500))
  for (let missing = 0; missing < parts.length; missing++) {
    const reassembler = new MessageReassembler()
    for (const [index, part] of parts.entries()) {
      if (index !== missing) assert.equal(reassembler.receive(part, 100), undefined)
    }
    const { fragmentTimeoutMs } = fragmentDefaults
    assert.equal(reassembler.pollTimeout(), 100 + fragmentTimeoutMs)
    reassembler.handleTimeout(99 + fragmentTimeoutMs)
    assert.equal(reassembler.incompleteCount, 1)
    reassembler.handleTimeout(100 + fragmentTimeoutMs)
    assert.equal(reassembler.incompleteCount, 0)
    assert.equal(reassembler.bufferedBytes, 0)
    assert.equal(reassembler.droppedCount, 1)
    assert.equal(reassembler.pollTimeout(), undefined)
  }
})

test('pieces that contradict each other are refused', () => {
  const first = piece(1, 0, 3, 25, bytes(10))
  const cases: Record<string, [second: Uint8Array, code: string]> = {
    'another total': [piece(1, 1, 4, 25, bytes(7)), 'ERR_PROTOCOL'],
    'another length': [piece(1, 1, 3, 26, bytes(10)), 'ERR_PROTOCOL'],
    'another size': [piece(1, 1, 3, 25, bytes(9)), 'ERR_PROTOCOL'],
    'a last one that is too short': [piece(1, 2, 3, 25, bytes(4)), 'ERR_PROTOCOL'],
    'a last one that does not divide': [piece(1, 2, 3, 24, bytes(5)), 'ERR_PROTOCOL'],
    'the same index with other data': [piece(1, 0, 3, 25, bytes(10, 1)), 'ERR_PROTOCOL'],
    'an index past the total': [piece(1, 3, 3, 25, bytes(10)), 'ERR_MALFORMED'],
    'no data': [piece(1, 1, 3, 25, bytes(0)), 'ERR_MALFORMED'],
  }
  for (const [name, [second, code]] of Object.entries(cases)) {
    const reassembler = new MessageReassembler()
    assert.equal(reassembler.receive(first, 0), undefined)
    assert.throws(() => reassembler.receive(second, 0), { code }, name)
  }
})

test('what is no part of a message is refused', () => {
  for (const part of ['', '01', '02', 'ff00', `01${'00'.repeat(13)}`]) {
    const reassembler = new MessageReassembler()
    assert.throws(() => reassembler.receive(Buffer.from(part, 'hex'), 0), { code: 'ERR_MALFORMED' })
  }
  const one = piece(1, 0, 1, 10, bytes(10))
  assert.throws(() => new MessageReassembler().receive(one, 0), { code: 'ERR_MALFORMED' })
})

test('MessageReassembler takes a message at maxMessageBytes, and refuses one past it by its head', () => {
  const reassembler = new MessageReassembler({ maxMessageBytes: 100 })
  let out: Uint8Array | undefined
  for (const part of cut(1, bytes(100))) out = reassembler.receive(part, 0)
  assert.deepEqual(out, bytes(100))
  assert.throws(() => reassembler.receive(cut(2, bytes(101))[0]!, 0), {
    code: 'ERR_FRAME_TOO_LARGE',
    message: 'message of 101 bytes is over 100',
  })
  assert.throws(() => reassembler.receive(cut(2, bytes(101), 200)[0]!, 0), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
  // 4 GiB announced: nothing is taken for it.
  assert.throws(() => reassembler.receive(piece(3, 0, 2, 0xffff_ffff, bytes(10)), 0), {
    code: 'ERR_FRAME_TOO_LARGE',
  })
  assert.equal(reassembler.bufferedBytes, 0)
})

test('MessageReassembler holds maxIncomplete messages, and gives up the oldest for one more', () => {
  const reassembler = new MessageReassembler({ maxIncomplete: 3 })
  const messages = [0, 1, 2, 3].map((id) => cut(id, bytes(100, id)))
  for (const [first] of messages.slice(0, 3)) reassembler.receive(first!, 0)
  assert.equal(reassembler.incompleteCount, 3)
  assert.equal(reassembler.droppedCount, 0)
  reassembler.receive(messages[3]![0]!, 0)
  assert.equal(reassembler.incompleteCount, 3)
  assert.equal(reassembler.droppedCount, 1)
  assert.deepEqual(reassembler.receive(messages[1]![1]!, 0), bytes(100, 1))
  assert.equal(reassembler.receive(messages[0]![1]!, 0), undefined)
})

test('MessageReassembler holds maxBufferedBytes, and gives up the oldest for one byte more', () => {
  const first = (id: number, length: number) => piece(id, 0, 2, 2 * length, bytes(length))
  const reassembler = new MessageReassembler({ maxBufferedBytes: 300 })
  reassembler.receive(first(1, 100), 0)
  reassembler.receive(first(2, 200), 0)
  assert.equal(reassembler.bufferedBytes, 300)
  reassembler.receive(first(3, 1), 0)
  assert.equal(reassembler.bufferedBytes, 201)
  assert.equal(reassembler.droppedCount, 1)
  // One that is larger than all room goes as well.
  reassembler.receive(first(4, 301), 0)
  assert.equal(reassembler.bufferedBytes, 0)
})

test('a message of more than 65,535 pieces is refused by its sender', () => {
  const limit = 65_535 * (MIN_PIECE_BYTES - 13)
  assert.equal(cut(1, new Uint8Array(limit)).length, 65_535)
  assert.throws(() => cut(1, new Uint8Array(limit + 1)), { code: 'ERR_FRAME_TOO_LARGE' })
})

test('options of fragments are checked', () => {
  for (const name of Object.keys(fragmentDefaults)) {
    assert.throws(() => new MessageReassembler({ [name]: 0 }), { code: 'ERR_OPTION_RANGE' }, name)
  }
})
