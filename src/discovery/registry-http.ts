/**
 * Talking to a registry's HTTP interface: heddle's own client, bounded answers, streams of JSON
 * lines, credentials that never show.
 *
 * There is no retry here: whoever asks (watch-loop.ts) asks again anyway, after a wait that grows.
 * Several URLs are members of one cluster: each is an endpoint with its own breaker.
 */
import { readFile } from 'node:fs/promises'
import type { OriginTlsOptions } from '../clients/http/default-transport.ts'
import { type HttpClient, httpClient } from '../clients/http/http-client.ts'
import { parseAddress } from '../core/address.ts'
import type { Clock, Timer } from '../core/clock.ts'
import { Call } from '../core/context.ts'
import {
  ClosedError,
  checkInteger,
  ProtocolError,
  RemoteError,
  TimeoutError,
  toError,
  UsageError,
} from '../core/errors.ts'
import type { Endpoint } from '../core/policy.ts'
import { reveal, type SecretText } from '../core/secret.ts'
import type { MaybePromise } from '../core/service.ts'
import { JsonLinesDecoder, jsonLinesDefaults } from '../protocols/framing/json-lines.ts'
import type { Body } from '../protocols/http/body.ts'
import type { HttpFields } from '../protocols/http/fields.ts'
import { HttpRequest, type HttpResponse, type HttpService } from '../protocols/http/messages.ts'

export interface RegistryHttpOptions {
  /** `http://host:port` or `https://host:port`; several: members of one cluster. */
  url?: string | readonly string[]
  /** TLS of `https:` URLs. Certificates are verified unless this says otherwise. */
  tls?: OriginTlsOptions
  /** Authorities to trust, PEM. Read again before each request; a change makes connections anew. */
  caFile?: string
  /** Client certificate chain and its private key, PEM; both or none. Read again as well. */
  certFile?: string
  keyFile?: string
  /** Sent with each request, never shown. A function is asked each time. */
  token?: SecretText | (() => MaybePromise<SecretText>)
  /** Read for each request: platforms rotate such files. */
  tokenFile?: string
  /** One answer, or the head of a stream, takes at most so long. @default 10_000 */
  requestTimeoutMs?: number
  /** Longest answer that is read whole, in bytes. @default 16_777_216 */
  maxResponseBytes?: number
  /** Longest line of a stream, in bytes. @default 1_048_576 */
  maxLineBytes?: number
  /** Asks instead of a client of our own: a client that exists, or a stand-in in tests. */
  http?: HttpService
}

export const registryHttpDefaults: Readonly<{
  requestTimeoutMs: number
  maxResponseBytes: number
  maxLineBytes: number
}> = Object.freeze({
  requestTimeoutMs: 10_000,
  maxResponseBytes: 16 * 1024 * 1024, // ten thousand instances with a kilobyte and a half each
  maxLineBytes: jsonLinesDefaults.maxLineBytes,
})

export interface RegistryRequest {
  readonly method?: 'GET' | 'POST'
  readonly target: string
  /** Sent as JSON. */
  readonly json?: unknown
  readonly signal: AbortSignal
  /** @default requestTimeoutMs */
  readonly timeoutMs?: number
  /** Without our credentials: the request that asks for some. */
  readonly anonymous?: boolean
}

export interface RegistryAnswer {
  readonly fields: HttpFields
  readonly value: unknown
}

export interface RegistryHttpSettings extends RegistryHttpOptions {
  readonly clock: Clock
  /** For messages: `consul`. */
  readonly name: string
  readonly defaultUrl: string
  /** How the token goes: `x-consul-token`, or `authorization` with a scheme. */
  readonly credentials: (token: string) => readonly [name: string, value: string]
}

export class RegistryHttp {
  readonly #settings: RegistryHttpSettings
  readonly #urls: readonly URL[]
  readonly #requestTimeoutMs: number
  readonly #maxResponseBytes: number
  readonly #maxLineBytes: number
  /** Never in a message. */
  readonly #secrets = new Set<string>()
  #client: HttpClient | undefined
  /** What of its files the client was made of. */
  #clientOf = ''
  #closed = false

  /** @throws UsageError for URLs and limits that cannot be */
  constructor(settings: RegistryHttpSettings) {
    const {
      url = settings.defaultUrl,
      requestTimeoutMs = registryHttpDefaults.requestTimeoutMs,
      maxResponseBytes = registryHttpDefaults.maxResponseBytes,
      maxLineBytes = registryHttpDefaults.maxLineBytes,
    } = settings
    this.#settings = settings
    if ((settings.certFile === undefined) !== (settings.keyFile === undefined)) {
      throw new UsageError('ERR_ARGUMENT', 'certFile and keyFile go together')
    }
    this.#urls = parseUrls(typeof url === 'string' ? [url] : url)
    this.#requestTimeoutMs = checkInteger('requestTimeoutMs', requestTimeoutMs, 1, MAX)
    this.#maxResponseBytes = checkInteger('maxResponseBytes', maxResponseBytes, 1, 0x4000_0000)
    this.#maxLineBytes = checkInteger('maxLineBytes', maxLineBytes, 1, 0x4000_0000)
  }

