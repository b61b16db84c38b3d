/** Streams with credit, generators at the edge. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel } from '../../src/core/channel.ts'
import { Call } from '../../src/core/context.ts'
import type { Flow, Source } from '../../src/core/flow.ts'
import { creditChannel, readAhead } from '../../src/runtime/patterns/credit.ts'
import {
  bidirectional,
  clientStream,
  fromIterable,
  serverStream,
} from '../../src/runtime/patterns/streaming.ts'

/** A taker that takes so many and then says no more. */
class Taker<Item> {
  readonly items: Item[] = []
  ended: 'no' | 'end' | Error = 'no'
  wants: number
  readonly flow: Flow

  constructor(source: Source<Item>, wants: number) {
    this.wants = wants
    this.flow = source.open({
      write: (item) => {
        this.items.push(item)
        return --this.wants > 0
      },
      end: () => void (this.ended = 'end'),
      fail: (reason) => void (this.ended = reason),
    })
  }

  take(count: number): void {
    this.wants = count
    this.flow.resume()
  }
}

const turns = async (): Promise<void> => {
  for (let count = 0; count < 30; count++) await undefined
}

test('creditChannel: the writer has credit for so many items, and gets back what was taken', async () => {
  const { writer, source } = creditChannel<number>({ maxItems: 3 })
  assert.deepEqual([writer.write(1), writer.write(2), writer.write(3)], [true, true, false])
  assert.throws(() => writer.write(4), { code: 'ERR_BUSY' })
  let woken: boolean | undefined
  writer.ready().then((is) => (woken = is))
  const taker = new Taker(source, 2)
  await turns()
  assert.equal(woken, undefined)
  taker.take(2)
  await turns()
  assert.equal(woken, true)
  assert.deepEqual([writer.queuedItems, taker.items], [1, [1, 2]])
  writer.end()
  taker.take(5)
  assert.deepEqual([taker.items, taker.ended], [[1, 2, 3], 'end'])
})

test('creditChannel: credit in bytes, and one item over all of it passes alone', () => {
  const { writer, source } = creditChannel<string>({ maxBytes: 10, sizeOf: (text) => text.length })
  assert.equal(writer.write('123456'), true)
  assert.equal(writer.write('1234'), false) // ten of ten
  assert.equal(writer.queuedBytes, 10)
  const taker = new Taker(source, 100)
  taker.take(100)
  assert.equal(writer.queuedBytes, 0)
  assert.equal(writer.write('much longer than ten'), true) // taken at once
  assert.throws(() => creditChannel({ maxBytes: 10 }), { code: 'ERR_ARGUMENT' })
})

test('creditChannel: a taker that leaves frees what waits, and tells the writer', async () => {
  const { writer, source } = creditChannel<number>({ maxItems: 1 })
  writer.write(1)
  const ready = writer.ready()
  new Taker(source, 0).flow.cancel()
  assert.equal(await ready, false)
  assert.equal(writer.write(2), false)
  assert.deepEqual([writer.queuedItems, writer.done], [0, true])
})

test('readAhead reads as far as its credit, and no further', () => {
  let demands = 0
  let cancelled = false
  const upstream = new Channel<number>(
    () => void demands++,
    () => void (cancelled = true),
  )
  const source = readAhead(upstream, (item) => item, { maxItems: 3 })
  let item = 0
  while (upstream.flowing) upstream.write(++item)
  assert.equal(item, 3)
  const taker = new Taker(source, 1)
  taker.take(1)
  while (upstream.flowing) upstream.write(++item)
  assert.equal(item, 4)
  assert.deepEqual(taker.items, [1])
  taker.flow.cancel()
  assert.ok(cancelled)
})

