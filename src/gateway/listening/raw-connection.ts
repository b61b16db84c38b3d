/**
 * Layer 4: a connection whose bytes go to an endpoint as they are, and the routes that choose the
 * cluster by server name and ALPN of a TLS hello.
 */
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { Call } from '../../core/context.ts'
import { ClosedError, toError } from '../../core/errors.ts'
import type { TlsHello } from '../../protocols/tls-hello/tls-hello-decoder.ts'
import type { ServerConnection } from '../../runtime/server.ts'
import { type Splice, splice } from '../../runtime/splice.ts'
import { durationMs } from '../config/quantity.ts'
import type { RawRouteConfig } from '../config/schema/route.ts'
import type { Cluster } from '../upstream/cluster.ts'

export interface RawRoute {
  readonly name: string
  readonly cluster: Cluster
  readonly idleTimeoutMs: number
  readonly names: readonly string[] | undefined
  readonly alpn: readonly string[] | undefined
}

export function compileRawRoutes(
  configs: readonly RawRouteConfig[],
  cluster: (name: string) => Cluster,
): RawRoute[] {
  return configs.map((config, index) => {
    const idleTimeoutMs = durationMs(config.idle_timeout)
    return {
      name: config.name ?? `raw-${index + 1}`,
      cluster: cluster(config.cluster),
      idleTimeoutMs: idleTimeoutMs === 0 ? Number.POSITIVE_INFINITY : idleTimeoutMs,
      names: config.match.sni?.map((name) => name.toLowerCase()),
      alpn: config.match.alpn,
    }
  })
}

/** The first route that fits. Without a hello only those that ask for nothing do. */
export function matchRaw(
  routes: readonly RawRoute[],
  hello: TlsHello | undefined,
): RawRoute | undefined {
  return routes.find(({ names, alpn }) => {
    if (names !== undefined && !matchesName(names, hello?.serverName)) return false
    return alpn === undefined || hello?.alpn.some((one) => alpn.includes(one)) === true
  })
}

function matchesName(patterns: readonly string[], name: string | undefined): boolean {
  return patterns.some((pattern) => {
    if (pattern === '*') return true
    if (name === undefined) return false
    if (!pattern.startsWith('*.')) return pattern === name
    return name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1
  })
}

export interface RawConnectionOptions {
  readonly clock: Clock
  readonly connection: Connection
  readonly route: RawRoute
  /** No endpoint could be connected to. `onClosed` follows. */
  readonly onFailed: (error: Error) => void
  readonly onClosed: (reason: Error | undefined) => void
}

/** From the accept to the end of both sides. The client is not read before the upstream is there. */
export class RawConnection implements ServerConnection {
  readonly idle = false
  readonly #options: RawConnectionOptions
  readonly #call: Call
  #splice: Splice | undefined

  constructor(options: RawConnectionOptions) {
    this.#options = options
    this.#call = new Call({ connection: options.connection })
  }

  async start(): Promise<void> {
    const { clock, connection, route, onClosed } = this.#options
    const { cluster, idleTimeoutMs } = route
    cluster.rawInFlight++
    try {
      const { connection: upstream, release } = await cluster.connectRaw(connection, this.#call)
      if (this.#call.cancelled) {
        release()
        upstream.destroy()
        throw this.#call.cancelReason
      }
      this.#splice = splice(connection, upstream, {
        clock,
        idleTimeoutMs,
        onDone: ({ reason }) => {
          cluster.rawInFlight--
          release()
          onClosed(reason)
        },
      })
    } catch (error) {
      cluster.rawInFlight--
      connection.destroy(toError(error))
      if (!this.#call.cancelled) this.#options.onFailed(toError(error))
      onClosed(toError(error))
    }
  }

  /** Nobody can tell where a byte stream may be cut: it goes on until the drain's time is over. */
  drain(): void {}

  destroy(reason: Error): void {
    this.#call.cancel(reason)
    if (this.#splice !== undefined) this.#splice.destroy(reason)
    else this.#options.connection.destroy(reason)
  }
}

/** For a connection that no raw route takes. */
export function noRawRoute(what: string): Error {
  return new ClosedError('ERR_CLOSED', `no raw route takes ${what}`)
}
