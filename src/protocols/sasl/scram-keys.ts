/**
 * The keys of SCRAM (RFC 5802 section 3). A server stores two of them and cannot be logged in to
 * with what is stolen from it:
 *
 *     SaltedPassword = PBKDF2(password, salt, iterations)
 *     ClientKey = HMAC(SaltedPassword, "Client Key")      StoredKey = H(ClientKey)
 *     ServerKey = HMAC(SaltedPassword, "Server Key")
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import { HASH_BYTES, type HashName, type PasswordCrypto } from '../../core/password-crypto.ts'
import { reveal, type SecretText } from '../../core/secret.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { saslprep } from './saslprep.ts'

/** What a server keeps of a password. */
export interface ScramCredential {
  readonly hash: HashName
  readonly salt: Uint8Array
  readonly iterations: number
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

export interface ScramKeys {
  readonly clientKey: Uint8Array
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

export function deriveScramKeys(
  crypto: PasswordCrypto,
  hash: HashName,
  password: string,
  salt: Uint8Array,
  iterations: number,
  done: (error: Error | undefined, keys: ScramKeys | undefined) => void,
): void {
  crypto.pbkdf2(hash, UTF8.encode(password), salt, iterations, (error, salted) => {
    if (error !== undefined) return done(error, undefined)
    const clientKey = crypto.hmac(hash, salted, CLIENT_KEY)
    const storedKey = crypto.hash(hash, clientKey)
    done(undefined, { clientKey, storedKey, serverKey: crypto.hmac(hash, salted, SERVER_KEY) })
  })
}

/** Makes what a server keeps, with a salt of its own. */
export function createScramCredential(
  crypto: PasswordCrypto,
  password: SecretText,
  options: {
    /** @default 'sha-256' */
    hash?: HashName
    /** @default 100_000: some 30 ms; RFC 7677 wants 4096 at least */
    iterations?: number
  } = {},
): Promise<ScramCredential> {
  const { hash = 'sha-256', iterations = 100_000 } = options
  checkInteger('iterations', iterations, MIN_ITERATIONS, MAX_ITERATIONS)
  const prepared = saslprep(reveal(password))
  if (prepared === undefined || prepared === '') {
    throw new UsageError('ERR_ARGUMENT', 'the password is empty, or holds what none may hold')
  }
  const salt = new Uint8Array(16)
  crypto.randomBytes(salt)
  return new Promise((resolve, reject) => {
    deriveScramKeys(crypto, hash, prepared, salt, iterations, (error, keys) => {
      if (keys === undefined) return reject(error)
      const { storedKey, serverKey } = keys
      resolve({ hash, salt, iterations, storedKey, serverKey })
    })
  })
}

/** As PostgreSQL stores it: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. */
export function formatScramCredential(credential: ScramCredential): string {
  const { hash, salt, iterations, storedKey, serverKey } = credential
  const keys = `${encodeBase64(storedKey)}:${encodeBase64(serverKey)}`
  return `SCRAM-${hash.toUpperCase()}$${iterations}:${encodeBase64(salt)}$${keys}`
}

/** @throws UsageError ERR_ARGUMENT, which shows nothing of it */
export function parseScramCredential(text: string): ScramCredential {
  const match = CREDENTIAL.exec(text)
  const hash = match?.[1]?.toLowerCase() as HashName | undefined
  const [salt, storedKey, serverKey] = [match?.[3], match?.[4], match?.[5]].map((part) =>
    decodeBase64(part ?? '?'),
  )
  if (match === null || hash === undefined || !salt || !storedKey || !serverKey) {
    throw new UsageError('ERR_ARGUMENT', 'not SCRAM-<hash>$<iterations>:<salt>$<keys>')
  }
  const iterations = checkInteger('iterations', Number(match[2]), 1, MAX_ITERATIONS)
  const length = HASH_BYTES[hash]
  if (salt.length === 0 || storedKey.length !== length || serverKey.length !== length) {
    throw new UsageError(
      'ERR_ARGUMENT',
      `a SCRAM credential of ${hash} has keys of ${length} bytes`,
    )
  }
  return { hash, salt, iterations, storedKey, serverKey }
}

export function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, at) => byte ^ (b[at] as number))
}

export const UTF8: TextEncoder = new TextEncoder()
const CLIENT_KEY = UTF8.encode('Client Key')
const SERVER_KEY = UTF8.encode('Server Key')
const CREDENTIAL =
  /^SCRAM-(SHA-1|SHA-256|SHA-512)\$(\d{1,8}):([A-Za-z0-9+/=]{1,512})\$([A-Za-z0-9+/=]{1,128}):([A-Za-z0-9+/=]{1,128})$/
export const MIN_ITERATIONS = 4_096
export const MAX_ITERATIONS = 10_000_000
