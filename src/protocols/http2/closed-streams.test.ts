/** How streams ended is known for the last 256 of each side, whatever the table began with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../core/seeded-random.ts'
import {
  ClosedStreams,
  type Ending,
  FORGOTTEN,
  PEER_ENDED,
  PEER_RESET,
  WE_RESET,
} from './closed-streams.ts'

test('ClosedStreams knows the last 256 of a side, and has forgotten the one before', () => {
  const closed = new ClosedStreams()
  const last = 2_001
  for (let stream = 1; stream <= last; stream += 2) {
    closed.add(stream, stream % 4 === 1 ? PEER_ENDED : WE_RESET)
  }
  for (let stream = last; stream > last - 512; stream -= 2) {
    assert.equal(closed.endingOf(stream), stream % 4 === 1 ? PEER_ENDED : WE_RESET)
  }
  closed.add(last + 4, PEER_ENDED) // the one between is open: `last` was the end of its run
  assert.equal(closed.endingOf(last - 512), FORGOTTEN)
  assert.equal(closed.endingOf(last + 2), FORGOTTEN)
})

test('ClosedStreams keeps what it knows when it grows', () => {
  const closed = new ClosedStreams()
  for (let stream = 1; stream <= 99; stream += 2) {
    closed.add(stream, WE_RESET, stream)
    for (let known = 1; known <= stream; known += 2) assert.equal(closed.endingOf(known), WE_RESET)
  }
  assert.equal(closed.take(7, 7), true)
  assert.equal(closed.take(7, 1), false)
  assert.equal(closed.take(97, 98), false)
})

test('ClosedStreams knows the last ones in whatever order and way they end', () => {
  const random = new SeededRandom(3)
  const closed = new ClosedStreams()
  const model = new Map<number, Ending>()
  const endings: Ending[] = [...new Array<Ending>(18).fill(PEER_ENDED), PEER_RESET, WE_RESET]
  let open: number[] = []
  for (let last = 1; last < 8_000; last += 2) {
    open.push(last)
    // Phases in which they end one after the other, and others.
    if (last % 1_000 < 500) open = random.shuffle(open)
    while (open.length > 20 || (open.length > 0 && random.chance(0.7))) {
      const stream = open.shift() as number
      const ending = random.pick(endings)
      closed.add(stream, ending)
      model.set(stream, ending)
    }
    // The longest open ones lag behind.
    open = open.filter((stream) => stream > last - 100)
    for (let stream = Math.max(1, last - 380); stream <= last; stream += 2) {
      assert.equal(closed.endingOf(stream), model.get(stream) ?? FORGOTTEN)
    }
    assert.equal(closed.endingOf(last + 2), FORGOTTEN)
    assert.equal(closed.endingOf(last - 1), FORGOTTEN)
  }
})
