/**
 * Tells in time that certificates end: 30, 14, 7 and 1 days before, and when it has happened.
 *
 * Certificates are about the wall clock, which jumps. So nothing waits for a moment of it: the watch
 * looks once an hour (by the monotonic clock) at what the wall clock says. Each certificate is
 * reported once for each mark; after a restart once for the mark it is in.
 */
import type { Clock, Timer } from '../../core/clock.ts'
import { checkInteger, checkRange } from '../../core/errors.ts'
import { type Gauge, type Meter, noopMeter } from '../../core/metrics.ts'
import type { CertificateInfo } from './certificate-check.ts'

export interface ExpiryWarning {
  readonly certificate: CertificateInfo
  /** Whole days that are left, rounded down; negative: it has ended. */
  readonly daysLeft: number
  /** The mark that was reached, in days before the end; 0: it has ended. */
  readonly mark: number
}

export interface ExpiryWatchOptions {
  clock: Clock
  onExpiry: (warning: ExpiryWarning) => void
  /** Days before the end. @default [30, 14, 7, 1], two renewals of a month and the last calls */
  marks?: readonly number[]
  /** Between two looks, in milliseconds. @default 3_600_000 */
  intervalMs?: number
  /** `heddle.tls.certificate.expiry`: the end as seconds since the Unix epoch. @default nowhere */
  meter?: Meter
}

export const expiryDefaults: Readonly<{ marks: readonly number[]; intervalMs: number }> =
  Object.freeze({ marks: Object.freeze([30, 14, 7, 1]), intervalMs: 3_600_000 })

/** The smallest mark that has been reached, 0 when it is over, undefined when it is far away. */
export function expiryMark(
  validToMs: number,
  wallNow: number,
  marks: readonly number[] = expiryDefaults.marks,
): number | undefined {
  const leftMs = validToMs - wallNow
  if (leftMs <= 0) return 0
  let reached: number | undefined
  for (const mark of marks) {
    if (leftMs <= mark * DAY_MS && (reached === undefined || mark < reached)) reached = mark
  }
  return reached
}

/** @returns whole days until the end, rounded down */
export function daysLeft(validToMs: number, wallNow: number): number {
  return Math.floor((validToMs - wallNow) / DAY_MS)
}

export class ExpiryWatch implements Disposable {
  readonly #clock: Clock
  readonly #options: ExpiryWatchOptions
  readonly #marks: readonly number[]
  readonly #intervalMs: number
  readonly #meter: Meter
  readonly #gauges = new Map<string, Gauge>()
  /** By fingerprint: the mark that was reported last. */
  #reported = new Map<string, number>()
  #certificates: readonly CertificateInfo[] = []
  #timer: Timer | undefined
  #disposed = false

  constructor(options: ExpiryWatchOptions) {
    const { clock, marks = expiryDefaults.marks, intervalMs = expiryDefaults.intervalMs } = options
    this.#clock = clock
    this.#options = options
    this.#marks = marks.map((mark) => checkRange('marks', mark, 0, MAX_MARK))
    this.#intervalMs = checkInteger('intervalMs', intervalMs, 1_000, MAX_INTERVAL_MS)
    this.#meter = options.meter ?? noopMeter
  }

  /** The certificates in use from now on. Reports at once what is to be said about them. */
  use(certificates: readonly CertificateInfo[]): void {
    if (this.#disposed) return
    this.#certificates = certificates
    const known = new Set(certificates.map(({ fingerprint256 }) => fingerprint256))
    this.#reported = new Map([...this.#reported].filter(([print]) => known.has(print)))
    this.#measure()
    this.#look()
    this.#arm()
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#timer?.cancel()
  }

  #look(): void {
    const wallNow = this.#clock.wallNow()
    for (const certificate of this.#certificates) {
      const { fingerprint256, validToMs } = certificate
      const mark = expiryMark(validToMs, wallNow, this.#marks)
      const before = this.#reported.get(fingerprint256)
      // A wall clock that went back reports nothing a second time.
      if (mark === undefined || (before !== undefined && mark >= before)) continue
      this.#reported.set(fingerprint256, mark)
      this.#options.onExpiry({ certificate, daysLeft: daysLeft(validToMs, wallNow), mark })
    }
  }

  /** One series for each subject: that of the certificate that ends first. */
  #measure(): void {
    const ends = new Map<string, number>()
    for (const { subject, validToMs } of this.#certificates) {
      ends.set(subject, Math.min(ends.get(subject) ?? Number.POSITIVE_INFINITY, validToMs))
    }
    for (const [subject, gauge] of this.#gauges) if (!ends.has(subject)) gauge.set(Number.NaN)
    for (const [subject, end] of ends) {
      let gauge = this.#gauges.get(subject)
      if (gauge === undefined) {
        const options = { unit: 's', description: 'End of a certificate, seconds since 1970' }
        const attributes = { 'tls.certificate.subject': subject }
        gauge = this.#meter.gauge('heddle.tls.certificate.expiry', options, attributes)
        this.#gauges.set(subject, gauge)
      }
      gauge.set(end / 1_000)
    }
  }

  #arm(): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.setTimer(this.#clock.now() + this.#intervalMs, () => {
      this.#look()
      this.#arm()
    })
    this.#timer.unref()
  }
}

const DAY_MS = 86_400_000
const MAX_MARK = 3_650
const MAX_INTERVAL_MS = 86_400_000
