import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel } from '../../core/channel.ts'
import { grpcFrame } from './encoder.ts'
import { MessageSource } from './message-source.ts'
import { grpcMessageDefaults } from './options.ts'

/** A body without end, of messages of so many bytes, in chunks of `together`. */
function endless(
  bytes: number,
  together: number,
): { body: Channel<Uint8Array>; cancels: number[] } {
  const frame = grpcFrame(new Uint8Array(bytes))
  const chunk = new Uint8Array(frame.length * together)
  for (let at = 0; at < together; at++) chunk.set(frame, at * frame.length)
  const cancels: number[] = []
  let written = 0
  const body: Channel<Uint8Array> = new Channel(
    () => {
      while (body.flowing) {
        written++
        body.write(chunk)
      }
    },
    () => cancels.push(written),
  )
  return { body, cancels }
}

/** What one message counts: its length, and what holding it costs. */
const COST = 128

for (const [bytes, readAheadBytes] of [
  [0, undefined],
  [1_000, undefined],
  [100_000, undefined],
  [1_000, 1_128],
  [1_000, 1_129],
  [1_000, 0],
] as const) {
  const most = readAheadBytes ?? grpcMessageDefaults.readAheadBytes
  test(`iteration holds ${most} bytes of messages of ${bytes} bytes ahead, and no more`, async () => {
    const { body, cancels } = endless(bytes, 1)
    let decoded = 0
    const source = new MessageSource<number>(body, {
      decode: () => ++decoded,
      decompress: undefined,
      maxMessageBytes: 1_000_000,
      ...(readAheadBytes === undefined ? {} : { readAheadBytes }),
    })
    const iterator = source[Symbol.asyncIterator]()
    assert.equal(decoded, 0)
    const ahead = Math.ceil(most / (bytes + COST))
    for (let message = 1; message <= ahead + 1; message++) {
      assert.equal((await iterator.next()).value, message)
      assert.equal(decoded, 1 + ahead)
    }
    // All of it was read: as much again.
    assert.equal((await iterator.next()).value, ahead + 2)
    assert.equal(decoded, 2 * (1 + ahead))
    await iterator.return(undefined)
    assert.deepEqual(cancels, [decoded])
    assert.equal(source.done, true)
  })
}

test('messages that were read ahead come before what broke the stream behind them', async () => {
  const body: Channel<Uint8Array> = new Channel(
    () => {},
    () => {},
  )
  const source = new MessageSource<number>(body, {
    decode: (payload) => payload[0] as number,
    decompress: undefined,
    maxMessageBytes: 10,
  })
  const iterator = source[Symbol.asyncIterator]()
  const first = iterator.next()
  const lent = Uint8Array.from([...frameOf(1), ...frameOf(2), ...frameOf(3), 0, 0, 0, 0, 11])
  body.write(lent)
  lent.fill(0xdb)
  assert.equal((await first).value, 1)
  assert.equal((await iterator.next()).value, 2)
  assert.equal((await iterator.next()).value, 3)
  await assert.rejects(iterator.next(), { grpcCode: 8 }) // RESOURCE_EXHAUSTED
  assert.equal((await iterator.next()).done, true)
})

test('a sink that takes one message at a time gets one at a time', () => {
  const { body } = endless(10, 4)
  let decoded = 0
  const source = new MessageSource<number>(body, {
    decode: () => ++decoded,
    decompress: undefined,
    maxMessageBytes: 10,
  })
  const flow = source.open({ write: () => false, end() {}, fail() {} })
  for (let message = 1; message <= 9; message++) {
    flow.resume()
    assert.equal(decoded, message)
  }
  flow.cancel()
})

function frameOf(value: number): Uint8Array {
  return grpcFrame(Uint8Array.of(value))
}
