/**
 * The second half of the transport kit's own test: mutants of the properties about facts, giving up,
 * shapes of writes, reentrancy, repetition, leases, detaches and listeners.
 *
 * Every one of these properties is named by a mutant here, and each named one must report it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, memory as address } from '../core/address.ts'
import type { Clock } from '../core/clock.ts'
import type { ChunkLease, Connection, ConnectionFacts } from '../core/connection.ts'
import type { ConnectOptions, Listener, ListenOptions, Transport } from '../core/transport.ts'
import { MemoryNetwork } from '../transports/memory/memory-network.ts'
import { memory } from '../transports/memory/memory-transport.ts'
import { CollectingHarness } from './harness.ts'
import { ManualClock } from './manual-clock.ts'
import { transportConformance } from './transport-conformance.ts'
import { Wrapped, WrappedTransport } from './wrapped-transport.ts'

type Mutation = readonly [mutant: typeof Wrapped, reported: readonly string[]]

const CONNECTION_MUTANTS: Readonly<Record<string, Mutation>> = {
  'says another remote address': [
    class extends Wrapped {
      override get facts(): ConnectionFacts {
        return { ...super.facts, remote: address('elsewhere'), roundTripMs: () => undefined }
      }
    },
    ['shows each side the address of the other', 'is connected where it was told to connect'],
  ],
  'forgets its addresses when it is over': [
    class extends Wrapped {
      #over = false
      override onEnd(): void {
        this.#over = true
        super.onEnd()
      }
      override onClose(reason: Error | undefined): void {
        this.#over = true
        super.onClose(reason)
      }
      override get facts(): ConnectionFacts {
        const { facts } = this.inner
        return this.#over ? { ...facts, remote: address('gone'), roundTripMs: () => 0 } : facts
      }
    },
    ['keeps its facts when the connection is closed', 'keeps its facts when its peer destroys it'],
  ],
  'has another id whenever it is asked': [
    class extends Wrapped {
      #asked = 0
      override get id(): number {
        this.#asked += 1
        return this.#asked > 1 ? super.id + 1_000_000 : super.id
      }
    },
    ['keeps its id over data, detach and close'],
  ],
  'gives ids again': [
    class extends Wrapped {
      override get id(): number {
        return (super.id % 3) + 1
      }
    },
    ['never gives the id of a closed connection to another'],
  ],
  'knows an MTU of 0': [
    class extends Wrapped {
      override get facts(): ConnectionFacts {
        return { ...super.facts, mtu: 0, roundTripMs: () => Number.NaN }
      }
    },
    ['knows no size and no time that is not a positive number'],
  ],
  'loses single bytes once it has been used': [
    class extends Wrapped {
      #count = 0
      override write(chunk: Uint8Array): boolean {
        this.#count += chunk.length === 1 ? 1 : 0
        return this.#count > 40 && chunk.length === 1 ? true : super.write(chunk)
      }
    },
    ['carries 100 single bytes, a turn apart', 'carries single bytes one way and bulk the other'],
  ],
  'loses all but 1,024 regions, and the last large one': [
    class extends Wrapped {
      override writeAll(chunks: readonly Uint8Array[]): boolean {
        const large = chunks.length > 2 && (chunks[0]?.length ?? 0) > 10_000
        return super.writeAll(large ? chunks.slice(0, -1) : chunks.slice(0, 1_024))
      }
    },
    [
      'carries 2,500 regions in one call: more than a system call takes',
      'carries bulk in one call of several large regions',
    ],
  ],
  'stops at an empty region': [
    class extends Wrapped {
      override writeAll(chunks: readonly Uint8Array[]): boolean {
        const empty = chunks.findIndex((chunk) => chunk.length === 0)
        return super.writeAll(empty < 0 ? chunks : chunks.slice(0, empty))
      }
    },
    ['takes a call without regions, or with empty ones only, for nothing'],
  ],
  'takes a region once in a call': [
    class extends Wrapped {
      override writeAll(chunks: readonly Uint8Array[]): boolean {
        return super.writeAll([...new Set(chunks)])
      }
    },
    ['writes one region several times in one call'],
  ],
  'writes the whole memory of a view': [
    class extends Wrapped {
      override write(chunk: Uint8Array): boolean {
        return super.write(chunk.length > 0 ? new Uint8Array(chunk.buffer) : chunk)
      }
    },
    ['writes of a view what it shows, and no byte around it'],
  ],
  'masks in place what it has written': [
    class extends Wrapped {
      override write(chunk: Uint8Array): boolean {
        const writable = super.write(chunk.slice())
        for (let at = 0; at < chunk.length; at++) chunk[at] = (chunk[at] as number) ^ 0x55
        return writable
      }
    },
    ['carries every value of a byte, both ways', 'changes no byte of a region that it is given'],
  ],
  'lets writeAll overtake write': [
    class extends Wrapped {
      #late: Uint8Array[] = []
      override write(chunk: Uint8Array): boolean {
        if (this.inner.writableLength === 0) return super.write(chunk)
        if (this.#late.length === 0) queueMicrotask(() => this.#flush())
        this.#late.push(chunk)
        return false
      }
      #flush(): void {
        for (const late of this.#late.splice(0)) super.write(late)
      }
    },
    [
      'keeps the order of write and writeAll while bytes wait',
      'ends inside onDrain, behind everything that waited',
      'counts what is written while nothing moves, and headers at most beside it',
    ],
  ],
  'answers no write inside a callback': [
    class extends Wrapped {
      #inside = 0
      override write(chunk: Uint8Array): boolean {
        return this.#inside > 0 ? true : super.write(chunk)
      }
      override writeAll(chunks: readonly Uint8Array[]): boolean {
        return this.#inside > 0 ? true : super.writeAll(chunks)
      }
      override onData(chunk: Uint8Array): void {
        this.#inside += 1
        super.onData(chunk)
        this.#inside -= 1
      }
      override onEnd(): void {
        this.#inside += 1
        super.onEnd()
        this.#inside -= 1
      }
    },
    [
      'sends bulk back from within onData, held up by its own backpressure',
      'serves a request that comes with the end of its stream',
      'writes several regions inside onData, in order with those of before',
      'ends both directions inside one onData',
    ],
  ],
  'ignores end, pause and detach inside a callback': [
    class extends Wrapped {
      #inside = 0
      #run(call: () => void): void {
        this.#inside += 1
        call()
        this.#inside -= 1
      }
      override end(): void {
        if (this.#inside === 0) super.end()
      }
      override pause(): void {
        if (this.#inside === 0) super.pause()
      }
      override detach(unread?: Uint8Array): void {
        if (this.#inside === 0) super.detach(unread)
      }
      override onData(chunk: Uint8Array): void {
        this.#run(() => super.onData(chunk))
      }
      override onDrain(): void {
        this.#run(() => super.onDrain())
      }
      override onEnd(): void {
        this.#run(() => super.onEnd())
      }
    },
    [
      'opens, writes and ends within onConnection',
      'pauses inside onDrain: nothing is heard until resume',
      'detaches inside onDrain: the next handler hears what follows',
      'pauses and resumes inside onEnd, and closes as ever',
      'closes while paused inside onEnd, once both have ended',
    ],
  ],
  'tells the next handler the end again': [
    class extends Wrapped {
      #ended = false
      override onEnd(): void {
        this.#ended = true
        super.onEnd()
      }
      override open(...given: Parameters<Connection['open']>): void {
        super.open(...given)
        if (this.#ended) this.handler.onEnd()
      }
    },
    ['detaches inside onEnd: the next handler hears the close, not the end again'],
  ],
  'throws at what comes after the close': [
    class extends Wrapped {
      #closed = false
      override onClose(reason: Error | undefined): void {
        this.#closed = true
        super.onClose(reason)
      }
      #check(): void {
        if (this.#closed) throw new Error('too late')
      }
      override write(chunk: Uint8Array): boolean {
        this.#check()
        return super.write(chunk)
      }
      override resume(): void {
        this.#check()
        super.resume()
      }
      override unref(): void {
        this.#check()
        super.unref()
      }
    },
    ['takes every call inside onClose after destroy for nothing'],
  ],
  'takes the last reason of destroy, and one of end': [
    class extends Wrapped {
      #reason: Error | undefined
      override destroy(reason?: Error): void {
        this.#reason = reason ?? new Error('none')
        super.destroy(reason)
      }
      override end(): void {
        this.#reason = new Error('ended')
        super.end()
      }
      override onClose(reason: Error | undefined): void {
        super.onClose(reason === undefined ? undefined : (this.#reason ?? reason))
      }
    },
    ['ends after destroy without losing the reason'],
  ],
  'destroys nothing once it has ended': [
    class extends Wrapped {
      #ended = false
      override end(): void {
        this.#ended = true
        super.end()
      }
      override destroy(reason?: Error): void {
        if (!this.#ended) super.destroy(reason)
      }
    },
    ['destroys after end with bytes waiting: it closes now, with its reason'],
  ],
  'ends twice when it is told twice': [
    class extends Wrapped {
      #ends = 0
      override end(): void {
        this.#ends += 1
        if (this.#ends === 2) super.destroy()
        else super.end()
      }
    },
    ['can be told at any time whether to keep the process alive'],
  ],
  'says true after the end, and counts it': [
    class extends Wrapped {
      #ended = false
      #extra = 0
      override end(): void {
        this.#ended = true
        super.end()
      }
      override write(chunk: Uint8Array): boolean {
        if (this.#ended) this.#extra += chunk.length
        return super.write(chunk) || this.#ended
      }
      override get writableLength(): number {
        return super.writableLength + this.#extra
      }
    },
    [
      'ends twice while bytes wait: one end, behind them',
      'takes every call inside onClose for nothing',
      'has nothing waiting after the close, however it came',
      'says false to what is written after end, and queues nothing of it',
    ],
  ],
  'counts resumes': [
    class extends Wrapped {
      #pauses = 0
      override pause(): void {
        this.#pauses += 1
        super.pause()
      }
      override resume(): void {
        this.#pauses -= 1
        if (this.#pauses === 0) super.resume()
        else super.pause()
      }
    },
    ['resumes without a pause as if nothing was'],
  ],
  'pauses once only': [
    class extends Wrapped {
      #paused = false
      override pause(): void {
        if (!this.#paused) super.pause()
        this.#paused = true
      }
    },
    ['pauses, resumes and pauses within one turn: it is paused'],
  ],
  'opens again after its close': [
    class extends Wrapped {
      #closed = false
      override onClose(reason: Error | undefined): void {
        this.#closed = true
        super.onClose(reason)
      }
      override open(...given: Parameters<Connection['open']>): void {
        if (!this.#closed) super.open(...given)
      }
    },
    ['cannot be opened again when its close was heard: ERR_STATE'],
  ],
  'gives a second handler what was for the first': [
    class extends Wrapped {
      override open(...given: Parameters<Connection['open']>): void {
        if (this.handler === undefined) super.open(...given)
        else this.handler = given[0]
      }
    },
    ['cannot be opened by another handler while it has one, and goes on with that one'],
  ],
  'closes before it tells the end': [
    class extends Wrapped {
      #held = false
      override onEnd(): void {
        this.#held = true
      }
      override onClose(reason: Error | undefined): void {
        super.onClose(reason)
        if (this.#held) super.onEnd()
      }
    },
    ['connects anew from within onClose', 'tells both ends data, then the end, then the close'],
  ],
  'leases once a chunk': [
    class extends Wrapped {
      #lease: ChunkLease | undefined
      override onData(chunk: Uint8Array): void {
        this.#lease = undefined
        super.onData(chunk)
      }
      override leaseChunk(): ChunkLease {
        this.#lease ??= super.leaseChunk()
        return this.#lease
      }
    },
    ['leases one chunk twice: it stays until both came back'],
  ],
  'leaves every chunk to be overwritten': [
    class extends Wrapped {
      override onData(chunk: Uint8Array): void {
        const copy = chunk.slice()
        super.onData(copy)
        copy.fill(0)
      }
    },
    ['keeps a leased chunk over detach, and lends to the next handler'],
  ],
  'throws at a lease that comes back late': [
    class extends Wrapped {
      override leaseChunk(): ChunkLease {
        const lease = super.leaseChunk()
        let released = false
        return {
          release() {
            if (released) throw new Error('released twice')
            released = true
            lease.release()
          },
        }
      }
    },
    ['releases leases long after the close, and twice'],
  ],
  'leases at any time': [
    class extends Wrapped {
      override leaseChunk(): ChunkLease {
        return { release() {} }
      }
    },
    ['refuses a lease between chunks, inside onEnd, inside onClose and after it'],
  ],
  'stops reading while a lease is held': [
    class extends Wrapped {
      override leaseChunk(): ChunkLease {
        const lease = super.leaseChunk()
        super.pause()
        return lease
      }
    },
    ['releases a lease inside a later onData'],
  ],
  'counts less and less, then more': [
    class extends Wrapped {
      #asked = 0
      override get writableLength(): number {
        this.#asked += 1
        const { writableLength } = this.inner
        return writableLength > 0 ? writableLength + this.#asked : 0
      }
    },
    ['counts what waits: less and less without a write, never more unsent than waiting, then 0'],
  ],
  'says true above the mark now and then': [
    class extends Wrapped {
      #count = 0
      override write(chunk: Uint8Array): boolean {
        this.#count += 1
        return super.write(chunk) || (chunk.length === 1 && this.#count % 2 === 0)
      }
    },
    ['goes on saying false above the mark, and drains once for all of it'],
  ],
  'drains once in its life': [
    class extends Wrapped {
      #drained = false
      override onDrain(): void {
        if (!this.#drained) super.onDrain()
        this.#drained = true
      }
    },
    ['fills and drains again'],
  ],
  'reads nothing while its own bytes wait': [
    class extends Wrapped {
      override write(chunk: Uint8Array): boolean {
        const writable = super.write(chunk)
        if (!writable) super.pause()
        return writable
      }
      override onDrain(): void {
        super.resume()
        super.onDrain()
      }
    },
    ['writes to a peer that does not read, while it reads what that one writes'],
  ],
  'keeps the drain for whoever wrote': [
    class extends Wrapped {
      #detached = false
      override detach(unread?: Uint8Array): void {
        this.#detached = true
        super.detach(unread)
      }
      override onDrain(): void {
        if (!this.#detached) super.onDrain()
      }
    },
    ['detaches while its own bytes wait: the next handler hears the drain'],
  ],
  'puts back 100 bytes at most': [
    class extends Wrapped {
      override detach(unread?: Uint8Array): void {
        super.detach(unread?.subarray(0, 100))
      }
    },
    ['puts back more than any chunk holds'],
  ],
  'puts back what was unread last': [
    class extends Wrapped {
      #unread: Uint8Array | undefined
      override detach(unread?: Uint8Array): void {
        super.detach()
        this.#unread = unread?.slice()
      }
      override onData(chunk: Uint8Array): void {
        const unread = this.#unread
        this.#unread = undefined
        super.onData(chunk)
        if (unread !== undefined && unread.length > 0) super.onData(unread)
      }
    },
    [
      'pauses inside the onData of what was put back: what follows waits',
      'delivers what was put back, what came meanwhile, the end and the close in this order',
      'destroys inside the onData of what was put back: nothing follows but the close',
    ],
  ],
  'detaches nobody without a word': [
    class extends Wrapped {
      #attached = false
      override open(...given: Parameters<Connection['open']>): void {
        super.open(...given)
        this.#attached = true
      }
      override detach(unread?: Uint8Array): void {
        if (this.#attached) super.detach(unread)
        this.#attached = false
      }
    },
    [
      'keeps the order over ten handlers, each of which puts back what it does not use',
      'cannot be detached twice: ERR_NOT_OPEN, and nothing is lost',
    ],
  ],
  'opens for another handler only': [
    class extends Wrapped {
      #before: unknown
      override open(...given: Parameters<Connection['open']>): void {
        if (this.#before === given[0]) throw new Error('the same again')
        this.#before = given[0]
        super.open(...given)
      }
    },
    ['is opened again by the handler that detached'],
  ],
  'ends instead of destroying': [
    class extends Wrapped {
      override destroy(): void {
        super.end()
      }
    },
    ['destroys another connection inside onData, which hears its close and no more'],
  ],
  'tells no close that has a reason': [
    class extends Wrapped {
      override onClose(reason: Error | undefined): void {
        if (reason === undefined) super.onClose(reason)
      }
    },
    ['hears that its peer was destroyed while its own bytes wait'],
  ],
}

type TransportMutation = readonly [mutant: typeof WrappedTransport, reported: readonly string[]]
const TRANSPORT_MUTANTS: Readonly<Record<string, TransportMutation>> = {
  'never gives up': [
    class extends WrappedTransport {
      override connect(to: Address, { deadline }: ConnectOptions = {}): Promise<Connection> {
        return super.connect(to, deadline === undefined ? {} : { deadline })
      }
    },
    ['gives up ten attempts that share a signal'],
  ],
  'gives up everything with one': [
    class extends WrappedTransport {
      readonly #signals = new Set<AbortSignal>()
      override connect(to: Address, options: ConnectOptions = {}): Promise<Connection> {
        if (options.signal) this.#signals.add(options.signal)
        const signals = [...this.#signals]
        return super.connect(
          to,
          signals.length > 0 ? { ...options, signal: AbortSignal.any(signals) } : options,
        )
      }
    },
    [
      'rejects with the reason of the signal, whatever that is',
      'connects as ever after an attempt that was given up',
      'gives up at any turn of connecting, or has connected',
    ],
  ],
  'listens to signals for ever': [
    class extends WrappedTransport {
      override connect(to: Address, options?: ConnectOptions): Promise<Connection> {
        options?.signal?.addEventListener('abort', () => {})
        return super.connect(to, options)
      }
    },
    [
      'leaves nothing on a signal that outlives the attempt',
      'leaves nothing on the signal of an attempt that failed',
      'leaves nothing on a signal when the deadline had passed',
    ],
  ],
  'ignores the deadline': [
    class extends WrappedTransport {
      override connect(to: Address, { signal }: ConnectOptions = {}): Promise<Connection> {
        return super.connect(to, signal === undefined ? {} : { signal })
      }
    },
    ['accepts nothing of an attempt whose deadline had passed'],
  ],
  'leaves a timer for each deadline': [
    class extends WrappedTransport {
      override connect(to: Address, options?: ConnectOptions): Promise<Connection> {
        if (options?.deadline !== undefined) this.clock.setTimer(options.deadline + 1e9, () => {})
        return super.connect(to, options)
      }
    },
    ['gives up before the deadline when the signal aborts, and leaves no timer'],
  ],
  'mixes up connections': [
    class extends WrappedTransport {
      #last: Connection | undefined
      override async connect(to: Address, options?: ConnectOptions): Promise<Connection> {
        const connection = await super.connect(to, options)
        const last = this.#last
        this.#last = connection
        if (last === undefined) return connection
        return new Proxy(connection, {
          get(target, key) {
            const from = key === 'write' ? last : target
            const value = Reflect.get(from, key, from)
            return typeof value === 'function' ? value.bind(from) : value
          },
        })
      }
    },
    [
      'keeps the bytes of 12 connections apart, both ways',
      'closes the side that ended first no sooner than its peer has ended',
      'holds up nobody but the connection whose peer does not read',
    ],
  ],
  'opens late what it accepts': [
    class extends WrappedTransport {
      override listen(at: Address, options: ListenOptions): Promise<Listener> {
        const seen: Connection[] = []
        return super.listen(at, {
          ...options,
          onConnection(connection) {
            seen.push(connection)
            if (seen.length < 2) options.onConnection(connection)
          },
        })
      }
    },
    ['counts 20 connections in, and out as each of them closes'],
  ],
  'counts wrong': [
    listenerOf(() => ({ connectionCount: 1 })),
    [
      'closes while it is paused',
      'destroys a newcomer inside onConnection, unopened',
      'counts a connection out that nobody ever opened',
    ],
  ],
  'closes with nothing closed': [
    listenerOf(() => ({ close: async () => {} })),
    [
      'closes its listener inside onConnection: this one stays, no other comes',
      'closes twice at once: both wait for the last connection',
      'takes calls after close for nothing, and keeps its address to read',
      'closes while somebody connects: that one connects or fails, and nothing is left',
    ],
  ],
  'does not resume': [
    listenerOf(() => ({ resume() {} })),
    ['pauses and resumes twice as once, and resumes without a pause'],
  ],
  'does not pause': [
    listenerOf(() => ({ pause() {} })),
    ['accepts everybody who waited while it was paused'],
  ],
  'throws when closed twice': [
    listenerOf((listener) => {
      let closed = false
      return {
        close(options) {
          if (closed) throw new Error('closed already')
          closed = true
          return listener.close(options)
        },
      }
    }),
    ['listens twice where the address leaves the choice: each hears its own'],
  ],
  'asks about an address of its own': [
    class extends WrappedTransport {
      override listen(at: Address, options: ListenOptions): Promise<Listener> {
        const { admitAddress } = options
        if (admitAddress === undefined) return super.listen(at, options)
        return super.listen(at, { ...options, admitAddress: () => admitAddress(address('x')) })
      }
    },
    ['asks admitAddress about the address that the connection has'],
  ],
}

/** Whose traits are others than those of the memory transport. */
const TRAIT_MUTANTS: typeof TRANSPORT_MUTANTS = {
  'claims half-close without the trait': [
    class extends WrappedTransport {
      override readonly traits = { halfClose: false, secure: false, messageBoundaries: false }
    },
    ['claims half-close as an ability only with the trait'],
  ],
  'has a cipher of its own at each end': [
    class extends WrappedTransport {
      override readonly traits = { halfClose: true, secure: true, messageBoundaries: false }
      constructor(clock: Clock, inner: Transport) {
        super(clock, inner, OwnCipher)
      }
    },
    ['agrees at both ends on what secures the connection'],
  ],
}

