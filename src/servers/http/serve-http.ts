/**
 * HTTP on an accepted connection, of whichever version its client speaks:
 *
 *     TLS, ALPN h2 ────────────────────────────────▸ HTTP/2
 *     TLS, ALPN http/1.1 ──────────────────────────▸ HTTP/1.1
 *     else, first bytes ─┬ "PRI * HTTP/2.0" ───────▸ HTTP/2
 *                        └ anything else ──────────▸ HTTP/1.1 ──Upgrade: h2c──▸ HTTP/2
 *
 * What was read to find out goes to the session that was chosen.
 */
import type { Clock, Random, Timer } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { ClosedError, checkInteger, UsageError } from '../../core/errors.ts'
import type { HttpServerSession } from '../../protocols/http/exchange.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import type { Http1ServerOptions } from '../../protocols/http1/options.ts'
import { Http1ServerSession } from '../../protocols/http1/server-session.ts'
import type { Http2ServerOptions, Http2UpgradedRequest } from '../../protocols/http2/options.ts'
import { beginsHttp2 } from '../../protocols/http2/preface.ts'
import { Http2ServerSession } from '../../protocols/http2/server-session.ts'
import { FirstBytes } from '../../runtime/first-bytes.ts'
import type { ConnectionControl, ServerConnection } from '../../runtime/server.ts'
import { HttpServerConnection, type HttpServerConnectionOptions } from './http-server-connection.ts'
import { upgradesToHttp2 } from './upgrade-to-http2.ts'

/** A version that a server may speak. */
export type ServedVersion = '1.1' | '2'

export interface ServeHttpOptions extends Omit<HttpServerConnectionOptions, 'scheme'> {
  readonly versions: readonly ServedVersion[]
  readonly http1: Http1ServerOptions
  readonly http2: Http2ServerOptions
  /** How long the first bytes may take to say which version it is. */
  readonly headTimeoutMs: number
  /** See HttpServerOptions; undefined: connections grow as old as they like. */
  readonly age: ConnectionAge | undefined
  /** Longest body of a request that upgrades from HTTP/1.1; undefined: upgrades are not taken. */
  readonly upgradeBytes: number | undefined
}

export interface ConnectionAge {
  readonly maxMs: number
  readonly graceMs: number
  readonly random: Random
}

/** @throws UsageError for a version that there is not, or for none */
export function checkVersions(versions: readonly ServedVersion[]): readonly ServedVersion[] {
  const known = versions.every((version) => version === '1.1' || version === '2')
  if (known && versions.length > 0) return versions
  throw new UsageError('ERR_OPTION_RANGE', `versions: ${versions.join(', ') || 'none'}`)
}

/** What TLS offers for them, preferred first: HTTP/2 does more on one connection. */
export function alpnOf(versions: readonly ServedVersion[]): readonly string[] {
  const offered: string[] = []
  if (versions.includes('2')) offered.push('h2')
  if (versions.includes('1.1')) offered.push('http/1.1')
  return offered
}

/** @throws UsageError ERR_OPTION_RANGE */
export function checkUpgradeBytes(bytes: number): number {
  return checkInteger('upgradeBytes', bytes, 0, 0x4000_0000)
}

/**
 * Serves the connection, which it owns from here on.
 *
 * @param onClosed once, when HTTP has ended on it
 */
export function serveHttp(
  connection: Connection,
  control: ConnectionControl,
  options: ServeHttpOptions,
  onClosed: (reason: Error | undefined) => void,
): ServerConnection {
  const { age, clock } = options
  if (age === undefined) return new HttpFront(connection, control, options, onClosed).begin()
  let timer: Timer | undefined
  const served = new HttpFront(connection, control, options, (reason) => {
    timer?.cancel()
    onClosed(reason)
  }).begin()
  timer = startAging(served, age, clock, (next) => {
    timer = next
  })
  return served
}

/** Connections that came together must not all end together: give or take a tenth. */
function startAging(
  served: ServerConnection,
  age: ConnectionAge,
  clock: Clock,
  onTimer: (timer: Timer) => void,
): Timer {
  const { maxMs, graceMs, random } = age
  const onOld = (): void => {
    served.drain()
    if (graceMs === Number.POSITIVE_INFINITY) return
    const message = `requests went on for ${graceMs} ms after the connection's age was over`
    const grace = clock.setTimer(clock.now() + graceMs, () =>
      served.destroy(new ClosedError('ERR_CLOSED', message)),
    )
    grace.unref()
    onTimer(grace)
  }
  const timer = clock.setTimer(clock.now() + maxMs * (0.9 + 0.2 * random()), onOld)
  timer.unref()
  return timer
}

