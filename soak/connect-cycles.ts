/**
 * Connections made and closed over a transport, several at a time. Descriptors, threads and resident
 * memory are counted after the warm-up and at the end: what a connection leaves behind shows here.
 */
import { readdirSync } from 'node:fs'
import type { Address } from '../src/core/address.ts'
import type { Connection } from '../src/core/connection.ts'
import type { Transport } from '../src/core/transport.ts'
import type { Soak, SoakContext } from './soak.ts'

export interface ConnectCycles {
  /** `TCP`, for the sentence that says what is done. */
  readonly name: string
  /** Connections of a whole run. */
  readonly cycles: number
  /** Everything new; called once. */
  create(): Promise<CycleFixture>
  /** @default 8 */
  readonly atATime?: number
}

export interface CycleFixture extends AsyncDisposable {
  readonly transport: Transport
  /** Where the accepting side needs another configuration. @default `transport` */
  readonly listening?: Transport
  readonly address: Address
}

export function connectCycles({ name, cycles, create, atATime = 8 }: ConnectCycles): Soak {
  return {
    about: `makes a connection over ${name}, sends a byte, gets it back, closes`,
    cycles,
    async run(context) {
      await using fixture = await create()
      const { transport, listening = transport, address } = fixture
      const listener = await listening.listen(address, { onConnection: echo })
      const flat = new FlatCheck(cycles)
      const work = async () => {
        while (!context.signal.aborted) {
          await exchangeByte(await transport.connect(listener.address))
          flat.cycle(context)
        }
      }
      await Promise.all(Array.from({ length: atATime }, work))
      flat.check()
      await listener.close({ signal: AbortSignal.timeout(2_000) })
    },
  }
}

/** Counts after the warm-up and at the end, and compares. */
export class FlatCheck {
  readonly #warmUp: number
  readonly #startedAt = performance.now()
  #cycles = 0
  #countedAt = 0
  #before: Counts | undefined

  /** @param wholeRun cycles of a whole run, a fifth of which warm up */
  constructor(wholeRun: number) {
    this.#warmUp = Math.ceil(wholeRun / 5)
  }

  cycle(context: SoakContext): void {
    this.#cycles += 1
    context.progress()
    if (this.#before !== undefined || this.#cycles < this.#warmUp) return
    if (performance.now() - this.#startedAt >= WARM_UP_MS) {
      this.#before = count()
      this.#countedAt = this.#cycles
    }
  }

  /** @throws Error naming what grew */
  check(): void {
    const before = this.#before
    if (before === undefined) {
      console.log(`  ${this.#cycles} cycles: the warm-up (${this.#warmUp} and 1.5 s) was not over`)
      return
    }
    const after = count()
    console.log(`  ${this.#countedAt} cycles: ${show(before)}; ${this.#cycles}: ${show(after)}`)
    for (const name of ['descriptors', 'threads'] as const) {
      // One more may be on its way at any moment.
      if (after[name] <= before[name] + MAX_MORE) continue
      throw new Error(`${name} grew from ${before[name]} to ${after[name]}`)
    }
    if (after.residentMb > before.residentMb + MAX_GROWTH_MB) {
      throw new Error(`resident memory grew from ${before.residentMb} to ${after.residentMb} MB`)
    }
  }
}

/** Sends what it gets, as long as the connection lasts. */
export function echo(connection: Connection): void {
  connection.open({
    onData: (chunk) => void connection.write(chunk.slice()),
    onDrain() {},
    onEnd: () => connection.end(),
    onClose() {},
  })
}

/** A byte there and back, then both ends. */
export function exchangeByte(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.open({
      onData: () => connection.end(),
      onDrain() {},
      onEnd() {},
      onClose: (reason) => (reason === undefined ? resolve() : reject(reason)),
    })
    connection.write(Uint8Array.of(1))
  })
}

interface Counts {
  readonly descriptors: number
  readonly threads: number
  readonly residentMb: number
}

function count(): Counts {
  globalThis.gc?.()
  return {
    descriptors: entries('/proc/self/fd'),
    threads: entries('/proc/self/task'),
    residentMb: Math.round(process.memoryUsage.rss() / 1_048_576),
  }
}

/** 0 where the system does not tell (macOS, Windows). */
function entries(folder: string): number {
  try {
    return readdirSync(folder).length
  } catch {
    return 0
  }
}

function show({ descriptors, threads, residentMb }: Counts): string {
  return `${descriptors} descriptors, ${threads} threads, ${residentMb} MB`
}

const MAX_MORE = 8
/** A fifth of a run of memory connections is over before the heap has found its size. */
const WARM_UP_MS = 1_500
/** V8's young generation alone takes that much more under load; the engine watches the live heap. */
const MAX_GROWTH_MB = 32
