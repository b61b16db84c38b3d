/**
 * One proxy: what connects to `listen` reaches `upstream` through toxics. TCP, Unix sockets; UDP when
 * `listen` begins with `udp://`, whole messages of WebSockets when it begins with `ws://`.
 */
import { type Address, formatAddress, parseAddress } from '../../core/address.ts'
import { ToxicSet } from '../../core/chaos/toxic-set.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { toError, UsageError } from '../../core/errors.ts'
import { redactUrl } from '../../core/secret.ts'
import type { Listener, Transport } from '../../core/transport.ts'
import { type ChaosTransport, chaos } from '../../links/chaos/chaos.ts'
import { type Splice, splice } from '../../runtime/splice.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { udp } from '../../transports/udp/udp.ts'
import { unix } from '../../transports/unix/unix.ts'
import { UdpFlows } from './udp-flows.ts'
import { checkUpstreamUrl, WebSocketFlows } from './web-socket-flows.ts'

export interface ChaosProxyOptions {
  readonly name: string
  readonly listen: string
  readonly upstream: string
  readonly seed: number
  readonly clock: Clock
  readonly maxBufferedBytes?: number | undefined
  /** Clients of a UDP proxy at a time. @default 1_000: each has a socket */
  readonly maxFlows?: number
  /** A UDP client that is silent for so long is forgotten. @default 60_000 */
  readonly flowIdleTimeoutMs?: number
  onError?(error: Error): void
}

export class ChaosProxy {
  readonly name: string
  readonly upstream: string
  readonly toxics: ToxicSet
  readonly #options: ChaosProxyOptions
  readonly #kind: 'stream' | 'udp' | 'ws'
  readonly #network: ChaosTransport | undefined
  readonly #splices = new Set<Splice>()
  #listen: string
  #listener: Listener | undefined
  #flows: UdpFlows | WebSocketFlows | undefined
  #bytesUp = 0
  #bytesDown = 0

  constructor(options: ChaosProxyOptions) {
    const { name, listen, upstream, seed, clock, maxBufferedBytes } = options
    this.name = name
    this.upstream = upstream
    this.#options = options
    this.#listen = listen
    this.#kind = kindOf(listen)
    // An upstream is refused now, not when somebody connects.
    if (this.#kind === 'ws') checkUpstreamUrl(upstream)
    else if (parseAddress(upstream).kind === 'url') {
      const said = `upstream is '${redactUrl(upstream)}', must be ws:// if listen is, else host:port`
      throw new UsageError('ERR_ADDRESS_INVALID', said)
    }
    if (this.#kind !== 'stream') {
      const carrier = this.#kind === 'udp' ? 'datagram' : 'message'
      this.toxics = new ToxicSet({ clock, carrier, seed, maxBufferedBytes })
      return
    }
    const limits = maxBufferedBytes === undefined ? {} : { maxBufferedBytes }
    this.#network = chaos(transportOf(parseAddress(upstream)), { clock, seed, ...limits })
    this.toxics = this.#network.toxics
  }

  /** Port 0 is replaced once it has been enabled, and kept. */
  get listen(): string {
    return this.#listen
  }
  get enabled(): boolean {
    return this.#listener !== undefined || this.#flows !== undefined
  }
  get connections(): number {
    return this.#flows?.count ?? this.#splices.size
  }
  get bytesUp(): number {
    return this.#sum('bytesFromA', this.#bytesUp) + (this.#flows?.bytesUp ?? 0)
  }
  get bytesDown(): number {
    return this.#sum('bytesFromB', this.#bytesDown) + (this.#flows?.bytesDown ?? 0)
  }

  async enable(): Promise<void> {
    if (this.enabled) return
    if (this.#kind === 'ws') {
      const { clock } = this.#options
      const flows = await WebSocketFlows.listen(this.#listen, {
        clock,
        toxics: this.toxics,
        upstream: this.upstream,
        onError: (error) => this.#options.onError?.(toError(error)),
      })
      this.#flows = flows
      this.#listen = flows.address
      return
    }
    const at = parseAddress(this.#listen)
    if (this.#kind === 'udp') {
      const flows = await this.#bind(at)
      this.#flows = flows
      this.#listen = `udp://${formatPlain(flows.address)}`
      return
    }
    if (this.#network !== undefined) this.#network.enabled = true
    this.#listener = await transportOf(at).listen(at, {
      onConnection: (client) => void this.#join(client),
      onError: (error) => this.#options.onError?.(error),
    })
    this.#listen = formatPlain(this.#listener.address)
  }

  async disable(): Promise<void> {
    const listener = this.#listener
    const flows = this.#flows
    this.#listener = undefined
    this.#flows = undefined
    if (this.#network !== undefined) this.#network.enabled = false
    for (const one of this.#splices) one.destroy()
    if (flows !== undefined) {
      this.#bytesUp += flows.bytesUp
      this.#bytesDown += flows.bytesDown
    }
    await Promise.all([listener?.close({ signal: AbortSignal.abort() }), flows?.close()])
  }

  async #bind(at: Address): Promise<UdpFlows> {
    const { clock, maxFlows = 1_000, flowIdleTimeoutMs: idleTimeoutMs = 60_000 } = this.#options
    const transport = udp({ clock })
    return new UdpFlows(await transport.bind(at), {
      clock,
      transport,
      toxics: this.toxics,
      upstream: parseAddress(this.upstream),
      maxFlows,
      idleTimeoutMs,
      onError: (error) => this.#options.onError?.(toError(error)),
    })
  }

  async #join(client: Connection): Promise<void> {
    const network = this.#network as ChaosTransport
    let server: Connection
    try {
      server = await network.connect(parseAddress(this.upstream))
    } catch (error) {
      this.#options.onError?.(toError(error))
      // As toxiproxy, which cannot refuse what the kernel has accepted.
      return client.destroy(toError(error))
    }
    if (!this.enabled) {
      client.destroy()
      return server.destroy()
    }
    const joined: Splice = splice(client, server, {
      onDone: ({ bytesFromA, bytesFromB }) => {
        this.#splices.delete(joined)
        this.#bytesUp += bytesFromA
        this.#bytesDown += bytesFromB
      },
    })
    this.#splices.add(joined)
  }

  #sum(what: 'bytesFromA' | 'bytesFromB', before: number): number {
    let sum = before
    for (const one of this.#splices) sum += one[what]
    return sum
  }
}

/** @throws UsageError ERR_ADDRESS_INVALID for wss:// */
function kindOf(listen: string): 'stream' | 'udp' | 'ws' {
  if (listen.startsWith('wss://')) {
    const said = `listen is '${redactUrl(listen)}', must be ws://host:port: TLS is for who stands in front`
    throw new UsageError('ERR_ADDRESS_INVALID', said)
  }
  if (listen.startsWith('udp://')) return 'udp'
  return listen.startsWith('ws://') ? 'ws' : 'stream'
}

function transportOf(address: Address): Transport {
  return address.kind === 'unix' ? unix() : tcp()
}

/** `127.0.0.1:80`, without a scheme: what toxiproxy's clients expect. */
function formatPlain(address: Address): string {
  return formatAddress(address).replace(/^[a-z]+:\/\//, '')
}
