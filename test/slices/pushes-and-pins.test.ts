/**
 * Slice: a Redis-like session with pushes from the server, and a transaction that pins a connection.
 *
 *     request  "GET k\n" | "SET k v\n" | "SUB c\n" | "MULTI\n" | "EXEC\n"
 *     reply    "+text\n"                     push   ">channel text\n"
 *
 * What it proves: replies are matched in order while pushes come in between; a subscription is a
 * bounded source that ends a subscriber who lags; a pinned lease is a service again, and nobody
 * else's call can get into the transaction.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../src/core/byte-writer.ts'
import { Channel } from '../../src/core/channel.ts'
import { Call, type CallContext } from '../../src/core/context.ts'
import {
  ClosedError,
  type HeddleError,
  OverloadError,
  ProtocolError,
  TransportError,
} from '../../src/core/errors.ts'
import type { Source } from '../../src/core/flow.ts'
import type { Lease } from '../../src/core/pool.ts'
import type { PinnableService, PushService, Service } from '../../src/core/service.ts'
import type { Session, SessionState } from '../../src/core/session.ts'
import { Driver, type DriverOwner } from '../../src/runtime/driver.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memoryPair } from '../../src/transports/memory/memory-transport.ts'

type Event =
  | { readonly type: 'line'; readonly kind: string; readonly text: string }
  | { readonly type: 'closed'; readonly error: HeddleError }
type Command = { readonly line: string }

/** Both sides alike: lines in, lines out. */
class LineSession implements Session<Command, Event> {
  state: SessionState = 'open'
  failure: HeddleError | undefined
  readonly wantsRead = true
  onWake: (() => void) | undefined
  readonly #out = new ByteWriter()
  #buffered: number[] = []
  readonly #lines: string[] = []
  #closed: HeddleError | undefined

  receive(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (byte !== 0x0a) this.#buffered.push(byte)
      else {
        this.#lines.push(String.fromCharCode(...this.#buffered))
        this.#buffered = []
      }
      if (this.#buffered.length > MAX_LINE_BYTES) {
        this.failure = new ProtocolError('ERR_FRAME_TOO_LARGE', `line over ${MAX_LINE_BYTES} bytes`)
        this.state = 'closed'
        return
      }
    }
  }
  receiveEnd(): void {
    this.state = 'closed'
  }
  receiveClose(reason: Error | undefined): void {
    this.state = 'closed'
    const options = reason === undefined ? {} : { cause: reason }
    this.#closed ??= new TransportError('ERR_DISCONNECTED', 'the connection is gone', options)
  }
  pollEvent(): Event | undefined {
    const line = this.#lines.shift()
    if (line !== undefined) return { type: 'line', kind: line.slice(0, 1), text: line.slice(1) }
    const error = this.#closed
    this.#closed = undefined
    return error && { type: 'closed', error }
  }
  submit({ line }: Command): void {
    this.#out.latin1(`${line}\n`)
  }
  pollTransmit(): ByteWriter {
    return this.#out
  }
  pollTimeout(): undefined {}
  handleTimeout(): void {}
  takeUnread(): Uint8Array {
    return new Uint8Array(0)
  }
}

