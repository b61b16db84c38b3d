/**
 * `SigningHost` and keys on WebCrypto: browsers, workers, Deno, and Node as well. Everything is a
 * promise there.
 */
import { UsageError } from '../core/errors.ts'
import type { SigningHost, SigningKey } from '../core/signing.ts'

/** The part of `crypto.subtle` that is used. */
type Subtle = Pick<
  SubtleCrypto,
  'digest' | 'exportKey' | 'generateKey' | 'importKey' | 'sign' | 'verify'
>

export const webSigning: SigningHost = Object.freeze({
  async sha256(bytes: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(await subtle().digest('SHA-256', source(bytes)))
  },

  async verifyEd25519(
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean> {
    if (publicKey.length !== 32 || signature.length !== 64) return false
    try {
      const key = await subtle().importKey('raw', source(publicKey), ED25519, false, ['verify'])
      return await subtle().verify(ED25519, key, source(signature), source(message))
    } catch (error) {
      if (isUnsupported(error)) throw unsupported(error)
      return false // a key that WebCrypto does not take is the peer's
    }
  },
})

/** A new key that cannot be read out: it lives as long as the page, or in IndexedDB. */
export async function generateWebKey(): Promise<SigningKey> {
  try {
    const made = await subtle().generateKey(ED25519, false, ['sign', 'verify'])
    const { privateKey, publicKey } = made as { privateKey: CryptoKey; publicKey: CryptoKey }
    return keyOf(privateKey, new Uint8Array(await subtle().exportKey('raw', publicKey)))
  } catch (error) {
    throw isUnsupported(error) ? unsupported(error) : error
  }
}

/** A key from its seed, the 32 bytes of RFC 8032. WebCrypto needs the public half as well. */
export async function webKey(seed: Uint8Array, publicKey: Uint8Array): Promise<SigningKey> {
  if (seed.length !== 32 || publicKey.length !== 32) {
    const message = `a seed and a public key have 32 bytes each, not ${seed.length} and ${publicKey.length}`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: base64Url(seed), x: base64Url(publicKey) }
  try {
    return keyOf(await subtle().importKey('jwk', jwk, ED25519, false, ['sign']), publicKey.slice())
  } catch (error) {
    throw isUnsupported(error) ? unsupported(error) : error
  }
}

function keyOf(privateKey: CryptoKey, publicKey: Uint8Array): SigningKey {
  return Object.freeze({
    publicKey,
    sign: async (message: Uint8Array) => {
      return new Uint8Array(await subtle().sign(ED25519, privateKey, source(message)))
    },
  })
}

function subtle(): Subtle {
  const { subtle: found } = globalThis.crypto ?? {}
  if (found !== undefined) return found
  // Pages that are not from a secure origin have none (W3C Secure Contexts).
  throw new UsageError('ERR_OPTION_UNSUPPORTED', 'crypto.subtle is missing: use https or localhost')
}

function isUnsupported(error: unknown): boolean {
  return error instanceof UsageError || (error as Error | null)?.name === 'NotSupportedError'
}

function unsupported(cause: unknown): UsageError {
  if (cause instanceof UsageError) return cause
  const message = 'this WebCrypto has no Ed25519: Chromium 137, Firefox 129, Safari 17 have it'
  return new UsageError('ERR_OPTION_UNSUPPORTED', message, { cause })
}

/** WebCrypto takes no view of shared memory; ours never is. */
function source(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>
}

function base64Url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes))
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

const ED25519 = Object.freeze({ name: 'Ed25519' })
