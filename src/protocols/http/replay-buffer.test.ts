import assert from 'node:assert/strict'
import { test } from 'node:test'
import { iterate } from '../../core/channel.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { Body } from './body.ts'
import { ReplayBuffer } from './replay-buffer.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Reads, pausing when told to. */
class Reading implements Sink<Uint8Array> {
  text = ''
  state: 'open' | 'ended' | string = 'open'
  takes = true
  flow: Flow | undefined

  write(chunk: Uint8Array): boolean {
    this.text += new TextDecoder().decode(chunk)
    return this.takes
  }

  end(): void {
    this.state = 'ended'
  }

  fail(reason: Error): void {
    this.state = reason.message
  }
}

function read(source: ReplayBuffer): Reading {
  const reading = new Reading()
  reading.flow = source.open(reading)
  reading.flow.resume()
  return reading
}

/** A source that a test fills; it gives what it has when it is asked to. */
class Filled implements Source<Uint8Array>, Flow {
  readonly cancelled: (Error | undefined)[] = []
  readonly #queue: Uint8Array[] = []
  #sink: Sink<Uint8Array> | undefined
  #flowing = false
  #ending: 'no' | 'end' | Error = 'no'

  open(sink: Sink<Uint8Array>): Flow {
    this.#sink = sink
    return this
  }

  resume(): void {
    this.#flowing = true
    this.#give()
  }

  cancel(reason?: Error): void {
    this.cancelled.push(reason)
    this.#sink = undefined
  }

  write(chunk: Uint8Array): void {
    this.#queue.push(chunk)
    this.#give()
  }

  end(): void {
    this.#ending = 'end'
    this.#give()
  }

  fail(reason: Error): void {
    this.#ending = reason
    this.#give()
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return iterate(this, (chunk) => chunk)
  }

  #give(): void {
    while (this.#flowing && this.#sink !== undefined) {
      const chunk = this.#queue.shift()
      if (chunk !== undefined) {
        this.#flowing = this.#sink.write(chunk)
        continue
      }
      if (this.#ending === 'no') return
      const sink = this.#sink
      this.#sink = undefined
      return this.#ending === 'end' ? sink.end() : sink.fail(this.#ending)
    }
  }
}

function fixture(maxBytes: number) {
  const channel = new Filled()
  return { channel, cancelled: channel.cancelled, source: new ReplayBuffer(channel, maxBytes) }
}

test('ReplayBuffer passes a stream on as it comes, and again from its start', () => {
  const { channel, source } = fixture(10)
  const first = read(source)
  channel.write(bytes('hel'))
  assert.equal(first.text, 'hel') // it does not wait for the rest
  first.flow?.cancel()
  channel.write(bytes('lo'))
  const second = read(source)
  assert.equal(second.text, 'hello')
  channel.end()
  assert.deepEqual([second.state, source.replayable], ['ended', true])
  const third = read(source)
  assert.deepEqual([third.text, third.state], ['hello', 'ended'])
})

test('ReplayBuffer keeps what is at its limit and no more', () => {
  for (const [text, replayable] of [
    ['12345', true],
    ['123456', false],
  ] as const) {
    const { channel, source } = fixture(5)
    const first = read(source)
    channel.write(bytes(text.slice(0, 3)))
    channel.write(bytes(text.slice(3)))
    assert.equal(first.text, text) // whoever reads gets all of it in any case
    assert.equal(source.replayable, replayable)
    first.flow?.cancel()
    if (replayable) read(source)
    else assert.throws(() => read(source), { code: 'ERR_BODY_USED', message: /longer than the 5/ })
  }
})

test('ReplayBuffer lets its source go when it overflows and nobody reads', () => {
  const { channel, source, cancelled } = fixture(5)
  read(source).flow?.cancel()
  channel.write(bytes('1234'))
  assert.equal(cancelled.length, 0)
  channel.write(bytes('56'))
  assert.equal(cancelled.length, 1)
  assert.equal(source.replayable, false)
})

test('ReplayBuffer has one reader at a time, and tells it of a failure', () => {
  const { channel, source } = fixture(5)
  const first = read(source)
  assert.throws(() => read(source), { code: 'ERR_BODY_USED' })
  channel.write(bytes('12'))
  channel.fail(new Error('disk'))
  assert.deepEqual([first.text, first.state, source.replayable], ['12', 'disk', false])
})

test('ReplayBuffer gives each reader exactly the bytes of the stream, in order', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed)
    const { channel, source } = fixture(1_000)
    let sent = ''
    let reading = read(source)
    for (let step = 0; step < 60; step++) {
      const choice = random.integer(0, 9)
      if (choice < 5) {
        const piece = String(step).padStart(random.integer(1, 12), '.')
        sent += piece
        channel.write(bytes(piece))
      } else if (choice < 7) {
        reading.takes = !reading.takes
        if (reading.takes) reading.flow?.resume()
      } else if (choice === 7) {
        assert.ok(sent.startsWith(reading.text), `seed ${seed}: ${reading.text}`)
        reading.flow?.cancel()
        reading = read(source)
      }
    }
    reading.takes = true
    reading.flow?.resume()
    channel.end()
    assert.deepEqual([reading.text, reading.state], [sent, 'ended'], `seed ${seed}`)
  }
})

test('Body says what can be sent again, and what only once', async () => {
  const stream = (): Source<Uint8Array> => {
    const channel = new Filled()
    channel.write(bytes('ab'))
    channel.end()
    return channel
  }
  const table: [what: string, body: Body, oneShot: boolean, again: boolean, twice: boolean][] = [
    ['nothing', Body.from(undefined), false, true, true],
    ['text', Body.from('ab'), false, true, true],
    ['bytes', Body.from(bytes('ab')), false, true, true],
    ['made anew', Body.from(stream), false, true, true],
    ['made anew, of text', Body.from(() => 'ab'), false, true, true],
    ['kept', Body.buffered(stream(), 2), false, true, false],
    ['kept, too long', Body.buffered(stream(), 1), false, false, false],
    ['a stream', Body.from(stream()), true, false, false],
  ]
  for (const [what, body, oneShot, again, twice] of table) {
    const text = await body.text()
    assert.ok(text === 'ab' || what === 'nothing', what)
    assert.deepEqual(
      [body.oneShot, body.replayable, body.repeatable],
      [oneShot, again, twice],
      what,
    )
    if (again) assert.equal(await body.text(), text, what)
    else await assert.rejects(body.text(), { code: 'ERR_BODY_USED' }, what)
  }
  assert.throws(() => Body.buffered(stream(), -1), { code: 'ERR_OPTION_RANGE' })
})
