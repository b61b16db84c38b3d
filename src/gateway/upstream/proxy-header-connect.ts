/**
 * Connections that begin with a PROXY header: the upstream learns who the client is.
 *
 * The header belongs to one client, so a connection carries one call and is not kept. An exchanger
 * stands in the pool for a connection that is made when its call comes: limits, breaker and timeout
 * work as for any other.
 */
import type { Address } from '../../core/address.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { Connection } from '../../core/connection.ts'
import type { ConnectionState } from '../../core/connection-state.ts'
import type { CallContext } from '../../core/context.ts'
import { OverloadError, toError } from '../../core/errors.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { encodeProxyHeader } from '../../protocols/proxy-protocol/encoder.ts'
import type { ProxyAddresses, ProxyHeader } from '../../protocols/proxy-protocol/proxy-header.ts'
import type { Exchanger } from '../../runtime/exchanger.ts'

/** Writes the header of `client` to a connection that was just made. */
export function sendProxyHeader(
  to: Connection,
  client: Connection | undefined,
  version: 1 | 2,
): void {
  const out = new ByteWriter()
  encodeProxyHeader(proxyHeaderOf(client, version), out)
  to.write(out.take())
}

export function proxyHeaderOf(client: Connection | undefined, version: 1 | 2): ProxyHeader {
  const addresses = client && addressesOf(client.facts.remote, client.facts.local)
  const command = client === undefined ? 'local' : 'proxy'
  return { version, command, addresses, extensions: [] }
}

function addressesOf(remote: Address, local: Address): ProxyAddresses | undefined {
  if (remote.kind === 'unix' && local.kind === 'unix') {
    return { family: 'unix', transport: 'stream', source: remote.path, destination: local.path }
  }
  if (remote.kind !== 'ip' || local.kind !== 'ip') return undefined
  const source = withoutMapping(remote.host)
  const destination = withoutMapping(local.host)
  const family = source.includes(':') ? 'ipv6' : 'ipv4'
  // Both sides of a connection are of one family, unless somebody in front says otherwise.
  if (destination.includes(':') !== source.includes(':')) return undefined
  return {
    family,
    transport: 'stream',
    source: { host: source, port: remote.port },
    destination: { host: destination, port: local.port },
  }
}

/** A dual-stack socket shows IPv4 as `::ffff:a.b.c.d`; zones mean nothing to the upstream. */
function withoutMapping(host: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)
  if (mapped !== null) return mapped[1] as string
  const zone = host.indexOf('%')
  return zone < 0 ? host : host.slice(0, zone)
}

export type HttpExchanger = Exchanger<HttpRequest, HttpResponse>

/** Connects for one request. */
export type ConnectFor = (request: HttpRequest, context: CallContext) => Promise<HttpExchanger>

export class OneCallExchanger implements HttpExchanger {
  onChange: (() => void) | undefined
  readonly idleTimeoutMs = undefined
  readonly #connect: ConnectFor
  #inner: HttpExchanger | undefined
  #state: ConnectionState = 'ready'
  #inFlight = 0

  constructor(connect: ConnectFor) {
    this.onChange = undefined
    this.#connect = connect
  }

  get state(): ConnectionState {
    return this.#state
  }

  get available(): number {
    return this.#state === 'ready' ? 1 : 0
  }

  get inFlight(): number {
    return this.#inFlight
  }

  async call(request: HttpRequest, context: CallContext): Promise<HttpResponse> {
    if (this.#state !== 'ready') throw new OverloadError('ERR_BUSY', 'it carries one call only')
    this.#state = 'draining'
    this.#inFlight = 1
    try {
      const inner = await this.#connect(request, context)
      this.#inner = inner
      inner.onChange = () => {
        if (inner.inFlight === 0) this.#finish()
      }
      const response = await inner.call(request, context)
      if (inner.inFlight === 0) this.#finish()
      return response
    } catch (error) {
      this.#finish(toError(error))
      throw error
    }
  }

  close(): void {
    if (this.#inFlight === 0) this.#finish()
  }

  destroy(reason: Error): void {
    this.#finish(reason)
  }

  ref(): void {
    this.#inner?.ref()
  }

  unref(): void {
    this.#inner?.unref()
  }

  #finish(reason?: Error): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#inFlight = 0
    if (reason === undefined) this.#inner?.close()
    else this.#inner?.destroy(reason)
    this.onChange?.()
  }
}
