/**
 * Connects to one endpoint and makes the connection ready for calls, in the version that is spoken
 * there.
 *
 *     version   over TLS                                   over anything else
 *     auto      offers h2 and http/1.1, the server chooses  HTTP/1.1
 *     1.1       offers http/1.1                             HTTP/1.1
 *     2         offers h2; anything else is an error        HTTP/2 at once: prior knowledge
 *     upgrade   as auto                                    HTTP/1.1 that asks to be upgraded (h2c)
 *
 * (RFC 9113 3.2 and 3.3.) A transport of the caller's own offers what its `alpn` says; where nothing
 * was agreed to, `2` is taken at its word.
 */
import { formatAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { checkRange, TransportError, UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import type { Endpoint } from '../../core/policy.ts'
import type { Transport } from '../../core/transport.ts'
import type { HttpClientSession } from '../../protocols/http/exchange.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { ContextWriter } from '../../protocols/http/propagation.ts'
import { Http1ClientSession } from '../../protocols/http1/client-session.ts'
import type { Http1ClientOptions } from '../../protocols/http1/options.ts'
import { Http2ClientSession } from '../../protocols/http2/client-session.ts'
import { Http2Code } from '../../protocols/http2/messages.ts'
import { type Http2ClientOptions, http2ClientDefaults } from '../../protocols/http2/options.ts'
import { TOO_MANY_PINGS } from '../../protocols/http2/ping-policy.ts'
import type { ConnectContext, Exchanger } from '../../runtime/exchanger.ts'
import type { Coalescing } from './coalescing.ts'
import {
  HttpClientConnection,
  type HttpClientConnectionOptions,
  type PushHandler,
} from './http-client-connection.ts'
import { UPGRADED_METHOD, upgradeToHttp2 } from './upgrade-http2.ts'

export type HttpVersionChoice = 'auto' | '1.1' | '2' | 'upgrade'

export interface Http1ConnectionOptions
  extends Omit<Http1ClientOptions, 'host'>,
    Pick<HttpClientConnectionOptions, 'continueTimeoutMs'> {}

export interface Http2ConnectionOptions
  extends Omit<Http2ClientOptions, 'host' | 'scheme' | 'upgraded'> {
  /**
   * A connection that was idle for longer is asked by a PING before a call is given to it; one that
   * does not answer within `pool.pingTimeoutMs` is dropped, and the call goes to a new one.
   *
   * @default 10_000: below what routers and firewalls forget connections after, and no round trip
   *   for calls that follow each other
   */
  verifyAfterIdleMs?: number
  /**
   * An idle connection is closed after this, unless `pool.idleTimeoutMs` says something else.
   *
   * @default 60_000: it is the only one of its origin, and making it anew costs three round trips
   */
  idleTimeoutMs?: number
  /**
   * Gets what the server pushes: the request that it answers before it was made, and the response.
   * With it `maxPushedStreams` is 16 unless given.
   *
   * @default none: push is refused
   */
  onPush?: PushHandler
}

export const httpConnectionDefaults: Readonly<{
  verifyAfterIdleMs: number
  idleTimeoutMs: number
  maxPushedStreams: number
}> = Object.freeze({ verifyAfterIdleMs: 10_000, idleTimeoutMs: 60_000, maxPushedStreams: 16 })

export interface HttpConnectSettings {
  readonly clock: Clock
  readonly host: Host
  readonly authority: string
  readonly scheme: 'http' | 'https'
  readonly version: HttpVersionChoice
  readonly contextWriter?: ContextWriter | undefined
  readonly http1?: Http1ConnectionOptions | undefined
  readonly http2?: Http2ConnectionOptions | undefined
  /** The pool's own limit was given: it counts for HTTP/2 as well. */
  readonly poolIdles?: boolean
  readonly coalescing?: Coalescing | undefined
  /** The server has declined to be upgraded: it is not asked again. */
  declinedUpgrade?: boolean
  /** By how much new connections ping less often: servers have said `too_many_pings`. */
  pingFactor?: number
}

/** What is offered by ALPN (RFC 7301). */
export function alpnOf(version: HttpVersionChoice): readonly string[] {
  return ALPN[version]
}

/** Calls that a new connection is expected to take, before it has said how many. */
export function expectedCapacityOf(
  version: HttpVersionChoice,
  scheme: 'http' | 'https',
  http2: Http2ConnectionOptions | undefined,
): number {
  // What a plain server answers to an upgrade is not known: as if it said no.
  if (version === '1.1' || (version !== '2' && scheme === 'http')) return 1
  return http2?.initialConcurrentStreams ?? http2ClientDefaults.initialConcurrentStreams
}

/** @throws UsageError ERR_ARGUMENT */
export function checkVersionChoice(version: HttpVersionChoice): HttpVersionChoice {
  if (Object.hasOwn(ALPN, version)) return version
  throw new UsageError(
    'ERR_ARGUMENT',
    `version '${String(version)}' is not auto, 1.1, 2 or upgrade`,
  )
}

/** @throws UsageError for options that no connection could have */
export function checkHttp2Options(http2: Http2ConnectionOptions | undefined): void {
  if (http2 === undefined) return
  checkIdling(http2)
  new Http2ClientSession(http2)
}

function checkIdling(http2: Http2ConnectionOptions): {
  verifyAfterIdleMs: number
  idleTimeoutMs: number
} {
  const {
    verifyAfterIdleMs = httpConnectionDefaults.verifyAfterIdleMs,
    idleTimeoutMs = httpConnectionDefaults.idleTimeoutMs,
  } = http2
  const never = Number.POSITIVE_INFINITY
  checkRange('verifyAfterIdleMs', verifyAfterIdleMs, 0, never)
  checkRange('idleTimeoutMs', idleTimeoutMs, 0, never)
  return { verifyAfterIdleMs, idleTimeoutMs }
}

export async function connectHttp(
  transport: Transport,
  endpoint: Endpoint,
  context: ConnectContext,
  settings: HttpConnectSettings,
): Promise<Exchanger<HttpRequest, HttpResponse>> {
  const { coalescing, version, scheme, authority } = settings
  if (coalescing !== undefined && scheme === 'https' && version !== '1.1') {
    const shared = await coalescing.find(endpoint, hostOf(authority))
    if (shared !== undefined) return shared
  }
  const connection = await dial(transport, endpoint, context, settings)
  if (version === 'upgrade' && connection.facts.tls === undefined) {
    return upgraded(connection, transport, endpoint, context, settings)
  }
  const isHttp2 = speaksHttp2(connection, formatAddress(endpoint.address), version)
  const exchanger = speak(connection, isHttp2, settings)
  if (isHttp2) coalescing?.offer(exchanger)
  return exchanger
}

function dial(
  transport: Transport,
  endpoint: Endpoint,
  context: ConnectContext,
  settings: HttpConnectSettings,
): Promise<Connection> {
  return transport.connect(endpoint.address, {
    signal: context.signal,
    deadline: context.deadline,
    serverName: endpoint.hostname ?? hostOf(settings.authority),
  })
}

/** The connection in HTTP/2, or another one in HTTP/1.1: the answer to the upgrade is not ours. */
async function upgraded(
  connection: Connection,
  transport: Transport,
  endpoint: Endpoint,
  context: ConnectContext,
  settings: HttpConnectSettings,
): Promise<HttpClientConnection> {
  const { authority, clock, http1 = {}, http2 = NO_OPTIONS } = settings
  if (settings.declinedUpgrade === true) return speak(connection, false, settings)
  const same = await upgradeToHttp2(connection, authority, context, clock, http1, http2)
  if (same !== undefined) return speak(same, true, settings, UPGRADED_METHOD)
  settings.declinedUpgrade = true
  return speak(await dial(transport, endpoint, context, settings), false, settings)
}

/** `a.example` of `a.example:8080`, `::1` of `[::1]:80`. */
export function hostOf(authority: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(authority)
  return bracketed?.[1] ?? authority.replace(/:\d+$/, '')
}

/**
 * What was agreed with `where`.
 *
 * @throws TransportError ERR_TLS for a protocol that was not asked for; the connection is closed
 */
export function speaksHttp2(
  connection: Connection,
  where: string,
  version: HttpVersionChoice,
): boolean {
  const alpn = connection.facts.tls?.alpn
  if (alpn === undefined) return version === '2'
  if (alpn === 'h2' && version !== '1.1') return true
  if (alpn === 'http/1.1' && version !== '2') return false
  connection.destroy()
  const wanted = alpnOf(version).join(' or ')
  throw new TransportError('ERR_TLS', `${where} agreed to ${alpn}, not to ${wanted}`, {
    sent: 'nothing',
  })
}

function speak(
  connection: Connection,
  isHttp2: boolean,
  settings: HttpConnectSettings,
  upgradedMethod?: string,
): HttpClientConnection {
  const { clock, contextWriter, http1, http2 = NO_OPTIONS, poolIdles } = settings
  const { verifyAfterIdleMs, idleTimeoutMs } = checkIdling(http2)
  const session = isHttp2 ? http2Session(settings, upgradedMethod) : http1Session(settings)
  const exchanger = new HttpClientConnection(connection, session, {
    clock,
    continueTimeoutMs: http1?.continueTimeoutMs,
    contextWriter,
    onPush: http2.onPush,
    onGoAway: (code, text) => onGoAway(settings, code, text),
    ...(isHttp2 && { pingAfterMs: verifyAfterIdleMs }),
    ...(isHttp2 && poolIdles !== true && { maxIdleMs: idleTimeoutMs }),
  })
  exchanger.start()
  return exchanger
}

/** gRFC A8: twice the interval for every connection that was ended for it. */
function onGoAway(settings: HttpConnectSettings, code: number, text: string): void {
  if (code !== Http2Code.ENHANCE_YOUR_CALM || text !== TOO_MANY_PINGS) return
  settings.pingFactor = (settings.pingFactor ?? 1) * 2
}

function http1Session({ http1, host }: HttpConnectSettings): HttpClientSession {
  return new Http1ClientSession({ ...http1, host })
}

function http2Session(
  settings: HttpConnectSettings,
  upgradedMethod: string | undefined,
): HttpClientSession {
  const { clock, host, scheme, http2 = NO_OPTIONS } = settings
  const { keepAlivePingMs = http2ClientDefaults.keepAlivePingMs } = http2
  const pushed = http2.onPush === undefined ? 0 : httpConnectionDefaults.maxPushedStreams
  return new Http2ClientSession(
    {
      ...http2,
      keepAlivePingMs: keepAlivePingMs * (settings.pingFactor ?? 1),
      host,
      scheme,
      maxPushedStreams: http2.maxPushedStreams ?? pushed,
      ...(upgradedMethod !== undefined && { upgraded: upgradedMethod }),
    },
    clock.now(),
  )
}

const ALPN: Readonly<Record<HttpVersionChoice, readonly string[]>> = Object.freeze({
  auto: ['h2', 'http/1.1'],
  upgrade: ['h2', 'http/1.1'],
  '1.1': ['http/1.1'],
  '2': ['h2'],
})
const NO_OPTIONS: Http2ConnectionOptions = Object.freeze({})
