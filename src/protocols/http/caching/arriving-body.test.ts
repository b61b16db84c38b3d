import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel } from '../../../core/channel.ts'
import { Body } from '../body.ts'
import { type ArrivalEnd, ArrivingBody } from './arriving-body.ts'
import { CacheStore } from './cache-store.ts'

interface Arriving {
  readonly origin: Channel<Uint8Array>
  readonly body: ArrivingBody
  readonly store: CacheStore
  readonly ends: ArrivalEnd[]
  readonly cancelled: unknown[]
}

function arriving(limits = {}): Arriving {
  const cancelled: unknown[] = []
  const origin = new Channel<Uint8Array>(
    () => {},
    (reason) => void cancelled.push(reason),
  )
  const store = new CacheStore(limits)
  const ends: ArrivalEnd[] = []
  const body = new ArrivingBody(Body.from(origin), store, (end) => void ends.push(end))
  body.start()
  return { origin, body, store, ends, cancelled }
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

test('ArrivingBody keeps the whole at the pace of the origin, before its client reads', async () => {
  const { origin, body, store, ends } = arriving()
  assert.equal(origin.write(bytes(1, 2)), true)
  const lent = bytes(3)
  assert.equal(origin.write(lent), true)
  lent[0] = 9 // a chunk is borrowed
  assert.equal(store.stats.arrivingBytes, 3)
  origin.end()
  assert.deepEqual(ends, [{ bytes: bytes(1, 2, 3) }])
  assert.equal(store.stats.arrivingBytes, 0)
  assert.deepEqual(await Body.from(body).bytes(), bytes(1, 2, 3))
})

test('ArrivingBody gives up keeping one byte over the limit, and goes on at its client’s pace', () => {
  const { origin, body, store, ends } = arriving({ maxEntryBytes: 3 })
  assert.equal(origin.write(bytes(1, 2, 3)), true)
  assert.deepEqual(ends, [])
  assert.equal(origin.write(bytes(4)), false)
  assert.deepEqual(ends, ['lost'])
  assert.equal(store.stats.arrivingBytes, 0)
  const seen: number[] = []
  let ended = false
  const flow = body.open({
    write: (chunk) => {
      seen.push(...chunk)
      return false
    },
    end: () => {
      ended = true
    },
    fail: assert.fail,
  })
  flow.resume()
  assert.deepEqual(seen, [1, 2, 3])
  assert.equal(origin.flowing, false)
  flow.resume()
  assert.deepEqual(seen, [1, 2, 3, 4])
  flow.resume()
  assert.equal(origin.flowing, true)
  assert.equal(origin.write(bytes(5)), false)
  assert.deepEqual(seen, [1, 2, 3, 4, 5])
  origin.end()
  assert.equal(ended, false)
  flow.resume()
  assert.equal(ended, true)
})

test('ArrivingBody passes what there is no room for', () => {
  const { origin, store, ends } = arriving({ maxArrivingBytes: 2 })
  origin.write(bytes(1, 2))
  origin.write(bytes(3))
  assert.deepEqual(ends, ['lost'])
  assert.equal(store.stats.arrivingBytes, 0)
})

test('ArrivingBody goes on for others when its client leaves, but not once it is lost', () => {
  const whole = arriving()
  whole.body.cancel()
  whole.origin.write(bytes(1))
  whole.origin.end()
  assert.deepEqual(whole.ends, [{ bytes: bytes(1) }])
  assert.deepEqual(whole.cancelled, [])

  const long = arriving({ maxEntryBytes: 1 })
  long.body.cancel()
  long.origin.write(bytes(1, 2))
  assert.deepEqual(long.ends, ['lost'])
  assert.equal(long.cancelled.length, 1)
})

test('ArrivingBody that breaks is not stored, and its client hears why', async () => {
  const { origin, body, store, ends } = arriving()
  const reason = new Error('reset')
  origin.write(bytes(1))
  origin.fail(reason)
  assert.deepEqual(ends, [reason])
  assert.equal(store.stats.arrivingBytes, 0)
  await assert.rejects(Body.from(body).bytes(), reason)
})

test('ArrivingBody gives a slow client the stored bytes', async () => {
  const { origin, body, ends } = arriving()
  const seen: Uint8Array[] = []
  const flow = body.open({
    write: (chunk) => {
      seen.push(chunk)
      return false
    },
    end() {},
    fail: assert.fail,
  })
  flow.resume()
  origin.write(bytes(1))
  origin.write(bytes(2))
  origin.write(bytes(3))
  origin.end()
  flow.resume()
  assert.deepEqual(seen, [bytes(1), bytes(2, 3)])
  const [end] = ends as { bytes: Uint8Array }[]
  assert.equal(seen[1]?.buffer, end?.bytes.buffer)
})
