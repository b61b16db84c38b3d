/**
 * A token bucket for each source of datagrams, in a table of fixed size.
 *
 * Sources of datagrams can be made up, so the table must neither grow nor be emptied by strangers:
 * a bucket makes room only once it is full again, which is when forgetting it changes nothing. While
 * none is, sources that are not in the table share one bucket.
 */
import { checkInteger, checkRange } from '../../core/errors.ts'

export interface SourceRateLimitOptions {
  /** Datagrams that one source may send each second, for ever. */
  datagramsPerSecond: number
  /** … and at once, after it was silent. @default datagramsPerSecond, at least 1 */
  burst?: number
  /** Sources that are told apart. @default 4_096, some 400 KiB when all of them are in use */
  maxSources?: number
}

/** @throws UsageError ERR_OPTION_RANGE */
export function checkRateLimit(
  options: SourceRateLimitOptions,
): Readonly<Required<SourceRateLimitOptions>> {
  const { datagramsPerSecond, maxSources = 4_096 } = options
  checkRange('rateLimit.datagramsPerSecond', datagramsPerSecond, 0.001, 1e9)
  const { burst = Math.max(1, Math.ceil(datagramsPerSecond)) } = options
  return {
    datagramsPerSecond,
    burst: checkInteger('rateLimit.burst', burst, 1, 1e9),
    maxSources: checkInteger('rateLimit.maxSources', maxSources, 1, 1_048_576),
  }
}

export class SourceRateLimit {
  readonly #perMs: number
  readonly #burst: number
  readonly #maxSources: number
  /** Least recently heard first: a bucket that is used moves to the end. */
  readonly #buckets = new Map<string, Bucket>()
  readonly #others: Bucket

  constructor(options: Readonly<Required<SourceRateLimitOptions>>) {
    this.#perMs = options.datagramsPerSecond / 1_000
    this.#burst = options.burst
    this.#maxSources = options.maxSources
    this.#others = { tokens: options.burst, at: 0 }
  }

  get sourceCount(): number {
    return this.#buckets.size
  }

  /** @returns false: this one is over the limit of its source */
  tryTake(source: string, now: number): boolean {
    const bucket = this.#bucketOf(source, now)
    this.#refill(bucket, now)
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }

  #bucketOf(source: string, now: number): Bucket {
    const known = this.#buckets.get(source)
    if (known !== undefined) {
      this.#buckets.delete(source)
      this.#buckets.set(source, known)
      return known
    }
    if (this.#buckets.size >= this.#maxSources && !this.#forgetOldest(now)) return this.#others
    const bucket = { tokens: this.#burst, at: now }
    this.#buckets.set(source, bucket)
    return bucket
  }

  #forgetOldest(now: number): boolean {
    const [oldest] = this.#buckets
    if (oldest === undefined) return false
    this.#refill(oldest[1], now)
    if (oldest[1].tokens < this.#burst) return false
    return this.#buckets.delete(oldest[0])
  }

  #refill(bucket: Bucket, now: number): void {
    if (now <= bucket.at) return
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (now - bucket.at) * this.#perMs)
    bucket.at = now
  }
}

interface Bucket {
  tokens: number
  at: number
}
