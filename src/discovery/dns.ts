/**
 * Endpoints from DNS: A and AAAA records of a host, or SRV records of a service.
 *
 *     a.example:8080            every address of the host, at that port
 *     dns:///a.example:8080     the same, as gRPC writes it
 *     _http._tcp.a.example      SRV: hosts, ports, priorities and weights
 *     10.0.0.1:8080, [::1]:80   taken as they are, nothing is asked
 *
 * A name that is watched is asked for again when its answer has expired, a little later by chance so
 * that a fleet does not ask together. An error never empties a known set: it is reported, and asked
 * again after a wait that grows. Watchers of one name share one lookup and one timer; lookups run at
 * most some at a time.
 */
import { ip } from '../core/address.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import { checkInteger, checkRange, TimeoutError, toError, UsageError } from '../core/errors.ts'
import type { Endpoint, Resolver, ResolverListener } from '../core/policy.ts'
import { redactUrl } from '../core/secret.ts'
import { nodeHost } from '../platform/node-host.ts'
import { systemClock } from '../platform/system-clock.ts'
import { type DnsLookup, type NodeDnsOptions, nodeDnsLookup } from './dns-lookup.ts'

export interface DnsResolverOptions extends NodeDnsOptions {
  /** @default the system's */
  clock?: Clock
  /** @default Node's */
  random?: Random
  /** How to ask. @default nodeDnsLookup */
  lookup?: DnsLookup
  /**
   * An answer is kept at least so long, whatever its TTL: a TTL of 0 must not become a lookup a
   * millisecond.
   *
   * @default 5_000
   */
  minTtlMs?: number
  /** An answer is asked for again at the latest after this. @default 300_000 */
  maxTtlMs?: number
  /** For answers that bring no TTL: the hosts file, the system. @default 30_000 */
  defaultTtlMs?: number
  /** A failure is kept so long; twice as long after each further one. @default 1_000 */
  negativeTtlMs?: number
  /** Longest wait after failures. @default 30_000 */
  maxNegativeTtlMs?: number
  /** One lookup takes at most so long. @default 10_000 */
  lookupTimeoutMs?: number
  /** Lookups at a time, those of SRV hosts included. @default 16 */
  maxConcurrent?: number
  /** Names kept, watched or not. The one not watched for longest goes first. @default 1_000 */
  maxNames?: number
  /** For targets without a port. */
  defaultPort?: number
}

export const dnsDefaults: Readonly<{
  minTtlMs: number
  maxTtlMs: number
  defaultTtlMs: number
  negativeTtlMs: number
  maxNegativeTtlMs: number
  lookupTimeoutMs: number
  maxConcurrent: number
  maxNames: number
}> = Object.freeze({
  minTtlMs: 5_000,
  maxTtlMs: 300_000,
  defaultTtlMs: 30_000,
  negativeTtlMs: 1_000,
  maxNegativeTtlMs: 30_000,
  lookupTimeoutMs: 10_000,
  maxConcurrent: 16,
  maxNames: 1_000,
})

export function dns(options: DnsResolverOptions = {}): DnsResolver {
  return new DnsResolver(options)
}

type Settings = typeof dnsDefaults & {
  readonly clock: Clock
  readonly random: Random
  readonly lookup: DnsLookup
}

export class DnsResolver implements Resolver {
  readonly #settings: Settings
  readonly #defaultPort: number | undefined
  /** The last one used is at the end. */
  readonly #names = new Map<string, WatchedName>()

  constructor(options: DnsResolverOptions = {}) {
    const { clock = systemClock, random = nodeHost.random, lookup, defaultPort } = options
    const limits = checkLimits(options)
    const ask = new BoundedLookup(lookup ?? nodeDnsLookup(options), clock, limits)
    this.#settings = { ...limits, clock, random, lookup: ask }
    this.#defaultPort = defaultPort
  }

