/**
 * The kit must be able to fail: each mutant breaks one promise of a socket that keeps them all, and
 * must be reported by the property that is about that promise.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as address } from '../core/address.ts'
import type {
  BindOptions,
  DatagramHandler,
  DatagramSocket,
  DatagramTransport,
} from '../core/datagram-socket.ts'
import { MemoryDatagramNetwork, memoryDatagrams } from '../transports/memory/memory-datagrams.ts'
import { datagramConformance, datagramProperties } from './datagram-conformance.ts'
import { CollectingHarness } from './harness.ts'
import { ManualClock } from './manual-clock.ts'

/** Passes everything on; a mutant overrides one thing. */
class Wrapped implements DatagramSocket, DatagramHandler {
  readonly inner: DatagramSocket
  readonly clock: ManualClock
  handler!: DatagramHandler

  constructor(inner: DatagramSocket, clock: ManualClock) {
    this.inner = inner
    this.clock = clock
  }

  get address(): Address {
    return this.inner.address
  }
  get remote(): Address | undefined {
    return this.inner.remote
  }
  get maxPayloadBytes(): number {
    return this.inner.maxPayloadBytes
  }
  get droppedCount(): number {
    return this.inner.droppedCount
  }
  open(handler: DatagramHandler): void {
    const before = this.handler
    this.handler = handler
    try {
      this.inner.open(this)
    } catch (error) {
      this.handler = before
      throw error
    }
  }
  send(payload: Uint8Array, to?: Address): boolean {
    return this.inner.send(payload, to)
  }
  pause(): void {
    this.inner.pause()
  }
  resume(): void {
    this.inner.resume()
  }
  close(): Promise<void> {
    return this.inner.close()
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
  onDatagram(payload: Uint8Array, from: Address): void {
    this.handler.onDatagram(payload, from)
  }
  onError(error: Error): void {
    this.handler.onError(error)
  }
  onClose(reason: Error | undefined): void {
    this.handler.onClose(reason)
  }
}

class WrappedTransport implements DatagramTransport {
  readonly name = 'memory'
  readonly inner: DatagramTransport
  readonly clock: ManualClock
  readonly Mutant: typeof Wrapped

