/**
 * The multiplexed kit on yamux; and mutants of it, each of which breaks one promise and must be
 * reported by the property that is about that promise.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as address } from '../../core/address.ts'
import type { Connection, ConnectionFacts } from '../../core/connection.ts'
import type {
  MultiplexedConnection,
  MultiplexedHandler,
  OpenStreamOptions,
} from '../../core/multiplexed-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MultiplexedTransport,
} from '../../core/transport.ts'
import { CollectingHarness } from '../../testing/harness.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import {
  type MultiplexedFixture,
  multiplexedConformance,
  multiplexedProperties,
} from '../../testing/multiplexed-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { yamux } from './yamux.ts'

function fixture(wrap: (inner: MultiplexedTransport) => MultiplexedTransport): MultiplexedFixture {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  return {
    transport: wrap(yamux(memory({ clock, network, strict: true }), { clock })),
    address: address('0'),
    clock,
    turn: () => clock.settle(),
    leaks: {
      timers: () => clock.pendingTimers,
      'deferred calls': () => clock.pendingDeferred,
      leases: () => network.leaseCount,
      listeners: () => network.listenerCount,
    },
  }
}

multiplexedConformance(
  'yamux',
  { unidirectional: false, maxTurns: 2_000, create: () => fixture((inner) => inner) },
  { test, ok: assert.ok, skip: test.skip },
)

test('multiplexedConformance has at least 25 properties with names of their own', () => {
  const names = new Set(multiplexedProperties.map((property) => property.name))
  assert.equal(names.size, multiplexedProperties.length)
  assert.ok(names.size >= 25, `${names.size} properties`)
})

/** Passes everything on; a mutant overrides one thing. */
class Wrapped implements MultiplexedConnection, MultiplexedHandler {
  readonly inner: MultiplexedConnection
  handler: MultiplexedHandler | undefined

  constructor(inner: MultiplexedConnection) {
    this.inner = inner
  }
  get id(): number {
    return this.inner.id
  }
  get facts(): ConnectionFacts {
    return this.inner.facts
  }
  get openableStreams(): number {
    return this.inner.openableStreams
  }
  get streamCount(): number {
    return this.inner.streamCount
  }
  open(handler: MultiplexedHandler): void {
    this.inner.open(this)
    this.handler = handler
  }
  openStream(options?: OpenStreamOptions): Connection | undefined {
    return this.inner.openStream(options)
  }
  close(options?: { signal?: AbortSignal }): Promise<void> {
    return this.inner.close(options)
  }
  destroy(reason?: Error): void {
    this.inner.destroy(reason)
  }
  onStream(stream: Connection): void {
    this.handler?.onStream(stream)
  }
  onStreamsAvailable(): void {
    this.handler?.onStreamsAvailable()
  }
  onClose(reason: Error | undefined): void {
    this.handler?.onClose(reason)
  }
}

class WrappedTransport implements MultiplexedTransport {
  readonly name: string
  readonly inner: MultiplexedTransport
  readonly Mutant: typeof Wrapped

  constructor(inner: MultiplexedTransport, Mutant: typeof Wrapped) {
    this.name = inner.name
    this.inner = inner
    this.Mutant = Mutant
  }
  get traits(): MultiplexedTransport['traits'] {
    return this.inner.traits
  }
  async connect(to: Address, options?: ConnectOptions): Promise<MultiplexedConnection> {
    return new this.Mutant(await this.inner.connect(to, options))
  }
  listen(at: Address, options: ListenOptions<MultiplexedConnection>): Promise<Listener> {
    const onConnection = (one: MultiplexedConnection): void =>
      options.onConnection(new this.Mutant(one))
    return this.inner.listen(at, { ...options, onConnection })
  }
}

function failures(Mutant: typeof Wrapped, only?: RegExp): Promise<readonly string[]> {
  const harness = new CollectingHarness()
  const create = (): MultiplexedFixture => fixture((inner) => new WrappedTransport(inner, Mutant))
  multiplexedConformance('mutant', { unidirectional: false, maxTurns: 60, create }, harness)
  return harness.failures(only)
}

