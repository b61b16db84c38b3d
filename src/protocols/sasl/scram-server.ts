/**
 * The server of SCRAM (RFC 5802, RFC 7677).
 *
 * A name that nobody has gets a salt and a count like all others, always the same, and fails where a
 * wrong password fails: a client cannot find out which names exist. What a client says of channel
 * binding is checked against what was offered, so that nobody in the middle can talk both out of it.
 */
import { checkInteger } from '../../core/errors.ts'
import type { HashName, PasswordCrypto } from '../../core/password-crypto.ts'
import type { Principal } from '../../core/principal.ts'
import { encodeBase64 } from './base64.ts'
import type { ChannelBinding, SaslDone, SaslMechanism, SaslServer, ServerOutcome } from './sasl.ts'
import { saslprep } from './saslprep.ts'
import { hashOf, newNonce, textOf } from './scram-client.ts'
import { MAX_ITERATIONS, MIN_ITERATIONS, type ScramCredential, UTF8, xor } from './scram-keys.ts'
import { type ClientFirst, parseClientFinal, parseClientFirst } from './scram-messages.ts'

export interface ScramServerOptions {
  mechanism: Exclude<SaslMechanism, 'PLAIN'>
  crypto: PasswordCrypto
  /** What is kept of a name's password, for the hash of this mechanism; undefined: nobody has it. */
  credentialOf(
    name: string,
    done: (credential: ScramCredential | undefined, roles?: readonly string[]) => void,
  ): void
  /** For the salts of names that nobody has: random, and the same on every server and restart. */
  decoySecret: Uint8Array
  /** Iterations of names that nobody has: as many as real ones. @default 100_000 */
  decoyIterations?: number
  /** Of the connection. */
  binding?: ChannelBinding | undefined
  /** Whether the `-PLUS` mechanism was offered on this connection. @default with a binding */
  offersBinding?: boolean
  /** @default 18 random bytes; for test vectors */
  nonce?: string
}

type State = 'new' | 'looking-up' | 'first-sent' | 'over'

export class ScramServer implements SaslServer {
  readonly mechanism: SaslMechanism
  readonly #options: ScramServerOptions
  readonly #hash: HashName
  readonly #decoyIterations: number
  #state: State = 'new'
  #first: ClientFirst | undefined
  #serverFirst = ''
  #nonce = ''
  #name: string | undefined
  #credential: ScramCredential | undefined
  /** False: it is a decoy, and nothing matches it. */
  #known = false
  #roles: readonly string[] = []

