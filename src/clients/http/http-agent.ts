/**
 * Clients for many origins behind one call: what a browser's network stack is to a page.
 *
 *     await using agent = httpAgent()
 *     const response = await agent.fetch('https://a.example/')
 *
 * Bounded: beyond `maxOrigins` the origin that was not used for longest is drained and forgotten.
 */
import { Call } from '../../core/context.ts'
import { ClosedError, checkInteger, UsageError } from '../../core/errors.ts'
import type { Client, ClientCall, ClientStatus } from '../../core/service.ts'
import type { HttpRequest, HttpResponse } from '../../protocols/http/messages.ts'
import { Coalescing } from './coalescing.ts'
import { createFetch, type Fetch } from './fetch.ts'
import { type HttpClient, type HttpClientOptions, httpClient } from './http-client.ts'

/** Credentials belong to one origin: a redirect to another would carry them there. */
export interface HttpAgentOptions extends Omit<HttpClientOptions, 'credentials'> {
  /**
   * Most origins with connections at a time. Bounds what a crawler-like user can make a process
   * hold.
   *
   * @default 256
   */
  maxOrigins?: number
  /**
   * Whether an HTTP/2 connection takes calls of other origins that its certificate covers and that
   * are at the same address (RFC 9113 9.1.1).
   *
   * @default false: names that are balanced apart would end on one server; pages that spread over
   *   subdomains gain
   */
  coalesce?: boolean
  /** Makes the client of one origin. @default httpClient(origin, options) */
  createClient?: (origin: string) => HttpClient
}

export const httpAgentDefaults: Readonly<{ maxOrigins: number }> = Object.freeze({
  maxOrigins: 256,
})

export function httpAgent(options: HttpAgentOptions = {}): HttpAgent {
  return new HttpAgent(options)
}

export class HttpAgent implements Client<HttpRequest, HttpResponse> {
  /** The fetch API over this agent, with redirects. */
  readonly fetch: Fetch
  readonly #maxOrigins: number
  readonly #create: (origin: string) => HttpClient
  /** In the order of last use, oldest first. */
  readonly #clients = new Map<string, HttpClient>()
  readonly #retiring = new Set<Promise<void>>()
  #closed = false

  constructor(options: HttpAgentOptions = {}) {
    const { maxOrigins = httpAgentDefaults.maxOrigins, createClient, coalesce, ...given } = options
    const client = coalesce === true ? { ...given, coalescing: new Coalescing() } : given
    if ('credentials' in client) {
      const message =
        'an agent has no credentials for every origin: createClient gives each its own'
      throw new UsageError('ERR_ARGUMENT', message)
    }
    this.#maxOrigins = checkInteger('maxOrigins', maxOrigins, 1, 1_000_000)
    this.#create = createClient ?? ((origin) => httpClient(origin, client))
    this.fetch = createFetch(this.call)
  }

  get status(): ClientStatus {
    return this.#closed ? 'closed' : 'open'
  }

  /** The clients that are there now, by origin. */
  get clients(): ReadonlyMap<string, HttpClient> {
    return this.#clients
  }

  readonly call: ClientCall<HttpRequest, HttpResponse> = (request, context = new Call()) => {
    if (request.authority === '') {
      throw new UsageError('ERR_ARGUMENT', 'a request through an agent needs its authority')
    }
    return this.client(`${request.scheme}://${request.authority}`).call(request, context)
  }

  /** The client of one origin, made when it is first used. */
  client(origin: string): HttpClient {
    if (this.#closed) throw new ClosedError('ERR_CLOSED', 'the agent is closed')
    let client = this.#clients.get(origin)
    if (client === undefined) client = this.#create(origin)
    else this.#clients.delete(origin)
    this.#clients.set(origin, client)
    if (this.#clients.size > this.#maxOrigins) this.#retireOldest()
    return client
  }

  async close(options?: { signal?: AbortSignal }): Promise<void> {
    this.#closed = true
    const closing = [...this.#clients.values()].map((client) => client.close(options))
    this.#clients.clear()
    await Promise.all([...closing, ...this.#retiring])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #retireOldest(): void {
    const oldest = this.#clients.entries().next().value
    if (oldest === undefined) return
    this.#clients.delete(oldest[0])
    const done = oldest[1].close().finally(() => this.#retiring.delete(done))
    this.#retiring.add(done)
  }
}
