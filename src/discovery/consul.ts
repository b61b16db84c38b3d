/**
 * Endpoints from Consul: the health endpoint, by blocking queries.
 *
 *     GET /v1/health/service/users?passing=true&index=17&wait=300s
 *
 * Consul answers when something is newer than the index, or when the wait is over; each answer is the
 * whole set, so pushed and periodic updates are one thing. The rules of the index are Consul's own
 * (https://developer.hashicorp.com/consul/api-docs/features/blocking): back to 0 when it goes
 * backwards, at least 1 otherwise.
 */
import { parseAddress } from '../core/address.ts'
import type { Clock, Random } from '../core/clock.ts'
import { checkRange, ProtocolError, TransportError, UsageError } from '../core/errors.ts'
import type { Endpoint, Resolver, ResolverListener } from '../core/policy.ts'
import { nodeHost } from '../platform/node-host.ts'
import { systemClock } from '../platform/system-clock.ts'
import { type Accept, acceptedEndpoints, acceptHealthy, type Instance } from './instance.ts'
import { asArray, asRecord, asText, textRecord } from './json-value.ts'
import { type RegistryAnswer, RegistryHttp, type RegistryHttpOptions } from './registry-http.ts'
import { SharedResolver, type SharedResolverOptions } from './shared-resolver.ts'
import { type Round, WatchLoop, type WatchLoopOptions } from './watch-loop.ts'

export interface ConsulOptions
  extends RegistryHttpOptions,
    SharedResolverOptions,
    WatchLoopOptions {
  /** @default 'http://127.0.0.1:8500', the agent of this machine */
  url?: string | readonly string[]
  /** The service, for whatever target. @default the target is the service */
  service?: string
  /** Instances have all of these tags. */
  tags?: readonly string[]
  /** @default the agent's own */
  datacenter?: string
  /** Of Consul Enterprise. */
  namespace?: string
  partition?: string
  /** A filter expression, which Consul evaluates. */
  filter?: string
  /**
   * Ask for passing instances only. Without it `accept` sees all of them, and takes those that pass
   * unless it is told otherwise.
   *
   * @default true
   */
  passing?: boolean
  /**
   * Any server may answer, not only the leader: discovery goes on without a leader, and the load is
   * spread.
   *
   * @default true
   */
  stale?: boolean
  /** Longest a query blocks; Consul allows 10 minutes. @default 300_000 */
  waitMs?: number
  /** Who gets calls. @default those that pass */
  accept?: Accept
  /** @default the system's */
  clock?: Clock
  /** @default Node's */
  random?: Random
}

export const consulDefaults: Readonly<{
  url: string
  passing: boolean
  stale: boolean
  waitMs: number
}> = Object.freeze({
  url: 'http://127.0.0.1:8500',
  passing: true,
  stale: true,
  waitMs: 300_000, // Consul's own
})

/** @throws UsageError for options that cannot be */
export function consul(options: ConsulOptions = {}): Resolver {
  const {
    clock = systemClock,
    random = nodeHost.random,
    accept = acceptHealthy,
    passing = consulDefaults.passing,
    stale = consulDefaults.stale,
    waitMs = consulDefaults.waitMs,
    service: name,
  } = options
  checkRange('waitMs', waitMs, 1_000, 600_000)
  const settings: Settings = { ...options, clock, random, accept, passing, stale, waitMs }
  // Wrong options are found now, not with the first call.
  makeHttp(settings).close()
  return new SharedResolver(
    (target, sink) => new ConsulFeed(name ?? target, sink, settings),
    options,
  )
}

type Settings = ConsulOptions &
  Required<Pick<ConsulOptions, 'clock' | 'random' | 'accept' | 'passing' | 'stale' | 'waitMs'>>

class ConsulFeed implements Disposable {
  readonly #sink: ResolverListener
  readonly #settings: Settings
  readonly #http: RegistryHttp
  readonly #loop: WatchLoop
  readonly #target: string
  /** 0: the next query does not block. */
  #index = 0n

