/**
 * Happy Eyeballs (RFC 8305): a name has several addresses, of two families, and some of them do not
 * answer. They are tried in turn, each a little after the last or as soon as the last has failed;
 * the first to connect wins and the others are dropped.
 *
 * One resolver call gives all addresses, so there is no "resolution delay" between A and AAAA. The
 * order within a family is the resolver's (RFC 6724); families alternate, the resolver's first
 * choice leading.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { toError } from '../../core/errors.ts'

export interface ResolvedAddress {
  readonly address: string
  readonly family: 4 | 6
}

/** All addresses of a name, best first. An abort may be ignored: the answer is then dropped. */
export type Lookup = (host: string, signal: AbortSignal) => Promise<readonly ResolvedAddress[]>

/** One attempt. Exactly one callback is called, later, unless it was aborted. */
export type Attempt<Socket> = (
  address: ResolvedAddress,
  onConnected: (socket: Socket) => void,
  onFailed: (error: Error) => void,
) => PendingAttempt

export interface PendingAttempt {
  /** Drops the attempt and whatever it made. */
  abort(): void
}

export interface RaceOptions<Socket> {
  readonly addresses: readonly ResolvedAddress[]
  readonly attempt: Attempt<Socket>
  readonly attemptDelayMs: number
  readonly clock: Clock
  /** Aborted: rejects with the reason, everything is dropped. */
  readonly signal: AbortSignal
}

/** Rejects with the only failure, or with an `AggregateError` of all in the order of attempts. */
export function raceAddresses<Socket>(options: RaceOptions<Socket>): Promise<Socket> {
  return new Promise((resolve, reject) => new Race(options, resolve, reject).start())
}

/** Alternates the families, beginning with the family of the first address (RFC 8305, section 4). */
export function interleaveFamilies(
  addresses: readonly ResolvedAddress[],
): readonly ResolvedAddress[] {
  const first = addresses[0]
  if (first === undefined) return addresses
  const leading = addresses.filter((each) => each.family === first.family)
  const other = addresses.filter((each) => each.family !== first.family)
  const ordered: ResolvedAddress[] = []
  for (let index = 0; index < Math.max(leading.length, other.length); index++) {
    const [one, two] = [leading[index], other[index]]
    if (one !== undefined) ordered.push(one)
    if (two !== undefined) ordered.push(two)
  }
  return ordered
}

class Race<Socket> {
  readonly #options: RaceOptions<Socket>
  readonly #resolve: (socket: Socket) => void
  readonly #reject: (error: unknown) => void
  readonly #pending = new Set<PendingAttempt>()
  readonly #failures: Error[] = []
  readonly #onAbort = () => this.#settle(() => this.#reject(this.#options.signal.reason))
  #next = 0
  #timer: Timer | undefined
  #settled = false

  constructor(
    options: RaceOptions<Socket>,
    resolve: (socket: Socket) => void,
    reject: (error: unknown) => void,
  ) {
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
  }

  start(): void {
    const { signal } = this.#options
    if (signal.aborted) return this.#onAbort()
    signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#startNext()
  }

  #startNext(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const { addresses, attempt, attemptDelayMs, clock } = this.#options
    const address = addresses[this.#next]
    if (address === undefined) {
      if (this.#pending.size === 0) this.#settle(() => this.#reject(this.#failure()))
      return
    }
    this.#next += 1
    let pending: PendingAttempt | undefined
    try {
      pending = attempt(
        address,
        (socket) => {
          this.#pending.delete(pending as PendingAttempt)
          this.#settle(() => this.#resolve(socket))
        },
        (error) => this.#onFailed(pending as PendingAttempt, error),
      )
      this.#pending.add(pending)
    } catch (thrown) {
      this.#failures.push(toError(thrown))
      return this.#startNext()
    }
    if (this.#next < addresses.length) {
      this.#timer = clock.setTimer(clock.now() + attemptDelayMs, () => this.#startNext())
    }
  }

  #onFailed(attempt: PendingAttempt, error: Error): void {
    this.#pending.delete(attempt)
    if (this.#settled) return
    this.#failures.push(error)
    this.#startNext()
  }

  #failure(): Error {
    const [first] = this.#failures
    if (first !== undefined && this.#failures.length === 1) return first
    return new AggregateError(this.#failures, 'no address of the name could be connected')
  }

  #settle(tell: () => void): void {
    if (this.#settled) return
    this.#settled = true
    this.#timer?.cancel()
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    for (const attempt of this.#pending) attempt.abort()
    this.#pending.clear()
    tell()
  }
}