for (const [what, [Mutant, reported]] of Object.entries(CONNECTION_MUTANTS)) {
  test(`the transport kit reports a connection that ${what}`, async () => {
    assert.deepEqual(await missed(reported, Mutant), [])
  })
}

for (const [what, [Outer, reported]] of Object.entries({
  ...TRANSPORT_MUTANTS,
  ...TRAIT_MUTANTS,
})) {
  test(`the transport kit reports a transport that ${what}`, async () => {
    assert.deepEqual(await missed(reported, Wrapped, Outer), [])
  })
}

test('no mutant is reported by mistake: without one, every named property holds', async () => {
  const all = [CONNECTION_MUTANTS, TRANSPORT_MUTANTS].flatMap((table) =>
    Object.values<readonly [unknown, readonly string[]]>(table).flatMap(([, reported]) => reported),
  )
  assert.ok(new Set(all).size >= 80, `${new Set(all).size} properties are named`)
  assert.deepEqual((await missed(all, Wrapped)).toSorted(), [...new Set(all)].toSorted())
})

/** The names of `expected` that the kit did not report. */
async function missed(
  expected: readonly string[],
  Mutant: typeof Wrapped,
  Outer: typeof WrappedTransport = WrappedTransport,
): Promise<string[]> {
  const wanted = new Set(expected.map((name) => `mutant transport: ${name}`))
  const failed = await failedNames(Mutant, Outer, wanted)
  return [...wanted].filter((name) => !failed.has(name)).map((name) => name.slice(TITLE.length))
}