  /** @throws UsageError ERR_ADDRESS_INVALID for a target that cannot be understood */
  watch(target: string, listener: ResolverListener): Disposable {
    const parsed = parseDnsTarget(target, this.#defaultPort)
    if (parsed.kind === 'literal') {
      listener.onEndpoints([parsed.endpoint])
      return { [Symbol.dispose]() {} }
    }
    const name = this.#name(parsed)
    return name.add(listener)
  }

  #name(target: NameTarget): WatchedName {
    const key = `${target.kind} ${target.name} ${target.port}`
    let name = this.#names.get(key)
    if (name !== undefined) this.#names.delete(key)
    else name = new WatchedName(target, this.#settings)
    this.#names.set(key, name)
    if (this.#names.size > this.#settings.maxNames) this.#forgetOne()
    return name
  }

  #forgetOne(): void {
    for (const [key, name] of this.#names) {
      if (name.watched) continue
      this.#names.delete(key)
      return
    }
  }
}

interface NameTarget {
  readonly kind: 'host' | 'service'
  readonly name: string
  /** Of a host; 0 for a service, whose records say it. */
  readonly port: number
}

interface LiteralTarget {
  readonly kind: 'literal'
  readonly endpoint: Endpoint
}

/** What a target means. Exported for configuration checks. */
export function parseDnsTarget(target: string, defaultPort?: number): NameTarget | LiteralTarget {
  const text = target.replace(/^dns:(\/\/[^/]*\/)?/, '')
  if (/^_[^.]+\._(tcp|udp)\.[^:]+$/i.test(text)) {
    return { kind: 'service', name: text.toLowerCase(), port: 0 }
  }
  const match = /^(?:\[([^\]]+)\]|([^:/[\]\s]+))(?::(\d{1,5}))?$/.exec(text)
  const port = match?.[3] === undefined ? defaultPort : Number(match[3])
  if (match === null || port === undefined || port > 65_535) {
    const expected = 'host:port, dns:///host:port or _service._tcp.name'
    throw new UsageError(
      'ERR_ADDRESS_INVALID',
      `target '${redactUrl(target)}': expected ${expected}`,
    )
  }
  const bracketed = match[1]
  const host = bracketed ?? (match[2] as string)
  if (bracketed !== undefined || /^\d+(\.\d+){3}$/.test(host)) {
    return { kind: 'literal', endpoint: { address: ip(host, port) } }
  }
  return { kind: 'host', name: host.toLowerCase(), port }
}

/** One name: its answer, who listens, and when it is asked for again. */
class WatchedName {
  readonly #target: NameTarget
  readonly #settings: Settings
  readonly #listeners = new Set<ResolverListener>()
  #endpoints: readonly Endpoint[] | undefined
  #error: Error | undefined
  #failures = 0
  #freshUntil = Number.NEGATIVE_INFINITY
  #asking = false
  #timer: Timer | undefined

  constructor(target: NameTarget, settings: Settings) {
    this.#target = target
    this.#settings = settings
  }

  get watched(): boolean {
    return this.#listeners.size > 0
  }

  add(listener: ResolverListener): Disposable {
    // A listener added twice is two watches: each has its own object here.
    const entry: ResolverListener = {
      onEndpoints: (endpoints) => listener.onEndpoints(endpoints),
      onError: (error) => listener.onError(error),
    }
    this.#listeners.add(entry)
    if (this.#endpoints !== undefined) entry.onEndpoints(this.#endpoints)
    const fresh = this.#settings.clock.now() < this.#freshUntil
    if (fresh && this.#error !== undefined) entry.onError(this.#error)
    if (fresh) this.#schedule()
    else void this.#ask()
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(entry)
        if (this.watched) return
        this.#timer?.cancel()
        this.#timer = undefined
      },
    }
  }

  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    let told: () => void
    try {
      const { endpoints, ttlMs } = await this.#resolve()
      told = () => this.#onEndpoints(endpoints, ttlMs)
    } catch (error) {
      told = () => this.#onError(toError(error))
    }
    this.#asking = false
    told()
    this.#schedule()
  }

  #onEndpoints(endpoints: readonly Endpoint[], ttlMs: number): void {
    const { clock, random } = this.#settings
    this.#endpoints = endpoints
    this.#error = undefined
    this.#failures = 0
    this.#freshUntil = clock.now() + ttlMs * (1 + JITTER * random())
    for (const listener of [...this.#listeners]) listener.onEndpoints(endpoints)
  }

  #onError(error: Error): void {
    const { clock, random, negativeTtlMs, maxNegativeTtlMs } = this.#settings
    this.#error = error
    const wait = Math.min(negativeTtlMs * 2 ** this.#failures++, maxNegativeTtlMs)
    this.#freshUntil = clock.now() + wait * (1 + JITTER * random())
    for (const listener of [...this.#listeners]) listener.onError(error)
  }

  /** While somebody watches. */
  #schedule(): void {
    if (!this.watched || this.#timer !== undefined || this.#asking) return
    this.#timer = this.#settings.clock.setTimer(this.#freshUntil, () => {
      this.#timer = undefined
      void this.#ask()
    })
    this.#timer.unref()
  }

  async #resolve(): Promise<{ endpoints: Endpoint[]; ttlMs: number }> {
    const { name, port, kind } = this.#target
    if (kind === 'host') return this.#resolveHost(name, port, {})
    const { lookup, defaultTtlMs } = this.#settings
    const services = await lookup.services(name)
    const outcomes = await Promise.allSettled(
      services.map(({ host, port, priority, weight }) =>
        // Weight 0 is "almost never" (RFC 2782), not never.
        this.#resolveHost(host, port, { priority, weight: Math.max(weight, 0.01) }),
      ),
    )
    const endpoints: Endpoint[] = []
    // The set is as old as the oldest of its parts: the records, and the addresses of their hosts.
    const told = services.map((service) => service.ttlMs ?? defaultTtlMs)
    let ttlMs = this.#clampTtl(Math.min(...told))
    let failure: unknown
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') failure ??= outcome.reason
      else {
        endpoints.push(...outcome.value.endpoints)
        ttlMs = Math.min(ttlMs, outcome.value.ttlMs)
      }
    }
    if (endpoints.length === 0) throw failure
    return { endpoints, ttlMs }
  }

  async #resolveHost(
    host: string,
    port: number,
    facts: Pick<Endpoint, 'priority' | 'weight'>,
  ): Promise<{ endpoints: Endpoint[]; ttlMs: number }> {
    const { lookup, defaultTtlMs } = this.#settings
    const answers = await lookup.addresses(host)
    let ttlMs = Number.POSITIVE_INFINITY
    const endpoints = answers.map((answer) => {
      ttlMs = Math.min(ttlMs, answer.ttlMs ?? defaultTtlMs)
      return { ...facts, address: ip(answer.address, port), hostname: host }
    })
    return { endpoints, ttlMs: this.#clampTtl(ttlMs) }
  }

  #clampTtl(ttlMs: number): number {
    const { minTtlMs, maxTtlMs } = this.#settings
    return Math.min(Math.max(ttlMs, minTtlMs), maxTtlMs)
  }
}

