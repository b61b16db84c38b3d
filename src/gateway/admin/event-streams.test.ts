import assert from 'node:assert/strict'
import test from 'node:test'
import type { Source } from '../../core/flow.ts'
import { EventStreams } from './event-streams.ts'

interface Reader {
  readonly events: string[]
  readonly state: () => string
  takes: boolean
  resume(): void
  cancel(): void
}

function read(source: Source<Uint8Array>): Reader {
  let state = 'open'
  const reader: Reader = {
    events: [],
    state: () => state,
    takes: true,
    resume: () => flow.resume(),
    cancel: () => flow.cancel(),
  }
  const flow = source.open({
    write(chunk) {
      const match = /^event: (\w+)\ndata: (.*)\n\n$/.exec(new TextDecoder().decode(chunk))
      reader.events.push(`${match?.[1]} ${match?.[2]}`)
      return reader.takes
    },
    end: () => (state = 'ended'),
    fail: (reason) => (state = reason.message),
  })
  return reader
}

function open(streams: EventStreams, now = 0): Reader {
  const source = streams.tryOpen(now)
  assert.ok(source !== undefined)
  return read(source)
}

test('EventStreams sends a snapshot first and a tick to all', () => {
  const streams = new EventStreams(() => '{"all":1}')
  const one = open(streams)
  assert.deepEqual(one.events, [])
  one.resume()
  streams.tick(1_000, () => '{"n":1}')
  const two = open(streams)
  two.resume()
  let made = 0
  streams.tick(2_000, () => `{"n":${2 + made++}}`)
  assert.deepEqual(one.events, ['snapshot {"all":1}', 'tick {"n":1}', 'tick {"n":2}'])
  assert.deepEqual(two.events, ['snapshot {"all":1}', 'tick {"n":2}'])
})

test('EventStreams makes nothing while nobody watches', () => {
  const streams = new EventStreams(() => assert.fail('no snapshot'))
  streams.tick(0, () => assert.fail('no tick'))
})

test('EventStreams drops what a slow reader misses and sends a snapshot when it is back', () => {
  let snapshots = 0
  const streams = new EventStreams(() => `{"s":${++snapshots}}`)
  const slow = open(streams)
  slow.takes = false
  slow.resume()
  streams.tick(1_000, () => '{}')
  streams.tick(2_000, () => '{}')
  assert.deepEqual(slow.events, ['snapshot {"s":1}'])
  slow.takes = true
  slow.resume()
  streams.tick(3_000, () => '{"n":3}')
  assert.deepEqual(slow.events, ['snapshot {"s":1}', 'snapshot {"s":2}', 'tick {"n":3}'])
})

test('EventStreams resume without a miss sends nothing again', () => {
  const streams = new EventStreams(() => '{}')
  const reader = open(streams)
  reader.takes = false
  reader.resume()
  reader.resume()
  assert.equal(reader.events.length, 1)
})

test('EventStreams lets a client go that takes nothing for maxStallMs', () => {
  const streams = new EventStreams(() => '{}', { maxStallMs: 5_000 })
  const stuck = open(streams)
  stuck.takes = false
  stuck.resume()
  const never = open(streams)
  const good = open(streams)
  good.resume()
  streams.tick(4_999, () => '{}')
  assert.equal(streams.size, 3)
  streams.tick(5_000, () => '{}')
  assert.equal(streams.size, 1)
  assert.equal(stuck.state(), 'the client took nothing for 5000 ms')
  assert.equal(never.state(), 'the client took nothing for 5000 ms')
  assert.equal(good.state(), 'open')
})

test('EventStreams stops for a client that vanishes', () => {
  const streams = new EventStreams(() => '{}')
  const reader = open(streams)
  reader.resume()
  reader.cancel()
  assert.equal(streams.size, 0)
  streams.tick(1_000, () => assert.fail('nobody watches'))
})

test('EventStreams holds maxEventStreams and not one more', () => {
  const streams = new EventStreams(() => '{}', { maxEventStreams: 2 })
  const first = open(streams)
  open(streams)
  assert.equal(streams.tryOpen(0), undefined)
  first.cancel()
  assert.notEqual(streams.tryOpen(0), undefined)
})

test('EventStreams close ends every stream', () => {
  const streams = new EventStreams(() => '{}')
  const readers = [open(streams), open(streams)]
  streams.close()
  assert.deepEqual(
    readers.map((reader) => reader.state()),
    ['ended', 'ended'],
  )
  assert.equal(streams.size, 0)
})

test('EventStreams refuses options out of range', () => {
  assert.throws(() => new EventStreams(() => '', { maxEventStreams: -1 }), /maxEventStreams is -1/)
  assert.throws(() => new EventStreams(() => '', { maxStallMs: 999 }), /maxStallMs is 999/)
})
