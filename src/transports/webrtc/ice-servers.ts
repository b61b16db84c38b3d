/**
 * STUN and TURN servers as browsers take them, checked before a library sees them.
 *
 *     stun:stun.example:3478                        RFC 7064
 *     turn:turn.example:3478?transport=udp          RFC 7065
 *     turns:turn.example:5349?transport=tcp
 */
import { UsageError } from '../../core/errors.ts'
import { reveal, type Secret, type SecretText, secret } from '../../core/secret.ts'
import type { PeerIceServer } from './webrtc-driver.ts'

export interface IceServer {
  /** `stun:`, `turn:` or `turns:` URLs of one server. */
  readonly urls: string | readonly string[]
  /** TURN only. */
  readonly username?: string
  /** TURN only; never in a log, an error or a dump. */
  readonly credential?: SecretText
}

/** Checked, with its credential wrapped. */
export interface CheckedIceServer {
  readonly urls: readonly string[]
  readonly username: string | undefined
  readonly credential: Secret | undefined
}

/** The parts of one URL. */
export interface IceUrl {
  readonly scheme: 'stun' | 'stuns' | 'turn' | 'turns'
  /** IPv6 without brackets. */
  readonly host: string
  readonly port: number
  readonly transport: 'udp' | 'tcp'
}

/**
 * The server that the seed's default names, for who wants it. It is not heddle's default: whoever
 * asks a STUN server tells its owner who talks, and when.
 */
export const seedIceServers: readonly IceServer[] = Object.freeze([
  Object.freeze({ urls: 'stun:stun.l.google.com:19302' }),
])

/**
 * @throws UsageError ERR_ADDRESS_INVALID for a URL that cannot be understood, ERR_ARGUMENT for a
 *   TURN server without credentials
 */
export function checkIceServers(servers: readonly IceServer[]): readonly CheckedIceServer[] {
  return servers.map((server) => {
    const { username, credential } = server
    const urls = typeof server.urls === 'string' ? [server.urls] : [...server.urls]
    if (urls.length === 0) throw new UsageError('ERR_ARGUMENT', 'an ICE server has no URL')
    const turn = urls.map(parseIceUrl).some(({ scheme }) => scheme.startsWith('turn'))
    if (turn && (username === undefined || credential === undefined)) {
      const message = 'a TURN server needs a username and a credential (RFC 8656, section 5)'
      throw new UsageError('ERR_ARGUMENT', message)
    }
    const kept = credential === undefined ? undefined : secret(credential)
    return Object.freeze({ urls: Object.freeze(urls), username, credential: kept })
  })
}

/** What a driver gets, at the moment it gets it. */
export function revealIceServers(servers: readonly CheckedIceServer[]): readonly PeerIceServer[] {
  return servers.map(({ urls, username, credential }) => ({
    urls,
    ...(username === undefined ? {} : { username }),
    ...(credential === undefined ? {} : { credential: reveal(credential) }),
  }))
}

/** @throws UsageError ERR_ADDRESS_INVALID */
export function parseIceUrl(url: string): IceUrl {
  const match = ICE_URL.exec(url)
  // A URL may hold a password that somebody put there, so it is not shown.
  if (match === null) throw invalid('stun:host:port, turn:host:port or turns:host:port')
  const [, scheme, v6, name, portText, transportText] = match
  const secure = scheme === 'stuns' || scheme === 'turns'
  const port = portText === undefined ? (secure ? 5_349 : 3_478) : Number(portText)
  if (port < 1 || port > 65_535) throw invalid('a port of 1 to 65535')
  if (transportText !== undefined && !scheme!.startsWith('turn')) {
    throw invalid('no transport after a STUN server')
  }
  const transport = transportText ?? (secure ? 'tcp' : 'udp')
  return {
    scheme: scheme as IceUrl['scheme'],
    host: v6 ?? name!,
    port,
    transport: transport as IceUrl['transport'],
  }
}

function invalid(expected: string): UsageError {
  return new UsageError('ERR_ADDRESS_INVALID', `URL of an ICE server: expected ${expected}`)
}

const ICE_URL =
  /^(stuns?|turns?):(?:\[([0-9a-fA-F:.]+)\]|([^\s:/?#@[\]]+))(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?$/
