/**
 * Whether QUIC works here, and why not. Nothing is emulated: where the stack that was asked for does
 * not load, every use of the transports throws ERR_OPTION_UNSUPPORTED with the reason.
 */
import { UsageError } from '../../core/errors.ts'
import type { Openssl } from './openssl/openssl.ts'
import { OpensslDriver } from './openssl/openssl-driver.ts'
import { probeOpenssl } from './openssl/self-test.ts'
import type { QuicDriver } from './quic-driver.ts'
import type { QuicDriverName, ResolvedQuicOptions } from './quic-options.ts'
import { probeQuiche, type QuicheBinding } from './quiche/binding.ts'
import { QuicheDriver } from './quiche/quiche-driver.ts'

export interface QuicAvailability {
  readonly available: boolean
  /** In words; undefined when it is available. */
  readonly reason: string | undefined
  /** What carries it: `openssl`, `quiche`. */
  readonly driver: string | undefined
  /** Versions and the machine. */
  readonly details: Readonly<Record<string, string>>
}

/**
 * Looks once for each thread. `openssl`: loads the functions, and lets two endpoints in memory shake
 * hands, which takes some tens of milliseconds. `quiche`: loads the addon of `@currentspace/http3`.
 */
export function quicAvailability(driver: QuicDriverName = 'openssl'): QuicAvailability {
  const { reason, details } = driver === 'quiche' ? probeQuiche() : probeOpenssl()
  const available = reason === undefined
  return Object.freeze({ available, reason, driver: available ? driver : undefined, details })
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED with the reason */
export function requireQuic(driver: QuicDriverName): void {
  if (driver === 'quiche') requireQuiche()
  else requireOpenssl()
}

/** @throws UsageError ERR_OPTION_UNSUPPORTED with the reason */
export function quicDriver(options: ResolvedQuicOptions): QuicDriver {
  if (options.driver === 'quiche') return new QuicheDriver(requireQuiche(), options)
  return new OpensslDriver(requireOpenssl(), options)
}

function requireOpenssl(): Openssl {
  const { openssl, reason } = probeOpenssl()
  if (openssl !== undefined) return openssl
  throw new UsageError('ERR_OPTION_UNSUPPORTED', `QUIC is not available here: ${reason}`)
}

function requireQuiche(): QuicheBinding {
  const { binding, reason } = probeQuiche()
  if (binding !== undefined) return binding
  const message = `QUIC on driver 'quiche' is not available here: ${reason}`
  throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
}
