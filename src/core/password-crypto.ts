/**
 * The cryptography of logins by password, injected into the pure protocols that need it (SCRAM).
 * Node's is in platform/node-password-crypto.ts.
 */
export type HashName = 'sha-1' | 'sha-256' | 'sha-512'

export interface PasswordCrypto {
  hash(algorithm: HashName, data: Uint8Array): Uint8Array
  hmac(algorithm: HashName, key: Uint8Array, data: Uint8Array): Uint8Array
  /** As long as the hash. It takes milliseconds by design, so it is done elsewhere. */
  pbkdf2(
    algorithm: HashName,
    password: Uint8Array,
    salt: Uint8Array,
    iterations: number,
    done: (error: Error | undefined, key: Uint8Array) => void,
  ): void
  /** In a time that tells only the lengths. */
  equal(a: Uint8Array, b: Uint8Array): boolean
  /** Fills with cryptographically strong bytes. */
  randomBytes(into: Uint8Array): void
}

/** Bytes of each hash. */
export const HASH_BYTES: Readonly<Record<HashName, number>> = Object.freeze({
  'sha-1': 20,
  'sha-256': 32,
  'sha-512': 64,
})
