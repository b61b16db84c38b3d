/**
 * Everything of one run: network, upstreams, gateway, client, and what happened to each call.
 *
 *     client ── network ── gateway ── network ── three upstreams
 */
import { type HttpClient, httpClient } from '../../../src/clients/http/http-client.ts'
import { ip } from '../../../src/core/address.ts'
import type { Host } from '../../../src/core/host.ts'
import type { BreakerState, Endpoint } from '../../../src/core/policy.ts'
import { loadConfig } from '../../../src/gateway/config/load.ts'
import { formatProblem } from '../../../src/gateway/config/problem.ts'
import { type Gateway, startGateway } from '../../../src/gateway/gateway.ts'
import { nodeHost } from '../../../src/platform/node-host.ts'
import type { HttpRequest } from '../../../src/protocols/http/messages.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import type { Simulation } from '../../../src/testing/simulation.ts'
import { DENIED, drawLimits, gatewayConfig, type SimLimits } from './sim-config.ts'
import { SimNames } from './sim-names.ts'
import { SimNetwork } from './sim-network.ts'
import { type Execution, SimUpstream } from './sim-upstream.ts'

/** A pool whose endpoint is gone finishes its calls: a call, its retries and the rest of a body. */
const LONGEST_DRAIN_MS = 20_000

/** A call that was sent to an endpoint before it was called unhealthy: an attempt, a stall. */
const LONGEST_ON_THE_WAY_MS = 4_000

export class World {
  readonly simulation: Simulation
  readonly network: SimNetwork
  readonly host: Host
  readonly upstreams: readonly SimUpstream[]
  readonly endpoints: readonly Endpoint[]
  readonly names: SimNames
  readonly gatewayAddress = '10.0.1.1:8080'
  readonly maxConnections: number
  /** The gateway sends slow calls twice. */
  readonly hedged: boolean
  readonly limits: SimLimits
  readonly wrongs: string[] = []
  /** When the client decided on each retry. */
  readonly retriesAt: number[] = []
  /** How long the process stood still, in all: timers are late by as much. */
  frozenMs = 0
  /** Requests that the gateway let through to an upstream, by the id that it gave them. */
  readonly admitted = new Set<string>()
  #limitedSince = 0
  readonly #unhealthySince = new Map<string, number>()
  /** By call. */
  readonly executions = new Map<number, Execution[]>()
  readonly #pushedBackUntil = new Map<number, number>()
  #gateway: Gateway | undefined
  #client: HttpClient | undefined

  constructor(simulation: Simulation) {
    const { random } = simulation
    this.simulation = simulation
    this.network = new SimNetwork(simulation)
    this.host = { ...nodeHost, random: random.fork().next }
    this.maxConnections = random.integer(3, 12)
    this.hedged = random.chance(0.3)
    this.limits = drawLimits(random)
    this.upstreams = [0, 1, 2].map((index) => new SimUpstream(this, index))
    this.endpoints = this.upstreams.map(({ endpoint }) => endpoint)
    this.names = new SimNames(this.endpoints, simulation.clock)
    this.network.limitOf = (address) => this.#mostConnections(address)
  }

