/**
 * What a running gateway says of itself, once a second: the event stream of its admin service, by
 * heddle's own client. When it breaks, or the gateway is gone, it is tried again, a little later each
 * time; when all its streams are taken, its status is asked for instead.
 */
import type { HttpClient } from '../../clients/http/http-client.ts'
import { httpClient } from '../../clients/http/http-client.ts'
import type { Clock, Random, Timer } from '../../core/clock.ts'
import { Call } from '../../core/context.ts'
import {
  ClosedError,
  ProtocolError,
  RemoteError,
  TimeoutError,
  toError,
} from '../../core/errors.ts'
import { reveal, type SecretText } from '../../core/secret.ts'
import type { AdminSnapshot } from '../../gateway/admin/snapshot.ts'
import { HttpRequest, type HttpResponse } from '../../protocols/http/messages.ts'
import { EventStreamDecoder } from '../../protocols/http/server-sent-events.ts'
import { exponentialBackoff } from '../../runtime/backoff.ts'

export interface GatewayFeedOptions {
  /** `http://host:port`, `https://…` or `http+unix:/path`. */
  readonly url: string
  /** Sent as a bearer token, for an admin service behind something that authenticates. */
  readonly token?: SecretText | undefined
  readonly clock: Clock
  readonly random: Random
}

export interface GatewayFeedListener {
  /** `whole`: its history is all there is; otherwise what is new in it. */
  onSnapshot(snapshot: AdminSnapshot, whole: boolean): void
  /** The stream is gone; it is tried again at `retryAt`, a value of the clock. */
  onLost(error: Error, retryAt: number): void
}

export class GatewayFeed implements AsyncDisposable {
  readonly #options: GatewayFeedOptions
  readonly #client: HttpClient
  readonly #controller = new AbortController()

  constructor(options: GatewayFeedOptions) {
    this.#options = options
    const { clock, url } = options
    this.#client = httpClient(url, {
      clock,
      retry: false,
      breaker: false,
      timeoutMs: ANSWER_MS,
      pool: { connectTimeoutMs: ANSWER_MS },
    })
  }

  /** One reading. */
  async read(): Promise<AdminSnapshot> {
    const call = new Call({ signal: this.#controller.signal })
    try {
      const response = await this.#get('/api/status', call)
      return parseSnapshot(await response.body.text(MAX_BYTES))
    } finally {
      call.cancel()
    }
  }

  /** Follows the gateway until the feed is disposed. */
  async follow(listener: GatewayFeedListener): Promise<void> {
    const { clock, random } = this.#options
    const { signal } = this.#controller
    const backoff = exponentialBackoff({ baseMs: 500, maxMs: 5_000, jitter: 'equal' })
    let failures = 0
    while (!signal.aborted) {
      try {
        await this.#stream((snapshot, whole) => {
          failures = 0
          listener.onSnapshot(snapshot, whole)
        })
      } catch (thrown) {
        if (signal.aborted) return
        const error = toError(thrown)
        if (isBusy(error)) {
          await this.#poll(listener).catch(() => {}) // the next round tells
          continue
        }
        const retryAt = clock.now() + backoff(++failures, random)
        listener.onLost(error, retryAt)
        await this.#sleep(retryAt)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new ClosedError('ERR_CLOSED', 'nobody looks any more')
    this.#controller.abort(reason)
    await this.#client.close({ signal: AbortSignal.abort(reason) })
  }

  async #stream(onSnapshot: (snapshot: AdminSnapshot, whole: boolean) => void): Promise<never> {
    const call = new Call({ signal: this.#controller.signal })
    try {
      return await this.#readEvents(await this.#get('/api/events', call), call, onSnapshot)
    } finally {
      // Lets go of the signal, which outlives every stream.
      call.cancel()
    }
  }

  #readEvents(
    response: HttpResponse,
    call: Call,
    onSnapshot: (snapshot: AdminSnapshot, whole: boolean) => void,
  ): Promise<never> {
    const decoder = new EventStreamDecoder({ maxEventLength: MAX_BYTES })
    return new Promise((_, reject) => {
      const { clock } = this.#options
      let timer: Timer | undefined
      const over = (reason: Error): void => {
        timer?.cancel()
        flow.cancel(reason)
        reject(reason)
      }
      const stillThere = (): void => {
        timer?.cancel()
        timer = clock.setTimer(clock.now() + SILENCE_MS, () => {
          over(new TimeoutError('ERR_IDLE', `the gateway said nothing for ${SILENCE_MS / 1_000} s`))
        })
      }
      const flow = response.body.open({
        write(chunk) {
          try {
            decoder.push(chunk)
            for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
              stillThere()
              onSnapshot(parseSnapshot(event.data), event.event === 'snapshot')
            }
            return true
          } catch (error) {
            over(toError(error))
            return false
          }
        },
        end: () => over(new ClosedError('ERR_CLOSED', 'the gateway ended the stream')),
        fail: over,
      })
      call.onCancel(over)
      stillThere()
      flow.resume()
    })
  }

  async #poll(listener: GatewayFeedListener): Promise<void> {
    const { clock } = this.#options
    listener.onSnapshot(await this.read(), true)
    await this.#sleep(clock.now() + POLL_MS)
  }

  async #get(target: string, call: Call): Promise<HttpResponse> {
    const { token } = this.#options
    const { authority, scheme } = this.#client
    const fields: [string, string][] = []
    if (token !== undefined) fields.push(['authorization', `Bearer ${reveal(token)}`])
    const request = new HttpRequest({ target, scheme, authority, fields })
    const response = await this.#client.call(request, call)
    if (response.ok) return response
    const { status } = response
    const said = await response.body.text(4_096).catch(() => '')
    const reason = /"error":"([^"]*)"/.exec(said)?.[1] ?? `status ${status}`
    throw new RemoteError('ERR_REMOTE', `admin refused: ${reason}`, { status })
  }

  #sleep(until: number): Promise<void> {
    const { signal } = this.#controller
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = this.#options.clock.setTimer(until, done)
      signal.addEventListener('abort', done, { once: true })
    })
  }
}

/** @throws ProtocolError ERR_WRONG_PROTOCOL for what no gateway of heddle says */
export function parseSnapshot(text: string): AdminSnapshot {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const known = value as Partial<AdminSnapshot> | undefined | null
  const lists = [known?.clusters, known?.listeners, known?.errors]
  if (lists.every(Array.isArray)) return value as AdminSnapshot
  throw new ProtocolError('ERR_WRONG_PROTOCOL', 'this is not the admin service of heddle')
}

/** All live streams are taken. */
function isBusy(error: Error): boolean {
  return error instanceof RemoteError && error.status === 503
}

const ANSWER_MS = 5_000
/** Ticks come each second. */
const SILENCE_MS = 5_000
const POLL_MS = 2_000
/** Thousands of endpoints, a few hundred bytes each. */
const MAX_BYTES = 16 * 1024 * 1024