  /** What `text` says, without credentials. */
  redact(text: string): string {
    let clean = text
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, '[redacted]')
    return clean
  }

  /** Something that must not be shown from now on. */
  keepSecret(secret: string): void {
    if (secret === '') return
    if (this.#secrets.size >= MAX_SECRETS) {
      for (const oldest of this.#secrets) {
        this.#secrets.delete(oldest)
        break
      }
    }
    this.#secrets.add(secret)
  }

  /** @throws RemoteError for a status that is not 2xx, ProtocolError for what is not JSON */
  json(request: RegistryRequest): Promise<RegistryAnswer> {
    return this.#exchange(request, async (response) => {
      const text = await response.body.text(this.#maxResponseBytes)
      // A body that came in one piece was not counted.
      if (text.length > this.#maxResponseBytes) {
        const message = `an answer of ${text.length} is over maxResponseBytes ${this.#maxResponseBytes}`
        throw new ProtocolError('ERR_LIMIT', message)
      }
      return { fields: response.fields, value: parseJson(this.#settings.name, text) }
    })
  }

  /**
   * Reads a stream until it ends; rejects when it is cut, too, in the middle of a line or not.
   *
   * @param onOpen the head is there
   * @param lifetimeMs after it the stream is given up and the promise resolves
   */
  stream(
    request: RegistryRequest,
    onOpen: () => void,
    onValue: (value: unknown) => void,
    lifetimeMs: number,
  ): Promise<void> {
    return this.#exchange(request, (response, call, limit) => {
      limit(lifetimeMs, undefined)
      onOpen()
      return readLines(response.body, this.#maxLineBytes, call, onValue)
    })
  }

  close(): void {
    this.#closed = true
    this.#dropClient()
  }

  async #exchange<Result>(
    request: RegistryRequest,
    read: (response: HttpResponse, call: Call, limit: Limit) => Promise<Result>,
  ): Promise<Result> {
    const { clock, name } = this.#settings
    const call = new Call({ signal: request.signal })
    let timer: Timer | undefined
    let gaveUp = false
    const limit: Limit = (ms, reason) => {
      timer?.cancel()
      timer = clock.setTimer(clock.now() + ms, () => {
        gaveUp = reason === undefined
        call.cancel(reason ?? new ClosedError('ERR_CLOSED', 'the stream has been read long enough'))
      })
      timer.unref()
    }
    const { timeoutMs = this.#requestTimeoutMs } = request
    limit(timeoutMs, new TimeoutError('ERR_DEADLINE', `${name} did not answer in ${timeoutMs} ms`))
    try {
      return await unlessCancelled(call, async () => {
        const response = await this.#send(request, call)
        if (!response.ok) throw await this.#failure(response)
        return read(response, call, limit)
      })
    } catch (error) {
      // A stream that was given up has ended as it should.
      if (gaveUp && error === call.cancelReason) return undefined as Result
      throw this.#cleaned(toError(error))
    } finally {
      timer?.cancel()
      // Whoever still gives bytes may stop.
      call.cancel()
      call.finish()
    }
  }

  async #send(request: RegistryRequest, call: Call): Promise<HttpResponse> {
    const { method = 'GET', target, json } = request
    const fields: [string, string][] = [['accept', 'application/json']]
    if (json !== undefined) fields.push(['content-type', 'application/json'])
    const token = request.anonymous === true ? undefined : await this.#token()
    if (token !== undefined) fields.push([...this.#settings.credentials(token)])
    const [url] = this.#urls as [URL]
    const asked = new HttpRequest({
      method,
      target,
      scheme: url.protocol === 'https:' ? 'https' : 'http',
      authority: url.host,
      fields,
      ...(json !== undefined && { body: JSON.stringify(json) }),
    })
    const service = this.#settings.http ?? (await this.#ensureClient()).call
    return service(asked, call)
  }

  async #token(): Promise<string | undefined> {
    const { token, tokenFile, name } = this.#settings
    let found: SecretText | undefined
    if (tokenFile !== undefined) {
      found = await readSecretFile(tokenFile, `the token of ${name}`)
    } else found = typeof token === 'function' ? await token() : token
    const text = found === undefined ? '' : reveal(found)
    if (text === '') return undefined
    this.keepSecret(text)
    return text
  }

  async #ensureClient(): Promise<HttpClient> {
    const { tls, clock } = this.#settings
    const files = await readTlsFiles(this.#settings)
    const made = JSON.stringify(files)
    if (this.#client !== undefined && made === this.#clientOf) return this.#client
    this.#dropClient()
    if (this.#closed) throw new ClosedError('ERR_CLOSED', 'nobody watches any more')
    this.#clientOf = made
    const endpoints = this.#urls.map(endpointOf)
    this.#client = httpClient(this.#urls[0] as URL, {
      clock,
      retry: false,
      // With one member a breaker could only make an outage longer.
      breaker: endpoints.length > 1 ? {} : false,
      // Each request has its own.
      timeoutMs: Number.POSITIVE_INFINITY,
      endpoints,
      ...(this.#urls[0]?.protocol === 'https:' && {
        tls: { ...tls, ...files },
      }),
    })
    return this.#client
  }

  #dropClient(): void {
    const client = this.#client
    this.#client = undefined
    const now = AbortSignal.abort(new ClosedError('ERR_CLOSED', 'nobody watches any more'))
    client?.close({ signal: now }).catch(() => {}) // what fails here has nobody to tell
  }

  async #failure(response: HttpResponse): Promise<RemoteError> {
    const { name } = this.#settings
    const { status } = response
    const text = await response.body.text(MAX_FAILURE_BYTES).catch(() => '')
    const said = text.replace(/\s+/g, ' ').trim().slice(0, MAX_SHOWN)
    const message = `${name} answered ${status}${said === '' ? '' : `: ${said}`}`
    return new RemoteError('ERR_REMOTE', this.redact(message), { status })
  }

  /** Errors of the layers below hold no header; what a registry said might. */
  #cleaned(error: Error): Error {
    if (this.redact(error.message) === error.message) return error
    return new RemoteError('ERR_REMOTE', this.redact(error.message))
  }
}

