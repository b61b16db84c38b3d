import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Channel } from '../../../core/channel.ts'
import { Call } from '../../../core/context.ts'
import { TransportError } from '../../../core/errors.ts'
import { ManualClock } from '../../../testing/manual-clock.ts'
import { HttpRequest, HttpResponse, type HttpResponseInit, type HttpService } from '../messages.ts'
import { HttpCache } from './http-cache.ts'
import type { HttpCacheOptions } from './http-cache-options.ts'

/** An origin whose answers the test gives, one by one. */
class Origin {
  readonly clock = new ManualClock()
  readonly cache: HttpCache
  readonly waiting: {
    request: HttpRequest
    answer(init: HttpResponseInit): void
    fail(error: Error): void
  }[] = []
  count = 0
  readonly #service: HttpService

  constructor(options: Partial<HttpCacheOptions> = {}) {
    this.cache = new HttpCache({ clock: this.clock, ...options })
    this.#service = this.cache.wrap((request, context) => {
      this.count++
      return new Promise((resolve, reject) => {
        const entry = {
          request,
          answer: (init: HttpResponseInit) => resolve(new HttpResponse(init)),
          fail: reject,
        }
        this.waiting.push(entry)
        context.onCancel(reject)
      })
    })
  }

  get(fields: Record<string, string> = {}, call = new Call()): Promise<HttpResponse> {
    const request = new HttpRequest({ authority: 'a', target: '/x', fields })
    return Promise.resolve(this.#service(request, call))
  }

  /** Answers the one that has waited longest. */
  async answer(init: HttpResponseInit): Promise<void> {
    this.waiting.shift()?.answer(init)
    await turn()
  }
}

const FRESH: HttpResponseInit = { fields: { 'cache-control': 'max-age=60' }, body: 'x' }

async function texts(replies: readonly Promise<HttpResponse>[]): Promise<string[]> {
  return Promise.all(replies.map(async (reply) => (await reply).body.text()))
}

test('OriginFetch sends one of many who ask for the same, and the others take its answer', async () => {
  const origin = new Origin()
  const replies = [origin.get(), origin.get(), origin.get()]
  await turn()
  assert.equal(origin.count, 1)
  await origin.answer(FRESH)
  assert.deepEqual(await texts(replies), ['x', 'x', 'x'])
  assert.equal(origin.count, 1)
  assert.equal(origin.cache.stats.collapsed, 2)
  const notes = await Promise.all(
    replies.map(async (one) => (await one).fields.get('cache-status')),
  )
  assert.deepEqual(notes, [
    'heddle; fwd=uri-miss; stored',
    'heddle; fwd=uri-miss; ttl=60; collapsed',
    'heddle; fwd=uri-miss; ttl=60; collapsed',
  ])
  assert.equal(origin.clock.pendingTimers, 0)
})

test('OriginFetch collapses validations too', async () => {
  const origin = new Origin()
  const first = origin.get()
  await origin.answer({ fields: { 'cache-control': 'max-age=60', etag: '"1"' }, body: 'x' })
  await first
  origin.clock.advance(61_000)
  const replies = [origin.get(), origin.get()]
  await turn()
  assert.equal(origin.waiting[0]?.request.fields.get('if-none-match'), '"1"')
  await origin.answer({ status: 304 })
  assert.deepEqual(await texts(replies), ['x', 'x'])
  assert.equal(origin.count, 2)
})

test('OriginFetch lets all go when the answer was for one, and for a while nobody waits', async () => {
  const origin = new Origin({ unshareableMs: 1_000 })
  const replies = [origin.get(), origin.get(), origin.get()]
  await turn()
  await origin.answer({ fields: { 'cache-control': 'private' }, body: 'p' })
  assert.equal(origin.count, 3)
  replies.push(origin.get())
  await turn()
  assert.equal(origin.count, 4)
  for (let index = 0; index < 3; index++) await origin.answer({ body: 'p' })
  assert.deepEqual(await texts(replies), ['p', 'p', 'p', 'p'])
  origin.clock.advance(1_000)
  const later = [origin.get(), origin.get()]
  await turn()
  assert.equal(origin.count, 5)
  await origin.answer(FRESH)
  await texts(later)
})

test('OriginFetch does not have known callers wait for one another', async () => {
  const origin = new Origin()
  const replies = [origin.get({ authorization: 'a' }), origin.get({ authorization: 'b' })]
  await turn()
  assert.equal(origin.count, 2)
  await origin.answer(FRESH)
  await origin.answer(FRESH)
  await texts(replies)
  // And what they get does not keep the others from sharing.
  const others = [origin.get(), origin.get()]
  await turn()
  assert.equal(origin.count, 3)
  await origin.answer(FRESH)
  await texts(others)
})

test('OriginFetch sends another one when the first has gone away', async () => {
  const origin = new Origin()
  const call = new Call()
  const first = origin.get({}, call)
  const replies = [origin.get(), origin.get()]
  await turn()
  call.cancel(new Error('left'))
  await assert.rejects(first, { message: 'left' })
  await turn()
  assert.equal(origin.count, 2)
  origin.waiting.shift()
  await origin.answer(FRESH)
  assert.deepEqual(await texts(replies), ['x', 'x'])
  assert.equal(origin.count, 2)
})

