/**
 * Where the keys of tokens come from: a key set in a file, one public key, a shared secret, or a key
 * set behind a URL (RFC 7517) that rotates.
 *
 * A remote set is fetched when it is first needed and kept:
 *
 *     fresh ── maxAgeMs ──▸ refreshed behind the back of callers ── maxStaleMs ──▸ callers wait
 *
 * - An unknown key id fetches again at once, but not more often than `cooldownMs`: made-up ids
 *   must not make us a flood. So a rotated key is known within that time. After a failure it is a
 *   second.
 * - One fetch at a time, shared by all who wait.
 * - A fetch that fails, or gives no usable key, keeps the set that is known until it is too old.
 *   Only then do callers get the error. Nobody is ever let in for want of a key.
 *
 * URLs inside of tokens (`jku`, `x5u`) are never followed, keys inside of tokens (`jwk`) never used.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { createLocalJWKSet, errors, type JWK, type JWTHeaderParameters } from 'jose'
import type { Clock } from '../../core/clock.ts'
import {
  checkInteger,
  checkRange,
  ProtocolError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import { reveal, type SecretText } from '../../core/secret.ts'

export type JwtKey = CryptoKey | KeyObject | Uint8Array

/** Finds the key that a token names. */
export interface JwtKeys {
  /** `public`: signatures only; `secret`: HMAC only. One never serves as the other. */
  readonly kind: 'public' | 'secret'
  /**
   * @returns every key that may be meant, best first; none: the token names an unknown key
   * @throws when the keys are out of reach
   */
  find(header: JWTHeaderParameters): Promise<readonly JwtKey[]>
}

/** A key set that is there: `{ "keys": [ … ] }`, as an object or as text. */
export function localKeySet(set: unknown): JwtKeys {
  const find = keyFinder(typeof set === 'string' ? parseJson(set) : set, DEFAULTS.maxKeys)
  return { kind: 'public', find }
}

/** One public key or certificate as PEM. */
export function publicKey(pem: string): JwtKeys {
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch (error) {
    throw new UsageError('ERR_ARGUMENT', 'the PEM text holds no public key', { cause: error })
  }
  return { kind: 'public', find: async ({ alg }) => (serves(key, alg) ? [key] : []) }
}

