import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../testing/manual-clock.ts'
import type { ToxicCarrier, ToxicSpec, ToxicStream } from './toxic.ts'
import { PIECE_OVERHEAD } from './toxic-link.ts'
import { ToxicSet } from './toxic-set.ts'

/** One link downstream, and what came out of it when. */
function world(
  toxics: readonly Omit<ToxicSpec, 'stream'>[],
  options: { carrier?: ToxicCarrier; seed?: number; maxBufferedBytes?: number } = {},
) {
  const { carrier = 'stream', seed = 1, maxBufferedBytes } = options
  const clock = new ManualClock()
  const start = clock.now()
  const set = new ToxicSet({ clock, carrier, seed, maxBufferedBytes })
  for (const toxic of toxics) set.add(toxic)
  const heard: string[] = []
  let accepts = true
  const say = (what: string): void => void heard.push(`${Math.round(clock.now() - start)} ${what}`)
  const link = set.createLink<undefined>('downstream', set.nextSeed(), {
    take(bytes) {
      say(new TextDecoder().decode(bytes))
      return accepts
    },
    end: () => say('END'),
    cut: (how, toxic) => say(`${how} by ${toxic}`),
    room: () => say('room'),
  })
  return {
    clock,
    set,
    link,
    heard,
    push: (text: string) => link.push(new TextEncoder().encode(text), undefined),
    block: () => {
      accepts = false
    },
    unblock: () => {
      accepts = true
      link.resume()
    },
  }
}

const latency = (ms: number, jitter = 0): ToxicSpec => ({
  type: 'latency',
  attributes: { latency: ms, jitter },
})

test('ToxicLink latency delays bytes and the end, in order', () => {
  const { clock, link, heard, push } = world([latency(100)])
  push('a')
  clock.advance(50)
  push('b')
  link.end()
  clock.advance(49)
  assert.deepEqual(heard, [])
  clock.advance(1)
  assert.deepEqual(heard, ['100 a'])
  clock.advance(50)
  assert.deepEqual(heard, ['100 a', '150 b', '150 END'])
  assert.equal(clock.pendingTimers, 0)
})

test('ToxicLink jitter never reorders a stream, and reorders datagrams', () => {
  const order = (carrier: ToxicCarrier): string => {
    const { clock, heard, push } = world([latency(50, 50)], { carrier })
    for (const one of 'abcdefghij') push(one)
    clock.advance(100)
    return heard.map((line) => line.split(' ')[1]).join('')
  }
  assert.equal(order('stream'), 'abcdefghij')
  const datagrams = order('datagram')
  assert.notEqual(datagrams, 'abcdefghij')
  assert.equal([...datagrams].sort().join(''), 'abcdefghij')
})

test('ToxicLink bandwidth counts a kilobyte as 1,000 bytes, in parts of 100 ms', () => {
  const { clock, heard, push } = world([{ type: 'bandwidth', attributes: { rate: 1 } }])
  push('x'.repeat(250))
  clock.advance(1_000)
  assert.deepEqual(
    heard.map((line) => [line.split(' ')[0], line.split(' ')[1]?.length]),
    [
      ['100', 100],
      ['200', 100],
      ['250', 50],
    ],
  )
})

test('ToxicLink slow_close delays only the end', () => {
  const { clock, link, heard, push } = world([{ type: 'slow_close', attributes: { delay: 30 } }])
  push('a')
  link.end()
  clock.advance(29)
  assert.deepEqual(heard, ['0 a'])
  clock.advance(1)
  assert.deepEqual(heard, ['0 a', '30 END'])
})

test('ToxicLink timeout drops everything, then closes; removed, it closes at once', () => {
  const timed = world([{ type: 'timeout', attributes: { timeout: 40 } }])
  timed.push('a')
  timed.clock.advance(40)
  assert.deepEqual(timed.heard, ['40 close by timeout_downstream'])
  const held = world([{ type: 'timeout' }])
  held.push('a')
  held.clock.advance(100_000)
  assert.deepEqual(held.heard, [])
  held.set.remove('timeout_downstream')
  assert.deepEqual(held.heard, ['100000 close by timeout_downstream'])
})

test('ToxicLink reset_peer resets after its timeout, counted from the first byte', () => {
  const { clock, heard, push } = world([{ type: 'reset_peer', attributes: { timeout: 20 } }])
  clock.advance(100)
  assert.deepEqual(heard, [])
  push('a')
  push('b')
  clock.advance(20)
  assert.deepEqual(heard, ['120 reset by reset_peer_downstream'])
})

