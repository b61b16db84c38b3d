/**
 * The PROXY header at the start of a connection: read, believed or refused.
 */
import { type Address, ip } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { ProtocolError } from '../../core/errors.ts'
import { ProxyHeaderDecoder } from '../../protocols/proxy-protocol/decoder.ts'
import type { ProxyHeader } from '../../protocols/proxy-protocol/proxy-header.ts'
import type { ProxyProtocolConfig } from '../config/schema/listener.ts'
import { addressSet, isInSet } from '../routing/router.ts'
import { AnnouncedConnection } from './announced-connection.ts'

/** A v2 header with the most the decoder takes. */
export const MAX_PROXY_HEADER_BYTES = 2_048 + 16

export interface ProxyHeaderPolicy {
  /** The peer's header says who connects. */
  speaksForOthers(remote: Address): boolean
  /** What to do with a peer, before its first byte. */
  decide(remote: Address): 'read' | 'skip' | Error
}

export function proxyHeaderPolicy(config: ProxyProtocolConfig): ProxyHeaderPolicy {
  if (config.mode === 'off') return { speaksForOthers: () => false, decide: () => 'skip' }
  const any = config.trusted.includes('any')
  const trusted = any ? undefined : addressSet(config.trusted)
  const speaksForOthers = (remote: Address): boolean => {
    // Whoever may open the Unix socket is trusted by its permissions.
    return trusted === undefined || remote.kind !== 'ip' || isInSet(trusted, remote.host)
  }
  return {
    speaksForOthers,
    decide(remote) {
      if (speaksForOthers(remote)) return 'read'
      if (config.mode === 'optional') return 'skip'
      const host = remote.kind === 'ip' ? remote.host : 'this peer'
      return new ProtocolError('ERR_PROTOCOL', `${host} may not send a PROXY header`)
    },
  }
}

/**
 * @returns the header and its length; undefined: more bytes are needed; `none`: the input is
 *   something else, which `optional` allows
 */
export function judgeProxyHeader(
  bytes: Uint8Array,
  optional: boolean,
): { readonly header: ProxyHeader | undefined; readonly length: number } | undefined {
  const decoder = new ProxyHeaderDecoder()
  decoder.push(bytes)
  try {
    const header = decoder.next()
    if (header === undefined) return undefined
    return { header, length: bytes.length - decoder.buffered }
  } catch (error) {
    const other = error instanceof ProtocolError && error.code === 'ERR_WRONG_PROTOCOL'
    if (optional && other) return { header: undefined, length: 0 }
    throw error
  }
}

/** The connection as the header tells of it. */
export function announce(connection: Connection, header: ProxyHeader | undefined): Connection {
  const addresses = header?.addresses
  if (addresses === undefined || addresses.family === 'unix') return connection
  const { source, destination } = addresses
  const remote: Address = ip(source.host, source.port)
  return new AnnouncedConnection(connection, remote, ip(destination.host, destination.port))
}
