/**
 * `grpc.health.v1`: says whether a server and its services can take calls, when asked (`Check`,
 * `List`) and whenever it changes (`Watch`). Load balancers, Kubernetes' gRPC probe and gRPC clients
 * ask it.
 *
 *     const health = grpcHealth({ services: [users, orders] })
 *     const server = httpServer(rpcServer([users, orders, health.service]))
 *     health.follow(server)                       // not serving from the moment it drains
 *     health.set('acme.v1.Orders', 'NOT_SERVING') // its database is gone
 *
 * The empty name is the server as a whole. https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
import { Channel } from '../../../core/channel.ts'
import { checkInteger } from '../../../core/errors.ts'
import type { Source } from '../../../core/flow.ts'
import { GrpcError } from '../../../protocols/grpc/grpc-error.ts'
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../protocols/grpc/proto/grpc/health/v1/health_pb.ts'
import { type GrpcService, grpcService } from '../grpc-service.ts'

export type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING'

export interface GrpcHealthOptions {
  /** Services that serve from the start, beside the server as a whole. @default none */
  services?: readonly (GrpcService | string)[]
  /**
   * Most `Watch` calls at a time, all connections together. Over it: RESOURCE_EXHAUSTED. Each holds a
   * stream for as long as its client likes.
   *
   * @default 1_000: every client of a large fleet watches once
   */
  maxWatchers?: number
  /**
   * Most services that `List` names. Over it: RESOURCE_EXHAUSTED, as the specification has it.
   *
   * @default 1_000: less than 64 KiB with usual names
   */
  maxListed?: number
}

export const grpcHealthDefaults: Readonly<{ maxWatchers: number; maxListed: number }> =
  Object.freeze({ maxWatchers: 1_000, maxListed: 1_000 })

/** What tells when it drains: `HttpServer`, `ServerCore`. */
export interface Draining {
  whenDraining(callback: () => void): () => void
}

export function grpcHealth(options?: GrpcHealthOptions): GrpcHealth {
  return new GrpcHealth(options)
}

export class GrpcHealth {
  /** To be served beside the others. */
  readonly service: GrpcService
  readonly #statuses = new Map<string, ServingStatus>([['', 'SERVING']])
  readonly #watchers = new Map<string, Set<Watcher>>()
  readonly #maxWatchers: number
  readonly #maxListed: number
  #watching = 0
  #drained = false

  constructor(options: GrpcHealthOptions = {}) {
    const {
      services = [],
      maxWatchers = grpcHealthDefaults.maxWatchers,
      maxListed = grpcHealthDefaults.maxListed,
    } = options
    this.#maxWatchers = checkInteger('maxWatchers', maxWatchers, 0, 0xffff_ffff)
    this.#maxListed = checkInteger('maxListed', maxListed, 0, 0xffff_ffff)
    for (const service of services) this.#statuses.set(nameOf(service), 'SERVING')
    this.service = grpcService(Health, {
      check: ({ service }) => ({ status: STATUSES[this.#known(service)] }),
      list: () => this.#list(),
      watch: ({ service }) => this.#watch(service),
    })
  }

  /** How many `Watch` calls are open. */
  get watching(): number {
    return this.#watching
  }

  /** Undefined: not known here. */
  get(service: string = ''): ServingStatus | undefined {
    return this.#statuses.get(service)
  }

  /** From now on. After `drain` it is remembered and told again by nobody. */
  set(service: GrpcService | string, status: ServingStatus): void {
    const name = nameOf(service)
    if (this.#drained) return
    this.#statuses.set(name, status)
    this.#tell(name, STATUSES[status])
  }

  /** Not known here any more. */
  delete(service: GrpcService | string): void {
    const name = nameOf(service)
    if (this.#drained || !this.#statuses.delete(name)) return
    this.#tell(name, Status.SERVICE_UNKNOWN)
  }

  /**
   * The server goes: nothing serves any more, for good. Watchers hear of it and their calls end, so
   * that they do not hold the drain up.
   */
  drain(): void {
    if (this.#drained) return
    for (const name of this.#statuses.keys()) {
      this.#statuses.set(name, 'NOT_SERVING')
      this.#tell(name, STATUSES.NOT_SERVING)
    }
    this.#drained = true
    for (const watchers of this.#watchers.values()) {
      for (const watcher of watchers) watcher.end()
    }
  }

  /** Drains with a server. Returns what ends that. */
  follow(server: Draining): () => void {
    return server.whenDraining(() => this.drain())
  }

  #known(service: string): ServingStatus {
    const status = this.#statuses.get(service)
    if (status !== undefined) return status
    const shown = JSON.stringify(service.slice(0, MAX_SHOWN))
    throw new GrpcError('NOT_FOUND', `the health of ${shown} is not known`)
  }

  #list(): { statuses: Record<string, Told> } {
    const { size } = this.#statuses
    if (size > this.#maxListed) {
      const message = `${size} services, over maxListed ${this.#maxListed}`
      throw new GrpcError('RESOURCE_EXHAUSTED', message)
    }
    const entries = [...this.#statuses].map(([name, status]) => [
      name,
      { status: STATUSES[status] },
    ])
    return { statuses: Object.fromEntries(entries) }
  }

  #watch(service: string): Source<Told> {
    if (this.#watching >= this.#maxWatchers) {
      throw new GrpcError('RESOURCE_EXHAUSTED', `maxWatchers ${this.#maxWatchers} are watching`)
    }
    let watchers = this.#watchers.get(service)
    if (watchers === undefined) {
      watchers = new Set()
      this.#watchers.set(service, watchers)
    }
    const status = this.#statuses.get(service)
    const watcher = new Watcher(
      status === undefined ? Status.SERVICE_UNKNOWN : STATUSES[status],
      () => {
        if (!watchers.delete(watcher)) return
        this.#watching--
        // Names come from clients: one that nobody watches is not kept.
        if (watchers.size === 0) this.#watchers.delete(service)
      },
    )
    watchers.add(watcher)
    this.#watching++
    if (this.#drained) watcher.end()
    return watcher.channel
  }

  #tell(name: string, status: Status): void {
    const watchers = this.#watchers.get(name)
    if (watchers !== undefined) for (const watcher of watchers) watcher.tell(status)
  }
}

interface Told {
  status: Status
}

/** One `Watch`: what its client has not taken yet is the latest status only. */
class Watcher {
  readonly channel: Channel<Told>
  readonly #onEnd: () => void
  #status: Status
  #told: Status | undefined
  #ended = false

  constructor(status: Status, onEnd: () => void) {
    this.#status = status
    this.#onEnd = onEnd
    this.channel = new Channel<Told>(() => this.#flush(), onEnd)
  }

  tell(status: Status): void {
    this.#status = status
    if (this.channel.flowing) this.#flush()
  }

  /** After what is still to be told. */
  end(): void {
    this.#ended = true
    if (this.channel.flowing) this.#flush()
  }

  #flush(): void {
    if (this.#status !== this.#told) {
      const status = this.#status
      this.#told = status
      if (!this.channel.write({ status })) return
    }
    if (!this.#ended) return
    this.#onEnd()
    this.channel.end()
  }
}

function nameOf(service: GrpcService | string): string {
  return typeof service === 'string' ? service : service.implementation.desc.typeName
}

const STATUSES: Readonly<Record<ServingStatus, Status>> = Object.freeze({
  UNKNOWN: Status.UNKNOWN,
  SERVING: Status.SERVING,
  NOT_SERVING: Status.NOT_SERVING,
})
const MAX_SHOWN = 128
