/**
 * What a client shows with its requests, for the option `credentials` of `httpClient`:
 *
 *     httpClient(origin, { credentials: basicCredentials('alice', password) })
 *     httpClient(origin, { credentials: bearerCredentials(() => readToken()) })
 *     httpClient(origin, { credentials: bearerCredentials(oauthTokens({ … })) })
 *
 * A request that brings its own `Authorization` keeps it. Credentials are `Secret`s: no log, error,
 * `explain` or dump shows them.
 */

import type { CallContext } from '../../core/context.ts'
import { UsageError } from '../../core/errors.ts'
import { reveal, type SecretText, secret } from '../../core/secret.ts'
import type { MaybePromise, Middleware, Service } from '../../core/service.ts'
import { isToken68 } from '../../protocols/http/credentials.ts'
import { HttpFields, isFieldValue, isToken } from '../../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import { unsent } from '../../runtime/exchanger.ts'
import { isPromise, type Settlement, settle } from '../../runtime/settle.ts'

export type ClientCredentials = Middleware<HttpRequest, HttpResponse>

/** Tokens that change: it gives the one that is good now, and hears of one that was not. */
export interface TokenSource {
  token(context: CallContext): MaybePromise<SecretText>
  /**
   * The server answered 401 to this token. @returns whether the next one may be another, so that
   * the call is worth sending again
   */
  refused(token: SecretText): boolean
}

/** RFC 7617. @throws UsageError ERR_ARGUMENT for a name with a colon, or control characters */
export function basicCredentials(name: string, password: SecretText): ClientCredentials {
  const kept = secret(password)
  if (name.includes(':') || CONTROL.test(name) || CONTROL.test(kept.reveal())) {
    const message = 'a name has no colon, and neither name nor password a control character'
    throw new UsageError('ERR_ARGUMENT', message)
  }
  // Made for each request, so that the encoded password stays nowhere either.
  const value = (): string =>
    `Basic ${Buffer.from(`${name}:${kept.reveal()}`, 'utf8').toString('base64')}`
  return (next) => (request, context) => next(showing(request, 'authorization', value()), context)
}

/** RFC 6750: a token that stays, a function that gives one, or a source of tokens that expire. */
export function bearerCredentials(
  token: SecretText | (() => MaybePromise<SecretText>) | TokenSource,
): ClientCredentials {
  if (typeof token === 'function') return tokenCredentials({ token, refused: () => false })
  if (isTokenSource(token)) return tokenCredentials(token)
  const kept = secret(token)
  // Wrong ones are refused where they are given, not with the first call.
  bearer(kept)
  return (next) => (request, context) =>
    next(showing(request, 'authorization', bearer(kept)), context)
}

export function apiKeyCredentials(
  key: SecretText,
  options: { /** @default 'x-api-key' */ header?: string } = {},
): ClientCredentials {
  const { header = 'x-api-key' } = options
  const kept = secret(key)
  if (!isToken(header) || !isFieldValue(kept.reveal())) {
    throw new UsageError('ERR_ARGUMENT', 'the API key, or its header, cannot be sent')
  }
  return (next) => (request, context) => next(showing(request, header, kept.reveal()), context)
}

function tokenCredentials(source: TokenSource): ClientCredentials {
  return (next) => (request, context) => {
    if (request.fields.has('authorization')) return next(request, context)
    const token = source.token(context)
    if (!isPromise(token)) return sendWith(source, token, next, request, context)
    return untilCancelled(token, context).then((late) => {
      return sendWith(source, late, next, request, context)
    })
  }
}

function sendWith(
  source: TokenSource,
  token: SecretText,
  next: Service<HttpRequest, HttpResponse>,
  request: HttpRequest,
  context: CallContext,
): MaybePromise<HttpResponse> {
  const shown = showing(request, 'authorization', bearer(token))
  return settle(next, shown, context, new RefusedToken(source, token, next, request, context))
}

/**
 * A 401 is an answer from before any work: with another token the call is sent once more, whatever
 * its method, if its body can be.
 */
class RefusedToken implements Settlement<HttpResponse> {
  readonly #source: TokenSource
  readonly #token: SecretText
  readonly #next: Service<HttpRequest, HttpResponse>
  readonly #request: HttpRequest
  readonly #context: CallContext

  constructor(
    source: TokenSource,
    token: SecretText,
    next: Service<HttpRequest, HttpResponse>,
    request: HttpRequest,
    context: CallContext,
  ) {
    this.#source = source
    this.#token = token
    this.#next = next
    this.#request = request
    this.#context = context
  }

  onReply(response: HttpResponse): MaybePromise<HttpResponse> {
    if (response.status !== 401) return response
    const renewed = this.#source.refused(this.#token)
    if (!renewed || !this.#request.body.replayable || this.#context.cancelled) return response
    return this.#again(response)
  }

  onError(error: unknown): never {
    throw error
  }

  async #again(response: HttpResponse): Promise<HttpResponse> {
    let token: SecretText
    try {
      token = await untilCancelled(this.#source.token(this.#context), this.#context)
    } catch {
      // The server's own answer says more than that no other token could be had.
      return response
    }
    if (reveal(token) === reveal(this.#token)) return response
    response.body.discard()
    return this.#next(showing(this.#request, 'authorization', bearer(token)), this.#context)
  }
}

/** A call that is cancelled waits for no token: it ends at once, with nothing sent. */
function untilCancelled<Value>(value: MaybePromise<Value>, context: CallContext): Promise<Value> {
  return new Promise((resolve, reject) => {
    const remove = context.onCancel((reason) => reject(unsent(reason)))
    Promise.resolve(value).finally(remove).then(resolve, reject)
  })
}

/** A copy with the field, unless the request has one of its own. */
function showing(request: HttpRequest, name: string, value: string): HttpRequest {
  if (request.fields.has(name.toLowerCase())) return request
  const fields = new HttpFields(request.fields)
  fields.append(name, value)
  const { method, target, scheme, authority, body, version } = request
  const shown = new HttpRequest({ method, target, scheme, authority, fields, body, version })
  shown.connection = request.connection
  shown.inform = request.inform
  shown.note = request.note
  return shown
}

function bearer(token: SecretText): string {
  const text = reveal(token)
  if (!isToken68(text)) {
    throw new UsageError('ERR_ARGUMENT', 'a bearer token holds a character that none may have')
  }
  return `Bearer ${text}`
}

function isTokenSource(value: object | string): value is TokenSource {
  return typeof value === 'object' && 'refused' in value
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/