/** What a file of credentials holds. @throws UsageError ERR_CONFIG that names the file */
export async function readSecretFile(file: string, what: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new UsageError('ERR_CONFIG', `${what} cannot be read: ${code} ${file}`, { cause })
  }
}

async function readTlsFiles({ caFile, certFile, keyFile }: RegistryHttpOptions) {
  const read = (file: string): Promise<string> => readFile(file, 'utf8')
  return {
    ...(caFile !== undefined && { ca: await read(caFile) }),
    ...(certFile !== undefined &&
      keyFile !== undefined && {
        credentials: { certificate: await read(certFile), key: await read(keyFile) },
      }),
  }
}

/** Another time limit from now on; without a reason, its end is not an error. */
type Limit = (ms: number, reason: Error | undefined) => void

/** The bytes of a stream as JSON values, until it ends or breaks. */
function readLines(
  body: Body,
  maxLineBytes: number,
  call: Call,
  onValue: (value: unknown) => void,
): Promise<void> {
  const decoder = new JsonLinesDecoder({ maxLineBytes })
  return new Promise((resolve, reject) => {
    const flow = body.open({
      write(chunk) {
        try {
          decoder.push(chunk)
          for (let value = decoder.next(); value !== undefined; value = decoder.next()) {
            onValue(value)
          }
          return true
        } catch (error) {
          const reason = toError(error)
          reject(reason)
          flow.cancel(reason)
          return false
        }
      },
      end() {
        try {
          decoder.end()
          resolve()
        } catch (error) {
          reject(error)
        }
      },
      fail: reject,
    })
    call.onCancel((reason) => {
      reject(reason)
      flow.cancel(reason)
    })
    flow.resume()
  })
}

function unlessCancelled<Result>(call: Call, work: () => Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    call.onCancel(reject)
    if (!call.cancelled) work().then(resolve, reject)
  })
}

function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not the parser's own words: they quote the input.
    const message = `${name} answered ${text.length} characters that are not JSON`
    throw new ProtocolError('ERR_MALFORMED', message)
  }
}

function parseUrls(texts: readonly string[]): URL[] {
  const urls = texts.map((text) => {
    const url = URL.parse(text)
    if (url !== null && url.username === '' && url.password === '' && url.pathname === '/') {
      if (url.protocol === 'http:' || url.protocol === 'https:') return url
    }
    const shown = url === null || url.password !== '' ? 'a URL' : `'${text}'`
    const message = `${shown} of the registry is not http://host:port or https://host:port`
    throw new UsageError('ERR_ADDRESS_INVALID', message)
  })
  if (urls.length === 0) throw new UsageError('ERR_ARGUMENT', 'a registry needs a URL')
  if (urls.some((url) => url.protocol !== urls[0]?.protocol)) {
    throw new UsageError('ERR_ARGUMENT', 'the URLs of a registry are all http: or all https:')
  }
  return urls
}

function endpointOf(url: URL): Endpoint {
  const address = parseAddress(url.host, url.protocol === 'https:' ? 443 : 80)
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { address, hostname }
}

const MAX = 0x7fff_ffff
const MAX_SECRETS = 8
const MAX_FAILURE_BYTES = 65_536
const MAX_SHOWN = 200
