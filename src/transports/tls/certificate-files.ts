/**
 * Certificates from files, for servers that run on while the files change.
 *
 *     await using certificates = await certificateFiles({ certificates: [{ certFile, keyFile }] })
 *     const transport = tls({ certificates })
 *     await server.listen(transport, ip('0.0.0.0', 443))
 *
 * The files are read again every `intervalMs`, and when `reload` is called. Content is compared, so
 * it does not matter how they are replaced: in place, moved over, or by a symbolic link (Kubernetes,
 * certbot). A set that cannot be used (half-written, a key of another certificate, already expired)
 * never takes the place of one that can: it is reported, and tried again.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Clock, Timer } from '../../core/clock.ts'
import { checkInteger, toError, UsageError } from '../../core/errors.ts'
import type { Meter } from '../../core/metrics.ts'
import { type SecretText, secret } from '../../core/secret.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { type CertificateInfo, checkCredentials } from './certificate-check.ts'
import { type ExpiryWarning, ExpiryWatch } from './expiry-watch.ts'
import type { CertificateSource, TlsCredentials, TlsServerCredentials } from './tls-options.ts'

export interface CertificateFile {
  /** PEM: the server's certificate, then its chain. */
  certFile: string
  /** PEM. */
  keyFile: string
  passphrase?: SecretText
  /** Names it is for (SNI), `*.example` included; without: the default. */
  serverNames?: readonly string[]
}

export interface CertificateFilesOptions {
  certificates: readonly CertificateFile[]
  /**
   * How often the files are read, in milliseconds; Infinity: only by `reload`.
   *
   * @default 60_000 (a renewal has days, a look at some small files costs nothing)
   */
  intervalMs?: number
  onEvent?: (event: CertificateEvent) => void
  /** Days before the end that are reported. @default [30, 14, 7, 1] */
  expiryMarks?: readonly number[]
  meter?: Meter
  /** @default the system clock */
  clock?: Clock
}

export type CertificateEvent =
  | { readonly type: 'reloaded'; readonly certificates: readonly CertificateInfo[] }
  | { readonly type: 'rejected'; readonly error: Error }
  | ({ readonly type: 'expiry' } & ExpiryWarning)

export const certificateFilesDefaults: Readonly<{ intervalMs: number }> = Object.freeze({
  intervalMs: 60_000,
})

/** @throws UsageError ERR_CONFIG when the first set cannot be read or used */
export async function certificateFiles(
  options: CertificateFilesOptions,
): Promise<CertificateFiles> {
  const { clock = systemClock } = options
  const loaded = await load(options.certificates)
  return new CertificateFiles(options, loaded, clock)
}

export class CertificateFiles implements CertificateSource, Disposable, AsyncDisposable {
  readonly #options: CertificateFilesOptions
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #expiry: ExpiryWatch
  readonly #listeners = new Set<(next: TlsServerCredentials) => void>()
  #loaded: Loaded
  #rejected = ''
  #timer: Timer | undefined
  #reloading: Promise<unknown> = Promise.resolve()
  #disposed = false

