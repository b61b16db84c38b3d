/**
 * Options of sealed transports, each with the reason of its default.
 */
import type { Clock } from '../../core/clock.ts'
import { checkInteger, checkRange, UsageError } from '../../core/errors.ts'
import type { Secret } from '../../core/secret.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { checkKeys, type SealCipher, SealCiphers, type SealKey } from './seal-keys.ts'

export interface SealedOptions extends TransportBaseOptions {
  /**
   * The keys that are accepted, by id. A function is asked for each new connection, so that keys come
   * and go without a restart; connections that are open keep theirs.
   */
  keys: readonly SealKey[] | (() => readonly SealKey[])
  /**
   * The key that connections made by this side use.
   *
   * @default the first of `keys`; of a function, the first that it gives for that connection
   */
  keyId?: string
  /**
   * The cipher that connections made by this side use.
   *
   * @default 'aes-256-gcm', which nearly every server has instructions for
   */
  cipher?: SealCipher
  /**
   * The ciphers that are accepted of connecting sides.
   *
   * @default both
   */
  acceptedCiphers?: readonly SealCipher[]
  /**
   * Payload bytes sent under one key before this side goes on with the next.
   *
   * @default 1_073_741_824: rare enough to cost nothing, and a key that leaks opens no more
   */
  rekeyAfterBytes?: number
  /**
   * Records sent under one key before this side goes on with the next.
   *
   * @default 1_048_576
   */
  rekeyAfterRecords?: number
  /**
   * How long this side sends under one key, in milliseconds.
   *
   * @default 3_600_000, an hour
   */
  rekeyAfterMs?: number
  /**
   * Records accepted under one key: a peer that does not rekey is disconnected with ERR_LIMIT.
   *
   * @default 16_777_216, below the 2^24.5 full records that RFC 8446 5.5 allows AES-GCM
   */
  maxRecordsPerKey?: number
  /**
   * How long both sides may take to agree, in milliseconds.
   *
   * @default 10_000
   */
  handshakeTimeoutMs?: number
  /**
   * Newcomers of one listener that have not agreed yet; one more is closed at once.
   *
   * @default 1_024, as each holds little more than a socket
   */
  maxHandshakes?: number
  /** Where salts come from, for tests with written-down vectors only. @default node:crypto */
  randomBytes?: (into: Uint8Array) => void
}

export const sealedDefaults = Object.freeze({
  cipher: 'aes-256-gcm',
  acceptedCiphers: SealCiphers,
  rekeyAfterBytes: 1_073_741_824,
  rekeyAfterRecords: 1_048_576,
  rekeyAfterMs: 3_600_000,
  maxRecordsPerKey: 16_777_216,
  handshakeTimeoutMs: 10_000,
  maxHandshakes: 1_024,
} as const)

/** `SealedOptions` after validation. */
export interface SealSettings {
  readonly clock: Clock
  keys(): ReadonlyMap<string, Secret<Uint8Array>>
  /** Undefined: the first of `keys`, as they are then. */
  readonly keyId: string | undefined
  readonly cipher: SealCipher
  readonly accepted: readonly SealCipher[]
  readonly rekeyAfterBytes: number
  readonly rekeyAfterRecords: number
  readonly rekeyAfterMs: number
  readonly maxRecordsPerKey: number
  readonly handshakeTimeoutMs: number
  readonly maxHandshakes: number
  readonly randomBytes: ((into: Uint8Array) => void) | undefined
}

export function resolveSealedOptions(options: SealedOptions): SealSettings {
  const defaults = sealedDefaults
  const {
    keys,
    cipher = defaults.cipher,
    acceptedCiphers = defaults.acceptedCiphers,
    rekeyAfterBytes = defaults.rekeyAfterBytes,
    rekeyAfterRecords = defaults.rekeyAfterRecords,
    rekeyAfterMs = defaults.rekeyAfterMs,
    maxRecordsPerKey = defaults.maxRecordsPerKey,
    handshakeTimeoutMs = defaults.handshakeTimeoutMs,
    maxHandshakes = defaults.maxHandshakes,
    clock = systemClock,
    randomBytes,
  } = options
  for (const one of [cipher, ...acceptedCiphers]) {
    if (!SealCiphers.includes(one)) {
      throw new UsageError(
        'ERR_ARGUMENT',
        `cipher ${one}, must be one of ${SealCiphers.join(', ')}`,
      )
    }
  }
  const fixed = typeof keys === 'function' ? undefined : checkKeys(keys)
  const current = fixed ?? checkKeys((keys as () => readonly SealKey[])())
  const { keyId } = options
  if (keyId !== undefined && !current.has(keyId)) {
    throw new UsageError('ERR_ARGUMENT', `keyId ${keyId} is not in keys`)
  }
  return Object.freeze({
    clock,
    keys: fixed === undefined ? () => checkKeys((keys as () => SealKey[])()) : () => fixed,
    keyId,
    cipher,
    accepted: Object.freeze([...acceptedCiphers]),
    rekeyAfterBytes: checkInteger('rekeyAfterBytes', rekeyAfterBytes, 65_536, 2 ** 40),
    rekeyAfterRecords: checkInteger('rekeyAfterRecords', rekeyAfterRecords, 2, 16_777_215),
    rekeyAfterMs: checkRange('rekeyAfterMs', rekeyAfterMs, 1, Number.POSITIVE_INFINITY),
    maxRecordsPerKey: checkInteger('maxRecordsPerKey', maxRecordsPerKey, 2, 0xffff_ffff),
    handshakeTimeoutMs: checkRange('handshakeTimeoutMs', handshakeTimeoutMs, 1, 3_600_000),
    maxHandshakes: checkInteger('maxHandshakes', maxHandshakes, 1, 1_000_000),
    randomBytes,
  })
}
