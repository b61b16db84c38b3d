/**
 * Which way an origin is reached when nobody says: TCP, TLS or a Unix socket, directly or through a
 * proxy.
 */
import type { Address } from '../../core/address.ts'
import { UsageError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import { basicCredentials, httpConnectTunnel } from '../../links/tunnel/http-connect-tunnel.ts'
import { parseProxyUrl, proxyFromEnvironment } from '../../links/tunnel/proxy-url.ts'
import { socksTunnel } from '../../links/tunnel/socks-tunnel.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { tls } from '../../transports/tls/tls.ts'
import type { TlsOptions } from '../../transports/tls/tls-options.ts'
import { unix } from '../../transports/unix/unix.ts'

/** `environment`: as `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say. */
export type ProxyOption = string | URL | 'environment'

export interface Origin {
  readonly scheme: 'http' | 'https'
  readonly authority: string
  readonly address: Address
}

export interface Route {
  readonly transport: Transport
  /** Where to connect: the origin, or the proxy itself. */
  readonly address: Address
  /** Requests go to an HTTP proxy as they are, in absolute form (RFC 9112 3.2.2). */
  readonly absolute: boolean
  /** `Proxy-Authorization` of such requests. */
  readonly authorization: string | undefined
}

/** Options of TLS to the origin. */
export type OriginTlsOptions = Omit<TlsOptions, 'inner' | 'alpn' | 'tcp' | 'serverNames'>

/** @param alpn what is offered over TLS */
export function directRoute(
  origin: Origin,
  options: OriginTlsOptions = {},
  alpn: readonly string[] = HTTP1,
): Route {
  const { scheme, address } = origin
  const plain = address.kind === 'unix' ? unix() : undefined
  const transport =
    scheme === 'http'
      ? (plain ?? tcp())
      : secure({ ...options, ...(plain && { inner: plain }) }, alpn)
  return { transport, address, absolute: false, authorization: undefined }
}

/** @returns undefined: the environment names no proxy for this origin */
export function proxyRoute(
  origin: Origin,
  proxy: ProxyOption,
  options: OriginTlsOptions = {},
  alpn: readonly string[] = HTTP1,
): Route | undefined {
  const { scheme, authority, address } = origin
  const url =
    proxy === 'environment' ? proxyFromEnvironment(new URL(`${scheme}://${authority}`)) : proxy
  if (url === undefined) return undefined
  if (address.kind !== 'ip') {
    throw new UsageError('ERR_ARGUMENT', 'a Unix socket is not reached through a proxy')
  }
  const target = parseProxyUrl(url)
  const { kind, username, password } = target
  const { ca } = options
  const carrier =
    kind === 'https'
      ? secure({ serverName: target.host, ...(ca !== undefined && { ca }) }, HTTP1)
      : tcp()
  const http = kind === 'http' || kind === 'https'
  if (http && scheme === 'http') {
    return {
      transport: carrier,
      address: target.address,
      absolute: true,
      authorization: username === undefined ? undefined : basicCredentials(username, password),
    }
  }
  const asked = {
    proxy: target.address,
    transport: carrier,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  }
  const tunnel = http
    ? httpConnectTunnel(asked)
    : socksTunnel({ ...asked, version: kind === 'socks4' ? 4 : 5 })
  return {
    transport: scheme === 'http' ? tunnel : secure({ ...options, inner: tunnel }, alpn),
    address,
    absolute: false,
    authorization: undefined,
  }
}

function secure(options: TlsOptions, alpn: readonly string[]): Transport {
  return tls({ ...options, alpn })
}

const HTTP1: readonly string[] = Object.freeze(['http/1.1'])