test('OriginFetch gives everybody who waited the same error', async () => {
  const origin = new Origin()
  const replies = [origin.get(), origin.get()]
  await turn()
  const error = new TransportError('ERR_CONNECT', 'refused')
  origin.waiting[0]?.fail(error)
  for (const reply of replies) await assert.rejects(reply, error)
  assert.equal(origin.count, 1)
})

test('OriginFetch lets a waiting caller go when its own call is cancelled', async () => {
  const origin = new Origin()
  const first = origin.get()
  const call = new Call()
  const second = origin.get({}, call)
  await turn()
  call.cancel(new Error('enough'))
  await assert.rejects(second, { message: 'enough' })
  assert.equal(origin.clock.pendingTimers, 0)
  await origin.answer(FRESH)
  await first
})

test('OriginFetch lets maxWaiters wait, and one more goes itself', async () => {
  const origin = new Origin({ maxWaiters: 1 })
  const replies = [origin.get(), origin.get(), origin.get()]
  await turn()
  assert.equal(origin.count, 2)
  await origin.answer(FRESH)
  await origin.answer(FRESH)
  await texts(replies)
})

test('OriginFetch sends another one after maxWaitMs', async () => {
  const origin = new Origin({ maxWaitMs: 100 })
  const replies = [origin.get(), origin.get(), origin.get()]
  await turn()
  origin.clock.advance(99)
  await turn()
  assert.equal(origin.count, 1)
  origin.clock.advance(1)
  await turn()
  assert.equal(origin.count, 2)
  origin.waiting[1]?.answer(FRESH)
  assert.deepEqual(await texts(replies.slice(1)), ['x', 'x'])
  await origin.answer(FRESH)
  assert.deepEqual(await texts(replies), ['x', 'x', 'x'])
  assert.equal(origin.clock.pendingTimers, 0)
})

test('OriginFetch has those wait on whom Vary does not tell apart', async () => {
  const origin = new Origin()
  const replies = ['de', 'en', 'de'].map((one) => origin.get({ 'accept-language': one }))
  await turn()
  assert.equal(origin.count, 1)
  const varied = { 'cache-control': 'max-age=60', vary: 'accept-language' }
  await origin.answer({ fields: varied, body: 'de' })
  assert.equal(origin.count, 2)
  await origin.answer({ fields: varied, body: 'en' })
  assert.deepEqual(await texts(replies), ['de', 'en', 'de'])
})

test('OriginFetch has them wait for the whole of a streamed body, not for its first reader', async () => {
  const origin = new Origin()
  const body = new Channel<Uint8Array>(
    () => {},
    () => {},
  )
  const first = origin.get()
  const second = origin.get()
  await turn()
  await origin.answer({ ...FRESH, body })
  body.write(Uint8Array.of(0x61))
  await first
  await turn()
  assert.equal(origin.cache.stats.entries, 0)
  body.write(Uint8Array.of(0x62))
  body.end() // and nobody has read it
  assert.equal(await (await second).body.text(), 'ab')
  assert.equal(await (await first).body.text(), 'ab')
  assert.equal(origin.count, 1)
})

test('OriginFetch passes a body over maxEntryBytes whole, and does not store it', async () => {
  for (const [length, stored] of [
    [4, true],
    [5, false],
  ] as const) {
    const origin = new Origin({ maxEntryBytes: 4 })
    const reply = origin.get()
    await origin.answer({ ...FRESH, body: new Uint8Array(length) })
    assert.equal((await (await reply).body.bytes()).length, length)
    assert.equal(origin.cache.stats.entries, stored ? 1 : 0)
    if (!stored) {
      const note = 'heddle; fwd=uri-miss; detail=too-large'
      assert.equal((await reply).fields.get('cache-status'), note)
    }
  }
})

test('OriginFetch does not store a body that breaks off', async () => {
  const origin = new Origin()
  const body = new Channel<Uint8Array>(
    () => {},
    () => {},
  )
  const replies = [origin.get(), origin.get()]
  await turn()
  await origin.answer({ ...FRESH, body })
  const error = new TransportError('ERR_RESET', 'cut')
  body.write(Uint8Array.of(1))
  body.fail(error)
  await assert.rejects((await replies[0])?.body.bytes() ?? Promise.resolve(), error)
  await assert.rejects(replies[1] as Promise<HttpResponse>, error)
  assert.equal(origin.cache.stats.entries, 0)
  assert.equal(origin.cache.stats.arrivingBytes, 0)
})

test('OriginFetch leaves whoever demands a validation of its own alone', async () => {
  const origin = new Origin()
  const first = origin.get()
  await origin.answer(FRESH)
  await first
  const replies = [1, 2].map(() => origin.get({ 'cache-control': 'no-cache' }))
  await turn()
  assert.equal(origin.count, 3)
  await origin.answer(FRESH)
  await origin.answer(FRESH)
  const notes = await Promise.all(
    replies.map(async (one) => (await one).fields.get('cache-status')),
  )
  assert.deepEqual(notes, Array(2).fill('heddle; fwd=request; stored'))
})
