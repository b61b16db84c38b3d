/** What made-up sources can make the tables of a UDP socket do, and what not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AmplificationGuard } from './amplification-guard.ts'
import { PeerCache } from './peer-cache.ts'
import { checkRateLimit, SourceRateLimit } from './source-rate-limit.ts'

test('SourceRateLimit gives each source a burst and then its rate', () => {
  const limit = new SourceRateLimit(checkRateLimit({ datagramsPerSecond: 10, burst: 2 }))
  assert.deepEqual(
    [0, 0, 0, 99, 100, 100, 1_000, 1_000, 1_000].map((now) => limit.tryTake('a', now)),
    [true, true, false, false, true, false, true, true, false],
  )
  assert.equal(limit.tryTake('b', 1_000), true)
})

test('SourceRateLimit tells maxSources apart; one more shares a bucket with all further ones', () => {
  const options = checkRateLimit({ datagramsPerSecond: 1, burst: 2, maxSources: 2 })
  const limit = new SourceRateLimit(options)
  for (const source of ['a', 'b']) assert.equal(limit.tryTake(source, 0), true)
  assert.deepEqual(
    ['c', 'd', 'e'].map((source) => limit.tryTake(source, 0)),
    [true, true, false],
  )
  assert.equal(limit.sourceCount, 2)
  // Nobody was pushed out: each has one left.
  assert.deepEqual(
    ['a', 'a', 'b', 'b'].map((source) => limit.tryTake(source, 0)),
    [true, false, true, false],
  )
  // The one that was silent until its bucket was full again makes room.
  assert.equal(limit.tryTake('b', 3_000), true)
  assert.equal(limit.tryTake('f', 3_000), true)
  assert.equal(limit.sourceCount, 2)
  assert.equal(limit.tryTake('f', 3_000), true)
  assert.equal(limit.tryTake('f', 3_000), false)
})

test('SourceRateLimit does not run backwards with the clock', () => {
  const limit = new SourceRateLimit(checkRateLimit({ datagramsPerSecond: 1_000, burst: 1 }))
  assert.equal(limit.tryTake('a', 100), true)
  assert.equal(limit.tryTake('a', 0), false)
  assert.equal(limit.tryTake('a', 101), true)
})

test('checkRateLimit refuses what is out of range', () => {
  for (const options of [
    { datagramsPerSecond: 0 },
    { datagramsPerSecond: Number.NaN },
    { datagramsPerSecond: 1, burst: 0 },
    { datagramsPerSecond: 1, maxSources: 0 },
    { datagramsPerSecond: 1, maxSources: 1_048_577 },
  ]) {
    assert.throws(() => checkRateLimit(options), { code: 'ERR_OPTION_RANGE' })
  }
  assert.equal(checkRateLimit({ datagramsPerSecond: 0.5 }).burst, 1)
})

test('AmplificationGuard lets as much out as came in, times its factor', () => {
  const guard = new AmplificationGuard({ factor: 3 })
  assert.equal(guard.trySend('a', 1), false)
  guard.received('a', 10)
  assert.equal(guard.trySend('a', 31), false)
  assert.equal(guard.trySend('a', 30), true)
  assert.equal(guard.trySend('a', 1), false)
  assert.equal(guard.trySend('b', 1), false)
})

test('AmplificationGuard remembers maxPeers, and takes the allowance of the oldest away', () => {
  const guard = new AmplificationGuard({ maxPeers: 2 })
  for (const peer of ['a', 'b', 'c']) guard.received(peer, 10)
  assert.equal(guard.peerCount, 2)
  assert.equal(guard.trySend('a', 1), false)
  assert.equal(guard.trySend('b', 10), true)
  // Those who have proven themselves are kept apart: strangers do not push them out.
  guard.prove('c')
  for (const stranger of ['d', 'e', 'f']) guard.received(stranger, 10)
  assert.equal(guard.trySend('c', 1_000_000), true)
  assert.equal(guard.peerCount, 3)
  guard.prove('x')
  guard.prove('y')
  assert.equal(guard.isProven('c'), false)
  guard.forget('y')
  assert.equal(guard.trySend('y', 1), false)
})

test('PeerCache gives one object for one peer, IPv4 for IPv4 in IPv6, and a /64 as the source', () => {
  const cache = new PeerCache()
  const peer = cache.find('192.0.2.1', 5)
  assert.equal(cache.find('192.0.2.1', 5), peer)
  assert.deepEqual(peer.address, { kind: 'ip', host: '192.0.2.1', port: 5 })
  assert.equal(cache.find('::ffff:192.0.2.1', 5).source, '192.0.2.1')
  assert.equal(cache.find('::ffff:192.0.2.1', 5).address.host, '192.0.2.1')
  for (const [host, source] of [
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:db8:0:1::', '2001:db8:0:1'],
    ['2001:db8:0:0:1::', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0'],
  ] as const) {
    assert.equal(cache.find(host, 1).source, source, host)
  }
})
