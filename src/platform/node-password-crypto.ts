/**
 * {@link PasswordCrypto} by Node's OpenSSL.
 */
import { createHash, createHmac, pbkdf2, randomFillSync, timingSafeEqual } from 'node:crypto'
import { HASH_BYTES, type HashName, type PasswordCrypto } from '../core/password-crypto.ts'

export const nodePasswordCrypto: PasswordCrypto = Object.freeze({
  hash: (algorithm: HashName, data: Uint8Array) =>
    createHash(NAMES[algorithm]).update(data).digest(),
  hmac: (algorithm: HashName, key: Uint8Array, data: Uint8Array) =>
    createHmac(NAMES[algorithm], key).update(data).digest(),
  pbkdf2(
    algorithm: HashName,
    password: Uint8Array,
    salt: Uint8Array,
    iterations: number,
    done: (error: Error | undefined, key: Uint8Array) => void,
  ): void {
    const length = HASH_BYTES[algorithm]
    pbkdf2(password, salt, iterations, length, NAMES[algorithm], (error, key) => {
      done(error ?? undefined, key)
    })
  },
  equal: (a: Uint8Array, b: Uint8Array) => a.length === b.length && timingSafeEqual(a, b),
  randomBytes: (into: Uint8Array) => void randomFillSync(into),
})

const NAMES: Readonly<Record<HashName, string>> = Object.freeze({
  'sha-1': 'sha1',
  'sha-256': 'sha256',
  'sha-512': 'sha512',
})