test('ToxicLink slicer cuts to average ± variation, its delay in microseconds', () => {
  const { clock, heard, push } = world([
    { type: 'slicer', attributes: { average_size: 10, size_variation: 4, delay: 2_000 } },
  ])
  const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(10)
  push(text)
  clock.advance(10_000)
  const pieces = heard.map((line) => line.split(' ') as [string, string])
  assert.equal(pieces.map(([, piece]) => piece).join(''), text)
  for (const [index, [at, piece]] of pieces.entries()) {
    assert.equal(Number(at), 2 * index)
    const isLast = index === pieces.length - 1
    assert.ok(piece.length <= 14 && (isLast || piece.length >= 6), `${piece.length} bytes`)
  }
})

test('ToxicLink limit_data passes so many bytes and closes, behind a latency too', () => {
  const { clock, heard, push } = world([
    { type: 'limit_data', attributes: { bytes: 5 } },
    latency(10),
  ])
  push('abc')
  push('defg')
  push('h')
  clock.advance(10)
  assert.deepEqual(heard, ['10 abc', '10 de', '10 close by limit_data_downstream'])
})

test('ToxicLink loss delays a stream by retransmissions, and loses datagrams', () => {
  const loss: ToxicSpec = { type: 'loss', attributes: { probability: 0.5, retransmit: 200 } }
  const stream = world([loss])
  for (const one of 'abcdef') stream.push(one)
  stream.clock.advance(100_000)
  assert.equal(stream.heard.map((line) => line.split(' ')[1]).join(''), 'abcdef')
  for (const line of stream.heard) assert.equal(Number(line.split(' ')[0]) % 200, 0)
  assert.ok(stream.heard.some((line) => !line.startsWith('0 ')))

  const datagrams = world([loss], { carrier: 'datagram' })
  for (let sent = 0; sent < 1_000; sent++) datagrams.push('x')
  assert.ok(datagrams.heard.length > 420 && datagrams.heard.length < 580)
  assert.equal(datagrams.link.dropped, 1_000 - datagrams.heard.length)
})

test('ToxicLink reordering lets datagrams be overtaken, and makes a stream wait', () => {
  const attributes = { probability: 0.5, delay: 10 }
  const run = (carrier: ToxicCarrier): string[] => {
    const { clock, heard, push } = world([{ type: 'reordering', attributes }], { carrier })
    for (const one of 'abcdefgh') push(one)
    clock.advance(10)
    return heard
  }
  const datagrams = run('datagram')
  const early = datagrams.filter((line) => line.startsWith('0 ')).length
  assert.ok(early > 0 && early < 8)
  assert.notEqual(datagrams.map((line) => line.split(' ')[1]).join(''), 'abcdefgh')
  assert.equal(
    run('stream')
      .map((line) => line.split(' ')[1])
      .join(''),
    'abcdefgh',
  )
})

test('ToxicLink duplication doubles datagrams, and is refused on a stream', () => {
  const twice: ToxicSpec = { type: 'duplication', attributes: { probability: 1 } }
  const { heard, push } = world([twice], { carrier: 'datagram' })
  push('a')
  assert.deepEqual(heard, ['0 a', '0 a'])
  assert.throws(() => world([twice]), { code: 'ERR_OPTION_UNSUPPORTED' })
})

test('ToxicLink corruption flips as many bits as asked for', () => {
  const flips: ToxicSpec = { type: 'corruption', attributes: { probability: 1, bits: 1 } }
  const clock = new ManualClock()
  const set = new ToxicSet({ clock, carrier: 'datagram', seed: 3 })
  set.add(flips)
  let out = new Uint8Array(0)
  const link = set.createLink<undefined>('downstream', 1, {
    take(bytes) {
      out = bytes.slice()
      return true
    },
    end() {},
    cut() {},
    room() {},
  })
  link.push(new Uint8Array(50), undefined)
  const ones = out.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  assert.equal(ones, 1)
})

test('ToxicLink partition holds a stream until it is over, and loses datagrams meanwhile', () => {
  const partition: ToxicSpec = { type: 'partition', attributes: { duration: 500 } }
  const stream = world([partition])
  stream.push('a')
  stream.clock.advance(499)
  assert.deepEqual(stream.heard, [])
  stream.clock.advance(1)
  assert.deepEqual(stream.heard, ['500 a'])
  stream.push('b')
  assert.deepEqual(stream.heard, ['500 a', '500 b'])
  const datagrams = world([{ type: 'partition' }], { carrier: 'datagram' })
  datagrams.push('a')
  datagrams.set.clear()
  datagrams.push('b')
  assert.deepEqual(datagrams.heard, ['0 b'])
})

test('ToxicLink: a toxic that is removed lets go what waits, in order; the next ones still hold it', () => {
  const { clock, set, heard, push, link } = world([
    latency(1_000),
    { ...latency(5), name: 'later' },
  ])
  push('a')
  push('b')
  link.end()
  clock.advance(10)
  set.remove('latency_downstream')
  assert.deepEqual(heard, [])
  clock.advance(5)
  assert.deepEqual(heard, ['15 a', '15 b', '15 END'])
  assert.equal(clock.pendingTimers, 0)
})

