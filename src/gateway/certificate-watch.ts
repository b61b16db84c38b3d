/**
 * Looks after the certificates of a running gateway: warns before they end, and notices that their
 * files were replaced, however that was done.
 */
import type { Clock, Timer } from '../core/clock.ts'
import type { Meter } from '../core/metrics.ts'
import type { Logger } from '../telemetry/log.ts'
import { type ExpiryWarning, ExpiryWatch } from '../transports/tls/expiry-watch.ts'
import { certificatesOf } from './certificates.ts'
import type { GatewayConfig } from './config/schema/gateway.ts'
import {
  FileProblems,
  filesOfListenerTls,
  filesOfUpstreamTls,
  GatewayFiles,
} from './gateway-files.ts'

export interface CertificateWatchOptions {
  readonly clock: Clock
  readonly log: Logger
  readonly meter: Meter
  /** Files have another content than the configuration in force was made with. */
  readonly onChanged: () => void
}

export class CertificateWatch implements Disposable {
  readonly #options: CertificateWatchOptions
  readonly #expiry: ExpiryWatch
  #config: GatewayConfig | undefined
  #content: string | undefined
  #timer: Timer | undefined
  #disposed = false

  constructor(options: CertificateWatchOptions) {
    this.#options = options
    const { clock, meter, log } = options
    const onExpiry = ({ certificate, daysLeft, mark }: ExpiryWarning) => {
      const fields = {
        subject: certificate.subject,
        days_left: daysLeft,
        valid_to: new Date(certificate.validToMs).toISOString(),
      }
      if (mark <= 1) log.error(mark === 0 ? 'certificate ended' : 'certificate ends', fields)
      else log.warn('certificate ends soon', fields)
    }
    this.#expiry = new ExpiryWatch({ clock, meter, onExpiry })
  }

  /** The configuration in force from now on. */
  use(config: GatewayConfig, files: GatewayFiles): void {
    if (this.#disposed) return
    this.#config = config
    this.#content = files.fingerprint(filesOf(config))
    this.#expiry.use(certificatesOf(config, files))
    this.#timer?.cancel()
    this.#timer = undefined
    if (config.watch && filesOf(config).length > 0) this.#arm()
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#timer?.cancel()
    this.#expiry[Symbol.dispose]()
  }

  #arm(): void {
    const { clock } = this.#options
    this.#timer = clock.setTimer(clock.now() + INTERVAL_MS, () => void this.#look())
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    const config = this.#config
    if (config === undefined) return
    const files = await GatewayFiles.read(config)
    if (this.#disposed || config !== this.#config) return
    this.#arm()
    // Files that are away for a moment are on their way back.
    if (files instanceof FileProblems) return
    const content = files.fingerprint(filesOf(config))
    if (content === this.#content) return
    // Once for each content: a set that is refused is not tried again until it changes.
    this.#content = content
    this.#options.onChanged()
  }
}

function filesOf(config: GatewayConfig): string[] {
  return [
    ...config.listeners.flatMap(({ tls }) => filesOfListenerTls(tls)),
    ...config.clusters.flatMap(({ tls }) => filesOfUpstreamTls(tls)),
  ]
}

/** A renewal has days; reading some small files once a minute costs nothing. */
const INTERVAL_MS = 60_000
