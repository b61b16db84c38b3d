/**
 * WebSocket (RFC 6455) as a transport of messages, over any transport of byte streams.
 *
 *     webSocket().connect({ kind: 'url', url: 'wss://example.com/feed' })
 *     webSocket({ carrier: memory({ clock }) }).listen(…)
 *
 * `ws://` and plain addresses go over `carrier`, `wss://` over `secureCarrier`, `ws+unix:` and Unix
 * addresses over `unixCarrier`. To serve HTTP and WebSocket on one port, see websocket-upgrade.ts.
 */
import type { Address } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { checkRange, UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MessageTransport,
  Transport,
  TransportBaseOptions,
  TransportTraits,
} from '../../core/transport.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { type FieldsInit, HttpFields } from '../../protocols/http/fields.ts'
import type { Http1ClientOptions, Http1ServerOptions } from '../../protocols/http1/options.ts'
import {
  sameOrigin,
  type UpgradeOffer,
  type UpgradePolicy,
} from '../../protocols/websocket/handshake.ts'
import {
  type ResolvedWebSocketOptions,
  resolveWebSocketOptions,
  type WebSocketOptions,
} from '../../protocols/websocket/options.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { tls } from '../../transports/tls/tls.ts'
import { unix } from '../../transports/unix/unix.ts'
import { clientHandshake } from './client-handshake.ts'
import { type ExchangeMaker, exchangeHandshake } from './exchange-handshake.ts'
import { listeningUrl, webSocketTarget } from './websocket-address.ts'
import { WebSocketConnection } from './websocket-connection.ts'
import { WebSocketListener } from './websocket-listener.ts'

export interface WebSocketTransportOptions extends WebSocketOptions, TransportBaseOptions {
  /** What carries `ws://` and plain addresses. @default tcp() */
  carrier?: Transport
  /** What carries `wss://`; with credentials to listen. @default tls() */
  secureCarrier?: Transport
  /** What carries `ws+unix:` and Unix addresses. @default `carrier` if it is given, else unix() */
  unixCarrier?: Transport
  /**
   * Makes connections as exchanges of an HTTP client (RFC 8441), which share its HTTP/2 connections:
   * `httpClient(origin, { version: '2' })`, or an agent. It stays the caller's to close. The address
   * says scheme, authority and path; the way is the client's. Connecting only, and not together with
   * a carrier.
   *
   * @default none: each WebSocket has a connection of its own
   */
  over?: ExchangeMaker
  /**
   * Path and query where an address has none, as a Unix socket. A listener on such an address serves
   * any path.
   *
   * @default '/'
   */
  path?: string
  /**
   * What is spoken inside. A client offers these and fails if none is chosen; a server chooses the
   * first that the client offers and refuses clients that offer only others, with 400.
   *
   * @default none
   */
  subprotocols?: readonly string[]
  /** A server refuses clients that offer no subprotocol, too. @default false */
  requireSubprotocol?: boolean
  /**
   * Whether pages of an origin may connect to a server: browsers send cookies along, whatever page
   * asks. `undefined` is a client that is no browser.
   *
   * @default no origin, or that of the server itself (RFC 6455 10.2)
   */
  allowOrigin?: (origin: string | undefined, offer: UpgradeOffer) => boolean
  /** Further fields of a client's request: cookies, authorization, origin. @default none */
  fields?: FieldsInit
  /**
   * How long the handshake may take, in milliseconds, on both sides.
   *
   * @default 10_000
   */
  handshakeTimeoutMs?: number
  /** Limits of the handshake's HTTP. */
  http1?: Omit<Http1ClientOptions & Http1ServerOptions, 'host' | 'scheme' | 'date'>
  /** @default Node's */
  host?: Host
}

export const webSocketTransportDefaults: Readonly<{
  path: string
  requireSubprotocol: boolean
  handshakeTimeoutMs: number
}> = Object.freeze({ path: '/', requireSubprotocol: false, handshakeTimeoutMs: 10_000 })

export function webSocket(options: WebSocketTransportOptions = {}): WebSocketTransport {
  return new WebSocketTransport(options)
}

export class WebSocketTransport implements MessageTransport {
  readonly name = 'websocket'
  readonly traits: TransportTraits
  readonly #options: WebSocketTransportOptions
  readonly #resolved: ResolvedWebSocketOptions
  readonly #policy: UpgradePolicy
  readonly #fields: HttpFields | undefined
  readonly #handshakeTimeoutMs: number
  #secure: Transport | undefined