  constructor(service: string, sink: ResolverListener, settings: Settings) {
    this.#sink = sink
    this.#settings = settings
    this.#target = queryOf(service, settings)
    this.#http = makeHttp(settings)
    this.#loop = new WatchLoop({
      ...settings,
      round: (round) => this.#round(round),
      onError: (error) => {
        // What was missed in between is not known: the next answer comes at once.
        this.#index = 0n
        sink.onError(error)
      },
    }).start()
  }

  [Symbol.dispose](): void {
    this.#loop[Symbol.dispose]()
    this.#http.close()
  }

  async #round({ signal }: Round): Promise<number> {
    const { waitMs, accept, requestTimeoutMs = ANSWER_MS } = this.#settings
    const blocking = this.#index > 0n
    // Consul itself waits up to a sixteenth longer, by chance.
    const timeoutMs = requestTimeoutMs + (blocking ? waitMs * (1 + 1 / 16) : 0)
    const target = blocking
      ? `${this.#target}&index=${this.#index}&wait=${Math.ceil(waitMs / 1_000)}s`
      : this.#target
    const answer = await this.#http.json({ target, signal, timeoutMs })
    const instances = readInstances(answer.value)
    if (instances.length === 0 && answer.fields.get('x-consul-knownleader') === 'false') {
      // An agent that has lost its servers, or has just begun, knows of nobody.
      const message = 'consul has no leader and knows no instance: not believed'
      throw new TransportError('ERR_RESOLVE', message, { sent: 'nothing' })
    }
    this.#index = nextIndex(this.#index, answer)
    this.#sink.onEndpoints(acceptedEndpoints(instances, accept))
    return 0
  }
}

/** The index of the next query: 0 after a step back, else at least 1. */
export function nextIndex(previous: bigint, answer: Pick<RegistryAnswer, 'fields'>): bigint {
  const text = answer.fields.get('x-consul-index')
  if (text === undefined || !/^\d{1,20}$/.test(text)) {
    const message = 'consul answered without X-Consul-Index: is it Consul?'
    throw new ProtocolError('ERR_MALFORMED', message)
  }
  const index = BigInt(text)
  if (index < previous) return 0n
  return index < 1n ? 1n : index
}

/** @throws ProtocolError ERR_MALFORMED for an answer that is not of the health endpoint */
function readInstances(value: unknown): Instance[] {
  const instances: Instance[] = []
  for (const entry of asArray('consul', value)) {
    const record = asRecord('consul', entry)
    const service = asRecord('consul', record['Service'])
    const node = asRecord('consul', record['Node'] ?? {})
    const host = asText(service['Address']) || asText(node['Address'])
    const port = service['Port']
    if (host === '' || typeof port !== 'number' || port < 1 || port > 65_535) continue
    const healthy = asArray('consul', record['Checks'] ?? []).every((check) => {
      return asRecord('consul', check)['Status'] === 'passing'
    })
    instances.push({
      endpoint: endpointOf(host, port, service, node, healthy),
      healthy,
      tags: asArray('consul', service['Tags'] ?? []).map(asText),
      metadata: textRecord(service['Meta']),
    })
  }
  return instances
}

function endpointOf(
  host: string,
  port: number,
  service: Readonly<Record<string, unknown>>,
  node: Readonly<Record<string, unknown>>,
  healthy: boolean,
): Endpoint {
  const weights = asRecord('consul', service['Weights'] ?? {})
  const weight = weights[healthy ? 'Passing' : 'Warning']
  const where = asRecord('consul', service['Locality'] ?? node['Locality'] ?? {})
  const locality = asText(where['Zone']) || asText(where['Region']) || asText(node['Datacenter'])
  return {
    address: parseAddress(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`),
    ...(typeof weight === 'number' && weight > 0 && { weight }),
    ...(locality !== '' && { locality }),
  }
}

function queryOf(service: string, settings: Settings): string {
  if (service === '' || service.length > 512) {
    throw new UsageError('ERR_ADDRESS_INVALID', `'${service}' is not the name of a service`)
  }
  const query: [string, string][] = []
  if (settings.passing) query.push(['passing', 'true'])
  for (const tag of settings.tags ?? []) query.push(['tag', tag])
  if (settings.datacenter !== undefined) query.push(['dc', settings.datacenter])
  if (settings.namespace !== undefined) query.push(['ns', settings.namespace])
  if (settings.partition !== undefined) query.push(['partition', settings.partition])
  if (settings.filter !== undefined) query.push(['filter', settings.filter])
  if (settings.stale) query.push(['stale', ''])
  const text = new URLSearchParams(query).toString()
  return `/v1/health/service/${encodeURIComponent(service)}?${text}`
}

function makeHttp(settings: Settings): RegistryHttp {
  return new RegistryHttp({
    ...settings,
    name: 'consul',
    defaultUrl: consulDefaults.url,
    credentials: (token) => ['x-consul-token', token],
  })
}

/** Time for an answer beyond the wait. */
const ANSWER_MS = 10_000
