/**
 * Slice: a session whose frames are compressed and inflated by an asynchronous helper.
 *
 *     | flag 0 plain, 1 deflated | length u16 | payload |
 *
 * What it proves: the session stops at the message it cannot decode yet, keeps the order, asks for
 * no more input meanwhile, and goes on by `onWake`. No promise stands between a byte and its message.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync, inflateSync } from 'node:zlib'
import { ByteQueue } from '../../src/core/byte-queue.ts'
import { ByteWriter } from '../../src/core/byte-writer.ts'
import { HeddleError, ProtocolError } from '../../src/core/errors.ts'
import type { CompressionFactory, Transformer } from '../../src/core/host.ts'
import type { Session, SessionState } from '../../src/core/session.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { Driver, type DriverOwner } from '../../src/runtime/driver.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memoryPair } from '../../src/transports/memory/memory-transport.ts'

class InflatingSession implements Session<never, Uint8Array> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  onWake: (() => void) | undefined
  readonly #queue = new ByteQueue()
  readonly #out = new ByteWriter()
  readonly #inflate: CompressionFactory
  /** The helper at work; while it is there nothing behind its message is looked at. */
  #working: Transformer | undefined
  #ready: Uint8Array | undefined
  #ended = false

  constructor(inflate: CompressionFactory) {
    this.#inflate = inflate
  }

  get wantsRead(): boolean {
    return this.state === 'open' && this.#working === undefined
  }
  receive(chunk: Uint8Array): void {
    this.#queue.push(chunk)
  }
  receiveEnd(): void {
    this.#ended = true
  }
  receiveClose(): void {
    this.#working?.close()
    this.#working = undefined
    this.state = 'closed'
  }

  pollEvent(): Uint8Array | undefined {
    const event = this.#next()
    if (event !== undefined) return event
    this.#queue.copyBorrowed()
    const over = this.#ended && this.#working === undefined
    if (over && this.state === 'open') this.state = 'closed'
    return undefined
  }

  submit(): void {}
  pollTransmit(): ByteWriter {
    return this.#out
  }
  pollTimeout(): undefined {}
  handleTimeout(): void {}
  takeUnread(): Uint8Array {
    return new Uint8Array(0)
  }

  #next(): Uint8Array | undefined {
    for (;;) {
      if (this.#ready !== undefined) {
        const message = this.#ready
        this.#ready = undefined
        return message
      }
      if (this.#working !== undefined || this.failure !== undefined) return undefined
      if (this.#queue.length < 3) return undefined
      const [flag, high = 0, low = 0] = this.#queue.peek(3)
      const length = (high << 8) | low
      if (this.#queue.length < 3 + length) return undefined
      this.#queue.skip(3)
      if (flag === 0) return this.#queue.read(length)
      this.#start(this.#queue.readCopy(length)) // may finish before it returns
    }
  }

  #start(payload: Uint8Array): void {
    const work = this.#inflate.decompress({ maxOutputBytes: MAX_MESSAGE_BYTES })
    this.#working = work
    const parts: Uint8Array[] = []
    const failed = (error: Error): void => {
      work.close()
      this.#working = undefined
      this.failure =
        error instanceof HeddleError ? error : new ProtocolError('ERR_ENCODING', error.message)
      this.state = 'closed'
      this.onWake?.()
    }
    work.transform(payload, (error, output) => {
      if (this.#working !== work) return // the connection is gone
      if (error !== undefined) return failed(error)
      parts.push(...output)
      work.finish((finishError, rest) => {
        if (this.#working !== work) return
        if (finishError !== undefined) return failed(finishError)
        parts.push(...rest)
        work.close()
        this.#working = undefined
        this.#ready = Buffer.concat(parts)
        this.onWake?.()
      })
    })
  }
}

const MAX_MESSAGE_BYTES = 10_000

function frame(text: string, deflated: boolean): Buffer {
  const payload = deflated ? deflateSync(text) : Buffer.from(text)
  return Buffer.concat([
    Buffer.from([deflated ? 1 : 0, payload.length >> 8, payload.length & 255]),
    payload,
  ])
}

/** Synchronous: the same session, and nothing waits. */
const synchronous: CompressionFactory = {
  compress: () => {
    throw new Error('not used')
  },
  decompress: () => {
    let whole: Uint8Array = new Uint8Array(0)
    return {
      transform(chunk, done) {
        whole = chunk
        done(undefined, [])
      },
      finish: (done) => done(undefined, [inflateSync(whole)]),
      close() {},
    }
  },
}

interface Run {
  readonly messages: string[]
  readonly session: InflatingSession
  readonly closed: Promise<Error | undefined>
}

function run(inflate: CompressionFactory, maxChunkBytes: number, bytes: Uint8Array): Run {
  const clock = new ManualClock()
  const [near, far] = memoryPair({ clock, maxChunkBytes })
  const messages: string[] = []
  const closed = Promise.withResolvers<Error | undefined>()
  const session = new InflatingSession(inflate)
  const owner: DriverOwner<Uint8Array> = {
    onEvent: (message) => messages.push(Buffer.from(message).toString()),
    onWritable() {},
    onClosed: closed.resolve,
  }
  new Driver(far, session, owner, { clock, lingerMs: 0 }).start()
  near.open({ onData() {}, onDrain() {}, onEnd: () => near.end(), onClose() {} })
  near.write(bytes)
  near.end()
  // Real zlib answers from its thread pool while manual time goes on.
  let over = false
  closed.promise.then(() => {
    over = true
  })
  const tick = (): void => {
    if (over) return
    clock.advance(1)
    setImmediate(tick)
  }
  tick()
  return { messages, session, closed: closed.promise }
}

const texts = ['one', 'x'.repeat(5_000), 'three', 'four', '']
const input = Buffer.concat(texts.map((text, index) => frame(text, index % 2 === 1)))

for (const maxChunkBytes of [1, 3, 65_536]) {
  for (const [name, inflate] of [
    ['asynchronous', nodeHost.compression['deflate'] as CompressionFactory],
    ['synchronous', synchronous],
  ] as const) {
    test(`messages keep their order with ${name} inflate, ${maxChunkBytes} bytes a chunk`, async () => {
      const { messages, closed } = run(inflate, maxChunkBytes, input)
      await closed
      assert.deepEqual(messages, texts)
    })
  }
}

test('a message that expands over its limit ends the session, those before it are delivered', async () => {
  const bytes = Buffer.concat([
    frame('before', false),
    frame('x'.repeat(MAX_MESSAGE_BYTES + 1), true),
  ])
  const { messages, session, closed } = run(
    nodeHost.compression['deflate'] as CompressionFactory,
    65_536,
    bytes,
  )
  await closed
  assert.deepEqual(messages, ['before'])
  assert.equal(session.failure?.code, 'ERR_EXPANSION')
})

test('a message at its limit passes', async () => {
  const text = 'x'.repeat(MAX_MESSAGE_BYTES)
  const inflate = nodeHost.compression['deflate'] as CompressionFactory
  const { messages, closed } = run(inflate, 65_536, frame(text, true))
  await closed
  assert.equal(messages[0]?.length, MAX_MESSAGE_BYTES)
})

test('corrupt data is the peer’s fault', async () => {
  const inflate = nodeHost.compression['deflate'] as CompressionFactory
  const { session, closed } = run(inflate, 65_536, Buffer.from([1, 0, 3, 1, 2, 3]))
  await closed
  assert.equal(session.failure?.code, 'ERR_ENCODING')
})

test('a connection that goes while the helper works leaves nothing behind', async () => {
  let late: (() => void) | undefined
  let closes = 0
  const stuck: CompressionFactory = {
    ...synchronous,
    decompress: () => ({
      transform(_chunk, done) {
        late = () => done(undefined, [])
      },
      finish() {},
      close: () => closes++,
    }),
  }
  const clock = new ManualClock()
  const [near, far] = memoryPair({ clock })
  const events: unknown[] = []
  const driver = new Driver(
    far,
    new InflatingSession(stuck),
    { onEvent: (event) => events.push(event), onWritable() {}, onClosed() {} },
    { clock },
  )
  driver.start()
  near.open({ onData() {}, onDrain() {}, onEnd() {}, onClose() {} })
  near.write(frame('text', true))
  clock.advance(1)
  assert.ok(late, 'the helper works')
  assert.equal(driver.session.wantsRead, false)
  near.destroy()
  clock.advance(10)
  late()
  assert.equal(closes, 1)
  assert.deepEqual(events, [])
  assert.equal(clock.pendingTimers, 0)
})
