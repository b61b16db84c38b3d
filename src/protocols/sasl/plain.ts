/**
 * PLAIN (RFC 4616): the password as it is, in one message. For private connections only.
 *
 *     [authorization id] NUL name NUL password
 */
import { UsageError } from '../../core/errors.ts'
import type { Principal } from '../../core/principal.ts'
import { type Secret, type SecretText, secret } from '../../core/secret.ts'
import {
  type ClientOutcome,
  malformed,
  type SaslClient,
  type SaslDone,
  type SaslServer,
  type ServerOutcome,
} from './sasl.ts'
import { saslprep } from './saslprep.ts'
import { textOf } from './scram-client.ts'
import { UTF8 } from './scram-keys.ts'

export interface PlainClientOptions {
  name: string
  password: SecretText
  /** To act as somebody else. @default nobody */
  authorizationId?: string
}

export class PlainClient implements SaslClient {
  readonly mechanism = 'PLAIN'
  readonly #options: PlainClientOptions
  readonly #password: Secret
  #state: 'new' | 'sent' | 'failed' = 'new'

  constructor(options: PlainClientOptions) {
    const { name, password, authorizationId = '' } = options
    this.#options = options
    this.#password = secret(password)
    const parts = [name, this.#password.reveal(), authorizationId]
    if (name === '' || parts[1] === '' || parts.some((part) => part.includes('\0'))) {
      throw new UsageError('ERR_ARGUMENT', 'name and password are not empty and hold no NUL')
    }
  }

  /** There is nothing of the server's to wait for. */
  get complete(): boolean {
    return this.#state === 'sent'
  }

  start(done: SaslDone<ClientOutcome>): void {
    if (this.#state !== 'new') throw new UsageError('ERR_STATE', 'a login is started once')
    this.#state = 'sent'
    const { name, authorizationId = '' } = this.#options
    const data = UTF8.encode(`${authorizationId}\0${name}\0${this.#password.reveal()}`)
    done({ type: 'send', data })
  }

  step(challenge: Uint8Array, done: SaslDone<ClientOutcome>): void {
    if (challenge.length === 0 && this.#state === 'sent') return done({ type: 'done' })
    this.#state = 'failed'
    done({ type: 'failed', error: malformed('PLAIN has no challenge') })
  }
}

export interface PlainServerOptions {
  /** Whose these are; undefined: nobody's. */
  verify(name: string, password: string, done: (principal: Principal | undefined) => void): void
}

export class PlainServer implements SaslServer {
  readonly mechanism = 'PLAIN'
  readonly #options: PlainServerOptions
  #over = false

  constructor(options: PlainServerOptions) {
    this.#options = options
  }

  step(response: Uint8Array, done: SaslDone<ServerOutcome>): void {
    const refuse = (reason: string, name?: string): void =>
      done({ type: 'refused', reason, data: undefined, name })
    if (this.#over) return refuse('a message came that nobody waits for')
    this.#over = true
    const parts = textOf(response)?.split('\0')
    if (parts?.length !== 3) return refuse('not a name and a password')
    const [acting = '', given = '', password = ''] = parts
    const name = saslprep(given)
    if (name === undefined || name === '' || password === '') {
      return refuse('not a name and a password')
    }
    if (acting !== '' && acting !== given) return refuse('it asks to act as somebody else', name)
    this.#options.verify(name, password, (principal) => {
      if (principal === undefined) return refuse('unknown name or wrong password', name)
      done({ type: 'accepted', principal, data: undefined })
    })
  }
}
