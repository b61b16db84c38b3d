/**
 * A token of etcd for a user and a password. Simple tokens last five minutes after their last use,
 * JWTs as long as their server says: it is got again when etcd refuses it.
 */
import { ProtocolError, UsageError } from '../core/errors.ts'
import { reveal, type SecretText } from '../core/secret.ts'
import type { MaybePromise } from '../core/service.ts'
import { asRecord, asText } from './json-value.ts'
import { type RegistryHttp, readSecretFile } from './registry-http.ts'

export interface EtcdUser {
  readonly name: string
  /** Never shown. A function is asked for each token. */
  readonly password?: SecretText | (() => MaybePromise<SecretText>)
  /** Read for each token. */
  readonly passwordFile?: string
}

export class EtcdAuthentication {
  readonly #http: RegistryHttp
  readonly #user: EtcdUser
  #token: string | undefined

  constructor(http: RegistryHttp, user: EtcdUser) {
    if (user.password === undefined && user.passwordFile === undefined) {
      throw new UsageError('ERR_ARGUMENT', 'a user of etcd has a password or a passwordFile')
    }
    this.#http = http
    this.#user = user
  }

  get token(): string | undefined {
    return this.#token
  }

  async ensure(signal: AbortSignal): Promise<void> {
    if (this.#token !== undefined) return
    const password = await this.#password()
    this.#http.keepSecret(password)
    const { value } = await this.#http.json({
      method: 'POST',
      target: '/v3/auth/authenticate',
      json: { name: this.#user.name, password },
      signal,
      anonymous: true,
    })
    const token = asText(asRecord('etcd', value)['token'])
    if (token === '') throw new ProtocolError('ERR_MALFORMED', 'etcd gave no token')
    this.#http.keepSecret(token)
    this.#token = token
  }

  /** A token that was refused is not tried again; other refusals cost one more question. */
  refused(): void {
    this.#token = undefined
  }

  async #password(): Promise<string> {
    const { password, passwordFile } = this.#user
    if (passwordFile === undefined) {
      return reveal(typeof password === 'function' ? await password() : (password ?? ''))
    }
    return readSecretFile(passwordFile, 'the password of etcd')
  }
}