class HttpFront {
  readonly #connection: Connection
  readonly #control: ConnectionControl
  readonly #options: ServeHttpOptions
  readonly #onClosed: (reason: Error | undefined) => void
  readonly #scheme: 'http' | 'https'
  readonly #startedAt: number

  constructor(
    connection: Connection,
    control: ConnectionControl,
    options: ServeHttpOptions,
    onClosed: (reason: Error | undefined) => void,
  ) {
    this.#connection = connection
    this.#control = control
    this.#options = options
    this.#onClosed = onClosed
    this.#scheme = connection.facts.tls === undefined ? 'http' : 'https'
    this.#startedAt = options.clock.now()
  }

  begin(): ServerConnection {
    const { versions } = this.#options
    const { transport, tls } = this.#connection.facts
    if (!versions.includes('2')) return this.#http1()
    if (!versions.includes('1.1')) return this.#http2()
    // What other layers over TLS carry was not agreed there.
    const agreed = transport === 'tls' || transport.startsWith('tls+') ? tls?.alpn : undefined
    if (agreed === 'h2') return this.#http2()
    return agreed === 'http/1.1' ? this.#http1() : this.#detect()
  }

  #detect(): ServerConnection {
    const { clock, headTimeoutMs } = this.#options
    let isHttp2 = false
    const stage = new FirstBytes({
      clock,
      connection: this.#connection,
      timeoutMs: headTimeoutMs,
      maxBytes: Number.POSITIVE_INFINITY,
      judge: (bytes, ended) => {
        const begins = beginsHttp2(bytes)
        isHttp2 = begins === true
        return begins === undefined && !ended ? undefined : 0
      },
      onDecided: () => (isHttp2 ? this.#http2() : this.#http1()),
      // HTTP/1.1 knows how a connection that says nothing, or half a line, is closed.
      onTimeout: () => true,
      onDrain: () => true,
      onGone: (reason) => this.#onClosed(reason),
    })
    stage.start()
    return stage
  }

  #http1(): HttpServerConnection {
    const { http1, upgradeBytes, service } = this.#options
    const scheme = this.#scheme
    const session = new Http1ServerSession({ ...http1, scheme }, this.#startedAt)
    if (upgradeBytes === undefined || this.#connection.facts.tls !== undefined) {
      return this.#serve(session, service, this.#onClosed)
    }
    // The connection is handed over in a moment: what closed then was only HTTP/1.1.
    let upgraded: ServerConnection | undefined
    const upgrading = upgradesToHttp2(service, upgradeBytes, (connection, request) => {
      upgraded = this.#upgrade(connection, request)
    })
    return this.#serve(session, upgrading, (reason) => {
      if (reason !== undefined) return this.#onClosed(reason)
      queueMicrotask(() => {
        if (upgraded === undefined) this.#onClosed(undefined)
        else this.#control.replace(upgraded)
      })
    })
  }

  #upgrade(connection: Connection, upgraded: Http2UpgradedRequest): ServerConnection | undefined {
    try {
      return this.#http2(upgraded)
    } catch (error) {
      // Its HTTP2-Settings are none. 101 has been said already.
      connection.destroy(error as Error)
      return undefined
    }
  }

  #http2(upgraded?: Http2UpgradedRequest): HttpServerConnection {
    const { http2, service } = this.#options
    // Behind a proxy that ended TLS, what comes here plainly says https all the same.
    const said = this.#scheme === 'https' ? this.#scheme : undefined
    const options = { ...http2, scheme: said, ...(upgraded !== undefined && { upgraded }) }
    const session = new Http2ServerSession(options, this.#startedAt)
    return this.#serve(session, service, this.#onClosed)
  }

  #serve(
    session: HttpServerSession,
    service: HttpService,
    onClosed: (reason: Error | undefined) => void,
  ): HttpServerConnection {
    const options = { ...this.#options, service, scheme: this.#scheme }
    const served = new HttpServerConnection(this.#connection, session, options, onClosed)
    this.#control.to('ready')
    served.start()
    return served
  }
}