  constructor(options: ScramServerOptions) {
    const { mechanism, decoyIterations = 100_000 } = options
    this.#options = options
    this.mechanism = mechanism
    this.#hash = hashOf(mechanism)
    this.#decoyIterations = checkInteger(
      'decoyIterations',
      decoyIterations,
      MIN_ITERATIONS,
      MAX_ITERATIONS,
    )
  }

  step(response: Uint8Array, done: SaslDone<ServerOutcome>): void {
    const text = textOf(response)
    if (text === undefined) return this.#refuse('the message is no text', 'invalid-encoding', done)
    switch (this.#state) {
      case 'new':
        return this.#onClientFirst(text, done)
      case 'first-sent':
        return this.#onClientFinal(text, done)
      default:
        return this.#refuse('a message came that nobody waits for', 'other-error', done)
    }
  }

  #onClientFirst(text: string, done: SaslDone<ServerOutcome>): void {
    const first = parseClientFirst(text)
    if (first === undefined) {
      return this.#refuse('the first message cannot be read', 'invalid-encoding', done)
    }
    const name = saslprep(first.name)
    if (name === undefined || name === '') {
      return this.#refuse('the name holds what none may hold', 'invalid-username-encoding', done)
    }
    this.#name = name
    const wrong = this.#bindingProblem(first)
    if (wrong !== undefined) return this.#refuse(wrong, wrong, done)
    if (first.authorizationId !== undefined && first.authorizationId !== first.name) {
      return this.#refuse('it asks to act as somebody else', 'other-error', done)
    }
    this.#first = first
    this.#state = 'looking-up'
    this.#options.credentialOf(name, (credential, roles = []) => {
      this.#known = credential !== undefined && credential.hash === this.#hash
      this.#credential = this.#known ? credential : this.#decoy(name)
      this.#roles = roles
      this.#sendFirst(first, done)
    })
  }

  #sendFirst(first: ClientFirst, done: SaslDone<ServerOutcome>): void {
    const { crypto, nonce } = this.#options
    const { salt, iterations } = this.#credential as ScramCredential
    this.#nonce = first.nonce + (nonce ?? newNonce(crypto))
    this.#serverFirst = `r=${this.#nonce},s=${encodeBase64(salt)},i=${iterations}`
    this.#state = 'first-sent'
    done({ type: 'send', data: UTF8.encode(this.#serverFirst) })
  }

  #onClientFinal(text: string, done: SaslDone<ServerOutcome>): void {
    const final = parseClientFinal(text)
    if (final === undefined) {
      return this.#refuse('the last message cannot be read', 'invalid-encoding', done)
    }
    const { crypto } = this.#options
    const { storedKey, serverKey } = this.#credential as ScramCredential
    const { bare } = this.#first as ClientFirst
    if (final.nonce !== this.#nonce) return this.#refuse('another nonce', 'other-error', done)
    if (!crypto.equal(final.channel, this.#expectedChannel())) {
      const wrong = 'channel-bindings-dont-match'
      return this.#refuse(wrong, wrong, done)
    }
    const message = UTF8.encode(`${bare},${this.#serverFirst},${final.withoutProof}`)
    const signature = crypto.hmac(this.#hash, storedKey, message)
    const fits = final.proof.length === signature.length
    const clientKey = xor(fits ? final.proof : signature, signature)
    const right = crypto.equal(crypto.hash(this.#hash, clientKey), storedKey)
    if (!(right && fits && this.#known)) {
      return this.#refuse('unknown name or wrong password', 'invalid-proof', done)
    }
    this.#state = 'over'
    const proof = encodeBase64(crypto.hmac(this.#hash, serverKey, message))
    done({ type: 'accepted', principal: this.#principal(), data: UTF8.encode(`v=${proof}`) })
  }

  #principal(): Principal {
    const attributes = Object.freeze({ mechanism: this.mechanism })
    return { id: this.#name as string, method: 'scram', roles: this.#roles, attributes }
  }

  /** The words of RFC 5802 section 7; undefined: all is well. */
  #bindingProblem({ binding }: ClientFirst): string | undefined {
    const { binding: ours, offersBinding = ours !== undefined } = this.#options
    if (this.mechanism.endsWith('-PLUS')) {
      if (typeof binding === 'string') return 'channel-bindings-dont-match'
      return binding.type === ours?.type ? undefined : 'unsupported-channel-binding-type'
    }
    // It thinks we cannot, and we can: somebody took our offer away.
    if (binding === 'y' && offersBinding) return 'server-does-support-channel-binding'
    return binding === 'y' || binding === 'n' ? undefined : 'channel-binding-not-supported'
  }

  #expectedChannel(): Uint8Array {
    const { gs2Header } = this.#first as ClientFirst
    const header = UTF8.encode(gs2Header)
    const { binding } = this.#options
    if (!this.mechanism.endsWith('-PLUS') || binding === undefined) return header
    const channel = new Uint8Array(header.length + binding.data.length)
    channel.set(header)
    channel.set(binding.data, header.length)
    return channel
  }

  #decoy(name: string): ScramCredential {
    const { crypto, decoySecret } = this.#options
    const salt = crypto.hmac(this.#hash, decoySecret, UTF8.encode(name)).slice(0, 16)
    const storedKey = crypto.hash(this.#hash, decoySecret)
    const iterations = this.#decoyIterations
    return { hash: this.#hash, salt, iterations, storedKey, serverKey: storedKey }
  }

  #refuse(reason: string, word: string, done: SaslDone<ServerOutcome>): void {
    this.#state = 'over'
    done({ type: 'refused', reason, data: UTF8.encode(`e=${word}`), name: this.#name })
  }
}