  constructor(options: WebSocketTransportOptions = {}) {
    const { handshakeTimeoutMs = webSocketTransportDefaults.handshakeTimeoutMs } = options
    checkOver(options)
    this.#options = options
    this.#resolved = resolveWebSocketOptions(options)
    this.#policy = upgradePolicy(options)
    this.#fields = options.fields === undefined ? undefined : new HttpFields(options.fields)
    this.#handshakeTimeoutMs = checkRange('handshakeTimeoutMs', handshakeTimeoutMs, 1, 3_600_000)
    this.traits = Object.freeze({
      halfClose: false,
      secure: options.carrier?.traits.secure ?? false,
      messageBoundaries: true,
    })
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<WebSocketConnection> {
    const { clock = systemClock, host = nodeHost, path = '/', http1, over } = this.#options
    const to = webSocketTarget(address, path)
    const deadline = Math.min(
      options.deadline ?? Number.POSITIVE_INFINITY,
      clock.now() + this.#handshakeTimeoutMs,
    )
    const settings = {
      clock,
      host,
      http1,
      options: this.#resolved,
      subprotocols: this.#policy.subprotocols,
      fields: this.#fields,
    }
    const limits = { ...(options.signal !== undefined && { signal: options.signal }), deadline }
    const { carrier, agreement } =
      over === undefined
        ? await clientHandshake(
            await this.#carrier(to.carrier).connect(to.address, { ...options, deadline }),
            to,
            settings,
            limits,
          )
        : await exchangeHandshake(over, address, to, settings, limits)
    const { subprotocol, deflate } = agreement
    const { target } = to
    return new WebSocketConnection(carrier, {
      role: 'client',
      clock,
      host,
      options: this.#resolved,
      subprotocol,
      deflate,
      target,
    })
  }

  async listen(address: Address, options: ListenOptions<WebSocketConnection>): Promise<Listener> {
    const { clock = systemClock, host = nodeHost, path = '/', http1, over } = this.#options
    if (over !== undefined) {
      const message =
        'over: an HTTP client does not listen; an HTTP server does, by webSocketUpgrade'
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    const at = webSocketTarget(address, path)
    const listener = new WebSocketListener(
      {
        clock,
        host,
        http1,
        options: this.#resolved,
        policy: this.#policy,
        handshakeTimeoutMs: this.#handshakeTimeoutMs,
        target: address.kind === 'url' ? at.target : undefined,
      },
      options,
    )
    const onConnection = (connection: Connection): void => listener.accept(connection)
    const carrier = await this.#carrier(at.carrier).listen(at.address, { ...options, onConnection })
    const where =
      address.kind === 'url'
        ? { kind: 'url' as const, url: listeningUrl(address.url, carrier.address) }
        : carrier.address
    return listener.start(carrier, where)
  }

  #carrier(kind: 'plain' | 'secure' | 'unix'): Transport {
    const { carrier, secureCarrier, unixCarrier } = this.#options
    if (kind === 'plain') return carrier ?? tcp()
    if (kind === 'unix') return unixCarrier ?? carrier ?? unix()
    this.#secure ??= secureCarrier ?? (carrier?.traits.secure ? carrier : tls({ alpn: ALPN }))
    return this.#secure
  }
}

function checkOver({ over, ...others }: WebSocketTransportOptions): void {
  if (over === undefined) return
  for (const name of ['carrier', 'secureCarrier', 'unixCarrier', 'http1'] as const) {
    if (others[name] === undefined) continue
    throw new UsageError('ERR_ARGUMENT', `over and ${name}: the HTTP client has its own way`)
  }
}

/** Checked once: what a server accepts. */
export function upgradePolicy(
  options: Pick<WebSocketTransportOptions, 'subprotocols' | 'requireSubprotocol' | 'allowOrigin'>,
): UpgradePolicy {
  const {
    subprotocols = [],
    requireSubprotocol = webSocketTransportDefaults.requireSubprotocol,
    allowOrigin = sameOrigin,
  } = options
  for (const name of subprotocols) {
    if (TOKEN.test(name)) continue
    throw new UsageError('ERR_ARGUMENT', `'${name}' cannot be the name of a subprotocol`)
  }
  if (new Set(subprotocols).size !== subprotocols.length) {
    throw new UsageError('ERR_ARGUMENT', 'a subprotocol is named twice')
  }
  return { subprotocols, requireSubprotocol, allowOrigin }
}

const ALPN = ['http/1.1']
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