/** Another algorithm than the key's is the token's mistake, not ours. */
function serves({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject, alg: string): boolean {
  switch (asymmetricKeyType) {
    case 'rsa':
      return alg.startsWith('RS') || alg.startsWith('PS')
    case 'rsa-pss':
      return alg.startsWith('PS')
    case 'ec':
      return CURVES[alg] === asymmetricKeyDetails?.namedCurve
    default:
      return alg === 'EdDSA' || alg === 'Ed25519'
  }
}

/** A secret that issuer and server share, for HS256 and its like: at least 32 bytes. */
export function sharedSecret(secret: SecretText | Uint8Array): JwtKeys {
  const bytes = secret instanceof Uint8Array ? secret.slice() : Buffer.from(reveal(secret), 'utf8')
  if (bytes.length < 32) {
    // RFC 7518 3.2: as long as the hash. Short ones are guessed off line.
    throw new UsageError('ERR_ARGUMENT', `the shared secret has ${bytes.length} bytes, not 32`)
  }
  return { kind: 'secret', find: async () => [bytes] }
}

export interface RemoteKeySetOptions {
  clock: Pick<Clock, 'now'>
  /** Gets the JSON of the set, within limits of size and time of its own. */
  fetch(): Promise<unknown>
  /** How long a set is used without asking again, in milliseconds. @default 600_000 */
  maxAgeMs?: number
  /**
   * How much longer it is used while it cannot be fetched, in milliseconds. Long enough for an
   * outage of the issuer, short enough that a withdrawn key is not good for ever.
   *
   * @default 3_600_000
   */
  maxStaleMs?: number
  /** Least time between two fetches, whatever tokens ask for, in milliseconds. @default 30_000 */
  cooldownMs?: number
  /** Most keys in a set. @default 100 */
  maxKeys?: number
  /** Told when a fetch fails. */
  onError?(error: unknown): void
}

export const remoteKeySetDefaults: Readonly<{
  maxAgeMs: number
  maxStaleMs: number
  cooldownMs: number
  maxKeys: number
}> = Object.freeze({
  maxAgeMs: 600_000,
  maxStaleMs: 3_600_000,
  cooldownMs: 30_000,
  maxKeys: 100,
})

export class RemoteKeySet implements JwtKeys {
  readonly kind = 'public'
  readonly #options: RemoteKeySetOptions & Required<Omit<RemoteKeySetOptions, 'onError'>>
  #find: JwtKeys['find'] | undefined
  #fetchedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<void> | undefined
  #lastError: unknown

  constructor(options: RemoteKeySetOptions) {
    this.#options = { ...remoteKeySetDefaults, ...options }
    checkRange('maxAgeMs', this.#options.maxAgeMs, 0, Number.POSITIVE_INFINITY)
    checkRange('maxStaleMs', this.#options.maxStaleMs, 0, Number.POSITIVE_INFINITY)
    checkRange('cooldownMs', this.#options.cooldownMs, 0, Number.POSITIVE_INFINITY)
    checkInteger('maxKeys', this.#options.maxKeys, 1, 10_000)
  }

  async find(header: JWTHeaderParameters): Promise<readonly JwtKey[]> {
    const { maxAgeMs, maxStaleMs, clock } = this.#options
    const age = clock.now() - this.#fetchedAt
    if (this.#find === undefined || age >= maxAgeMs + maxStaleMs) {
      this.#find = undefined
      await this.#refresh()
      return this.#known(header)
    }
    // Nobody waits for this one, and whoever does hears its failure there.
    if (age >= maxAgeMs) this.#refresh().catch(() => {})
    const keys = await this.#known(header)
    if (keys.length > 0) return keys
    const before = this.#fetchedAt
    await this.#refresh().catch(() => {})
    return this.#fetchedAt === before ? keys : this.#known(header)
  }

  #known(header: JWTHeaderParameters): Promise<readonly JwtKey[]> {
    if (this.#find === undefined) throw this.#unreachable()
    return this.#find(header)
  }

  /** Rejects when the fetch fails; within the cooldown it does nothing. */
  #refresh(): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching
    const now = this.#options.clock.now()
    const { cooldownMs } = this.#options
    const wait = this.#lastError === undefined ? cooldownMs : Math.min(cooldownMs, RETRY_MS)
    if (now - this.#triedAt < wait) return Promise.resolve()
    this.#triedAt = now
    this.#fetching = this.#fetch().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #fetch(): Promise<void> {
    const { fetch, maxKeys, clock, onError } = this.#options
    try {
      this.#find = keyFinder(await fetch(), maxKeys)
      this.#fetchedAt = clock.now()
      this.#lastError = undefined
    } catch (error) {
      this.#lastError = error
      onError?.(error)
      throw this.#unreachable()
    }
  }

  #unreachable(): TransportError {
    const cause = this.#lastError
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    return new TransportError('ERR_CONNECT', `the keys of tokens are out of reach${why}`, { cause })
  }
}

/** jose's own choice by `kid`, `kty`, `alg`, `use` and `key_ops`. */
function keyFinder(set: unknown, maxKeys: number): JwtKeys['find'] {
  const choose = createLocalJWKSet({ keys: usableKeys(set, maxKeys) })
  return async (header) => {
    try {
      return [await choose(header)]
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) return collect(error)
      if (error instanceof errors.JWKSNoMatchingKey) return []
      throw error
    }
  }
}

/** Without a `kid` several keys may fit; each of them is tried. */
async function collect(several: AsyncIterable<CryptoKey>): Promise<JwtKey[]> {
  const keys: JwtKey[] = []
  for await (const key of several) {
    keys.push(key)
    if (keys.length === MAX_CANDIDATES) break
  }
  return keys
}

/** Only public keys: a secret in a public set would be known to everybody. */
function usableKeys(set: unknown, maxKeys: number): JWK[] {
  const keys = isRecord(set) ? set.keys : undefined
  if (!Array.isArray(keys)) {
    throw new ProtocolError('ERR_MALFORMED', 'a key set is an object with a list of keys')
  }
  if (keys.length > maxKeys) {
    const message = `the key set has ${keys.length} keys, maxKeys ${maxKeys}`
    throw new ProtocolError('ERR_LIMIT', message)
  }
  const usable = keys.filter((key) => isRecord(key) && PUBLIC_TYPES.has(String(key.kty)))
  if (usable.length === 0) {
    throw new ProtocolError('ERR_MALFORMED', `none of ${keys.length} keys is a public key`)
  }
  return usable.map(({ d: _, ...key }: JWK) => key as JWK)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError('ERR_ARGUMENT', 'the key set is not JSON', { cause: error })
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const DEFAULTS = remoteKeySetDefaults
const CURVES: Readonly<Record<string, string>> = Object.freeze({
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
})
const PUBLIC_TYPES: ReadonlySet<string> = new Set(['RSA', 'EC', 'OKP'])
const MAX_CANDIDATES = 8
/** Between fetches that fail. */
const RETRY_MS = 1_000