/** Some lookups at a time, each for so long; the same question asked meanwhile is asked once. */
class BoundedLookup implements DnsLookup {
  readonly #inner: DnsLookup
  readonly #clock: Clock
  readonly #maxConcurrent: number
  readonly #timeoutMs: number
  readonly #asking = new Map<string, Promise<readonly unknown[]>>()
  readonly #queue: (() => void)[] = []
  #running = 0

  constructor(inner: DnsLookup, clock: Clock, limits: typeof dnsDefaults) {
    this.#inner = inner
    this.#clock = clock
    this.#maxConcurrent = limits.maxConcurrent
    this.#timeoutMs = limits.lookupTimeoutMs
  }

  addresses(host: string): ReturnType<DnsLookup['addresses']> {
    return this.#once(`address ${host}`, () => this.#inner.addresses(host))
  }

  services(name: string): ReturnType<DnsLookup['services']> {
    return this.#once(`service ${name}`, () => this.#inner.services(name))
  }

  #once<Answer>(key: string, ask: () => Promise<readonly Answer[]>): Promise<readonly Answer[]> {
    const asking = this.#asking.get(key) as Promise<readonly Answer[]> | undefined
    if (asking !== undefined) return asking
    const answer = this.#run(key, ask).finally(() => this.#asking.delete(key))
    this.#asking.set(key, answer)
    return answer
  }

  // The queue holds at most one entry for each name that is watched, and hosts of their SRV records.
  async #run<Answer>(
    key: string,
    ask: () => Promise<readonly Answer[]>,
  ): Promise<readonly Answer[]> {
    if (this.#running >= this.#maxConcurrent) {
      await new Promise<void>((resolve) => void this.#queue.push(resolve))
    } else this.#running++
    try {
      return await this.#withTimeout(key, ask())
    } finally {
      // The place goes to whoever waits, so that no newcomer takes it in between.
      const next = this.#queue.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  #withTimeout<Answer>(key: string, answer: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(this.#clock.now() + this.#timeoutMs, () => {
        const message = `no answer for ${key} within ${this.#timeoutMs} ms`
        reject(new TimeoutError('ERR_CONNECT_TIMEOUT', message, { sent: 'nothing' }))
      })
      answer.then(resolve, reject).finally(() => timer.cancel())
    })
  }
}

function checkLimits(options: DnsResolverOptions): typeof dnsDefaults {
  const given = { ...dnsDefaults }
  for (const name of Object.keys(dnsDefaults) as (keyof typeof dnsDefaults)[]) {
    const value = options[name] ?? dnsDefaults[name]
    ;(given as Record<string, number>)[name] =
      name.startsWith('max') && !name.endsWith('Ms')
        ? checkInteger(name, value, 1, MAX)
        : checkRange(name, value, 1, MAX)
  }
  checkRange('maxTtlMs', given.maxTtlMs, given.minTtlMs, MAX)
  checkRange('maxNegativeTtlMs', given.maxNegativeTtlMs, given.negativeTtlMs, MAX)
  return Object.freeze(given)
}

const JITTER = 0.1
const MAX = 0x7fff_ffff
