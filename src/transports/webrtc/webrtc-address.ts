/**
 * Addresses of WebRTC peers: a name that the signalling knows, as `webrtc://name`.
 */
import { type Address, formatAddress, type UrlAddress } from '../../core/address.ts'
import { UsageError } from '../../core/errors.ts'
import { isPeerName } from './signalling.ts'

/** The address of the peer with this name. `0` listens under a name that nobody has. */
export function webRtcAddress(peer: string): UrlAddress {
  if (!isPeerName(peer)) throw invalid(peer)
  return { kind: 'url', url: `${SCHEME}${encodeURIComponent(peer)}` }
}

/** @throws UsageError ERR_ADDRESS_INVALID */
export function peerOfAddress(address: Address): string {
  if (address.kind === 'url' && address.url.startsWith(SCHEME)) {
    const name = decode(address.url.slice(SCHEME.length).replace(/\/$/, ''))
    if (isPeerName(name)) return name
  }
  throw invalid(formatAddress(address))
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function invalid(given: string): UsageError {
  const shown = given.slice(0, 80)
  return new UsageError('ERR_ADDRESS_INVALID', `'${shown}': expected webrtc://name-of-a-peer`)
}

const SCHEME = 'webrtc://'