  get gateway(): Gateway {
    if (this.#gateway === undefined) throw new Error('the gateway has not started')
    return this.#gateway
  }

  get client(): HttpClient {
    if (this.#client === undefined) throw new Error('the client has not started')
    return this.#client
  }

  async start(): Promise<void> {
    const { simulation, network } = this
    const { clock, random } = simulation
    for (const { server, endpoint } of this.upstreams) {
      await this.settled(server.listen(network, endpoint.address))
    }
    this.#limitedSince = clock.now()
    const text = JSON.stringify(gatewayConfig(this))
    const load = async () => loadConfig(text, { file: 'g.yaml', environment: () => undefined })
    const loaded = await load()
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
    const none = (): never => {
      throw new Error('the simulation has no TLS')
    }
    this.#gateway = await this.settled(
      startGateway(loaded, {
        clock,
        random: random.fork().next,
        host: this.host,
        transports: { plain: () => network, serverTls: none, clientTls: none },
        names: () => this.names,
        log: silentLogger,
        version: 'simulated',
        process: undefined,
        writeOut() {},
        writeErr() {},
        file: undefined,
        load,
        descriptor: () => undefined,
      }),
    )
    this.#client = httpClient('http://gateway.test', {
      transport: network,
      endpoints: [{ address: ip('10.0.1.1', 8080) }],
      clock,
      host: this.host,
      timeoutMs: 10_000,
      // The only endpoint: with an open breaker there would be nobody to ask.
      breaker: random.chance(0.5) ? { openMs: 500, maxOpenMs: 2_000 } : false,
      pool: { max: random.integer(4, 16) },
      observer: { onRetry: () => void this.retriesAt.push(clock.now()) },
    })
  }

  /** Lets a start come to its end without time going by. */
  async settled<Value>(promise: Promise<Value>): Promise<Value> {
    let done = false
    const finished = (): void => {
      done = true
    }
    promise.then(finished, finished)
    while (!done) {
      await this.simulation.clock.settle()
      // Files and the module loader answer in a later turn of the event loop.
      if (!done) await new Promise((resolve) => setImmediate(resolve))
    }
    return promise
  }

  wrong(what: string): void {
    this.wrongs.push(what)
  }

  executed(id: number, execution: Execution): void {
    const list = this.executions.get(id) ?? []
    list.push(execution)
    this.executions.set(id, list)
  }

  /** An upstream asks a call to wait. Over links with a fault nobody may ever hear it. */
  pushedBack(id: number, { address }: SimUpstream, until: number): void {
    // Another attempt may be on its way already.
    if (this.hedged) return
    for (const each of [address, this.gatewayAddress]) {
      const link = this.network.to(each)
      if (link.impaired > 0 || Object.keys(link.plan).length > 0) return
    }
    this.#pushedBackUntil.set(id, until)
  }

  /** The client loses its connections: it never hears what its calls were told. */
  forgetPushback(): void {
    this.#pushedBackUntil.clear()
  }

  /** A request arrived: too soon, when a server had asked this call to wait. */
  arrived(id: number, upstream: SimUpstream, request: HttpRequest): void {
    const { clock } = this.simulation
    const until = this.#pushedBackUntil.get(id)
    if (until !== undefined && clock.now() < until) {
      const early = Math.round(until - clock.now())
      this.wrong(`call ${id} (${request.method}) came back ${early} ms too soon`)
    }
    if (id < 0) this.wrong(`upstream ${upstream.index} got a request without an id`)
    this.#checkLimits(request)
    this.#checkHealth(upstream)
  }

  /** Attempts at one request have one id: what arrives first of each was let through. */
  #checkLimits(request: HttpRequest): void {
    const { rate, burst, concurrent } = this.limits
    this.admitted.add(request.fields.get('x-request-id') ?? '')
    if (request.target.startsWith(DENIED)) this.wrong(`${request.target} reached an upstream`)
    if (rate !== undefined) {
      const seconds = (this.simulation.clock.now() - this.#limitedSince) / 1_000
      const most = burst + rate * seconds + 1
      const { size } = this.admitted
      if (size > most) this.wrong(`${size} requests were let through, at most ${most}`)
    }
    if (concurrent === undefined) return
    for (const { policy, inFlight = 0 } of this.#gateway?.limits() ?? []) {
      if (policy !== 'concurrency' || inFlight <= concurrent) continue
      this.wrong(`${inFlight} requests at a time, at most ${concurrent}`)
    }
  }

  /** Who is called unhealthy gets nothing more, but what had left for it, as long as others are well. */
  #checkHealth(upstream: SimUpstream): void {
    if (!this.limits.checked) return
    const now = this.simulation.clock.now()
    const endpoints = this.#gateway?.clusters()[0]?.endpoints ?? []
    for (const { address, health } of endpoints) {
      if (health !== 'unhealthy') this.#unhealthySince.delete(address)
      else if (!this.#unhealthySince.has(address)) this.#unhealthySince.set(address, now)
    }
    // Where nobody is well everybody is used: the time counts from the end of that.
    const someoneIsWell = endpoints.some(
      ({ health, ejected, breaker }) => health !== 'unhealthy' && !ejected && breaker === 'closed',
    )
    if (!someoneIsWell) this.#unhealthySince.clear()
    const since = this.#unhealthySince.get(upstream.address)
    if (since === undefined || now - since <= LONGEST_ON_THE_WAY_MS + this.frozenMs) return
    this.wrong(`upstream ${upstream.index} is called, unhealthy for ${now - since} ms`)
  }

  /** An endpoint that DNS lost and gave back has a new pool, beside each that finishes its calls. */
  #mostConnections(address: string): number {
    const upstream = this.upstreams.find((each) => each.address === address)
    if (upstream === undefined) return Number.POSITIVE_INFINITY
    const since = this.simulation.clock.now() - LONGEST_DRAIN_MS
    const draining = this.names.lossesOf(upstream.endpoint).filter((at) => at >= since).length
    // A health check has a connection of its own.
    return this.maxConnections * (1 + draining) + (this.limits.checked ? 1 : 0)
  }

  breakerOf({ address }: SimUpstream): BreakerState | undefined {
    const endpoints = this.#gateway?.clusters()[0]?.endpoints ?? []
    return endpoints.find((endpoint) => endpoint.address === address)?.breaker
  }

  async close(): Promise<void> {
    const signal = AbortSignal.abort(new Error('the run is over'))
    let open = 2 + this.upstreams.length
    const closed = (): void => {
      open--
    }
    void this.client.close({ signal }).then(closed)
    void this.gateway.destroy().then(closed)
    for (const { server } of this.upstreams) void server.close({ signal }).then(closed)
    await this.simulation.until(() => open === 0, 60_000, 'everything is closed')
  }
}
