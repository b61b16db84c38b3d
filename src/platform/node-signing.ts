/**
 * `SigningHost` and keys on Node: Ed25519 and SHA-256 from OpenSSL, at once.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { UsageError } from '../core/errors.ts'
import type { SigningHost, SigningKey } from '../core/signing.ts'

/** A signing key whose secret can be stored. `seed` is the 32 bytes of RFC 8032, section 5.1.5. */
export interface Ed25519Key extends SigningKey {
  sign(message: Uint8Array): Uint8Array
  /** PKCS #8 in PEM: a secret. */
  toPem(): string
}

export const nodeSigning: SigningHost = Object.freeze({
  sha256(bytes: Uint8Array): Uint8Array {
    const digest = createHash('sha256').update(bytes).digest()
    return new Uint8Array(digest.buffer, digest.byteOffset, digest.length)
  },

  verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false
    try {
      return verify(null, message, publicKeyOf(publicKey), signature)
    } catch {
      return false // a key that OpenSSL does not take is the peer's
    }
  },
})

/** A new key from the system's randomness. */
export function generateEd25519Key(): Ed25519Key {
  return ed25519Key(generateKeyPairSync('ed25519').privateKey)
}

/**
 * A key from its seed (32 bytes), a PEM text, or a `KeyObject`.
 *
 * @throws UsageError ERR_ARGUMENT: it is none, or of another kind. The message holds nothing of it
 */
export function ed25519Key(secret: Uint8Array | string | KeyObject): Ed25519Key {
  const key = privateKeyOf(secret)
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
    const kind = `${key.type} ${key.asymmetricKeyType ?? ''}`.trim()
    throw new UsageError('ERR_ARGUMENT', `a private Ed25519 key is needed, not a ${kind} key`)
  }
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return Object.freeze({
    publicKey: new Uint8Array(spki.subarray(SPKI_PREFIX.length)),
    sign: (message: Uint8Array) => {
      const signature = sign(null, message, key)
      return new Uint8Array(signature.buffer, signature.byteOffset, signature.length)
    },
    toPem: () => key.export({ format: 'pem', type: 'pkcs8' }) as string,
  })
}

function privateKeyOf(secret: Uint8Array | string | KeyObject): KeyObject {
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) return secret
  if (secret instanceof Uint8Array && secret.length !== KEY_BYTES) {
    throw new UsageError('ERR_ARGUMENT', `an Ed25519 seed has 32 bytes, not ${secret.length}`)
  }
  try {
    if (typeof secret === 'string') return createPrivateKey(secret)
    const der = Buffer.concat([PKCS8_PREFIX, secret])
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } catch (cause) {
    // The cause of OpenSSL names its routine, never the text.
    throw new UsageError('ERR_ARGUMENT', 'this is no private key in PEM', { cause })
  }
}

/** Making a key object costs a tenth of a verification, so those of recent peers are kept. */
function publicKeyOf(raw: Uint8Array): KeyObject {
  const name = Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('latin1')
  const known = recentKeys.get(name)
  if (known !== undefined) return known
  const der = Buffer.concat([SPKI_PREFIX, raw])
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
  if (recentKeys.size >= MAX_RECENT_KEYS) recentKeys.delete(recentKeys.keys().next().value ?? '')
  recentKeys.set(name, key)
  return key
}

const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
/** Everything of SubjectPublicKeyInfo and of PKCS #8 but the key itself (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
/** Peers come and go; an old key costs one key object again. */
const MAX_RECENT_KEYS = 256
const recentKeys = new Map<string, KeyObject>()
