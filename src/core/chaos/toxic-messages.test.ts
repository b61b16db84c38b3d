/** What each toxic does to whole messages: in order and reliable, and where they may be lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../testing/manual-clock.ts'
import type { ToxicDelivery, ToxicSpec, ToxicType } from './toxic.ts'
import { PIECE_OVERHEAD } from './toxic-link.ts'
import { ToxicSet } from './toxic-set.ts'

/** One link of messages, and what came out of it when. */
function world(toxics: readonly ToxicSpec[], options: Options = {}) {
  const { seed = 1, maxBufferedBytes, ...delivery } = options
  const clock = new ManualClock()
  const start = clock.now()
  const set = new ToxicSet({ clock, carrier: 'message', seed, maxBufferedBytes, ...delivery })
  for (const toxic of toxics) set.add(toxic)
  const heard: string[] = []
  const say = (what: string): void => void heard.push(`${Math.round(clock.now() - start)} ${what}`)
  const link = set.createLink<undefined>('downstream', set.nextSeed(), {
    take(bytes) {
      say(bytes.length > 20 ? `${bytes.length} bytes` : new TextDecoder().decode(bytes))
      return true
    },
    end: () => say('END'),
    cut: (how, toxic) => say(`${how} by ${toxic}`),
    room: () => say('room'),
  })
  const push = (text: string): void => link.push(new TextEncoder().encode(text), undefined)
  const texts = (): string => heard.map((line) => line.split(' ')[1]).join('')
  return { clock, set, link, heard, push, texts }
}

interface Options extends ToxicDelivery {
  readonly seed?: number
  readonly maxBufferedBytes?: number
}

const LOSSY: ToxicDelivery = { ordered: false, reliable: false }
const toxic = (type: ToxicType, attributes: ToxicSpec['attributes'] = {}): ToxicSpec => ({
  type,
  attributes,
})

test('messages: latency and jitter keep the order where there is one', () => {
  const order = (delivery: ToxicDelivery): string => {
    const { clock, push, texts, link } = world(
      [toxic('latency', { latency: 50, jitter: 50 })],
      delivery,
    )
    for (const one of 'abcdefghij') push(one)
    clock.advance(100)
    assert.equal(link.bufferedBytes, 0)
    return texts()
  }
  assert.equal(order({}), 'abcdefghij')
  assert.equal(order({ reliable: false }), 'abcdefghij', 'lossy, in order')
  const overtaken = order({ ordered: false })
  assert.notEqual(overtaken, 'abcdefghij')
  assert.equal([...overtaken].sort().join(''), 'abcdefghij')
})

test('messages: bandwidth lets each through whole, when its last byte has come', () => {
  const { clock, heard, push } = world([toxic('bandwidth', { rate: 1 })])
  push('x'.repeat(250))
  push('')
  push('y'.repeat(50))
  clock.advance(1_000)
  assert.deepEqual(heard, ['250 250 bytes', '250 ', '300 50 bytes'])
})

test('messages: slow_close delays the end and nothing else', () => {
  const { clock, heard, push, link } = world([toxic('slow_close', { delay: 30 })])
  push('a')
  link.end()
  clock.advance(30)
  assert.deepEqual(heard, ['0 a', '30 END'])
})

test('messages: timeout drops all and closes, reset_peer resets after its time', () => {
  const timed = world([toxic('timeout', { timeout: 40 })])
  timed.push('a')
  timed.clock.advance(40)
  assert.deepEqual(timed.heard, ['40 close by timeout_downstream'])
  const reset = world([toxic('reset_peer', { timeout: 20 })])
  reset.clock.advance(100)
  reset.push('') // an empty message is one
  reset.clock.advance(20)
  assert.deepEqual(reset.heard, ['120 reset by reset_peer_downstream'])
})

test('messages: limit_data passes whole messages up to its bytes: at the limit, and one past it', () => {
  const limit = toxic('limit_data', { bytes: 5 })
  const exact = world([limit])
  for (const text of ['abc', '', 'de', 'f']) exact.push(text)
  assert.deepEqual(exact.heard, ['0 abc', '0 ', '0 de', '0 close by limit_data_downstream'])
  const over = world([limit])
  for (const text of ['abc', 'def', 'g']) over.push(text)
  assert.deepEqual(over.heard, ['0 abc', '0 close by limit_data_downstream'])
  const none = world([toxic('limit_data')])
  none.push('')
  assert.deepEqual(none.heard, ['0 close by limit_data_downstream'])
})

test('messages: loss is a retransmission that all behind it waits for, where nothing may be lost', () => {
  const loss = toxic('loss', { probability: 0.5, retransmit: 200 })
  const ordered = world([loss])
  for (const one of 'abcdef') ordered.push(one)
  ordered.clock.advance(100_000)
  assert.equal(ordered.texts(), 'abcdef')
  for (const line of ordered.heard) assert.equal(Number(line.split(' ')[0]) % 200, 0)
  assert.ok(ordered.heard.some((line) => !line.startsWith('0 ')))
  assert.equal(ordered.link.dropped, 0)

  // Without an order, only what was lost itself comes later.
  const unordered = world([loss], { ordered: false })
  for (const one of 'abcdef') unordered.push(one)
  const early = unordered.heard.length
  assert.ok(early > 0 && early < 6, `${early} at once`)
  unordered.clock.advance(100_000)
  assert.notEqual(unordered.texts(), 'abcdef')
  assert.equal([...unordered.texts()].sort().join(''), 'abcdef')
})

