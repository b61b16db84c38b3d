/**
 * `private_key_jwt`: a client proves who it is with a signature instead of a secret (RFC 7523, OpenID
 * Connect Core section 9). Each assertion is for one token endpoint, used once, and good for a minute.
 */
import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import type { Clock } from '../../core/clock.ts'
import { UsageError } from '../../core/errors.ts'
import { reveal, type SecretText } from '../../core/secret.ts'

export interface ClientAssertionOptions {
  clock: Pick<Clock, 'wallNow'>
  clientId: string
  /** The token endpoint, as the server knows it. */
  audience: string
  /** PEM. */
  privateKey: SecretText
  /** Of the key, so that the server finds its other half. @default none */
  keyId?: string
  /** @default by the key: RS256, ES256 or EdDSA */
  algorithm?: string
}

export class ClientAssertion {
  readonly #options: ClientAssertionOptions
  readonly #key: KeyObject
  readonly #algorithm: string

  constructor(options: ClientAssertionOptions) {
    this.#options = options
    try {
      this.#key = createPrivateKey(reveal(options.privateKey))
    } catch {
      // The cause would show what it could not read.
      throw new UsageError('ERR_ARGUMENT', 'the private key of the OAuth client is not PEM')
    }
    this.#algorithm = options.algorithm ?? algorithmOf(this.#key)
  }

  create(): Promise<string> {
    const { clock, clientId, audience, keyId } = this.#options
    const now = Math.floor(clock.wallNow() / 1_000)
    return new SignJWT({ iss: clientId, sub: clientId, aud: audience, jti: randomUUID() })
      .setProtectedHeader({
        alg: this.#algorithm,
        typ: 'JWT',
        ...(keyId !== undefined && { kid: keyId }),
      })
      .setIssuedAt(now)
      .setExpirationTime(now + LIFETIME_SECONDS)
      .sign(this.#key)
  }
}

function algorithmOf(key: KeyObject): string {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return 'RS256'
    case 'ed25519':
      return 'EdDSA'
    case 'ec': {
      const curve = key.asymmetricKeyDetails?.namedCurve
      const algorithm = curve === undefined ? undefined : EC_ALGORITHMS[curve]
      if (algorithm !== undefined) return algorithm
    }
  }
  throw new UsageError('ERR_ARGUMENT', 'the private key of the OAuth client is of no known kind')
}

const EC_ALGORITHMS: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
}
const LIFETIME_SECONDS = 60
