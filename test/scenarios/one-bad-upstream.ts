/**
 * One of three upstreams turns slow, then fails, then returns; and what the caller notices of it, with
 * the whole client stack and without any policy. HTTP over memory transports on a manual clock: 40
 * seconds take one or two and are the same each time.
 *
 *     0 s         10 s        20 s        30 s        40 s
 *     │ healthy   │ b is slow │ b is down │ b is back │
 *
 * A server works on so many requests at a time and lets others wait in line, as a real one does: one
 * that is slow is soon overloaded as well, if nobody sends it less.
 */
import { type HttpClientOptions, httpClient } from '../../src/clients/http/http-client.ts'
import { memory as memoryAddress } from '../../src/core/address.ts'
import type { Random } from '../../src/core/clock.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { roundRobin } from '../../src/runtime/balancer/round-robin.ts'
import { type HttpServer, httpServer } from '../../src/servers/http/http-server.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'

export type Behaviour = 'healthy' | 'slow' | 'down' | 'failing'

export interface Phase {
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
  /** Of the upstreams in trouble. */
  readonly behaviour: Behaviour
}

export const PHASES: readonly Phase[] = [
  { name: 'healthy', fromMs: 0, toMs: 10_000, behaviour: 'healthy' },
  { name: 'slow', fromMs: 10_000, toMs: 20_000, behaviour: 'slow' },
  { name: 'down', fromMs: 20_000, toMs: 30_000, behaviour: 'down' },
  { name: 'back', fromMs: 30_000, toMs: 40_000, behaviour: 'healthy' },
]

/** What a caller who wants no trouble sets. Everything that is not here has its default. */
export const FULL_STACK: HttpClientOptions = {
  timeoutMs: 1_000,
  hedge: true,
  breaker: { slowCallMs: 200 },
  balancing: { outlierEjection: { baseEjectionMs: 5_000 }, slowStart: { windowMs: 5_000 } },
}

/** Nothing but the time limit that both have. */
export const NO_POLICIES: HttpClientOptions = {
  timeoutMs: 1_000,
  balancer: roundRobin(),
  retry: false,
  breaker: false,
}

export interface CallRecord {
  /** Since the start. */
  readonly atMs: number
  readonly latencyMs: number
  readonly ok: boolean
}

export interface ScenarioOptions {
  readonly client: HttpClientOptions
  readonly phases?: readonly Phase[]
  /** Which of a, b and c are in trouble. */
  readonly inTrouble?: readonly string[]
  readonly callsPerSecond?: number
  readonly seed?: number
}

export interface ScenarioRun {
  readonly calls: readonly CallRecord[]
  /** When a request reached a server, or a connection was refused, since the start. */
  readonly attempts: readonly number[]
}

export async function runScenario(options: ScenarioOptions): Promise<ScenarioRun> {
  const { phases = PHASES, inTrouble = ['b'], callsPerSecond = 130, seed = 2 } = options
  const random = new SeededRandom(seed)
  const clock = new ManualClock()
  const startedAt = clock.now()
  const transport = memory({ clock, network: new MemoryNetwork() })
  const upstreams = NAMES.map((name) => new Upstream(name, clock, transport, random.fork()))
  for (const upstream of upstreams) await upstream.become('healthy')
  const refused: number[] = []
  const client = httpClient('http://service', {
    ...options.client,
    endpoints: NAMES.map((name) => ({ address: memoryAddress(name) })),
    transport,
    clock,
    host: { ...nodeHost, random: random.fork().next },
    observer: { onConnectError: () => void refused.push(clock.now()) },
  })
  const calls: CallRecord[] = []
  const call = async (): Promise<void> => {
    const began = clock.now()
    const outcome = client.get('/').then(
      async (response) => {
        await response.body.bytes()
        return response.status < 500
      },
      () => false,
    )
    const ok = await outcome
    calls.push({ atMs: began - startedAt, latencyMs: clock.now() - began, ok })
  }
  const arrivals = random.fork()
  let over = false
  const arrive = (): void => {
    if (over) return
    void call()
    const gapMs = (-Math.log(1 - arrivals.next()) * 1_000) / callsPerSecond
    clock.setTimer(clock.now() + gapMs, arrive)
  }
  arrive()
  for (const { toMs, behaviour } of phases) {
    const troubled = upstreams.filter(({ name }) => inTrouble.includes(name))
    for (const upstream of troubled) await upstream.become(behaviour)
    await clock.advanceAsync(startedAt + toMs - clock.now())
  }
  over = true
  await clock.advanceAsync(5_000) // those that are still under way
  const closing = Promise.all([client.close(), ...upstreams.map((upstream) => upstream.close())])
  await clock.advanceAsync(20_000)
  await closing
  const received = upstreams.flatMap((upstream) => upstream.received)
  return { calls, attempts: [...received, ...refused].map((at) => at - startedAt) }
}