  constructor(clock: ManualClock, network: MemoryDatagramNetwork, Mutant: typeof Wrapped) {
    this.clock = clock
    this.inner = memoryDatagrams({ clock, network, strict: true })
    this.Mutant = Mutant
  }
  async bind(at: Address, options?: BindOptions): Promise<DatagramSocket> {
    return new this.Mutant(await this.inner.bind(at, options), this.clock)
  }
  async connect(to: Address, options?: BindOptions): Promise<DatagramSocket> {
    return new this.Mutant(await this.inner.connect(to, options), this.clock)
  }
}

async function failures(
  Mutant: typeof Wrapped,
  Outer: typeof WrappedTransport = WrappedTransport,
  only?: RegExp,
): Promise<readonly string[]> {
  const harness = new CollectingHarness()
  datagramConformance(
    'mutant',
    {
      maxTurns: 60,
      quietTurns: 3,
      create() {
        const clock = new ManualClock()
        const network = new MemoryDatagramNetwork()
        return {
          transport: new Outer(clock, network, Mutant),
          address: address('0'),
          clock,
          turn: () => clock.settle(),
          leaks: {
            'deferred calls': () => clock.pendingDeferred,
            sockets: () => network.socketCount,
          },
        }
      },
    },
    harness,
  )
  return harness.failures(only)
}

test('the datagram kit finds nothing wrong with a wrapper that changes nothing', async () => {
  assert.deepEqual(await failures(Wrapped), [])
  assert.ok(datagramProperties.length >= 40, `${datagramProperties.length} properties`)
})

const MUTANTS: readonly (readonly [what: string, reported: RegExp, typeof Wrapped])[] = [
  [
    'sends the payload later, by reference',
    /has taken the payload when send returns/,
    class extends Wrapped {
      override send(payload: Uint8Array, to?: Address): boolean {
        if (payload.length > this.maxPayloadBytes) return super.send(payload, to)
        if (to === undefined || to.kind !== 'memory') return super.send(payload, to)
        this.clock.defer(() => void this.inner.send(payload, to))
        return true
      }
    },
  ],
  [
    'delivers within send',
    /sends to itself/,
    class extends Wrapped {
      override send(payload: Uint8Array, to?: Address): boolean {
        const isSelf = to?.kind === 'memory' && to.name === (this.address as { name: string }).name
        if (!isSelf) return super.send(payload, to)
        this.handler.onDatagram(payload, this.address)
        return true
      }
    },
  ],
  [
    'joins datagrams',
    /keeps the boundaries/,
    class extends Wrapped {
      #held: Uint8Array | undefined
      override onDatagram(payload: Uint8Array, from: Address): void {
        if (payload.length === 1_200 && this.#held === undefined) {
          this.#held = payload.slice()
          return
        }
        const held = this.#held ?? new Uint8Array(0)
        this.#held = undefined
        super.onDatagram(Uint8Array.of(...held, ...payload), from)
      }
    },
  ],
  [
    'loses empty datagrams',
    /delivers an empty datagram/,
    class extends Wrapped {
      override onDatagram(payload: Uint8Array, from: Address): void {
        if (payload.length > 0) super.onDatagram(payload, from)
      }
    },
  ],
  [
    'cuts a long datagram',
    /of maxPayloadBytes/,
    class extends Wrapped {
      override onDatagram(payload: Uint8Array, from: Address): void {
        super.onDatagram(payload.subarray(0, 40_000), from)
      }
    },
  ],
  [
    'drops what is too large instead of refusing it',
    /refuses a byte more than maxPayloadBytes/,
    class extends Wrapped {
      override send(payload: Uint8Array, to?: Address): boolean {
        return payload.length <= this.maxPayloadBytes && super.send(payload, to)
      }
    },
  ],
  [
    'does not say how large it was',
    /naming both numbers/,
    class extends Wrapped {
      override send(payload: Uint8Array, to?: Address): boolean {
        if (payload.length <= this.maxPayloadBytes) return super.send(payload, to)
        try {
          return super.send(payload, to)
        } catch (error) {
          ;(error as Error).message = 'too large'
          throw error
        }
      }
    },
  ],
  [
    'changes the address it gave',
    /tells many senders apart/,
    class extends Wrapped {
      readonly #from = { kind: 'memory', name: '' }
      override onDatagram(payload: Uint8Array, from: Address): void {
        this.#from.name = (from as { name: string }).name
        super.onDatagram(payload, this.#from as Address)
      }
    },
  ],
  [
    'changes the payload while the handler has it',
    /leaves a borrowed payload alone/,
    class extends Wrapped {
      #borrowed: Uint8Array | undefined
      override onDatagram(payload: Uint8Array, from: Address): void {
        this.#borrowed = payload
        super.onDatagram(payload, from)
        this.#borrowed = undefined
      }
      override send(payload: Uint8Array, to?: Address): boolean {
        if (payload !== this.#borrowed) this.#borrowed?.fill(0)
        return super.send(payload, to)
      }
    },
  ],
  [
    'delivers everything twice',
    /keeps the boundaries/,
    class extends Wrapped {
      override onDatagram(payload: Uint8Array, from: Address): void {
        super.onDatagram(payload, from)
        super.onDatagram(payload, from)
      }
    },
  ],
  [
    'sends to anybody from a connected socket',
    /takes its peer as the address to send to, and nobody else/,
    class extends Wrapped {
      override send(payload: Uint8Array, _to?: Address): boolean {
        return super.send(payload, this.remote === undefined ? _to : undefined)
      }
    },
  ],
  [
    'keeps silent about a peer that is not there',
    /hears that nobody is there/,
    class extends Wrapped {
      override onError(_error: Error): void {}
    },
  ],
  [
    'closes when a peer is not there',
    /hears that nobody is there/,
    class extends Wrapped {
      override onError(error: Error): void {
        super.onError(error)
        void this.inner.close()
      }
    },
  ],
  [
    'ignores pause',
    /delivers nothing while paused/,
    class extends Wrapped {
      override pause(): void {}
    },
  ],
  [
    'drops silently while paused',
    /nothing while paused, and loses nothing/,
    class extends Wrapped {
      #off = false
      override pause(): void {
        this.#off = true
      }
      override resume(): void {
        this.#off = false
      }
      override onDatagram(payload: Uint8Array, from: Address): void {
        if (!this.#off) super.onDatagram(payload, from)
      }
    },
  ],
  [
    'keeps everything while paused',
    /within bounds/,
    class extends Wrapped {
      #off = false
      readonly #kept: (readonly [Uint8Array, Address])[] = []
      override pause(): void {
        this.#off = true
      }
      override resume(): void {
        if (!this.#off) return
        this.#off = false
        this.clock.defer(() => {
          for (const [payload, from] of this.#kept.splice(0))
            this.handler?.onDatagram(payload, from)
        })
      }
      override onDatagram(payload: Uint8Array, from: Address): void {
        if (this.#off) this.#kept.push([payload.slice(), from])
        else super.onDatagram(payload, from)
      }
      override send(payload: Uint8Array, to?: Address): boolean {
        // 8 KiB at a time goes around the bounded socket.
        const peer =
          payload.length === 8_192 && to?.kind === 'memory' ? sockets.get(to.name) : undefined
        if (peer === undefined) return super.send(payload, to)
        peer.onDatagram(payload, this.address)
        return true
      }
      override open(handler: DatagramHandler): void {
        super.open(handler)
        sockets.set((this.address as { name: string }).name, this)
      }
    },
  ],
  [
    'never resumes',
    /resumes twice/,
    class extends Wrapped {
      override resume(): void {}
    },
  ],
  [
    'delivers within resume',
    /nothing while paused/,
    class extends Wrapped {
      #off = false
      #kept: (readonly [Uint8Array, Address])[] = []
      override pause(): void {
        this.#off = true
      }
      override resume(): void {
        this.#off = false
        const kept = this.#kept
        this.#kept = []
        for (const [payload, from] of kept) this.handler.onDatagram(payload, from)
      }
      override onDatagram(payload: Uint8Array, from: Address): void {
        if (this.#off) this.#kept.push([payload.slice(), from])
        else super.onDatagram(payload, from)
      }
    },
  ],
  [
    'does not count what it drops after the close',
    /counts each datagram for which send said false/,
    class extends Wrapped {
      #closing = false
      override close(): Promise<void> {
        this.#closing = true
        return super.close()
      }
      override send(payload: Uint8Array, to?: Address): boolean {
        return !this.#closing && super.send(payload, to)
      }
    },
  ],
  [
    'throws when it is closed',
    /throws nothing/,
    class extends Wrapped {
      #closing = false
      override close(): Promise<void> {
        this.#closing = true
        return super.close()
      }
      override send(payload: Uint8Array, to?: Address): boolean {
        if (this.#closing) throw new Error('closed')
        return super.send(payload, to)
      }
    },
  ],
  [
    'calls onClose twice',
    /closes twice as once/,
    class extends Wrapped {
      override onClose(reason: Error | undefined): void {
        super.onClose(reason)
        super.onClose(reason)
      }
    },
  ],
  [
    'never calls onClose',
    /calls onClose once/,
    class extends Wrapped {
      override onClose(_reason: Error | undefined): void {}
    },
  ],
  [
    'resolves close before onClose',
    /before close resolves/,
    class extends Wrapped {
      override close(): Promise<void> {
        void this.inner.close()
        return Promise.resolve()
      }
    },
  ],
  [
    'gives a reason for a close that was asked for',
    /without a reason/,
    class extends Wrapped {
      override onClose(_reason: Error | undefined): void {
        super.onClose(new Error('closed'))
      }
    },
  ],
  [
    'delivers after close was called',
    /after close was called from within onDatagram/,
    class extends Wrapped {
      override close(): Promise<void> {
        for (let turns = 0; turns < 5; turns++) this.clock.defer(() => {})
        return new Promise((resolve) => {
          this.clock.setTimer(this.clock.now(), () => void this.inner.close().then(resolve))
        })
      }
    },
  ],
  [
    'does nothing when it is disposed of',
    /closes when it is disposed of/,
    class extends Wrapped {
      override async [Symbol.asyncDispose](): Promise<void> {}
    },
  ],
  [
    'can be opened twice',
    /cannot be opened twice/,
    class extends Wrapped {
      #opened = false
      override open(handler: DatagramHandler): void {
        if (this.#opened) this.handler = handler
        else super.open(handler)
        this.#opened = true
      }
    },
  ],
]
const sockets = new Map<string, DatagramHandler>()

for (const [what, reported, Mutant] of MUTANTS) {
  test(`the datagram kit reports a socket that ${what}`, async () => {
    const found = await failures(Mutant, WrappedTransport, reported)
    assert.ok(found.length > 0, `not reported by ${reported}`)
  })
}

const BROKEN: readonly (readonly [what: string, reported: RegExp, typeof WrappedTransport])[] = [
  [
    'ignores an aborted signal',
    /signal that was aborted before/,
    class extends WrappedTransport {
      override bind(at: Address, options: BindOptions = {}): Promise<DatagramSocket> {
        const { deadline } = options
        return super.bind(at, deadline === undefined ? {} : { deadline })
      }
    },
  ],
  [
    'ignores its deadline',
    /past its deadline/,
    class extends WrappedTransport {
      override bind(at: Address, options: BindOptions = {}): Promise<DatagramSocket> {
        const { signal } = options
        return super.bind(at, signal === undefined ? {} : { signal })
      }
    },
  ],
  [
    'connects without a filter',
    /hears its peer only/,
    class extends WrappedTransport {
      override async connect(to: Address, options?: BindOptions): Promise<DatagramSocket> {
        const inner = await this.inner.bind(address('0'), options)
        class Open extends this.Mutant {
          override get remote(): Address {
            return to
          }
          override send(payload: Uint8Array, other: Address = to): boolean {
            return super.send(payload, other)
          }
        }
        return new Open(inner, this.clock)
      }
    },
  ],
  [
    'leaves a socket behind when it refuses',
    /signal that was aborted before/,
    class extends WrappedTransport {
      override async bind(at: Address, options: BindOptions = {}): Promise<DatagramSocket> {
        const socket = await super.bind(at, {})
        options.signal?.throwIfAborted()
        return socket
      }
    },
  ],
]

for (const [what, reported, Outer] of BROKEN) {
  test(`the datagram kit reports a transport that ${what}`, async () => {
    const found = await failures(Wrapped, Outer, reported)
    assert.ok(found.length > 0, `not reported by ${reported}`)
  })
}
