/**
 * How often a client may send PING (gRFC A8): what a server of gRPC allows, as grpc-go and gRPC's core
 * count it. A PING that comes too early is a strike; so many are let pass, one more is too many. After
 * HEADERS or DATA of the server's the next PING is free, and no strike is left.
 */
export class PingPolicy {
  readonly #minIntervalMs: number
  readonly #whileIdle: boolean
  #lastAt = Number.NEGATIVE_INFINITY
  #strikes = 0

  /** @param minIntervalMs 0: everything is allowed */
  constructor(minIntervalMs: number, whileIdle: boolean) {
    this.#minIntervalMs = minIntervalMs
    this.#whileIdle = whileIdle
  }

  /**
   * @param sent the server sent HEADERS or DATA since the last PING
   * @returns false: too many
   */
  accept(now: number, isIdle: boolean, sent: boolean): boolean {
    if (this.#minIntervalMs === 0) return true
    const interval =
      isIdle && !this.#whileIdle
        ? Math.max(IDLE_INTERVAL_MS, this.#minIntervalMs)
        : this.#minIntervalMs
    const isEarly = now - this.#lastAt < interval
    this.#lastAt = now
    if (sent) this.#strikes = 0
    else if (isEarly) this.#strikes++
    return this.#strikes <= MAX_STRIKES
  }
}

/** What a client of gRPC looks for, letter by letter, to ping half as often. */
export const TOO_MANY_PINGS = 'too_many_pings'
/** gRFC A8: two bad PINGs are let pass. */
const MAX_STRIKES = 2
/** gRFC A8: what TCP's keepalive waits. */
const IDLE_INTERVAL_MS = 7_200_000
