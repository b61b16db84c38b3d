/**
 * The client of SCRAM (RFC 5802, RFC 7677): proves that it knows the password without sending it,
 * and has the server prove that it knew it already.
 *
 * - A server may ask for as much work as `maxIterations`, and for as little as `minIterations`: with
 *   less, whoever listens can guess the password off line.
 * - With a channel binding the login holds on this TLS connection only. A client that could bind but
 *   was offered no `-PLUS` says so (`y`): if that offer was cut out on the way, the server notices.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { HashName, PasswordCrypto } from '../../core/password-crypto.ts'
import { type Secret, type SecretText, secret } from '../../core/secret.ts'
import { encodeBase64 } from './base64.ts'
import {
  type ChannelBinding,
  type ClientOutcome,
  malformed,
  notAuthenticated,
  type SaslClient,
  type SaslDone,
  type SaslMechanism,
} from './sasl.ts'
import { saslprep } from './saslprep.ts'
import { deriveScramKeys, MAX_ITERATIONS, MIN_ITERATIONS, UTF8, xor } from './scram-keys.ts'
import {
  escapeName,
  isNonce,
  MAX_SCRAM_MESSAGE,
  parseServerFinal,
  parseServerFirst,
} from './scram-messages.ts'

export interface ScramClientOptions {
  mechanism: Exclude<SaslMechanism, 'PLAIN'>
  crypto: PasswordCrypto
  name: string
  password: SecretText
  /** To act as somebody else. @default nobody */
  authorizationId?: string
  /** Of the connection, used by `-PLUS`; without it such a mechanism is refused. */
  binding?: ChannelBinding | undefined
  /** Least work a server may ask for. @default 4_096, by RFC 7677 */
  minIterations?: number
  /** Most. @default 1_000_000: a hostile server must not keep us busy for minutes */
  maxIterations?: number
  /** @default 18 random bytes; for test vectors */
  nonce?: string
}

export const scramClientDefaults: Readonly<{ minIterations: number; maxIterations: number }> =
  Object.freeze({ minIterations: MIN_ITERATIONS, maxIterations: 1_000_000 })

type State = 'new' | 'first-sent' | 'deriving' | 'final-sent' | 'complete' | 'failed'

export class ScramClient implements SaslClient {
  readonly mechanism: SaslMechanism
  readonly #options: ScramClientOptions
  readonly #hash: HashName
  readonly #password: Secret
  readonly #gs2Header: string
  readonly #bare: string
  readonly #nonce: string
  readonly #minIterations: number
  readonly #maxIterations: number
  #state: State = 'new'
  #signature: Uint8Array | undefined