/** A server with a line before it. */
class Upstream {
  readonly name: string
  readonly received: number[] = []
  readonly #clock: ManualClock
  readonly #transport: ReturnType<typeof memory>
  readonly #random: Random
  readonly #line: (() => void)[] = []
  #behaviour: Behaviour = 'down'
  #busy = 0
  #server: HttpServer | undefined

  constructor(
    name: string,
    clock: ManualClock,
    transport: ReturnType<typeof memory>,
    random: SeededRandom,
  ) {
    this.name = name
    this.#clock = clock
    this.#transport = transport
    this.#random = random.next
  }

  async become(behaviour: Behaviour): Promise<void> {
    const wasDown = this.#server === undefined
    this.#behaviour = behaviour
    if (behaviour === 'down') {
      const server = this.#server
      this.#server = undefined
      this.#line.length = 0
      // Killed: connections are reset, new ones refused.
      void server?.close({ signal: AbortSignal.abort(new Error('killed')) }).catch(() => {})
    } else if (wasDown) {
      this.#busy = 0
      const host = { ...nodeHost, random: this.#random }
      this.#server = httpServer(() => this.#serve(), { clock: this.#clock, host })
      await this.#server.listen(this.#transport, memoryAddress(this.name))
    }
  }

  async close(): Promise<void> {
    await this.#server?.close({ signal: AbortSignal.abort(new Error('over')) })
  }

  async #serve(): Promise<HttpResponse> {
    this.received.push(this.#clock.now())
    const server = this.#server
    if (this.#behaviour === 'failing') return new HttpResponse({ status: 503 })
    if (this.#busy >= WORKERS) await new Promise<void>((resolve) => this.#line.push(resolve))
    this.#busy++
    const slower = this.#behaviour === 'slow' ? SLOWER : 1
    const serviceMs = (FIXED_MS - VARIABLE_MS * Math.log(1 - this.#random())) * slower
    await new Promise<void>((resolve) => {
      this.#clock.setTimer(this.#clock.now() + serviceMs, resolve)
    })
    // Of a process that is gone nothing goes on.
    if (this.#server === server) {
      this.#busy--
      this.#line.shift()?.()
    }
    return HttpResponse.text('done')
  }
}

/** What calls of one phase were like. */
export interface Summary {
  readonly calls: number
  /** 0 to 1. */
  readonly success: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export function summarize(calls: readonly CallRecord[], fromMs: number, toMs: number): Summary {
  const chosen = calls.filter(({ atMs }) => atMs >= fromMs && atMs < toMs)
  // Until the answer or the error: who waited in vain has waited as well.
  const latencies = chosen.map(({ latencyMs }) => latencyMs)
  latencies.sort((a, b) => a - b)
  return {
    calls: chosen.length,
    success: chosen.filter(({ ok }) => ok).length / Math.max(1, chosen.length),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  }
}

/** Attempts for each call that began in this time. */
export function amplification({ calls, attempts }: ScenarioRun, fromMs: number): number {
  const later = calls.filter(({ atMs }) => atMs >= fromMs).length
  return attempts.filter((at) => at >= fromMs).length / later
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

const NAMES = ['a', 'b', 'c']
/** Requests that a server works on at a time. */
const WORKERS = 3
const FIXED_MS = 4
const VARIABLE_MS = 8
/** Times longer a slow one takes. */
const SLOWER = 40
