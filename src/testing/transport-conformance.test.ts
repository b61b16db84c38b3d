/**
 * The kit must be able to fail: each mutant breaks one promise of a transport that keeps them all,
 * and must be reported by the property that is about that promise.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as address } from '../core/address.ts'
import type { ChunkLease, Connection, ConnectionHandler } from '../core/connection.ts'
import type { ConnectOptions, Listener, ListenOptions } from '../core/transport.ts'
import { MemoryNetwork } from '../transports/memory/memory-network.ts'
import { memory } from '../transports/memory/memory-transport.ts'
import { CollectingHarness } from './harness.ts'
import { ManualClock } from './manual-clock.ts'
import { transportConformance, transportProperties } from './transport-conformance.ts'
import { Wrapped, WrappedTransport } from './wrapped-transport.ts'

type TransportClass = typeof WrappedTransport

async function failures(
  Mutant: typeof Wrapped,
  Outer: TransportClass = WrappedTransport,
  only?: RegExp,
): Promise<readonly string[]> {
  const harness = new CollectingHarness()
  transportConformance(
    'mutant',
    {
      traits: { halfClose: true, secure: false, messageBoundaries: false },
      bulkBytes: 200_000,
      maxTurns: 100,
      create() {
        const clock = new ManualClock()
        const transport = new Outer(clock, memory({ clock, network: new MemoryNetwork() }), Mutant)
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

test('transportConformance passes a wrapper that changes nothing', async () => {
  assert.deepEqual(await failures(Wrapped), [])
})

test('transportConformance has at least 150 properties with names of their own', () => {
  const names = new Set(transportProperties.map((property) => property.name))
  assert.equal(names.size, transportProperties.length)
  assert.ok(names.size >= 150, `${names.size} properties`)
})

test('transportConformance skips by the declared traits and by exceptions, and says why', async () => {
  const harness = new CollectingHarness()
  transportConformance(
    'odd',
    {
      traits: { halfClose: false, secure: false, messageBoundaries: false },
      create: () => assert.fail('not run'),
      except: { 'opens once': 'for a test' },
    },
    harness,
  )
  const results = await harness.run(/^$/)
  const skipped = results.map((result) => result.name)
  assert.equal(skipped.filter((name) => name.includes('(needs halfClose)')).length, 7)
  assert.ok(skipped.includes('odd transport: opens once (for a test)'))
})

const MUTANTS: Readonly<Record<string, readonly [mutant: typeof Wrapped, caught: RegExp]>> = {
  'loses the last byte of a large write': [
    class extends Wrapped {
      override write(chunk: Uint8Array): boolean {
        return super.write(chunk.length > 60_000 ? chunk.subarray(0, -1) : chunk)
      }
    },
    /bulk write whole/,
  ],
  'swaps regions of one call': [
    class extends Wrapped {
      override writeAll(chunks: readonly Uint8Array[]): boolean {
        return super.writeAll(chunks.toReversed())
      }
    },
    /several regions as one stream/,
  ],
  'says true whatever waits': [
    class extends Wrapped {
      override write(chunk: Uint8Array): boolean {
        super.write(chunk)
        return true
      }
    },
    /says false when a peer does not read/,
  ],
  'never drains': [
    class extends Wrapped {
      override onDrain(): void {}
    },
    /goes on from within onDrain/,
  ],
  'drains though nothing waited': [
    class extends Wrapped {
      override write(chunk: Uint8Array): boolean {
        const writable = super.write(chunk)
        this.handler?.onDrain()
        return writable
      }
    },
    /does not call onDrain/,
  ],
  'takes regions without saying that it still needs them': [
    class extends Wrapped {
      #late: Uint8Array[] = []
      override write(chunk: Uint8Array): boolean {
        this.#late.push(chunk)
        queueMicrotask(() => {
          for (const late of this.#late.splice(0)) super.write(late)
        })
        return true
      }
    },
    /it may be overwritten/,
  ],
  'ignores pause': [
    class extends Wrapped {
      override pause(): void {}
    },
    /while paused from the start/,
  ],
  'ignores resume': [
    class extends Wrapped {
      override resume(): void {}
    },
    /delivers nothing while paused/,
  ],
  'delivers an empty chunk': [
    class extends Wrapped {
      override onData(chunk: Uint8Array): void {
        super.onData(chunk)
        super.onData(new Uint8Array(0))
      }
    },
    /a byte each way/,
  ],
  'closes when one side ends': [
    class extends Wrapped {
      override onEnd(): void {
        super.onEnd()
        this.inner.end()
      }
    },
    /half-closes: the client ends/,
  ],
  'forgets to tell the end': [
    class extends Wrapped {
      override onEnd(): void {}
    },
    /half-closes/,
  ],
  'tells the end twice': [
    class extends Wrapped {
      override onEnd(): void {
        super.onEnd()
        super.onEnd()
      }
    },
    /half-closes with nothing/,
  ],
  'closes twice': [
    class extends Wrapped {
      override onClose(reason: Error | undefined): void {
        super.onClose(reason)
        super.onClose(reason)
      }
    },
    /closes once and last/,
  ],
  'never closes': [
    class extends Wrapped {
      override onClose(): void {}
    },
    /closes cleanly/,
  ],
  'drains after the close': [
    class extends Wrapped {
      override onClose(reason: Error | undefined): void {
        super.onClose(reason)
        super.onDrain()
      }
    },
    /closes once and last/,
  ],
  'loses the reason of destroy': [
    class extends Wrapped {
      override destroy(): void {
        super.destroy(new Error('another'))
      }
    },
    /destroys with its reason/,
  ],
  'ends instead of destroying': [
    class extends Wrapped {
      override destroy(): void {
        super.end()
      }
    },
    /destroys inside onData/,
  ],
  'loses unread bytes at detach': [
    class extends Wrapped {
      override detach(): void {
        super.detach()
      }
    },
    /unread bytes to the next handler/,
  ],
  'keeps a view of unread bytes': [
    class extends Wrapped {
      #unread: Uint8Array | undefined
      override detach(unread?: Uint8Array): void {
        this.#unread = unread
        super.detach()
      }
      override open(handler: ConnectionHandler): void {
        super.open(handler)
        const unread = this.#unread
        this.#unread = undefined
        if (unread !== undefined && unread.length > 0) handler.onData(unread)
      }
    },
    /copies unread bytes/,
  ],
  'grants leases at any time': [
    class extends Wrapped {
      override leaseChunk(): ChunkLease {
        return { release() {} }
      }
    },
    /leases only inside onData/,
  ],
  'opens as often as asked': [
    class extends Wrapped {
      #opened = false
      override open(handler: ConnectionHandler): void {
        if (this.#opened) this.handler = handler
        else super.open(handler)
        this.#opened = true
      }
    },
    /opens once/,
  ],
  'gives every connection the same id': [
    class extends Wrapped {
      override get id(): number {
        return 1
      }
    },
    /never twice the same/,
  ],
  'leaves a view of a chunk in memory that is reused': [
    class extends Wrapped {
      override onData(chunk: Uint8Array): void {
        super.onData(chunk)
        chunk.fill(0)
      }
    },
    /keeps a leased chunk while others arrive/,
  ],
}

for (const [what, [mutant, caught]] of Object.entries(MUTANTS)) {
  test(`transportConformance reports a connection that ${what}`, async () => {
    const failed = await failures(mutant, WrappedTransport, caught)
    assert.ok(failed.length > 0, `no property matching ${caught} failed`)
  })
}

const TRANSPORT_MUTANTS: Readonly<Record<string, readonly [TransportClass, RegExp]>> = {
  'ignores an aborted signal': [
    class extends WrappedTransport {
      override connect(to: Address): Promise<Connection> {
        return super.connect(to)
      }
    },
    /signal that is aborted already/,
  ],
  'rejects an abort with an error of its own': [
    class extends WrappedTransport {
      override async connect(to: Address, options?: ConnectOptions): Promise<Connection> {
        try {
          return await super.connect(to, options)
        } catch (cause) {
          throw new Error('connecting failed', { cause })
        }
      }
    },
    /gives up connecting/,
  ],
  'ignores the deadline': [
    class extends WrappedTransport {
      override connect(to: Address, options?: ConnectOptions): Promise<Connection> {
        return super.connect(to, { ...(options?.signal && { signal: options.signal }) })
      }
    },
    /does not connect after its deadline/,
  ],
  'leaves a timer behind': [
    class extends WrappedTransport {
      override connect(to: Address, options?: ConnectOptions): Promise<Connection> {
        this.clock.setTimer(options?.deadline ?? 0, () => {})
        return super.connect(to, options)
      }
    },
    /leaves no timer/,
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
  'has a listener that does not count': [
    changesListener(() => ({ connectionCount: 0 })),
    /counts accepted connections/,
  ],
  'has a listener that does not pause': [
    changesListener(() => ({ pause() {} })),
    /accepts nothing while paused/,
  ],
  'has a listener that goes on accepting': [
    changesListener(() => ({ close: () => Promise.resolve() })),
    /accepts nothing after close/,
  ],
}

for (const [what, [Outer, caught]] of Object.entries(TRANSPORT_MUTANTS)) {
  test(`transportConformance reports a transport that ${what}`, async () => {
    const failed = await failures(Wrapped, Outer, caught)
    assert.ok(failed.length > 0, `no property matching ${caught} failed`)
  })
}

function changesListener(change: (listener: Listener) => Partial<Listener>): TransportClass {
  return class extends WrappedTransport {
    override async listen(at: Address, options: ListenOptions): Promise<Listener> {
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
