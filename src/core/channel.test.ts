import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel, iterate } from './channel.ts'
import type { Sink } from './flow.ts'

interface Taken {
  readonly items: number[]
  ended: boolean
  failed: Error | undefined
}

/** Takes `credit` items, then says no. */
function taker(credit: number): { sink: Sink<number>; taken: Taken } {
  const taken: Taken = { items: [], ended: false, failed: undefined }
  let left = credit
  const sink: Sink<number> = {
    write(item) {
      taken.items.push(item)
      left -= 1
      return left > 0
    },
    end() {
      taken.ended = true
    },
    fail(reason) {
      taken.failed = reason
    },
  }
  return { sink, taken }
}

test('Channel gives nothing before resume, and no more than is wanted', () => {
  let demands = 0
  const channel = new Channel<number>(
    () => demands++,
    () => assert.fail('cancelled'),
  )
  const { sink, taken } = taker(2)
  const flow = channel.open(sink)
  assert.equal(channel.flowing, false)
  assert.throws(() => channel.write(0), { code: 'ERR_BUSY' })
  flow.resume()
  assert.equal(demands, 1)
  assert.equal(channel.write(1), true)
  assert.equal(channel.write(2), false)
  assert.throws(() => channel.write(3), { code: 'ERR_BUSY' })
  assert.deepEqual(taken.items, [1, 2])
})

test('Channel ends behind a pause when the taker resumes, at once when it flows', () => {
  for (const credit of [1, 2]) {
    const channel = new Channel<number>(
      () => {},
      () => {},
    )
    const { sink, taken } = taker(credit)
    const flow = channel.open(sink)
    flow.resume()
    channel.write(1)
    channel.end()
    channel.end()
    assert.equal(taken.ended, credit === 2)
    flow.resume()
    assert.equal(taken.ended, true)
    assert.equal(channel.done, true)
    assert.equal(channel.write(9), true) // dropped
    assert.deepEqual(taken.items, [1])
  }
})

test('Channel fails at once, even behind a pause', () => {
  const channel = new Channel<number>(
    () => {},
    () => {},
  )
  const { sink, taken } = taker(1)
  channel.open(sink).resume()
  channel.write(1)
  const reason = new Error('why')
  channel.fail(reason)
  channel.fail(new Error('later'))
  assert.equal(taken.failed, reason)
  assert.equal(taken.ended, false)
})

test('Channel that failed before it was opened fails when it is resumed', () => {
  const channel = new Channel<number>(
    () => {},
    () => {},
  )
  channel.fail('text')
  const { sink, taken } = taker(1)
  const flow = channel.open(sink)
  assert.ok(!taken.failed)
  flow.resume()
  assert.match(String(taken.failed), /text/)
})

test('Channel.cancel tells the writer once, and neither end nor fail follows', () => {
  const cancels: (Error | undefined)[] = []
  const channel = new Channel<number>(
    () => {},
    (reason) => cancels.push(reason),
  )
  const { sink, taken } = taker(5)
  const flow = channel.open(sink)
  flow.resume()
  const reason = new Error('enough')
  flow.cancel(reason)
  flow.cancel()
  channel.end()
  channel.fail(new Error('late'))
  flow.resume()
  assert.deepEqual(cancels, [reason])
  assert.deepEqual([taken.ended, taken.failed], [false, undefined])
})

test('Channel opens once', () => {
  const channel = new Channel<number>(
    () => {},
    () => {},
  )
  channel.open(taker(1).sink)
  assert.throws(() => channel.open(taker(1).sink), { code: 'ERR_BODY_USED' })
})

test('iterate asks for one item at a time and keeps each by copy', async () => {
  const memory = Uint8Array.of(0)
  let next = 1
  const channel: Channel<Uint8Array> = new Channel(
    () => {
      if (next > 3) return channel.end()
      memory[0] = next++
      const more = channel.write(memory)
      memory[0] = 0xdb
      assert.equal(more, false)
    },
    () => assert.fail('cancelled'),
    (chunk) => chunk.slice(),
  )
  const got: number[] = []
  for await (const chunk of channel) got.push(chunk[0]!)
  assert.deepEqual(got, [1, 2, 3])
})

test('iterate throws what the source failed with, after the items before it', async () => {
  let asked = 0
  const channel: Channel<number> = new Channel(
    () => {
      asked += 1
      if (asked === 1) channel.write(1)
      else channel.fail(new Error('broken'))
    },
    () => {},
  )
  const got: number[] = []
  await assert.rejects(async () => {
    for await (const item of iterate(channel, (item) => item)) got.push(item)
  }, /broken/)
  assert.deepEqual(got, [1])
})

test('iterate cancels the source when the loop is left', async () => {
  let cancels = 0
  const channel: Channel<number> = new Channel(
    () => void channel.write(1),
    () => cancels++,
  )
  for await (const item of channel) {
    assert.equal(item, 1)
    break
  }
  assert.equal(cancels, 1)
})