/** The client's glue: pending replies in a ring, subscribers by channel. */
class LineClient
  implements DriverOwner<Event>, PushService<string>, PinnableService<string, string>
{
  readonly #driver: Driver<Command, Event>
  readonly #pending: PromiseWithResolvers<string>[] = []
  readonly #subscribers = new Set<(text: string) => void>()
  readonly #waiting: (() => void)[] = []
  #pinned = false

  constructor(connection: ConstructorParameters<typeof Driver>[0], clock: ManualClock) {
    this.#driver = new Driver(connection, new LineSession(), this, { clock })
    this.#driver.start()
  }

  readonly call: Service<string, string> = async (line, context) => {
    while (this.#pinned) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.#send(line, context)
  }

  async pin(): Promise<Lease<Service<string, string>>> {
    while (this.#pinned) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#pinned = true
    let over = false
    const release = (): void => {
      if (over) return
      over = true
      this.#pinned = false
      for (const wake of this.#waiting.splice(0)) wake()
    }
    return {
      resource: (line, context) => {
        if (over) throw new ClosedError('ERR_CLOSED', 'the lease was released')
        return this.#send(line, context)
      },
      release,
      discard: (reason) => {
        release()
        this.#driver.destroy(reason)
      },
      [Symbol.dispose]: release,
    }
  }

  subscribe(): Source<string> {
    const queue: string[] = []
    const pump = (): void => {
      while (channel.flowing && queue.length > 0) channel.write(queue.shift() as string)
    }
    const take = (text: string): void => {
      queue.push(text)
      if (queue.length > MAX_LAG) {
        this.#subscribers.delete(take)
        channel.fail(new OverloadError('ERR_SHED', `subscriber lags by more than ${MAX_LAG}`))
      } else pump()
    }
    const channel = new Channel<string>(pump, () => this.#subscribers.delete(take))
    this.#subscribers.add(take)
    return channel
  }

  onEvent(event: Event): void {
    if (event.type === 'closed') {
      for (const call of this.#pending.splice(0)) call.reject(event.error)
    } else if (event.kind === '>') for (const take of this.#subscribers) take(event.text)
    else this.#pending.shift()?.resolve(event.text)
  }
  onWritable(): void {}
  onClosed(): void {}

  #send(line: string, _context: CallContext): Promise<string> {
    const call = Promise.withResolvers<string>()
    this.#pending.push(call)
    this.#driver.submit({ line })
    return call.promise
  }
}

const MAX_LINE_BYTES = 1_024
const MAX_LAG = 4

function pair(): {
  client: LineClient
  push(text: string): void
  clock: ManualClock
  log: string[]
} {
  const clock = new ManualClock()
  const [near, far] = memoryPair({ clock, maxChunkBytes: 3 })
  const log: string[] = []
  const store = new Map<string, string>()
  const server: Driver<Command, Event> = new Driver(
    far,
    new LineSession(),
    {
      onEvent(event) {
        if (event.type === 'closed') return
        const words = `${event.kind}${event.text}`.split(' ')
        log.push(words.join(' '))
        if (words[0] === 'SET') store.set(String(words[1]), String(words[2]))
        const reply = words[0] === 'GET' ? (store.get(String(words[1])) ?? 'nil') : 'OK'
        server.submit({ line: `+${reply}` })
      },
      onWritable() {},
      onClosed() {},
    },
    { clock },
  )
  server.start()
  return {
    client: new LineClient(near, clock),
    push: (text) => server.submit({ line: `>${text}` }),
    clock,
    log,
  }
}

/** Lets promises and the link take their turns. */
async function settle(clock: ManualClock): Promise<void> {
  for (let turn = 0; turn < 50; turn++) {
    clock.advance(1)
    await null
  }
}

const context = new Call()

test('replies keep their order while pushes come in between', async () => {
  const { client, push, clock } = pair()
  const seen: string[] = []
  const reading = (async () => {
    for await (const text of client.subscribe()) {
      seen.push(text)
      if (seen.length === 3) break
    }
  })()
  const replies = ['SET a 1', 'GET a', 'GET b'].map((line) => client.call(line, context))
  push('news one')
  await settle(clock)
  push('news two')
  push('news three')
  await settle(clock)
  assert.deepEqual(await Promise.all(replies), ['OK', '1', 'nil'])
  await reading
  assert.deepEqual(seen, ['news one', 'news two', 'news three'])
})

test('a subscriber that lags is ended, at the limit it is not', async () => {
  const { client, push, clock } = pair()
  const outcome: string[] = []
  const flow = client.subscribe().open({
    write: (text) => outcome.push(text) === 0,
    end() {},
    fail: (reason) => outcome.push((reason as HeddleError).code),
  })
  for (let count = 0; count < MAX_LAG; count++) push(`p${count}`)
  await settle(clock)
  flow.resume() // takes one, then says no more
  assert.deepEqual(outcome, ['p0'])
  push('p4')
  await settle(clock)
  assert.deepEqual(outcome, ['p0'])
  push('p5')
  await settle(clock)
  assert.deepEqual(outcome, ['p0', 'ERR_SHED'])
})

test('a pinned transaction is not interleaved with other calls', async () => {
  const { client, clock, log } = pair()
  const lease = await client.pin()
  const other = client.call('GET a', context)
  const inside = ['MULTI', 'SET a 1', 'EXEC'].map((line) => lease.resource(line, context))
  await settle(clock)
  await Promise.all(inside)
  assert.deepEqual(log, ['MULTI', 'SET a 1', 'EXEC'])
  lease.release()
  assert.throws(() => lease.resource('GET a', context), { code: 'ERR_CLOSED' })
  await settle(clock)
  assert.equal(await other, '1')
})

test('every call in flight ends once when the connection goes', async () => {
  const { client, clock } = pair()
  const lease = await client.pin()
  const calls = [lease.resource('GET a', context), lease.resource('GET b', context)]
  lease.discard(new Error('gone'))
  await settle(clock)
  const outcomes = await Promise.allSettled(calls)
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
})
