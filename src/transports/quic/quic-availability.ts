/**
 * Whether QUIC works here, and why not. Nothing is emulated: where no stack loads, every use of the
 * transports throws ERR_OPTION_UNSUPPORTED with the reason.
 */
import { UsageError } from '../../core/errors.ts'
import type { Openssl } from './openssl/openssl.ts'
import { probeOpenssl } from './openssl/self-test.ts'

export interface QuicAvailability {
  readonly available: boolean
  /** In words; undefined when it is available. */
  readonly reason: string | undefined
  /** What carries it: `openssl`. */
  readonly driver: string | undefined
  /** Versions and the machine. */
  readonly details: Readonly<Record<string, string>>
}

/**
 * Looks once for each thread: loads the functions, and lets two endpoints in memory shake hands.
 * That takes some tens of milliseconds; later calls give the same answer.
 */
export function quicAvailability(): QuicAvailability {
  const { openssl, reason, details } = probeOpenssl()
  const available = openssl !== undefined
  return Object.freeze({ available, reason, driver: available ? 'openssl' : undefined, details })
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED with the reason */
export function requireQuic(): Openssl {
  const { openssl, reason } = probeOpenssl()
  if (openssl !== undefined) return openssl
  throw new UsageError('ERR_OPTION_UNSUPPORTED', `QUIC is not available here: ${reason}`)
}