test('serverStream: a generator goes no further than it is asked, and ends with its taker', async () => {
  const log: string[] = []
  const service = serverStream<number, number>(async function* (count) {
    try {
      for (let item = 1; item <= count; item++) {
        log.push(`make ${item}`)
        yield item
      }
    } finally {
      log.push('finally')
    }
  })
  const taker = new Taker((await service(10, new Call())) as Source<number>, 2)
  await turns()
  assert.deepEqual(log, []) // nobody has asked
  taker.take(2)
  await turns()
  assert.deepEqual(log, ['make 1', 'make 2'])
  taker.flow.cancel()
  await turns()
  assert.deepEqual([log.at(-1), taker.items, taker.ended], ['finally', [1, 2], 'no'])
})

test('serverStream: cancelling the call ends generator and stream with its reason', async () => {
  let over = false
  const call = new Call()
  const service = serverStream<string, number>(async function* () {
    try {
      for (let item = 1; ; item++) yield item
    } finally {
      over = true
    }
  })
  const taker = new Taker((await service('x', call)) as Source<number>, 3)
  taker.take(3)
  await turns()
  const reason = new Error('mine')
  call.cancel(reason)
  await turns()
  assert.deepEqual([taker.ended, over, call.listened], [reason, true, false])
})

test('serverStream: an error of the generator is the stream’s', async () => {
  const service = serverStream<string, number>(async function* () {
    yield 1
    throw new Error('broken')
  })
  const call = new Call()
  const items: number[] = []
  await assert.rejects(async () => {
    for await (const item of (await service('x', call)) as Source<number>) items.push(item)
  }, /broken/)
  assert.deepEqual(items, [1])
  assert.equal(call.listened, false)
})

test('clientStream: takes requests as an iterable, and leaves when it has enough', async () => {
  const service = clientStream<number, number>(async (requests) => {
    let sum = 0
    for await (const request of requests) {
      sum += request
      if (sum >= 6) break
    }
    return sum
  })
  assert.equal(await service(fromIterable([1, 2, 3]), new Call()), 6)
  let left = false
  const endless = fromIterable(
    (async function* () {
      try {
        for (;;) yield 2
      } finally {
        left = true
      }
    })(),
  )
  assert.equal(await service(endless, new Call()), 6)
  await turns()
  assert.ok(left)
})

test('clientStream: a handler that waits for the next request hears that the call is cancelled', async () => {
  let cancelledWith: Error | undefined
  const silent = new Channel<number>(
    () => {},
    (reason) => void (cancelledWith = reason),
  )
  const call = new Call()
  const reply = clientStream<number, string>(async (requests) => {
    for await (const _ of requests);
    return 'never'
  })(silent, call)
  await turns()
  const reason = new Error('mine')
  call.cancel(reason)
  await assert.rejects(async () => reply, reason)
  assert.equal(cancelledWith, reason)
  assert.equal(call.listened, false)
})

test('bidirectional: replies go back while requests still come', async () => {
  const service = bidirectional<number, string>(async function* (requests) {
    for await (const request of requests) yield `got ${request}`
  })
  const { writer, source } = creditChannel<number>()
  const replies = ((await service(source, new Call())) as Source<string>)[Symbol.asyncIterator]()
  writer.write(1)
  assert.equal((await replies.next()).value, 'got 1')
  writer.write(2)
  writer.write(3)
  assert.equal((await replies.next()).value, 'got 2')
  assert.equal((await replies.next()).value, 'got 3')
  writer.end()
  assert.equal((await replies.next()).done, true)
})

test('fromIterable keeps an item for a taker that paused while it was on its way', async () => {
  const { promise, resolve } = Promise.withResolvers<number>()
  const channel = fromIterable(
    (async function* () {
      yield await promise
      yield 2
    })(),
  ) as Channel<number>
  let paused = false
  const items: number[] = []
  const flow = channel.open({
    write: (item) => {
      items.push(item)
      return !paused
    },
    end() {},
    fail() {},
  })
  flow.resume()
  await turns()
  paused = true
  resolve(1)
  await turns()
  assert.deepEqual(items, [1])
  paused = false
  flow.resume()
  await turns()
  assert.deepEqual(items, [1, 2])
})