function listenerOf(change: (listener: Listener) => Partial<Listener>): typeof WrappedTransport {
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

async function failedNames(
  Mutant: typeof Wrapped,
  Outer: typeof WrappedTransport,
  only: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const harness = new CollectingHarness()
  const chosen = {
    ...harness,
    test: (name: string, body: () => void | Promise<void>): void => {
      if (only.has(name)) harness.test(name, body)
    },
  }
  const make = (): { clock: ManualClock; transport: WrappedTransport } => {
    const clock = new ManualClock()
    const inner = memory({ clock, network: new MemoryNetwork(), strict: true })
    return { clock, transport: new Outer(clock, inner, Mutant) }
  }
  const create = () => {
    const { clock, transport } = make()
    const turn = (): Promise<void> => clock.settle()
    const leaks = { timers: () => clock.pendingTimers }
    return { transport, address: address('0'), clock, turn, leaks }
  }
  const { traits } = make().transport
  transportConformance('mutant', { traits, bulkBytes: 200_000, maxTurns: 100, create }, chosen)
  const results = await harness.run()
  return new Set(results.filter((one) => one.outcome === 'failed').map((one) => one.name))
}

class OwnCipher extends Wrapped {
  override get facts(): ConnectionFacts {
    const { facts } = this.inner
    const seal = { cipher: facts.role, keyId: 'shared' }
    return { ...facts, seal, roundTripMs: () => undefined }
  }
}

const TITLE = 'mutant transport: '
