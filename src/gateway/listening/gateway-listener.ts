/**
 * One listener of the configuration: an address, and what is done with whoever connects there.
 *
 *     accept ─▸ PROXY header? ─▸ detect? ─┬▸ TLS here ─▸ (as if accepted anew)
 *                                         ├▸ HTTP/1.1 ─▸ the proxy service
 *                                         └▸ raw ─▸ a cluster, byte for byte
 *
 * A reload replaces the plan (routes, forwarding, limits of messages) without touching the socket;
 * requests in flight keep the plan they began with. Certificates and all that concerns TLS change with
 * the next handshake. Only another address or other connection limits need a new listener.
 */
// size: every way of a connection from its address to its protocol; each hands on to the next.
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock, Random } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type { CallInit } from '../../core/context.ts'
import { ClosedError, OverloadError, ProtocolError, TimeoutError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { Listener, Transport } from '../../core/transport.ts'
import { httpClassifier } from '../../protocols/http/classifier.ts'
import type { HttpFields } from '../../protocols/http/fields.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import type { TlsHello } from '../../protocols/tls-hello/tls-hello-decoder.ts'
import { FirstBytes } from '../../runtime/first-bytes.ts'
import { type ConnectionControl, type ServerConnection, ServerCore } from '../../runtime/server.ts'
import { splice } from '../../runtime/splice.ts'
import type { AdmitAddress } from '../../security/address-list.ts'
import { alpnOf, type ServeHttpOptions, serveHttp } from '../../servers/http/serve-http.ts'
import { publishedService, stateObserver } from '../../servers/http/server-telemetry.ts'
import type { AuditTrail } from '../access/audit-trail.ts'
import { durationMs } from '../config/quantity.ts'
import type { ListenerConfig } from '../config/schema/listener.ts'
import type { GatewayFiles } from '../gateway-files.ts'
import { type HttpPlan, HttpProxy } from '../http/http-proxy.ts'
import type { ListenerStatus } from '../status.ts'
import type { ServerTls } from '../transports.ts'
import { Farewell, Refused, Tunnel } from './connection-ends.ts'
import { HANDOFF_ADDRESS, Handoff } from './handoff.ts'
import { knowsConnect, versionsOf } from './http-versions.ts'
import { parseListenAddress } from './listen-address.ts'
import type { ListenerTraffic } from './listener-traffic.ts'
import { detectProtocol, http2Refusal, peekHello } from './protocol-detection.ts'
import {
  announce,
  judgeProxyHeader,
  MAX_PROXY_HEADER_BYTES,
  proxyHeaderPolicy,
} from './proxy-header-check.ts'
import { matchRaw, noRawRoute, RawConnection, type RawRoute } from './raw-connection.ts'

/** What a reload may replace. */
export interface ListenerPlan {
  readonly config: ListenerConfig
  /** `allow` and `deny`, compiled. */
  readonly admits: AdmitAddress
  /** Rules about connections; undefined: there are none. */
  readonly mayConnect: ((connection: Connection) => Error | undefined) | undefined
  /** Counts a connection; undefined: none are counted. */
  readonly connectionRate: AdmitAddress | undefined
  readonly http: HttpPlan
  readonly raw: readonly RawRoute[]
}

export interface GatewayListenerOptions {
  readonly audit: AuditTrail
  readonly clock: Clock
  readonly random: Random
  readonly host: Host
  readonly traffic: ListenerTraffic
  readonly drainTimeoutMs: number
  readonly plain: Transport
  /** Ends TLS, over what it is given or directly on TCP; undefined: the listener has no TLS. */
  readonly serverTls:
    | ((inner: Transport | undefined, alpn: readonly string[]) => Promise<ServerTls>)
    | undefined
  /** Descriptor of a socket that was passed to us. */
  readonly descriptor: number | undefined
  readonly date: (now: number) => string
}

export class GatewayListener {
  readonly name: string
  readonly proxy: HttpProxy
  #plan: ListenerPlan
  readonly #options: GatewayListenerOptions
  readonly #core: ServerCore
  readonly #service: HttpService
  /** By the client's connection: upgraded, and no longer HTTP. */
  readonly #tunnels = new Map<Connection, Tunnel>()
  readonly #handoff = new Handoff()
  readonly #staged: boolean
  /** As the plan of the moment says, also for connections that are older. */
  readonly #contextReader = {
    read: (fields: HttpFields, init: CallInit, now: number) =>
      this.#plan.http.tracing.reader.read(fields, init, now),
  }
  #proxyPolicy: ReturnType<typeof proxyHeaderPolicy>
  #serving: { readonly config: ListenerConfig; readonly options: ServeHttpOptions } | undefined
  #listener: Listener | undefined
  #tls: ServerTls | undefined
  /** Connections that came back from TLS were counted when they were accepted. */
  #handedOff = 0
  #rawTotal = 0
  #state: ListenerStatus['state'] = 'listening'

  constructor(plan: ListenerPlan, options: GatewayListenerOptions) {
    const { config } = plan
    this.name = config.name
    this.#plan = plan
    this.#options = options
    this.#staged = config.protocol === 'detect' || config.proxy_protocol.mode !== 'off'
    this.#proxyPolicy = proxyHeaderPolicy(config.proxy_protocol)
    const { traffic, clock, random } = options
    this.proxy = new HttpProxy(plan.http, {
      clock,
      random,
      inFlight: () => traffic.active,
      accepting: () => options.audit.accepting,
      onUpgrade: (downstream, upstream) => this.#tunnel(downstream, upstream),
      onFailure: (request, error) => traffic.onFailure(request, error),
    })
    this.#service = publishedService(knowsConnect(this.proxy.service, options.host), this.name)
    this.#core = new ServerCore({
      clock,
      onStateChange: stateObserver(undefined, this.name),
      maxConnections: config.max_connections,
      ...(config.max_connections_per_address !== undefined && {
        maxConnectionsPerAddress: config.max_connections_per_address,
      }),
      drainTimeoutMs: options.drainTimeoutMs,
      admitAddress: (remote) => this.#admitPeer(remote),
      admit: (connection) => this.#countPeer(connection),
      createConnection: (connection, control) => this.#begin(connection, control),
      onError: (error) => traffic.fail(error),
    })
  }

  /** @throws TransportError when it cannot listen there */
  async listen(): Promise<void> {
    const { plain, serverTls, descriptor } = this.#options
    const { config } = this.#plan
    let transport = plain
    if (serverTls !== undefined) {
      if (this.#staged) {
        this.#tls = await serverTls(this.#handoff, offeredBy(config))
        await this.#listenForHandoffs(this.#tls.transport)
      } else {
        const overTcp = parseListenAddress(config.address).kind === 'ip'
        this.#tls = await serverTls(overTcp ? undefined : plain, offeredBy(config))
        transport = this.#tls.transport
      }
    }
    this.#listener = await this.#core.listen(transport, parseListenAddress(config.address), {
      ...(descriptor !== undefined && { descriptor }),
    })
  }

  get plan(): ListenerPlan {
    return this.#plan
  }

  /** As bound, port 0 replaced. */
  get address(): Address {
    return this.#listener?.address ?? parseListenAddress(this.#plan.config.address)
  }

  /**
   * What the next handshake uses. The result puts it in place, together with the rest of the plan.
   *
   * @throws UsageError ERR_CONFIG for certificates that cannot be used
   */
  async prepareTls(plan: ListenerPlan, files: GatewayFiles): Promise<() => void> {
    const { tls } = plan.config
    if (tls === undefined || this.#tls === undefined) return () => {}
    return this.#tls.prepare(tls, files, offeredBy(plan.config))
  }

  use(plan: ListenerPlan): void {
    this.#plan = plan
    this.proxy.plan = plan.http
    this.#proxyPolicy = proxyHeaderPolicy(plan.config.proxy_protocol)
  }

  status(): ListenerStatus {
    const { connections, accepted, refused } = this.#core.stats
    const { traffic } = this.#options
    const { config } = this.#plan
    const unixSocket = this.address.kind === 'unix'
    return {
      name: this.name,
      address: formatAddress(this.address),
      transport: config.tls !== undefined ? 'tls' : unixSocket ? 'unix' : 'tcp',
      protocol: config.protocol,
      state: this.#state,
      openConnections: connections,
      refusedConnections: refused,
      totalConnections: accepted - this.#handedOff,
      requests: traffic.requests,
      activeRequests: traffic.active,
      errors: traffic.errors,
    }
  }

  get rawConnections(): number {
    return this.#rawTotal
  }

  /** Stops accepting; what is in flight goes on until `close`'s time is over. */
  async close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#state = 'draining'
    await this.#core.close(options)
    this.#state = 'closed'
  }

  /** Who connects here. A proxy that may speak for others is let in: its client is looked at. */
  /** Once for each connection: one that is back from TLS was counted, one of a proxy speaks first. */
  #countPeer(connection: Connection): Error | undefined {
    const { remote, tls } = connection.facts
    if (this.#staged && tls !== undefined) return undefined
    if (this.#proxyPolicy.speaksForOthers(remote)) return undefined
    return this.#plan.connectionRate?.(remote)
  }

  #admitPeer(remote: Address): Error | undefined {
    return this.#proxyPolicy.speaksForOthers(remote) ? undefined : this.#admits(remote)
  }

  #admits(remote: Address): Error | undefined {
    const refusal = this.#plan.admits(remote)
    if (refusal !== undefined) this.#options.audit.refused(this.name, remote, refusal.message)
    return refusal
  }

  /** A connection as it came from the transport, or back from TLS. */
  #begin(connection: Connection, control: ConnectionControl): ServerConnection {
    const secure = connection.facts.tls !== undefined
    if (secure || !this.#staged) return this.#afterTls(connection, control)
    const policy = this.#proxyPolicy.decide(connection.facts.remote)
    if (policy instanceof Error) throw policy
    return policy === 'skip'
      ? this.#detect(connection, control)
      : this.#readProxyHeader(connection, control)
  }

  #readProxyHeader(connection: Connection, control: ConnectionControl): ServerConnection {
    const { clock } = this.#options
    const { proxy_protocol: config } = this.#plan.config
    const timeoutMs = durationMs(config.timeout)
    const optional = config.mode === 'optional'
    let announced = connection
    return start(
      new FirstBytes({
        clock,
        connection,
        timeoutMs,
        maxBytes: MAX_PROXY_HEADER_BYTES,
        judge: (bytes) => {
          const verdict = judgeProxyHeader(bytes, optional)
          if (verdict === undefined) return undefined
          announced = announce(connection, verdict.header)
          return verdict.length
        },
        onDecided: () => this.#admitAnnounced(announced, control),
        onTimeout: () =>
          new TimeoutError('ERR_REQUEST_TIMEOUT', `no PROXY header in ${timeoutMs} ms`),
        onGone: (reason) => this.#gone(control, reason),
      }),
    )
  }

  #admitAnnounced(connection: Connection, control: ConnectionControl): ServerConnection {
    const { remote } = connection.facts
    const refusal = this.#admits(remote) ?? this.#plan.connectionRate?.(remote)
    if (refusal === undefined) return this.#detect(connection, control)
    return this.#refuse(connection, control, refusal)
  }

  #refuse(connection: Connection, control: ConnectionControl, refusal: Error): ServerConnection {
    connection.destroy(refusal)
    control.closed(refusal)
    return new Refused(connection)
  }

  /** What comes behind a PROXY header, or at once. */
  #detect(connection: Connection, control: ConnectionControl): ServerConnection {
    const { config } = this.#plan
    if (config.protocol !== 'detect') {
      if (this.#options.serverTls !== undefined) return this.#handOff(connection, control)
      return config.protocol === 'raw'
        ? this.#serveRaw(connection, control)
        : this.#serveHttp(connection, control)
    }
    let next: () => ServerConnection = () => this.#serveHttp(connection, control)
    const { clock } = this.#options
    const timeoutMs = durationMs(config.detect_timeout)
    return start(
      new FirstBytes({
        clock,
        connection,
        timeoutMs,
        maxBytes: MAX_DETECT_BYTES,
        judge: (bytes, ended) => {
          const detected = detectProtocol(bytes, ended)
          if (detected === undefined) return undefined
          next = () => this.#serveDetected(detected, connection, control)
          return 0
        },
        onDecided: () => next(),
        // Protocols in which the server speaks first are silent until then.
        onTimeout: () => {
          if (matchRaw(this.#plan.raw, undefined) === undefined) {
            return new TimeoutError('ERR_REQUEST_TIMEOUT', `not a byte in ${timeoutMs} ms`)
          }
          next = () => this.#startRaw(connection, control, undefined)
          return true
        },
        onGone: (reason) => this.#gone(control, reason),
      }),
    )
  }

  #serveDetected(
    detected: NonNullable<ReturnType<typeof detectProtocol>>,
    connection: Connection,
    control: ConnectionControl,
  ): ServerConnection {
    switch (detected.protocol) {
      case 'http1':
        return this.#serveHttp(connection, control)
      case 'tls': {
        const route = matchRaw(this.#plan.raw, detected.hello)
        const asked = route?.names !== undefined || route?.alpn !== undefined
        // A route that asks for nothing takes TLS only where nobody ends it.
        if (this.#options.serverTls !== undefined && !asked) {
          return this.#handOff(connection, control)
        }
        return this.#startRaw(connection, control, detected.hello)
      }
      case 'http2':
        if (this.#plan.config.http_versions.includes('2')) {
          return this.#serveHttp(connection, control)
        }
        if (matchRaw(this.#plan.raw, undefined) === undefined) {
          connection.open(new Farewell(connection, control))
          connection.write(http2Refusal())
          connection.end()
          return new Refused(connection)
        }
        return this.#startRaw(connection, control, undefined)
      case 'raw':
        return this.#startRaw(connection, control, undefined)
    }
  }

  /** The connection's TLS is done, or it has none. */
  #afterTls(connection: Connection, control: ConnectionControl): ServerConnection {
    const { protocol } = this.#plan.config
    if (protocol === 'raw') return this.#serveRaw(connection, control)
    return this.#serveHttp(connection, control)
  }

  #serveRaw(connection: Connection, control: ConnectionControl): ServerConnection {
    const { raw, config } = this.#plan
    const needsHello = raw.some(({ names, alpn }) => names !== undefined || alpn !== undefined)
    if (!needsHello) return this.#startRaw(connection, control, undefined)
    let hello: TlsHello | undefined
    const timeoutMs = durationMs(config.detect_timeout)
    return start(
      new FirstBytes({
        clock: this.#options.clock,
        connection,
        timeoutMs,
        maxBytes: MAX_DETECT_BYTES,
        judge: (bytes, ended) => {
          const peeked = peekHello(bytes)
          if (peeked === undefined) return ended ? 0 : undefined
          if (peeked !== 'not-tls') hello = peeked
          return 0
        },
        onDecided: () => this.#startRaw(connection, control, hello),
        onTimeout: () => {
          if (matchRaw(this.#plan.raw, undefined) !== undefined) return true
          return new TimeoutError('ERR_REQUEST_TIMEOUT', `no TLS hello in ${timeoutMs} ms`)
        },
        onGone: (reason) => this.#gone(control, reason),
      }),
    )
  }

  #startRaw(
    connection: Connection,
    control: ConnectionControl,
    hello: TlsHello | undefined,
  ): ServerConnection {
    // What cannot be recorded does not happen, bytes without a protocol included.
    const unrecorded = this.#options.audit.accepting ? undefined : unrecordable()
    const refusal = unrecorded ?? this.#plan.mayConnect?.(connection)
    if (refusal !== undefined) return this.#refuse(connection, control, refusal)
    const route = matchRaw(this.#plan.raw, hello)
    if (route === undefined) {
      const what =
        hello === undefined ? 'these bytes' : `server name ${hello.serverName ?? '(none)'}`
      const error = noRawRoute(what)
      connection.destroy(error)
      this.#gone(control, error)
      return new Refused(connection)
    }
    this.#rawTotal++
    const { traffic } = this.#options
    const raw = new RawConnection({
      clock: this.#options.clock,
      connection,
      route,
      onFailed: (error) => traffic.failRaw(error, route.name, route.cluster.name),
      onClosed: (reason) => control.closed(reason),
    })
    control.to('ready')
    void raw.start()
    return raw
  }

  #serveHttp(connection: Connection, control: ConnectionControl): ServerConnection {
    const refusal = this.#plan.mayConnect?.(connection)
    if (refusal !== undefined) return this.#refuse(connection, control, refusal)
    const { config } = this.#plan
    return serveHttp(connection, control, this.#servingOf(config), (reason) =>
      this.#onHttpClosed(connection, control, reason),
    )
  }

  /** Of the plan of the moment: once for each. */
  #servingOf(config: ListenerConfig): ServeHttpOptions {
    if (this.#serving?.config === config) return this.#serving.options
    const { clock, random, host, traffic, date } = this.#options
    const options = {
      ...versionsOf(config, host, random, date),
      service: this.#service,
      clock,
      requestTimeoutMs: Number.POSITIVE_INFINITY,
      observer: traffic,
      contextReader: this.#contextReader,
      errorResponse: httpClassifier.errorResponse,
    }
    this.#serving = { config, options }
    return options
  }

  /** TLS is ended here: the connection comes back through `#listenForHandoffs`. */
  #handOff(connection: Connection, control: ConnectionControl): ServerConnection {
    this.#handedOff++
    control.closed(undefined)
    this.#handoff.offer(connection)
    return new Refused(connection)
  }

  async #listenForHandoffs(secure: Transport): Promise<void> {
    await secure.listen(HANDOFF_ADDRESS, {
      onConnection: (connection) => this.#core.adopt(connection),
      onError: (error) => this.#options.traffic.fail(error),
    })
  }

  /**
   * The connection is done with HTTP: it closed, or it was upgraded and will be a tunnel in a moment.
   * A tunnel stays in the registry, so that limits and the drain hold for it as well.
   */
  #onHttpClosed(
    connection: Connection,
    control: ConnectionControl,
    reason: Error | undefined,
  ): void {
    if (reason !== undefined) return control.closed(reason)
    queueMicrotask(() => {
      const tunnel = this.#tunnels.get(connection)
      if (tunnel === undefined) return control.closed(undefined)
      tunnel.onDone = () => control.closed(undefined)
      control.replace(tunnel)
    })
  }

  #tunnel(downstream: Connection, upstream: Connection): void {
    const tunnel = new Tunnel()
    this.#tunnels.set(downstream, tunnel)
    tunnel.splice = splice(downstream, upstream, {
      onDone: () => {
        this.#tunnels.delete(downstream)
        tunnel.onDone?.()
      },
    })
  }

  #gone(control: ConnectionControl, reason: Error | undefined): void {
    if (reason !== undefined) this.#note(reason)
    control.closed(reason)
  }

  #note(reason: Error): void {
    const { traffic } = this.#options
    if (reason instanceof ProtocolError || reason instanceof TimeoutError) traffic.fail(reason)
    else if (reason instanceof ClosedError) traffic.fail(reason)
  }
}

function start(stage: FirstBytes): FirstBytes {
  stage.start()
  return stage
}

/** What TLS offers. Raw connections are promised nothing. */
function offeredBy({ protocol, http_versions: versions }: ListenerConfig): readonly string[] {
  return protocol === 'raw' ? ['http/1.1'] : alpnOf(versions)
}

const MAX_DETECT_BYTES = 20_000

function unrecordable(): Error {
  return new OverloadError('ERR_SHED', 'the audit log takes nothing more')
}
