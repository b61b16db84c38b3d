/** How streams ended is known for the last 256 of each side, whatever the table began with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClosedStreams, FORGOTTEN, PEER_ENDED, WE_RESET } from './closed-streams.ts'

test('ClosedStreams knows the last 256 of a side, and has forgotten the one before', () => {
  const closed = new ClosedStreams()
  const last = 2_001
  for (let stream = 1; stream <= last; stream += 2) {
    closed.add(stream, stream % 4 === 1 ? PEER_ENDED : WE_RESET)
  }
  for (let stream = last; stream > last - 512; stream -= 2) {
    assert.equal(closed.endingOf(stream), stream % 4 === 1 ? PEER_ENDED : WE_RESET)
  }
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
