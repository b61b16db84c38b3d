/**
 * Where a WebSocket is: an address of what carries it, and what is asked for there.
 *
 *     ws://host:port/path?query     wss://host/path     ws+unix:/run/app.sock:/path
 *
 * Addresses without a URL (`ip`, `unix`, `memory`) carry no path: the transport's is taken.
 */
import { type Address, bracketHost, ip, unix } from '../../core/address.ts'
import { UsageError } from '../../core/errors.ts'
import { redactUrl } from '../../core/secret.ts'

export interface WebSocketTarget {
  readonly carrier: 'plain' | 'secure' | 'unix'
  /** Of the carrier. */
  readonly address: Address
  /** As in `Host`. */
  readonly authority: string
  /** Path and query. */
  readonly target: string
  /** `user:password` of the URL, decoded. */
  readonly credentials: string | undefined
}

/** @throws UsageError ERR_ADDRESS_INVALID */
export function webSocketTarget(address: Address, path: string): WebSocketTarget {
  const rest = { target: path, credentials: undefined }
  switch (address.kind) {
    case 'ip': {
      const authority = `${bracketHost(address.host)}:${address.port}`
      return { carrier: 'plain', address, authority, ...rest }
    }
    case 'unix':
      return { carrier: 'unix', address, authority: 'localhost', ...rest }
    case 'memory':
      return { carrier: 'plain', address, authority: 'localhost', ...rest }
    case 'url':
      return address.url.startsWith(UNIX) ? unixTarget(address.url) : urlTarget(address.url)
  }
}

/** The same place as a URL, with the port that is really listened on. */
export function listeningUrl(asked: string, address: Address): string {
  if (address.kind !== 'ip' || asked.startsWith(UNIX)) return asked
  const url = new URL(asked)
  const path = asked.endsWith('/') || url.pathname !== '/' ? url.pathname : ''
  return `${url.protocol}//${bracketHost(address.host)}:${address.port}${path}${url.search}`
}

function urlTarget(text: string): WebSocketTarget {
  if (!URL.canParse(text)) throw invalid(text, 'ws://host:port/path')
  const url = new URL(text)
  const secure = url.protocol === 'wss:'
  if (!secure && url.protocol !== 'ws:') throw invalid(text, 'ws:, wss: or ws+unix:')
  if (text.includes('#')) throw invalid(text, 'no fragment (RFC 6455 3)')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // URLs leave the scheme's own port out; port 0 is asked for to listen anywhere.
  const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
  const credentials = url.username === '' ? undefined : credentialsOf(url, text)
  return {
    carrier: secure ? 'secure' : 'plain',
    address: ip(host, port),
    authority: url.host,
    target: url.pathname + url.search,
    credentials,
  }
}

function credentialsOf({ username, password }: URL, text: string): string {
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  } catch {
    throw invalid(text, 'a user and a password whose % escapes are UTF-8')
  }
}

/** `ws+unix:/path/of/socket:/resource`, as the npm package `ws` writes it. */
function unixTarget(text: string): WebSocketTarget {
  const rest = text.slice(UNIX.length).replace(/^\/\/(?=\/)/, '')
  const colon = rest.indexOf(':')
  const path = colon < 0 ? rest : rest.slice(0, colon)
  const target = colon < 0 ? '/' : rest.slice(colon + 1)
  if (path === '' || !target.startsWith('/') || target.includes('#')) {
    throw invalid(text, 'ws+unix:/path/of/socket:/resource')
  }
  return {
    carrier: 'unix',
    address: unix(path),
    authority: 'localhost',
    target,
    credentials: undefined,
  }
}

function invalid(text: string, expected: string): UsageError {
  return new UsageError('ERR_ADDRESS_INVALID', `address '${redactUrl(text)}': expected ${expected}`)
}

const UNIX = 'ws+unix:'