/** A stream with some of its members replaced. */
function changed(stream: Connection, change: Partial<Connection>): Connection {
  return new Proxy(stream, {
    get(target, key) {
      if (key in change) return Reflect.get(change, key)
      const value = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const MUTANTS: Readonly<Record<string, readonly [mutant: typeof Wrapped, caught: RegExp]>> = {
  'gives both ends of a stream the same role': [
    class extends Wrapped {
      override onStream(stream: Connection): void {
        const facts = { ...stream.facts, role: 'initiating' } as ConnectionFacts
        super.onStream(changed(stream, { facts }))
      }
    },
    /opens a stream at once/,
  ],
  'hands a stream on twice': [
    class extends Wrapped {
      override onStream(stream: Connection): void {
        super.onStream(stream)
        super.onStream(changed(stream, { open() {} }))
      }
    },
    /100 streams one after the other/,
  ],
  'never hands streams of the peer on': [
    class extends Wrapped {
      override onStream(stream: Connection): void {
        stream.destroy()
      }
    },
    /opens streams from both sides/,
  ],
  'mixes up two streams': [
    class extends Wrapped {
      #first: Connection | undefined
      override openStream(options?: OpenStreamOptions): Connection | undefined {
        const stream = super.openStream(options)
        const other = this.#first
        this.#first ??= stream
        if (stream === undefined || other === undefined) return stream
        return changed(stream, { write: (chunk) => other.write(chunk) })
      }
    },
    /20 streams apart/,
  ],
  'pauses all streams with one': [
    class extends Wrapped {
      readonly #all: Connection[] = []
      override onStream(stream: Connection): void {
        this.#all.push(stream)
        const pause = (): void => {
          for (const one of this.#all) one.pause()
          this.#paused = true
        }
        super.onStream(changed(stream, { pause }))
        if (this.#paused) stream.pause()
      }
      #paused = false
    },
    /while one is not read/,
  ],
  'closes with its first stream': [
    class extends Wrapped {
      override openStream(options?: OpenStreamOptions): Connection | undefined {
        const stream = super.openStream(options)
        if (stream === undefined) return undefined
        return changed(stream, { destroy: (reason) => this.inner.destroy(reason) })
      }
    },
    /destroys one stream/,
  ],
  'does not count streams': [
    class extends Wrapped {
      override get streamCount(): number {
        return 0
      }
    },
    /counts streams in and out/,
  ],
  'never says that streams are available': [
    class extends Wrapped {
      override onStreamsAvailable(): void {}
    },
    /until there are no more/,
  ],
  'takes any urgency': [
    class extends Wrapped {
      override openStream(): Connection | undefined {
        return super.openStream()
      }
    },
    /an urgency of 0 to 7/,
  ],
  'gives a bidirectional stream for a unidirectional one': [
    class extends Wrapped {
      override openStream(options?: OpenStreamOptions): Connection | undefined {
        return super.openStream({ ...options, direction: 'bidirectional' })
      }
    },
    /refuses a unidirectional stream/,
  ],
  'does not wait for its streams when it closes': [
    class extends Wrapped {
      override close(): Promise<void> {
        this.inner.destroy()
        return Promise.resolve()
      }
    },
    /when the last stream has ended/,
  ],
  'ignores the signal of close': [
    class extends Wrapped {
      override close(): Promise<void> {
        return super.close()
      }
    },
    /destroys what is left/,
  ],
  'tells its close before those of its streams': [
    class extends Wrapped {
      override destroy(reason?: Error): void {
        this.handler?.onClose(reason)
        this.handler = undefined
        super.destroy(reason)
      }
    },
    /every stream hears a close before/,
  ],
  'tells its close twice': [
    class extends Wrapped {
      override onClose(reason: Error | undefined): void {
        super.onClose(reason)
        super.onClose(reason)
      }
    },
    /closes at once without streams/,
  ],
  'loses the reason of destroy': [
    class extends Wrapped {
      override onClose(): void {
        super.onClose(undefined)
      }
    },
    /destroys with its reason/,
  ],
  'opens as often as asked': [
    class extends Wrapped {
      override open(handler: MultiplexedHandler): void {
        if (this.handler === undefined) super.open(handler)
      }
    },
    /opens once/,
  ],
  'says that a cut stream closed cleanly': [
    class extends Wrapped {
      override onStream(stream: Connection): void {
        const open: Connection['open'] = (handler) =>
          stream.open({
            onData: (chunk) => handler.onData(chunk),
            onDrain: () => handler.onDrain(),
            onEnd: () => handler.onEnd(),
            onClose: () => handler.onClose(undefined),
          })
        super.onStream(changed(stream, { open }))
      }
    },
    /bytes that nobody read/,
  ],
}

for (const [what, [mutant, caught]] of Object.entries(MUTANTS)) {
  test(`multiplexedConformance reports a connection that ${what}`, async () => {
    const failed = await failures(mutant, caught)
    assert.ok(failed.length > 0, `no property matching ${caught} failed`)
  })
}

test('multiplexedConformance passes a wrapper that changes nothing', async () => {
  assert.deepEqual(await failures(Wrapped), [])
})
