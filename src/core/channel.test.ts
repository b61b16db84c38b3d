import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel, iterate } from './channel.ts'
import type { Sink } from './flow.ts'
import { SourceIterator } from './source-iterator.ts'

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

/** A source of the numbers from 1 on, one for each demand. */
function counting(onCancel: () => void): Channel<number> {
  let next = 1
  const channel: Channel<number> = new Channel(() => {
    while (channel.flowing) channel.write(next++)
  }, onCancel)
  return channel
}

test('SourceIterator reads ahead up to its weight, and goes on when that is read', async () => {
  const given: number[] = []
  const channel = counting(() => {})
  const iterator = new SourceIterator<number>(
    channel,
    (item) => {
      given.push(item)
      return item
    },
    { weigh: () => 10, most: 30 },
  )
  assert.deepEqual(given, [])
  assert.deepEqual(await iterator.next(), { done: false, value: 1 })
  assert.deepEqual(given, [1, 2, 3, 4]) // one that was waited for, and 30 of weight
  for (let item = 2; item <= 4; item++) assert.equal((await iterator.next()).value, item)
  assert.equal(given.length, 4)
  assert.equal((await iterator.next()).value, 5)
  assert.equal(given.length, 8)
})

test('SourceIterator answers every next that waits, in order, and all of them at the end', async () => {
  const channel = new Channel<number>(
    () => {},
    () => assert.fail('cancelled'),
  )
  const iterator = new SourceIterator<number>(channel, undefined)
  const waiting = [1, 2, 3, 4].map(() => iterator.next())
  assert.equal(channel.write(1), true)
  assert.equal(channel.write(2), true)
  channel.fail(new Error('broken'))
  const settled = await Promise.allSettled(waiting)
  assert.deepEqual(
    settled.map((one) => (one.status === 'fulfilled' ? one.value.value : String(one.reason))),
    [1, 2, 'Error: broken', undefined],
  )
  assert.deepEqual(await iterator.next(), { done: true, value: undefined })
})

test('SourceIterator gives what came ahead before the failure, once', async () => {
  const channel = new Channel<number>(
    () => {},
    () => {},
  )
  const iterator = new SourceIterator<number>(channel, undefined, { weigh: () => 1, most: 9 })
  const first = iterator.next()
  channel.write(1)
  channel.write(2)
  channel.fail(new Error('broken'))
  assert.equal((await first).value, 1)
  assert.equal((await iterator.next()).value, 2)
  await assert.rejects(iterator.next(), /broken/)
  assert.equal((await iterator.next()).done, true)
})

test('SourceIterator.return cancels at once, even while a next waits', async () => {
  let cancels = 0
  const channel = new Channel<number>(
    () => {},
    () => cancels++,
  )
  const iterator = new SourceIterator<number>(channel, undefined)
  const waiting = iterator.next()
  assert.deepEqual(await iterator.return(), { done: true, value: undefined })
  assert.deepEqual(await waiting, { done: true, value: undefined })
  assert.equal(cancels, 1)
  await assert.rejects(iterator.throw(new Error('mine')), /mine/)
  await iterator[Symbol.asyncDispose]()
  assert.equal(cancels, 1)
})

test('SourceIterator rejects when the source was consumed already', async () => {
  const channel = counting(() => {})
  channel.open(taker(1).sink)
  const iterator = new SourceIterator<number>(channel, undefined)
  await assert.rejects(iterator.next(), { code: 'ERR_BODY_USED' })
  assert.equal((await iterator.next()).done, true)
})
