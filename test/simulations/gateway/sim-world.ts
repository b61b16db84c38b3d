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
import { gatewayConfig } from './sim-config.ts'
import { SimNames } from './sim-names.ts'
import { SimNetwork } from './sim-network.ts'
import { type Execution, SimUpstream } from './sim-upstream.ts'

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
  readonly wrongs: string[] = []
  /** When the client decided on each retry. */
  readonly retriesAt: number[] = []
  /** How long the process stood still, in all: timers are late by as much. */
  frozenMs = 0
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
    this.upstreams = [0, 1, 2].map((index) => new SimUpstream(this, index))
    this.endpoints = this.upstreams.map(({ endpoint }) => endpoint)
    this.names = new SimNames(this.endpoints)
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