test('ToxicLink: a toxic that is changed treats what waits as if it came now', () => {
  const { clock, set, heard, push } = world([latency(10_000)])
  push('a')
  clock.advance(3)
  set.update('latency_downstream', { attributes: { latency: 4 } })
  clock.advance(4)
  assert.deepEqual(heard, ['7 a'])
})

test('ToxicLink toxicity is of connections: one meets it or not, whatever passes', () => {
  const clock = new ManualClock()
  const set = new ToxicSet({ clock, carrier: 'stream', seed: 5 })
  set.add({ type: 'limit_data', toxicity: 0.3, attributes: { bytes: 0 } })
  let met = 0
  for (let links = 0; links < 1_000; links++) {
    const sink = { take: () => true, end() {}, room() {}, cut: () => void met++ }
    const link = set.createLink<undefined>('downstream', set.nextSeed(), sink)
    for (let chunks = 0; chunks < 3; chunks++) link.push(new Uint8Array(1), undefined)
    set.forget(link)
  }
  assert.ok(met > 250 && met < 350, `${met} of 1000`)
})

test('ToxicLink: the same seed gives the same run, another seed another', () => {
  const run = (seed: number): readonly string[] => {
    const { clock, heard, push } = world(
      [
        { type: 'loss', attributes: { probability: 0.2 } },
        latency(30, 20),
        { type: 'duplication', attributes: { probability: 0.2 } },
      ],
      { carrier: 'datagram', seed },
    )
    for (let sent = 0; sent < 50; sent++) {
      push(`${sent}`)
      clock.advance(3)
    }
    clock.advance(1_000)
    return heard
  }
  assert.deepEqual(run(7), run(7))
  assert.notDeepEqual(run(7), run(8))
})

test('ToxicLink is full at maxBufferedBytes, and says when there is room', () => {
  const { clock, link, heard, push } = world([latency(10)], {
    maxBufferedBytes: 10 + PIECE_OVERHEAD,
  })
  push('123456789')
  assert.equal(link.full, false)
  push('')
  assert.equal(link.full, true)
  clock.advance(10)
  assert.equal(link.bufferedBytes, 0)
  assert.deepEqual(heard, ['10 123456789', '10 room', '10 '])
})

test('ToxicLink drops and counts datagrams over maxBufferedBytes', () => {
  const { clock, link, heard, push } = world([latency(10)], {
    carrier: 'datagram',
    maxBufferedBytes: 2 * PIECE_OVERHEAD,
  })
  for (const one of 'abc') push(one)
  clock.advance(10)
  assert.deepEqual([heard.length, link.dropped], [3, 1]) // a, room, b
})

test('ToxicLink waits for a sink that is full, and keeps the end behind it', () => {
  const { link, heard, push, block, unblock } = world([])
  block()
  push('a')
  push('b')
  link.end()
  assert.deepEqual(heard, ['0 a'])
  unblock()
  assert.deepEqual(heard, ['0 a', '0 b', '0 END'])
})

test('checkToxic names what is wrong', () => {
  const set = new ToxicSet({ clock: new ManualClock(), carrier: 'stream', seed: 0, maxToxics: 2 })
  const bad = (spec: unknown) => () => set.add(spec as ToxicSpec)
  assert.throws(bad({ type: 'lag' }), { code: 'ERR_OPTION_UNKNOWN' })
  assert.throws(bad({ type: '__proto__' }), { code: 'ERR_OPTION_UNKNOWN' })
  assert.throws(bad({ type: 'latency', attributes: { delay: 1 } }), { code: 'ERR_OPTION_UNKNOWN' })
  assert.throws(bad({ type: 'latency', attributes: { latency: -1 } }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(bad({ type: 'latency', attributes: { latency: '1' } }), { code: 'ERR_ARGUMENT' })
  assert.throws(bad({ type: 'latency', stream: 'sideways' as ToxicStream }), {
    code: 'ERR_ARGUMENT',
  })
  assert.throws(bad({ type: 'latency', toxicity: 1.1 }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(bad({ type: 'slicer' }), { code: 'ERR_OPTION_RANGE' })
  const varied = { average_size: 5, size_variation: 5 }
  assert.throws(bad({ type: 'slicer', attributes: varied }), { code: 'ERR_OPTION_RANGE' })
  assert.equal(set.add(latency(1)).name, 'latency_downstream')
  assert.throws(bad(latency(1)), { code: 'ERR_STATE' })
  set.add({ ...latency(1), name: 'second' })
  assert.throws(bad({ ...latency(1), name: 'third' }), { code: 'ERR_OPTION_RANGE' })
  assert.throws(() => set.remove('nobody'), { code: 'ERR_ARGUMENT' })
  assert.equal(set.list.length, 2)
})
