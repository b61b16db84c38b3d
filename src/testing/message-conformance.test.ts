/**
 * The kit must be able to fail: each mutant breaks one promise of a message connection that keeps
 * them all, and must be reported by the property that is about that promise.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as address } from '../core/address.ts'
import type { Clock } from '../core/clock.ts'
import type { Connection, ConnectionFacts } from '../core/connection.ts'
import { nextConnectionId } from '../core/connection-id.ts'
import { ProtocolError, UsageError } from '../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../core/message-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MessageTransport,
  Transport,
} from '../core/transport.ts'
import { MemoryNetwork } from '../transports/memory/memory-network.ts'
import { memory } from '../transports/memory/memory-transport.ts'
import { CollectingHarness } from './harness.ts'
import { ManualClock } from './manual-clock.ts'
import { messageConformance, messageProperties } from './message-conformance.ts'

/**
 * Messages over a memory link, as plainly as can be: two bytes of length in front, every message a
 * copy. The kit may not import a layer above it, so it has one of its own to break.
 */
class PlainMessages implements MessageConnection {
  readonly id: number = nextConnectionId()
  readonly maxMessageBytes: number = 40_000
  readonly ownsMessages: boolean = true
  readonly carrier: Connection
  readonly clock: Clock
  handler: MessageHandler | undefined
  paused = false
  #held = new Uint8Array(0)
  readonly #queue: Uint8Array[] = []
  #endHeard = false
  #endTold = false
  #closeHeard: { readonly reason: Error | undefined } | undefined
  #over = false
  #draining = false

  constructor(carrier: Connection, clock: Clock) {
    this.carrier = carrier
    this.clock = clock
  }

  get facts(): ConnectionFacts {
    return this.carrier.facts
  }
  get writableLength(): number {
    return this.carrier.writableLength
  }
  open(handler: MessageHandler): void {
    if (this.handler !== undefined) throw new UsageError('ERR_ALREADY_OPEN', 'has a handler')
    this.handler = handler
    this.carrier.open({
      onData: (chunk) => this.#take(chunk),
      onDrain: () => this.onDrain(),
      onEnd: () => {
        this.#endHeard = true
        this.#deliver()
      },
      onClose: (reason) => {
        this.#closeHeard = { reason }
        this.#deliver()
      },
    })
  }
  send(message: Uint8Array): boolean {
    if (message.length > this.maxMessageBytes) {
      throw new ProtocolError('ERR_FRAME_TOO_LARGE', `${message.length} bytes`)
    }
    const frame = new Uint8Array(2 + message.length)
    frame.set([message.length >>> 8, message.length])
    frame.set(message, 2)
    return this.carrier.write(frame)
  }
  pause(): void {
    this.paused = true
    this.carrier.pause()
  }
  resume(): void {
    this.paused = false
    this.clock.defer(() => {
      if (this.paused) return
      this.#deliver()
      if (!this.paused) this.carrier.resume()
    })
  }
  end(): void {
    this.carrier.end()
  }
  destroy(reason?: Error): void {
    this.#over = true
    this.carrier.destroy(reason)
  }

  onMessage(message: Uint8Array): void {
    this.handler?.onMessage(message)
  }
  onDrain(): void {
    this.handler?.onDrain()
  }
  onEnd(): void {
    this.handler?.onEnd()
  }
  onClose(reason: Error | undefined): void {
    this.handler?.onClose(reason)
  }

