/**
 * Looks after the certificates of a running gateway: warns before they end, and notices that their
 * files were replaced, however that was done.
 */
import type { Clock, Timer } from '../core/clock.ts'
import type { Meter } from '../core/metrics.ts'
import type { AuditEvent } from '../security/audit/audit-record.ts'
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
  /** For the audit log. */
  readonly record: (event: AuditEvent) => void
  /** Files have another content than the configuration in force was made with. */
  readonly onChanged: () => void
}

export class CertificateWatch implements Disposable {
  readonly #options: CertificateWatchOptions
  readonly #expiry: ExpiryWatch
  #config: GatewayConfig | undefined
  #content: string | undefined
  #tried: string | undefined
  #timer: Timer | undefined
  #disposed = false

  constructor(options: CertificateWatchOptions) {
    this.#options = options
    const { clock, meter, log, record } = options
    const onExpiry = ({ certificate, daysLeft, mark }: ExpiryWarning) => {
      const fields = {
        subject: certificate.subject,
        days_left: daysLeft,
        valid_to: new Date(certificate.validToMs).toISOString(),
      }
      record({ type: 'certificate', outcome: mark === 0 ? 'ended' : 'ending', detail: fields })
      if (mark <= 1) log.error(mark === 0 ? 'certificate ended' : 'certificate ends', fields)
      else log.warn('certificate ends soon', fields)
    }
    this.#expiry = new ExpiryWatch({ clock, meter, onExpiry })
  }

  /** The configuration in force from now on. */
  use(config: GatewayConfig, files: GatewayFiles): void {
    if (this.#disposed) return
    const content = files.fingerprint(filesOf(config))
    const certificates = certificatesOf(config, files)
    if (this.#content !== undefined && content !== this.#content) {
      const shown = certificates.map(({ subject, fingerprint256 }) => ({ subject, fingerprint256 }))
      this.#options.record({ type: 'certificate', outcome: 'replaced', detail: { shown } })
    }
    this.#config = config
    this.#content = content
    this.#expiry.use(certificates)
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
    if (content === this.#content || content === this.#tried) return
    // Once for each content: a set that is refused is not tried again until it changes.
    this.#tried = content
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