test('messages: a long one is as late as the slowest of its segments, and whole', () => {
  const late = (bytes: number): number => {
    let sum = 0
    for (let seed = 0; seed < 50; seed++) {
      const { clock, heard, link } = world([toxic('loss', { probability: 0.1, retransmit: 100 })], {
        seed,
      })
      link.push(new Uint8Array(bytes), undefined)
      clock.advance(1_000_000)
      assert.equal(heard.length, 1)
      sum += Number(heard[0]?.split(' ')[0])
    }
    return sum
  }
  assert.ok(late(1_460 * 20) > 3 * late(1_460), 'one of 20 is lost much more often than one of 1')
})

test('messages: loss loses whole ones where they may be lost, and counts them', () => {
  const run = (seed: number) => {
    const { heard, push, link, texts } = world([toxic('loss', { probability: 0.3 })], {
      ...LOSSY,
      seed,
    })
    for (let sent = 0; sent < 1_000; sent++) push('x')
    assert.ok(heard.length > 640 && heard.length < 760, `${heard.length}`)
    assert.equal(link.dropped, 1_000 - texts().length)
    for (let sent = 0; sent < 30; sent++) push(String.fromCharCode(97 + sent))
    return texts()
  }
  assert.equal(run(5), run(5))
  assert.notEqual(run(5), run(6))
})

test('messages: reordering lets them be overtaken, or makes the rest wait', () => {
  const run = (delivery: ToxicDelivery) => {
    const { clock, heard, push, texts } = world(
      [toxic('reordering', { probability: 0.5, delay: 10 })],
      delivery,
    )
    for (const one of 'abcdefgh') push(one)
    const early = heard.length
    clock.advance(10)
    assert.equal(heard.length, 8)
    return { early, order: texts() }
  }
  const ordered = run({})
  assert.equal(ordered.order, 'abcdefgh')
  const unordered = run(LOSSY)
  assert.notEqual(unordered.order, 'abcdefgh')
  assert.ok(unordered.early > ordered.early, 'who is not held back does not wait')
})

test('messages: duplication doubles where nothing promises once, and is refused elsewhere', () => {
  const twice = toxic('duplication', { probability: 1 })
  const { heard, push } = world([twice], LOSSY)
  push('a')
  assert.deepEqual(heard, ['0 a', '0 a'])
  for (const delivery of [{}, { ordered: false }]) {
    assert.throws(() => world([twice], delivery), {
      code: 'ERR_OPTION_UNSUPPORTED',
      message: /duplication on a message/,
    })
  }
})

test('messages: corruption flips bits and changes no length', () => {
  const clock = new ManualClock()
  const set = new ToxicSet({ clock, carrier: 'message', seed: 3 })
  set.add(toxic('corruption', { probability: 1, bits: 1 }))
  const lengths: number[] = []
  let ones = 0
  const link = set.createLink<undefined>('downstream', 1, {
    take(bytes) {
      lengths.push(bytes.length)
      for (const byte of bytes) ones += byte.toString(2).replaceAll('0', '').length
      return true
    },
    end() {},
    cut() {},
    room() {},
  })
  for (const length of [50, 0, 1]) link.push(new Uint8Array(length), undefined)
  assert.deepEqual([lengths, ones], [[50, 0, 1], 2])
})

test('messages: a partition holds what must arrive, and loses what may be lost', () => {
  const partition = toxic('partition', { duration: 500 })
  const held = world([partition])
  held.push('a')
  held.link.end()
  held.clock.advance(499)
  assert.deepEqual(held.heard, [])
  held.clock.advance(1)
  assert.deepEqual(held.heard, ['500 a', '500 END'])
  const lost = world([partition], { reliable: false })
  lost.push('a')
  lost.clock.advance(500)
  lost.push('b')
  assert.deepEqual(lost.heard, ['500 b'])
  assert.equal(lost.link.dropped, 1)
})

test('messages: slicer is refused, whatever may be lost', () => {
  const slicer = toxic('slicer', { average_size: 10 })
  for (const delivery of [{}, LOSSY]) {
    assert.throws(() => world([slicer], delivery), {
      code: 'ERR_OPTION_UNSUPPORTED',
      message: /whole messages are not cut/,
    })
  }
})

test('messages: a link is full at maxBufferedBytes, and drops none over it', () => {
  for (const delivery of [{}, LOSSY]) {
    const { clock, link, heard, push } = world([toxic('latency', { latency: 10 })], {
      ...delivery,
      maxBufferedBytes: 10 + PIECE_OVERHEAD,
    })
    push('123456789')
    assert.equal(link.full, false)
    push('')
    assert.equal(link.full, true)
    push('late')
    clock.advance(10)
    assert.deepEqual(heard, ['10 123456789', '10 ', '10 room', '10 late'])
    assert.deepEqual([link.bufferedBytes, link.dropped], [0, 0])
  }
})