  /** @throws UsageError ERR_ARGUMENT for names and passwords that cannot be sent */
  constructor(options: ScramClientOptions) {
    const { mechanism, binding, authorizationId, password, crypto, nonce } = options
    const { minIterations, maxIterations } = { ...scramClientDefaults, ...options }
    this.#options = options
    this.mechanism = mechanism
    this.#hash = hashOf(mechanism)
    this.#minIterations = checkInteger('minIterations', minIterations, 1, MAX_ITERATIONS)
    this.#maxIterations = checkInteger(
      'maxIterations',
      maxIterations,
      minIterations,
      MAX_ITERATIONS,
    )
    const name = prepare('name', options.name)
    this.#password = secret(prepare('password', secret(password).reveal()))
    const plus = mechanism.endsWith('-PLUS')
    if (plus && binding === undefined) {
      throw new UsageError('ERR_ARGUMENT', `${mechanism} needs the binding of a TLS connection`)
    }
    const flag = plus ? `p=${binding?.type}` : binding === undefined ? 'n' : 'y'
    const acting = authorizationId === undefined ? '' : `a=${escapeName(authorizationId)}`
    this.#gs2Header = `${flag},${acting},`
    this.#nonce = nonce ?? newNonce(crypto)
    if (!isNonce(this.#nonce)) throw new UsageError('ERR_ARGUMENT', 'the nonce is not printable')
    this.#bare = `n=${escapeName(name)},r=${this.#nonce}`
  }

  get complete(): boolean {
    return this.#state === 'complete'
  }

  start(done: SaslDone<ClientOutcome>): void {
    if (this.#state !== 'new') throw new UsageError('ERR_STATE', 'a login is started once')
    this.#state = 'first-sent'
    done({ type: 'send', data: UTF8.encode(this.#gs2Header + this.#bare) })
  }

  step(challenge: Uint8Array, done: SaslDone<ClientOutcome>): void {
    const text = textOf(challenge)
    if (text === undefined) return this.#fail(malformed('a SCRAM message is no text'), done)
    switch (this.#state) {
      case 'first-sent':
        return this.#onServerFirst(text, done)
      case 'final-sent':
        return this.#onServerFinal(text, done)
      default:
        return this.#fail(malformed('a SCRAM message came that nobody waits for'), done)
    }
  }

  #onServerFirst(text: string, done: SaslDone<ClientOutcome>): void {
    const first = parseServerFirst(text)
    if (first === undefined) {
      const final = parseServerFinal(text)
      if (final !== undefined && 'error' in final) return this.#refused(final.error, done)
      return this.#fail(malformed('the server’s first SCRAM message cannot be read'), done)
    }
    const { nonce, salt, iterations } = first
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      return this.#fail(malformed('the server’s SCRAM nonce does not continue ours'), done)
    }
    if (iterations < this.#minIterations || iterations > this.#maxIterations) {
      const range = `${this.#minIterations} to ${this.#maxIterations}`
      return this.#fail(
        malformed(`the server asks for ${iterations} iterations, not ${range}`),
        done,
      )
    }
    this.#state = 'deriving'
    const { crypto } = this.#options
    deriveScramKeys(
      crypto,
      this.#hash,
      this.#password.reveal(),
      salt,
      iterations,
      (error, keys) => {
        if (keys === undefined) {
          return this.#fail(notAuthenticated(`keys cannot be derived: ${error?.message}`), done)
        }
        const channel = encodeBase64(this.#channel())
        const withoutProof = `c=${channel},r=${nonce}`
        const message = UTF8.encode(`${this.#bare},${text},${withoutProof}`)
        const signature = crypto.hmac(this.#hash, keys.storedKey, message)
        this.#signature = crypto.hmac(this.#hash, keys.serverKey, message)
        this.#state = 'final-sent'
        const proof = encodeBase64(xor(keys.clientKey, signature))
        done({ type: 'send', data: UTF8.encode(`${withoutProof},p=${proof}`) })
      },
    )
  }

  #onServerFinal(text: string, done: SaslDone<ClientOutcome>): void {
    const final = parseServerFinal(text)
    if (final === undefined) {
      return this.#fail(malformed('the server’s last SCRAM message cannot be read'), done)
    }
    if ('error' in final) return this.#refused(final.error, done)
    const expected = this.#signature as Uint8Array
    if (!this.#options.crypto.equal(final.signature, expected)) {
      return this.#fail(notAuthenticated('the server does not know the password'), done)
    }
    this.#state = 'complete'
    done({ type: 'done' })
  }

  #channel(): Uint8Array {
    const header = UTF8.encode(this.#gs2Header)
    const { binding } = this.#options
    if (!this.mechanism.endsWith('-PLUS') || binding === undefined) return header
    const channel = new Uint8Array(header.length + binding.data.length)
    channel.set(header)
    channel.set(binding.data, header.length)
    return channel
  }

  /** Only words of the RFC and its kind are shown: the server may be anybody. */
  #refused(error: string, done: SaslDone<ClientOutcome>): void {
    const word = /^[a-z0-9-]+$/.test(error) ? error : 'no reason'
    this.#fail(notAuthenticated(`the server refused the login: ${word}`), done)
  }

  #fail(
    error: ReturnType<typeof malformed> | ReturnType<typeof notAuthenticated>,
    done: SaslDone<ClientOutcome>,
  ): void {
    this.#state = 'failed'
    done({ type: 'failed', error })
  }
}

export function hashOf(mechanism: string): HashName {
  if (mechanism.startsWith('SCRAM-SHA-512')) return 'sha-512'
  return mechanism.startsWith('SCRAM-SHA-256') ? 'sha-256' : 'sha-1'
}

export function newNonce(crypto: PasswordCrypto): string {
  const bytes = new Uint8Array(18)
  crypto.randomBytes(bytes)
  return encodeBase64(bytes)
}

/** Undefined: too long, or not UTF-8. */
export function textOf(message: Uint8Array): string | undefined {
  if (message.length > MAX_SCRAM_MESSAGE) return undefined
  try {
    return DECODER.decode(message)
  } catch {
    return undefined
  }
}

function prepare(what: string, text: string): string {
  const prepared = saslprep(text)
  if (prepared !== undefined && prepared !== '') return prepared
  // Not shown: it may be the password.
  throw new UsageError('ERR_ARGUMENT', `the ${what} is empty, or holds what none may hold`)
}

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
