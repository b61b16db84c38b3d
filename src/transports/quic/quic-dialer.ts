/**
 * Dialling: an address becomes a connection whose handshake is over and whose peer was checked.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { toError, UsageError } from '../../core/errors.ts'
import type { ConnectOptions } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { connectError } from '../node-stream/system-errors.ts'
import { withTimeLimit } from '../node-stream/time-limit.ts'
import { SessionCache } from '../tls/session-cache.ts'
import { ClientEndpoints } from './client-endpoints.ts'
import { checkPeer } from './peer-check.ts'
import { quicDriver, requireQuic } from './quic-availability.ts'
import type { DrivenConnection, DrivenSettings, QuicDriver } from './quic-driver.ts'
import type { ResolvedQuicOptions } from './quic-options.ts'
import { resolveHost } from './resolve-host.ts'

export class QuicDialer {
  readonly #name: string
  readonly #options: ResolvedQuicOptions
  readonly #clock: Clock
  readonly #sessions: SessionCache
  readonly #endpoints: ClientEndpoints
  #driver: QuicDriver | undefined

  /** @param name `facts.transport` of its connections */
  constructor(name: string, options: ResolvedQuicOptions) {
    this.#name = name
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#sessions = new SessionCache(options.maxSessions)
    const { maxConnectionsPerEndpoint } = options
    this.#endpoints = new ClientEndpoints(() => this.driver, maxConnectionsPerEndpoint, this.#clock)
  }

  /** @throws UsageError ERR_OPTION_UNSUPPORTED where QUIC does not work */
  get driver(): QuicDriver {
    this.#driver ??= quicDriver(this.#options)
    return this.#driver
  }

  async dial(
    address: Address,
    options: ConnectOptions = {},
    more: Pick<DrivenSettings, 'onStreamClosed'> = {},
  ): Promise<DrivenConnection> {
    requireQuic(this.#options.driver)
    const serverName = serverNameFor(address, this.#options, options.serverName)
    const { connectTimeoutMs } = this.#options
    return withTimeLimit(address, connectTimeoutMs, this.#clock, options, async (signal) => {
      const remote = await this.#resolve(address)
      signal.throwIfAborted()
      const { endpoint, done } = await this.#endpoints.take(remote)
      if (signal.aborted) {
        done()
        throw signal.reason
      }
      const key = `${serverName ?? ''} ${formatAddress(address)}`
      const settled = Promise.withResolvers<void>()
      const settings: DrivenSettings = {
        ...connectionSettings(this.#name, this.#options, 'initiating', remote),
        ...more,
        serverName,
        onSettled: (error) => (error === undefined ? settled.resolve() : settled.reject(error)),
        onClosed: done,
        onSession: (session) => this.#sessions.put(key, session, true),
      }
      let connection: DrivenConnection
      try {
        connection = endpoint.dial(this.#sessions.take(key), settings)
      } catch (error) {
        done()
        throw error
      }
      const onAbort = (): void => connection.fail(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        await settled.promise
      } catch (error) {
        done()
        throw error
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
      return connection
    })
  }

  async #resolve(address: Address): Promise<Address> {
    if (address.kind !== 'ip') return address
    try {
      return await resolveHost(address)
    } catch (error) {
      throw connectError(toError(error), address)
    }
  }
}

/** What both roles have in common. */
export function connectionSettings(
  transport: string,
  options: ResolvedQuicOptions,
  role: 'initiating' | 'accepting',
  remote: Address,
): Omit<DrivenSettings, 'onSettled' | 'serverName'> {
  const { idleTimeoutMs, highWaterMarkBytes, maxConcurrentStreams, maxAcceptedStreams, codeOf } =
    options
  return {
    transport,
    role,
    remote,
    ownAlpn: options.ownAlpn,
    idleTimeoutMs,
    highWaterMarkBytes,
    maxConcurrentStreams,
    maxAcceptedStreams,
    codeOf,
    check: (peer) => checkPeer(peer, options, role, remote),
  }
}

/**
 * The name to ask for and to check.
 *
 * @throws UsageError when there is none and it would have to be checked
 */
function serverNameFor(
  address: Address,
  options: ResolvedQuicOptions,
  asked: string | undefined,
): string | undefined {
  // A zone says which link an address is on, and is no part of the name.
  const host = address.kind === 'ip' ? address.host.replace(/%.*$/, '') : undefined
  const name = asked ?? options.serverName ?? host
  if (name === undefined && options.verify) {
    const message = `${formatAddress(address)} has no host name to check a certificate against: pass serverName`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return name
}
