import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel } from '../../core/channel.ts'
import { Body } from './body.ts'
import { ConcatenatedSource } from './concatenated-source.ts'

/** A stream of the texts, each in memory that is overwritten once it was taken. */
function stream(...texts: string[]): Body {
  const channel: Channel<Uint8Array> = new Channel<Uint8Array>(
    () => {
      while (channel.flowing) {
        const text = texts.shift()
        if (text === undefined) return channel.end()
        const chunk = Uint8Array.from(Buffer.from(text))
        channel.write(chunk)
        chunk.fill(0x21)
      }
    },
    () => {},
  )
  return Body.from(channel)
}

test('Body is collected as bytes, text and JSON, streamed or not', async () => {
  for (const make of [
    () => Body.from('{"a":"ü"}'),
    () => Body.from(Buffer.from('{"a":"ü"}')),
    () => stream('{"a":', '"ü"}'),
  ]) {
    assert.equal(await make().text(), '{"a":"ü"}')
    assert.deepEqual(await make().json(), { a: 'ü' })
    assert.equal((await make().bytes()).length, 10)
    const chunks: Uint8Array[] = []
    for await (const chunk of make()) chunks.push(chunk)
    assert.equal(Buffer.concat(chunks).toString(), '{"a":"ü"}')
  }
  assert.equal((await Body.empty.bytes()).length, 0)
  assert.equal(Body.from(''), Body.empty)
})

test('Body knows its length and whether it can be sent again', async () => {
  assert.equal(Body.from(new Uint8Array(3)).length, 3)
  assert.equal(stream('a').length, undefined)
  const body = stream('a')
  assert.equal(body.replayable, true, 'nothing was taken yet')
  assert.equal(body.used, false)
  assert.equal(await body.text(), 'a')
  assert.equal(body.used, true)
  assert.equal(body.replayable, false)
  await assert.rejects(body.text(), { code: 'ERR_BODY_USED' })
  const kept = Body.from('a')
  assert.equal(kept.replayable, true)
  assert.equal(await kept.text(), await kept.text())
})

test('Body refuses to collect more than maxBytes', async () => {
  assert.equal(await stream('ab', 'cd').text(4), 'abcd')
  await assert.rejects(stream('ab', 'cde').text(4), { code: 'ERR_LIMIT' })
})

test('Body content flows to a sink, which may pause and cancel', () => {
  const got: string[] = []
  const flow = Body.from('abc').open({
    write(chunk) {
      got.push(Buffer.from(chunk).toString())
      return false
    },
    end: () => got.push('end'),
    fail: assert.fail,
  })
  flow.resume()
  assert.deepEqual(got, ['abc'])
  flow.resume()
  flow.resume()
  assert.deepEqual(got, ['abc', 'end'])
  const cancelled = Body.from('abc').open({
    write: () => assert.fail(),
    end: assert.fail,
    fail: assert.fail,
  })
  cancelled.cancel()
  cancelled.resume()
})

test('Body is discarded without being collected', () => {
  const body = stream('a', 'b')
  body.discard()
  assert.equal(body.used, true)
  body.discard() // again is no error
  Body.from('x').discard()
})

test('ConcatenatedSource gives one source behind the other, many without recursion', async () => {
  const parts = Array.from({ length: 20_000 }, (_, at) =>
    at % 2 === 0 ? Body.from('x') : Body.empty,
  )
  assert.equal((await Body.from(new ConcatenatedSource(parts)).text()).length, 10_000)
  const mixed = new ConcatenatedSource([
    Body.from('a'),
    stream('b', 'c'),
    Body.empty,
    Body.from('d'),
  ])
  const chunks: Uint8Array[] = []
  for await (const chunk of mixed) chunks.push(chunk)
  assert.equal(Buffer.concat(chunks).toString(), 'abcd')
})

test('ConcatenatedSource fails and is cancelled with the source being read', async () => {
  let reason: Error | undefined
  const silent = new Channel<Uint8Array>(
    () => {},
    (given) => {
      reason = given
    },
  )
  const flow = new ConcatenatedSource([silent]).open({
    write: () => assert.fail(),
    end: assert.fail,
    fail: assert.fail,
  })
  flow.resume()
  flow.cancel(new Error('enough'))
  assert.equal(reason?.message, 'enough')
  const broken = new Channel<Uint8Array>(
    () => broken.fail(new Error('broken')),
    () => {},
  )
  await assert.rejects(Body.from(new ConcatenatedSource([Body.from('a'), broken])).text(), /broken/)
})