  #take(chunk: Uint8Array): void {
    const held = new Uint8Array(this.#held.length + chunk.length)
    held.set(this.#held)
    held.set(chunk, this.#held.length)
    let at = 0
    while (held.length - at >= 2) {
      const end = at + 2 + ((held[at] as number) << 8) + (held[at + 1] as number)
      if (end > held.length) break
      this.#queue.push(held.slice(at + 2, end))
      at = end
    }
    this.#held = held.slice(at)
    this.#deliver()
  }

  #deliver(): void {
    if (this.#draining) return
    this.#draining = true
    while (!this.paused && !this.#over) {
      const message = this.#queue.shift()
      if (message === undefined) break
      this.onMessage(message)
    }
    this.#draining = false
    const left = this.#queue.length > 0 && !this.#over
    if (this.#endHeard && !this.#endTold && !left && !this.#over) {
      this.#endTold = true
      this.onEnd()
    }
    if (this.#closeHeard === undefined || (left && this.#closeHeard.reason === undefined)) return
    const { reason } = this.#closeHeard
    this.#closeHeard = undefined
    this.#over = true
    this.onClose(reason)
  }
}

type MessagesClass = typeof PlainMessages

class PlainTransport implements MessageTransport {
  readonly name = 'memory'
  readonly traits = { halfClose: true, secure: false, messageBoundaries: true }
  readonly inner: Transport
  readonly clock: Clock
  readonly Mutant: MessagesClass

  constructor(clock: Clock, network: MemoryNetwork, Mutant: MessagesClass) {
    this.clock = clock
    this.inner = memory({ clock, network })
    this.Mutant = Mutant
  }
  async connect(to: Address, options?: ConnectOptions): Promise<MessageConnection> {
    return new this.Mutant(await this.inner.connect(to, options), this.clock)
  }
  listen(at: Address, options: ListenOptions<MessageConnection>): Promise<Listener> {
    const onConnection = (one: Connection): void =>
      options.onConnection(new this.Mutant(one, this.clock))
    return this.inner.listen(at, { ...options, onConnection })
  }
}

type TransportClass = typeof PlainTransport

function failures(
  Mutant: MessagesClass,
  Outer: TransportClass = PlainTransport,
  only?: RegExp,
): Promise<readonly string[]> {
  const harness = new CollectingHarness()
  messageConformance(
    'mutant',
    {
      traits: { halfClose: true, secure: false, messageBoundaries: true },
      bulkBytes: 200_000,
      maxTurns: 100,
      create() {
        const clock = new ManualClock()
        const transport = new Outer(clock, new MemoryNetwork(), Mutant)
        return {
          transport,
          address: address('0'),
          clock,
          turn: () => clock.settle(),
          leaks: { timers: () => clock.pendingTimers },
        }
      },
    },
    harness,
  )
  return harness.failures(only)
}

test('messageConformance passes the plain connection that the mutants are made of', async () => {
  assert.deepEqual(await failures(PlainMessages), [])
})

test('messageConformance has at least 50 properties with names of their own', () => {
  const names = new Set(messageProperties.map((property) => property.name))
  assert.equal(names.size, messageProperties.length)
  assert.ok(names.size >= 50, `${names.size} properties`)
})

test('messageConformance skips by the declared traits and by exceptions, and says why', async () => {
  const harness = new CollectingHarness()
  messageConformance(
    'odd',
    {
      traits: { halfClose: false, secure: false, messageBoundaries: true },
      create: () => assert.fail('not run'),
      except: { 'opens once': 'for a test' },
    },
    harness,
  )
  const skipped = (await harness.run(/^$/)).map((result) => result.name)
  assert.equal(skipped.filter((name) => name.includes('(needs halfClose)')).length, 3)
  assert.ok(skipped.includes('odd messages: opens once (for a test)'))
})

const MUTANTS: Readonly<Record<string, readonly [mutant: MessagesClass, caught: RegExp]>> = {
  'merges two messages': [
    class extends PlainMessages {
      #first: Uint8Array | undefined
      override onMessage(message: Uint8Array): void {
        if (this.#first === undefined && message.length === 1) {
          this.#first = message
          return
        }
        const whole = new Uint8Array([...(this.#first ?? []), ...message])
        this.#first = undefined
        super.onMessage(whole)
      }
    },
    /keeps the boundaries/,
  ],
  'splits a large message': [
    class extends PlainMessages {
      override onMessage(message: Uint8Array): void {
        super.onMessage(message.subarray(0, 16_384))
        if (message.length > 16_384) super.onMessage(message.subarray(16_384))
      }
    },
    /every size around its buffers/,
  ],
  'drops empty messages': [
    class extends PlainMessages {
      override onMessage(message: Uint8Array): void {
        if (message.length > 0) super.onMessage(message)
      }
    },
    /empty message as a message/,
  ],
  'delivers a message twice': [
    class extends PlainMessages {
      override onMessage(message: Uint8Array): void {
        super.onMessage(message)
        super.onMessage(message)
      }
    },
    /2,000 small messages/,
  ],
  'swaps two messages': [
    class extends PlainMessages {
      #late: Uint8Array | undefined
      override send(message: Uint8Array): boolean {
        const late = this.#late
        this.#late = late === undefined ? message.slice() : undefined
        if (late === undefined) return true
        super.send(message)
        return super.send(late)
      }
    },
    /2,000 small messages/,
  ],
  'refuses a message of its own limit': [
    class extends PlainMessages {
      override send(message: Uint8Array): boolean {
        if (message.length === this.maxMessageBytes) {
          throw new ProtocolError('ERR_FRAME_TOO_LARGE', 'off by one')
        }
        return super.send(message)
      }
    },
    /exactly maxMessageBytes/,
  ],
  'takes one byte more than its limit': [
    class extends PlainMessages {
      override readonly maxMessageBytes: number = 39_999
      override send(message: Uint8Array): boolean {
        return message.length === 40_000 ? true : super.send(message)
      }
    },
    /one byte more/,
  ],
  'closes when a message is too large to send': [
    class extends PlainMessages {
      override send(message: Uint8Array): boolean {
        if (message.length > this.maxMessageBytes) this.destroy()
        return super.send(message)
      }
    },
    /one byte more/,
  ],
  'reuses the memory of owned messages': [
    class extends PlainMessages {
      readonly #memory = new Uint8Array(40_000)
      override onMessage(message: Uint8Array): void {
        this.#memory.set(message)
        super.onMessage(this.#memory.subarray(0, message.length))
      }
    },
    /leaves owned messages/,
  ],
  'takes messages without saying that it still needs them': [
    class extends PlainMessages {
      #late: Uint8Array[] = []
      override send(message: Uint8Array): boolean {
        this.#late.push(message)
        queueMicrotask(() => {
          for (const late of this.#late.splice(0)) super.send(late)
        })
        return true
      }
    },
    /it may be overwritten/,
  ],
  'says true whatever waits': [
    class extends PlainMessages {
      override send(message: Uint8Array): boolean {
        super.send(message)
        return true
      }
    },
    /says false when a peer does not read/,
  ],
  'never drains': [
    class extends PlainMessages {
      override onDrain(): void {}
    },
    /goes on from within onDrain/,
  ],
  'drains inside send': [
    class extends PlainMessages {
      override send(message: Uint8Array): boolean {
        const writable = super.send(message)
        this.handler?.onDrain()
        return writable
      }
    },
    /does not call onDrain/,
  ],
  'pauses at the next chunk only': [
    class extends PlainMessages {
      override pause(): void {
        this.carrier.pause()
      }
    },
    /between two messages that arrived at once/,
  ],
  'ignores pause': [
    class extends PlainMessages {
      override pause(): void {}
    },
    /while paused from the start/,
  ],
  'ignores resume': [
    class extends PlainMessages {
      override resume(): void {}
    },
    /delivers nothing while paused/,
  ],
  'closes when one side ends': [
    class extends PlainMessages {
      override onEnd(): void {
        super.onEnd()
        this.carrier.end()
      }
    },
    /half-closes: the client ends/,
  ],
  'forgets to tell the end': [
    class extends PlainMessages {
      override onEnd(): void {}
    },
    /half-closes/,
  ],
  'tells the end twice': [
    class extends PlainMessages {
      override onEnd(): void {
        super.onEnd()
        super.onEnd()
      }
    },
    /both end at once/,
  ],
  'closes twice': [
    class extends PlainMessages {
      override onClose(reason: Error | undefined): void {
        super.onClose(reason)
        super.onClose(reason)
      }
    },
    /closes once and last/,
  ],
  'never closes': [
    class extends PlainMessages {
      override onClose(): void {}
    },
    /closes cleanly/,
  ],
  'loses the reason of destroy': [
    class extends PlainMessages {
      override destroy(): void {
        super.destroy(new Error('another'))
      }
    },
    /destroys with its reason/,
  ],
  'goes on after it was destroyed in the middle of a batch': [
    class extends PlainMessages {
      override destroy(reason?: Error): void {
        this.carrier.destroy(reason)
      }
    },
    /destroys inside onMessage/,
  ],
  'delivers a part of a message when its peer is gone': [
    class extends PlainMessages {
      override onClose(reason: Error | undefined): void {
        if (reason !== undefined) this.handler?.onMessage(new Uint8Array(5))
        super.onClose(reason)
      }
    },
    /never delivers a part/,
  ],
  'opens as often as asked': [
    class extends PlainMessages {
      override open(handler: MessageHandler): void {
        if (this.handler === undefined) super.open(handler)
      }
    },
    /opens once/,
  ],
  'gives every connection the same id': [
    class extends PlainMessages {
      override readonly id = 1
    },
    /never twice the same/,
  ],
}

for (const [what, [mutant, caught]] of Object.entries(MUTANTS)) {
  test(`messageConformance reports a connection that ${what}`, async () => {
    const failed = await failures(mutant, PlainTransport, caught)
    assert.ok(failed.length > 0, `no property matching ${caught} failed`)
  })
}

const TRANSPORT_MUTANTS: Readonly<Record<string, readonly [TransportClass, RegExp]>> = {
  'ignores an aborted signal': [
    class extends PlainTransport {
      override connect(to: Address): Promise<MessageConnection> {
        return super.connect(to)
      }
    },
    /signal that is aborted already/,
  ],
  'ignores the deadline': [
    class extends PlainTransport {
      override connect(to: Address, options?: ConnectOptions): Promise<MessageConnection> {
        return super.connect(to, { ...(options?.signal && { signal: options.signal }) })
      }
    },
    /does not connect after its deadline/,
  ],
  'leaves a timer behind': [
    class extends PlainTransport {
      override connect(to: Address, options?: ConnectOptions): Promise<MessageConnection> {
        this.clock.setTimer(options?.deadline ?? 0, () => {})
        return super.connect(to, options)
      }
    },
    /leaves no timer/,
  ],
  'has a listener that does not count': [
    changesListener(() => ({ connectionCount: 0 })),
    /counts accepted connections/,
  ],
  'has a listener that closes before its connections': [
    changesListener((listener) => ({
      async close() {
        void listener.close()
      },
    })),
    /waits for accepted connections/,
  ],
  'has a listener that ignores the signal of close': [
    changesListener((listener) => ({ close: () => listener.close() })),
    /destroys what is left/,
  ],
  'has a listener that does not pause': [
    changesListener(() => ({ pause() {} })),
    /accepts nothing while paused/,
  ],
}

for (const [what, [Outer, caught]] of Object.entries(TRANSPORT_MUTANTS)) {
  test(`messageConformance reports a transport that ${what}`, async () => {
    const failed = await failures(PlainMessages, Outer, caught)
    assert.ok(failed.length > 0, `no property matching ${caught} failed`)
  })
}

function changesListener(change: (listener: Listener) => Partial<Listener>): TransportClass {
  return class extends PlainTransport {
    override async listen(
      at: Address,
      options: ListenOptions<MessageConnection>,
    ): Promise<Listener> {
      const listener = await super.listen(at, options)
      const changed = change(listener)
      return new Proxy(listener, {
        get(target, key) {
          if (key in changed) return Reflect.get(changed, key)
          const value = Reflect.get(target, key)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    }
  }
}