  constructor(options: CertificateFilesOptions, loaded: Loaded, clock: Clock) {
    const { intervalMs = certificateFilesDefaults.intervalMs, expiryMarks, meter } = options
    this.#options = options
    this.#clock = clock
    this.#loaded = loaded
    const never = intervalMs === Number.POSITIVE_INFINITY
    this.#intervalMs = never ? intervalMs : checkInteger('intervalMs', intervalMs, 1, MAX_MS)
    this.#expiry = new ExpiryWatch({
      clock,
      ...(expiryMarks && { marks: expiryMarks }),
      ...(meter && { meter }),
      onExpiry: (warning) => options.onEvent?.({ type: 'expiry', ...warning }),
    })
    this.#expiry.use(loaded.certificates)
    this.#arm()
  }

  get current(): TlsServerCredentials {
    return this.#loaded.shown
  }

  get certificates(): readonly CertificateInfo[] {
    return this.#loaded.certificates
  }

  onChange(listener: (next: TlsServerCredentials) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Reads the files now. Never rejects: what cannot be used is an event, and the old stays. */
  reload(): Promise<'reloaded' | 'unchanged' | 'rejected'> {
    const next = this.#reloading.then(() => this.#reload())
    this.#reloading = next
    return next
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#timer?.cancel()
    this.#expiry[Symbol.dispose]()
    this.#listeners.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]()
    await this.#reloading
  }

  async #reload(): Promise<'reloaded' | 'unchanged' | 'rejected'> {
    let next: Loaded
    try {
      next = await load(this.#options.certificates)
      if (next.digest === this.#loaded.digest) {
        this.#rejected = ''
        return 'unchanged'
      }
      this.#refuseExpired(next)
    } catch (thrown) {
      return this.#reject(toError(thrown))
    }
    if (this.#disposed) return 'unchanged'
    this.#loaded = next
    this.#rejected = ''
    for (const listener of this.#listeners) listener(next.shown)
    this.#options.onEvent?.({ type: 'reloaded', certificates: next.certificates })
    this.#expiry.use(next.certificates)
    return 'reloaded'
  }

  /** One report for one mistake, however often the files are looked at. */
  #reject(error: Error): 'rejected' {
    if (error.message !== this.#rejected && !this.#disposed) {
      this.#rejected = error.message
      this.#options.onEvent?.({ type: 'rejected', error })
    }
    return 'rejected'
  }

  #refuseExpired(next: Loaded): void {
    const wallNow = this.#clock.wallNow()
    const over = (certificates: readonly CertificateInfo[]) =>
      certificates.find(({ validToMs }) => validToMs <= wallNow)
    const expired = over(next.certificates)
    if (expired === undefined || over(this.#loaded.certificates) !== undefined) return
    const end = new Date(expired.validToMs).toISOString()
    throw new UsageError('ERR_CONFIG', `the new certificate of ${expired.subject} ended ${end}`)
  }

  #arm(): void {
    if (this.#intervalMs === Number.POSITIVE_INFINITY) return
    this.#timer = this.#clock.setTimer(this.#clock.now() + this.#intervalMs, () => {
      const again = () => {
        if (!this.#disposed) this.#arm()
      }
      void this.reload().then(again, again)
    })
    this.#timer.unref()
  }
}

interface Loaded {
  readonly shown: TlsServerCredentials
  readonly certificates: readonly CertificateInfo[]
  readonly digest: string
}

async function load(files: readonly CertificateFile[]): Promise<Loaded> {
  checkInteger('certificates.length', files.length, 1, MAX_CERTIFICATES)
  const hash = createHash('sha256')
  const certificates = new Map<string, CertificateInfo>()
  const serverNames: Record<string, TlsCredentials> = {}
  let fallback: TlsCredentials | undefined
  let first: TlsCredentials | undefined
  for (const { certFile, keyFile, passphrase, serverNames: names } of files) {
    const [certificate, key] = await Promise.all([read(certFile), read(keyFile)])
    hash.update(certificate).update('\0').update(key).update('\0')
    const name = `${certFile} and ${keyFile}`
    const credentials: TlsCredentials = {
      certificate,
      key,
      name,
      ...(passphrase !== undefined && { passphrase: secret(passphrase) }),
    }
    const info = checkCredentials(credentials, name)
    certificates.set(info.fingerprint256, info)
    first ??= credentials
    if (names === undefined) fallback ??= credentials
    for (const each of names ?? []) serverNames[each] = credentials
  }
  return {
    shown: { credentials: (fallback ?? first) as TlsCredentials, serverNames },
    certificates: [...certificates.values()],
    digest: hash.digest('hex'),
  }
}

async function read(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (cause) {
    const message = `${file} cannot be read: ${toError(cause).message}`
    throw new UsageError('ERR_CONFIG', message, { cause })
  }
}

const MAX_CERTIFICATES = 10_000
const MAX_MS = 86_400_000
