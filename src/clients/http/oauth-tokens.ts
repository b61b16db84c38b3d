/**
 * OAuth 2.0 tokens for a client itself: the client credentials grant (RFC 6749 section 4.4), and the
 * refresh of a token that somebody granted (section 6).
 *
 *     const tokens = oauthTokens({
 *       client: httpClient('https://login.example'), path: '/oauth/token',
 *       clientId: 'orders', clientSecret: process.env.ORDERS_SECRET,
 *     })
 *     const api = httpClient('https://api.example', { credentials: bearerCredentials(tokens) })
 *
 *     fresh ──────▸ refreshed in the background ──────▸ margin: callers wait ──▸ expired
 *           refreshShare of the life              marginMs before the end
 *
 * One request at a time, shared by all who wait. While a refresh fails, the old token is used to its
 * end. A token that the API answers with 401 is dropped at once. Neither secrets nor tokens are in
 * any error or log.
 */
import type { Clock } from '../../core/clock.ts'
import {
  AccessError,
  checkRange,
  HeddleError,
  ProtocolError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import { reveal, Secret, type SecretText, secret } from '../../core/secret.ts'
import type { MaybePromise } from '../../core/service.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { ClientAssertion } from '../../security/oauth/client-assertion.ts'
import type { TokenSource } from './credentials.ts'
import type { HttpClient } from './http-client.ts'
import { readJson } from './json-request.ts'

export interface OauthTokensOptions {
  /** Of the authorization server. Its timeouts and retries apply; it stays the caller's to close. */
  client: HttpClient
  /** The token endpoint. @default '/oauth/token' */
  path?: string
  clientId: string
  /** For `client_secret_basic` and `client_secret_post`. */
  clientSecret?: SecretText
  /** PEM, for `private_key_jwt`. */
  privateKey?: SecretText
  /** Of the private key. */
  keyId?: string
  /**
   * How the client says who it is.
   *
   * @default 'private_key_jwt' with a private key, otherwise 'client_secret_basic', which RFC 6749
   *   2.3.1 obliges every server to support
   */
  authentication?: 'client_secret_basic' | 'client_secret_post' | 'private_key_jwt'
  /** A grant to begin with: then tokens are refreshed, never asked for anew. */
  refreshToken?: SecretText
  /** With spaces between. @default what the server gives */
  scope?: string
  /** Further parameters: `audience`, `resource`. */
  parameters?: Readonly<Record<string, string>>
  /** A token is not used in its last milliseconds: it would expire on its way. @default 30_000 */
  marginMs?: number
  /** Share of its life after which a token is refreshed in the background. @default 0.8 */
  refreshShare?: number
  /** Life of a token whose server does not say, in milliseconds. @default 300_000 */
  defaultLifetimeMs?: number
  /** Limit of one request for a token, in milliseconds. @default 10_000 */
  timeoutMs?: number
  /** After a failure, how long nobody asks again, in milliseconds. @default 1_000 */
  retryAfterMs?: number
  /** Told when no token could be had. */
  onError?(error: unknown): void
  /** @default the system clock */
  clock?: Pick<Clock, 'now' | 'wallNow'>
}

export const oauthTokensDefaults: Readonly<{
  path: string
  marginMs: number
  refreshShare: number
  defaultLifetimeMs: number
  timeoutMs: number
  retryAfterMs: number
}> = Object.freeze({
  path: '/oauth/token',
  marginMs: 30_000,
  refreshShare: 0.8,
  defaultLifetimeMs: 300_000,
  timeoutMs: 10_000,
  retryAfterMs: 1_000,
})

export function oauthTokens(options: OauthTokensOptions): OauthTokens {
  return new OauthTokens(options)
}

interface Held {
  readonly token: Secret
  /** Monotonic: `expires_in` counts from when it was asked for. */
  readonly refreshAt: number
  readonly waitAt: number
  readonly expiresAt: number
}

export class OauthTokens implements TokenSource {
  readonly #options: OauthTokensOptions & typeof oauthTokensDefaults
  readonly #clock: Pick<Clock, 'now' | 'wallNow'>
  readonly #secret: Secret | undefined
  readonly #assertion: ClientAssertion | undefined
  #refreshToken: Secret | undefined
  #held: Held | undefined
  #asking: Promise<Secret> | undefined
  #failure: { readonly error: unknown; readonly until: number } | undefined

  constructor(options: OauthTokensOptions) {
    this.#options = { ...oauthTokensDefaults, ...options }
    const { client, path, clientId, clientSecret, privateKey, refreshToken, keyId } = this.#options
    const { marginMs, refreshShare, defaultLifetimeMs, timeoutMs, retryAfterMs } = this.#options
    checkRange('marginMs', marginMs, 0, 3_600_000)
    checkRange('refreshShare', refreshShare, 0.1, 1)
    checkRange('defaultLifetimeMs', defaultLifetimeMs, 1_000, 86_400_000)
    checkRange('timeoutMs', timeoutMs, 1, 600_000)
    checkRange('retryAfterMs', retryAfterMs, 0, 600_000)
    this.#clock = options.clock ?? systemClock
    this.#secret = clientSecret === undefined ? undefined : secret(clientSecret)
    this.#refreshToken = refreshToken === undefined ? undefined : secret(refreshToken)
    if (this.#method === 'private_key_jwt') {
      if (privateKey === undefined) throw missing('privateKey')
      this.#assertion = new ClientAssertion({
        clock: this.#clock,
        clientId,
        audience: `${client.scheme}://${client.authority}${path}`,
        privateKey,
        ...(keyId !== undefined && { keyId }),
      })
    } else if (this.#secret === undefined) throw missing('clientSecret')
  }

  /** @throws AccessError ERR_UNAUTHENTICATED when refused, TransportError when out of reach */
  token(): MaybePromise<Secret> {
    const now = this.#clock.now()
    const held = this.#held
    if (held !== undefined && now < held.waitAt) {
      if (now >= held.refreshAt) this.#renew(now)?.catch(() => {})
      return held.token
    }
    const renewed = this.#renew(now)
    // While it cannot be renewed, the old one is good to its end.
    if (held === undefined || now >= held.expiresAt) return renewed ?? this.#refusal()
    return renewed?.catch(() => held.token) ?? held.token
  }

  refused(token: SecretText): boolean {
    if (this.#held !== undefined && reveal(this.#held.token) === reveal(token)) {
      this.#held = undefined
    }
    return this.#failure === undefined || this.#clock.now() >= this.#failure.until
  }

  /** Undefined: it failed a moment ago. */
  #renew(now: number): Promise<Secret> | undefined {
    if (this.#asking !== undefined) return this.#asking
    if (this.#failure !== undefined && now < this.#failure.until) return undefined
    this.#asking = this.#ask(now).finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  #refusal(): never {
    throw this.#failure?.error ?? noToken()
  }

  async #ask(now: number): Promise<Secret> {
    try {
      const held = await this.#grant(now)
      this.#held = held
      this.#failure = undefined
      return held.token
    } catch (error) {
      const { retryAfterMs, onError } = this.#options
      this.#failure = { error, until: this.#clock.now() + retryAfterMs }
      onError?.(error)
      throw error
    }
  }

  async #grant(now: number): Promise<Held> {
    const granted = this.#refreshToken
    if (granted === undefined) return this.#request({ grant_type: 'client_credentials' }, now)
    try {
      return await this.#request(
        { grant_type: 'refresh_token', refresh_token: granted.reveal() },
        now,
      )
    } catch (error) {
      const gone = error instanceof AccessError && error.status === 'invalid_grant'
      if (!gone || this.#options.refreshToken !== undefined) throw error
      // A refresh token that came with a token of our own may end before we do.
      this.#refreshToken = undefined
      return this.#request({ grant_type: 'client_credentials' }, now)
    }
  }

  async #request(grant: Readonly<Record<string, string>>, now: number): Promise<Held> {
    const { client, path, scope, parameters, timeoutMs } = this.#options
    const form = new URLSearchParams({ ...parameters, ...grant })
    if (scope !== undefined) form.set('scope', scope)
    const fields: Record<string, string> = {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    }
    await this.#identify(form, fields)
    let status: number
    let answer: unknown
    try {
      const body = form.toString()
      const response = await client.request({
        method: 'POST',
        target: path,
        fields,
        body,
        timeoutMs,
      })
      status = response.status
      answer = await readJson(response, MAX_ANSWER_BYTES)
    } catch (error) {
      throw this.#unreachable(error)
    }
    if (status !== 200) throw this.#refusedWith(status, answer)
    return this.#hold(answer, now)
  }

  async #identify(form: URLSearchParams, fields: Record<string, string>): Promise<void> {
    const { clientId } = this.#options
    switch (this.#method) {
      case 'client_secret_basic': {
        // Both are encoded as forms are, before they are joined (RFC 6749 2.3.1).
        const pair = `${formEncode(clientId)}:${formEncode(this.#secret?.reveal() ?? '')}`
        fields['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`
        return
      }
      case 'client_secret_post':
        form.set('client_id', clientId)
        form.set('client_secret', this.#secret?.reveal() ?? '')
        return
      case 'private_key_jwt':
        form.set('client_id', clientId)
        form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
        form.set('client_assertion', (await this.#assertion?.create()) ?? '')
    }
  }

  get #method(): NonNullable<OauthTokensOptions['authentication']> {
    const { authentication, privateKey } = this.#options
    return authentication ?? (privateKey === undefined ? 'client_secret_basic' : 'private_key_jwt')
  }

  #hold(answer: unknown, now: number): Held {
    const { marginMs, refreshShare, defaultLifetimeMs } = this.#options
    const { access_token, token_type, expires_in, refresh_token } = asRecord(answer)
    if (typeof access_token !== 'string' || access_token === '') {
      throw this.#malformed('no access_token')
    }
    if (typeof token_type !== 'string' || token_type.toLowerCase() !== 'bearer') {
      throw this.#malformed('a token_type that is not bearer')
    }
    const seconds = typeof expires_in === 'string' ? Number(expires_in) : expires_in
    const said = typeof seconds === 'number' && seconds > 0 ? seconds * 1_000 : defaultLifetimeMs
    const lifetimeMs = Math.min(said, MAX_LIFETIME_MS)
    // A life that is hardly longer than the margin is used for three quarters of it.
    const margin = Math.min(marginMs, lifetimeMs / 4)
    if (typeof refresh_token === 'string' && refresh_token !== '') {
      this.#refreshToken = new Secret(refresh_token)
    }
    return {
      token: new Secret(access_token),
      refreshAt: now + Math.min(lifetimeMs * refreshShare, lifetimeMs - margin),
      waitAt: now + lifetimeMs - margin,
      expiresAt: now + lifetimeMs,
    }
  }

  /** The server's own words for why are for programs: `invalid_client`, `invalid_scope`. */
  #refusedWith(status: number, answer: unknown): Error {
    const { error } = asRecord(answer)
    const code = typeof error === 'string' && /^[\x21-\x7e]{1,64}$/.test(error) ? error : undefined
    const where = this.#options.client.authority
    if (status >= 500 || code === 'temporarily_unavailable') {
      return new TransportError('ERR_CONNECT', `${where} answered ${status} to a token request`)
    }
    const message = `${where} refused a token: ${code ?? `status ${status}`}`
    // Whose service made this call is not asked to log in: it is we who were refused.
    const detail = { outbound: true }
    return new AccessError('ERR_UNAUTHENTICATED', message, {
      status: code ?? String(status),
      detail,
    })
  }

  #unreachable(error: unknown): Error {
    if (error instanceof ProtocolError && error.code === 'ERR_MALFORMED') {
      return this.#malformed('no JSON')
    }
    if (error instanceof HeddleError && error.blame === 'lifecycle') return error
    const message = `${this.#options.client.authority} gave no token: it is out of reach`
    // Nothing of the call itself has left.
    return new TransportError('ERR_CONNECT', message, { cause: error, sent: 'nothing' })
  }

  #malformed(what: string): ProtocolError {
    const message = `${this.#options.client.authority} answered a token request with ${what}`
    return new ProtocolError('ERR_MALFORMED', message)
  }
}

function noToken(): AccessError {
  return new AccessError('ERR_UNAUTHENTICATED', 'there is no token', { detail: { outbound: true } })
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function formEncode(text: string): string {
  return new URLSearchParams({ v: text }).toString().slice(2)
}

function missing(name: string): UsageError {
  return new UsageError('ERR_ARGUMENT', `this authentication of an OAuth client needs ${name}`)
}

const MAX_ANSWER_BYTES = 65_536
/** A server that says "for ever" is asked again once a day. */
const MAX_LIFETIME_MS = 86_400_000
