/**
 * One of the three upstreams: a real server of ours whose service does what the schedule says, and
 * which writes down what it executed. An execution is what must not happen twice by accident.
 */
import { ip } from '../../../src/core/address.ts'
import type { Endpoint } from '../../../src/core/policy.ts'
import { type HttpRequest, HttpResponse } from '../../../src/protocols/http/messages.ts'
import { type HttpServer, httpServer } from '../../../src/servers/http/http-server.ts'
import { fill, isFilled } from './sim-bytes.ts'
import { HEALTH_PATH } from './sim-config.ts'
import type { World } from './sim-world.ts'

/** `refusing` answers 503 and says when to come back; `failing` answers 500, 502, 503 without. */
export type UpstreamMode = 'well' | 'slow' | 'failing' | 'refusing'

export interface Execution {
  readonly upstream: number
  readonly at: number
}

export const RETRY_AFTER_MS = 2_000
/** `open_time` of the configuration, less its jitter. */
const LEAST_OPEN_MS = 250

export class SimUpstream {
  readonly index: number
  readonly address: string
  readonly endpoint: Endpoint
  readonly server: HttpServer
  mode: UpstreamMode = 'well'
  /** Requests whose head arrived. */
  arrivals = 0
  /** … at an open breaker, within the shortest time that it stays open. */
  arrivalsWhileOpen = 0
  #firstWhileOpen = 0
  readonly #world: World

  constructor(world: World, index: number) {
    this.#world = world
    this.index = index
    const host = `10.0.0.${index + 1}`
    this.address = `${host}:80`
    this.endpoint = { address: ip(host, 80) }
    const { clock } = world.simulation
    this.server = httpServer((request) => this.#serve(request), { clock, host: world.host })
  }

  async #serve(request: HttpRequest): Promise<HttpResponse> {
    const world = this.#world
    const { simulation } = world
    const { clock, random } = simulation
    const { mode } = this
    if (request.target === HEALTH_PATH) {
      if (mode === 'slow') await simulation.wait(4_000)
      const well = mode === 'well' || mode === 'slow'
      return HttpResponse.text('', { status: well ? 200 : 503 })
    }
    const id = Number(request.fields.get('x-id'))
    this.arrivals++
    this.#watchBreaker()
    world.arrived(id, this, request)
    if (mode === 'refusing') {
      world.pushedBack(id, this, clock.now() + RETRY_AFTER_MS)
      const fields = { 'retry-after': String(RETRY_AFTER_MS / 1_000) }
      return HttpResponse.text('later', { status: 503, fields })
    }
    if (mode === 'failing') {
      return HttpResponse.text('broken', { status: random.pick([500, 502, 503]) })
    }
    world.executed(id, { upstream: this.index, at: clock.now() })
    const received = await request.body.bytes()
    const sent = Number(request.fields.get('x-size'))
    if (received.length !== sent) world.wrong(`request ${id}: ${received.length} bytes of ${sent}`)
    if (!isFilled(received, id)) world.wrong(`request ${id}: wrong bytes`)
    await simulation.wait(mode === 'slow' ? 4_000 : 20)
    const size = random.pick([0, 5, 900, 900, 20_000])
    const fields = { 'x-id': String(id), 'x-size': String(size), 'x-upstream': String(this.index) }
    return new HttpResponse({ fields, body: fill(id, size) })
  }

  /** An open breaker lets nothing through; what had left before it opened is bounded by the pool. */
  #watchBreaker(): void {
    const { maxConnections, simulation } = this.#world
    if (this.#world.breakerOf(this) !== 'open') return
    const now = simulation.clock.now()
    if (now >= this.#firstWhileOpen + LEAST_OPEN_MS) {
      this.#firstWhileOpen = now
      this.arrivalsWhileOpen = 0
    }
    // A probe whose failure opened it again may arrive late as well.
    if (++this.arrivalsWhileOpen <= maxConnections + 1) return
    const { arrivalsWhileOpen: count, index } = this
    this.#world.wrong(`upstream ${index} got ${count} requests while its breaker was open`)
  }
}
