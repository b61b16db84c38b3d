/**
 * Connection coalescing (RFC 9113 9.1.1): an HTTP/2 connection takes calls of another origin too,
 * when that origin resolves to the address it goes to, has the same port, and the certificate that
 * was verified on it covers the name.
 *
 * A server that does not want that answers 421: the connection is not used for that origin again, and
 * the call is made anew on one of its own. To the pool of the other origin the connection looks like
 * one of its own, but ending it there only ends that use.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { ConnectionState } from '../../core/connection-state.ts'
import type { CallContext } from '../../core/context.ts'
import { TransportError } from '../../core/errors.ts'
import type { Endpoint } from '../../core/policy.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import type { ConnectContext, Exchanger } from '../../runtime/exchanger.ts'
import type { HttpClientConnection } from './http-client-connection.ts'

/** The addresses of a host as text. */
export type Lookup = (host: string) => Promise<readonly string[]>

interface Offer {
  readonly connection: HttpClientConnection
  readonly address: string
  readonly port: number
  readonly names: string
  /** Hosts that the server did not want there. Bounded by the clients of the agent. */
  readonly misdirected: Set<string>
}

export class Coalescing {
  readonly #lookup: Lookup
  readonly #offers = new Set<Offer>()

  constructor(find: Lookup = systemLookup) {
    this.#lookup = find
  }

  /** Connections that other origins may use now. */
  get size(): number {
    return this.#offers.size
  }

  /** A new connection, which may serve others than who made it. */
  offer(connection: HttpClientConnection): void {
    const { tls, remote } = connection.connection.facts
    const names = tls?.authorized === true ? tls.peerCertificate()?.subjectAltName : undefined
    if (names === undefined || remote.kind !== 'ip') return
    const { host: address, port } = remote
    const offer: Offer = { connection, address, port, names, misdirected: new Set() }
    this.#offers.add(offer)
    connection.watch(() => {
      if (connection.state !== 'ready') this.#offers.delete(offer)
    })
  }

  /** A use of a connection that serves `host` as well, if there is one. */
  async find(
    endpoint: Endpoint,
    host: string,
  ): Promise<Exchanger<HttpRequest, HttpResponse> | undefined> {
    const { address } = endpoint
    if (address.kind !== 'ip') return undefined
    const fits = [...this.#offers].filter((offer) => serves(offer, host, address.port))
    if (fits.length === 0) return undefined
    // Who cannot be looked up is found out when it is connected to.
    const addresses = await this.#lookup(address.host).catch((): readonly string[] => [])
    const offer = fits.find(
      (one) => addresses.includes(one.address) && serves(one, host, address.port),
    )
    return offer && new CoalescedConnection(offer.connection, () => offer.misdirected.add(host))
  }
}

/** One origin's use of a connection that belongs to another. */
class CoalescedConnection implements Exchanger<HttpRequest, HttpResponse> {
  onChange: (() => void) | undefined = undefined
  readonly mayRefuse = true
  readonly ping: ((context: ConnectContext) => Promise<void>) | undefined
  readonly #inner: HttpClientConnection
  readonly #onMisdirected: () => void
  readonly #unwatch: () => void
  #left = false

  constructor(inner: HttpClientConnection, onMisdirected: () => void) {
    this.#inner = inner
    this.#onMisdirected = onMisdirected
    this.ping = inner.ping
    inner.ref(this)
    this.#unwatch = inner.watch(() => this.onChange?.())
  }

  get state(): ConnectionState {
    return this.#left ? 'closed' : this.#inner.state
  }

  get available(): number {
    return this.#left ? 0 : this.#inner.available
  }

  get inFlight(): number {
    return this.#left ? 0 : this.#inner.inFlight
  }

  get idleTimeoutMs(): number | undefined {
    return this.#inner.idleTimeoutMs
  }

  get maxIdleMs(): number | undefined {
    return this.#inner.maxIdleMs
  }

  get pingAfterMs(): number | undefined {
    return this.#inner.pingAfterMs
  }

  async call(request: HttpRequest, context: CallContext): Promise<HttpResponse> {
    const response = await this.#inner.call(request, context)
    if (response.status !== 421) return response
    this.#onMisdirected()
    this.#leave()
    if (!request.body.replayable) return response
    response.body.discard()
    const message = `${request.authority} is not served on a connection of another origin (421)`
    throw new TransportError('ERR_DISCONNECTED', message, { sent: 'nothing', retryable: 'yes' })
  }

  close(): void {
    this.#leave()
  }

  destroy(): void {
    this.#leave()
  }

  ref(): void {
    if (!this.#left) this.#inner.ref(this)
  }

  unref(): void {
    this.#inner.unref(this)
  }

  #leave(): void {
    if (this.#left) return
    this.#left = true
    this.#inner.unref(this)
    this.#unwatch()
    this.onChange?.()
  }
}

function serves(
  { connection, port, names, misdirected }: Offer,
  host: string,
  to: number,
): boolean {
  if (port !== to || misdirected.has(host)) return false
  if (connection.state !== 'ready' || connection.available === 0) return false
  const certificate = { subject: {}, subjectaltname: names } as unknown as PeerCertificate
  return checkServerIdentity(host, certificate) === undefined
}

async function systemLookup(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  return (await lookup(host, { all: true })).map(({ address }) => address)
}
