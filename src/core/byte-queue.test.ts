import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../testing/seeded-random.ts'
import { ByteQueue } from './byte-queue.ts'

test('ByteQueue reads in place what lies in one chunk', () => {
  const queue = new ByteQueue()
  const chunk = Uint8Array.of(1, 2, 3, 4)
  queue.push(chunk)
  const view = queue.read(2)
  assert.equal(view.buffer, chunk.buffer)
  assert.deepEqual([...view], [1, 2])
  assert.equal(queue.length, 2)
})

test('ByteQueue keeps no view of the chunk after copyBorrowed', () => {
  const queue = new ByteQueue()
  const chunk = Uint8Array.of(1, 2, 3)
  queue.push(chunk)
  queue.skip(1)
  queue.copyBorrowed()
  chunk.fill(0)
  assert.deepEqual([...queue.read(2)], [2, 3])
})

test('ByteQueue.push copies the unread rest of the chunk before', () => {
  const queue = new ByteQueue()
  const memory = Uint8Array.of(1, 2, 3)
  queue.push(memory)
  queue.push(Uint8Array.of(4, 5))
  memory.fill(0)
  assert.deepEqual([...queue.read(5)], [1, 2, 3, 4, 5])
})

test('ByteQueue.read leaves a view it returned alone while later reads extend the carry', () => {
  const queue = new ByteQueue()
  queue.push(Uint8Array.from({ length: 60 }, (_, index) => index))
  queue.copyBorrowed()
  queue.push(new Uint8Array(200).fill(9))
  const first = queue.read(30)
  queue.read(150) // spans the carry and the chunk: the carry must grow
  assert.deepEqual(
    [...first],
    Array.from({ length: 30 }, (_, index) => index),
  )
})

test('ByteQueue.readCopy is the caller’s, across carry and chunk', () => {
  const queue = new ByteQueue()
  queue.push(Uint8Array.of(1, 2))
  queue.copyBorrowed()
  const chunk = Uint8Array.of(3, 4)
  queue.push(chunk)
  const copy = queue.readCopy(3)
  chunk.fill(0)
  assert.deepEqual([...copy], [1, 2, 3])
  assert.equal(queue.length, 1)
})

test('ByteQueue.indexOf finds bytes in carry and chunk, from an offset', () => {
  const queue = new ByteQueue()
  queue.push(Uint8Array.of(0, 7, 1, 7))
  queue.skip(1)
  queue.copyBorrowed()
  queue.push(Uint8Array.of(2, 7))
  assert.deepEqual(
    [queue.indexOf(7), queue.indexOf(7, 1), queue.indexOf(7, 3), queue.indexOf(7, 5)],
    [0, 2, 4, -1],
  )
  assert.equal(queue.indexOf(2), 3)
  assert.equal(queue.indexOf(0), -1) // read already
})

test('ByteQueue numbers are the same in a chunk and across chunks', () => {
  const bytes = Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8)
  const view = new DataView(bytes.buffer)
  const reads: readonly [string, number, number | bigint][] = [
    ['readUint8', 1, view.getUint8(0)],
    ['readUint16', 2, view.getUint16(0)],
    ['readUint24', 3, 0xfffefd],
    ['readUint32', 4, view.getUint32(0)],
    ['readUint16le', 2, view.getUint16(0, true)],
    ['readUint32le', 4, view.getUint32(0, true)],
    ['readUint64', 8, view.getBigUint64(0)],
    ['readUint64le', 8, view.getBigUint64(0, true)],
  ]
  for (const [name, size, expected] of reads) {
    for (let at = 0; at <= size; at++) {
      const queue = new ByteQueue()
      queue.push(bytes.subarray(0, at))
      queue.push(bytes.subarray(at))
      const read = queue[name as 'readUint8'].call(queue)
      assert.equal(read, expected, `${name} cut at ${at}`)
      assert.equal(queue.length, 8 - size)
    }
  }
})

test('ByteQueue refuses to read more than there is: a bug of the decoder', () => {
  const queue = new ByteQueue()
  queue.push(Uint8Array.of(1))
  for (const read of [
    () => queue.read(2),
    () => queue.peek(2),
    () => queue.readCopy(2),
    () => queue.skip(2),
    () => queue.skip(-1),
    () => queue.readUint16(),
    () => queue.byteAt(1),
  ]) {
    assert.throws(read, { code: 'ERR_INVARIANT' })
  }
  assert.equal(queue.length, 1)
})

test('ByteQueue gives back what went in, for 200 seeded runs of pushes and reads', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed)
    const input = random.bytes(random.integer(1, 2_000))
    const queue = new ByteQueue()
    const output: number[] = []
    for (const chunk of random.split(input, random.pick([1, 5, 100, 2_000]))) {
      const memory = chunk.slice()
      queue.push(memory)
      while (queue.length > 0 && random.chance(0.7)) {
        const count = random.integer(1, queue.length)
        const kind = random.integer(1, 3)
        if (kind === 1) output.push(...queue.read(count))
        else if (kind === 2) output.push(...queue.readCopy(count))
        else output.push(queue.readUint8())
      }
      queue.copyBorrowed()
      memory.fill(0xdb)
    }
    output.push(...queue.read(queue.length))
    assert.deepEqual(output, [...input], `seed ${seed}`)
  }
})

test('ByteQueue.clear forgets everything', () => {
  const queue = new ByteQueue()
  queue.push(Uint8Array.of(1, 2))
  queue.clear()
  assert.equal(queue.length, 0)
})
