/**
 * The audit log as the configuration in force wants it. One object for as long as the gateway lives,
 * so that whoever holds it never holds an old log.
 */
import type { AccessEvent, AccessObserver } from '../../core/access.ts'
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import { toError } from '../../core/errors.ts'
import type { LockoutEvent } from '../../runtime/lockout.ts'
import { AuditLog, type AuditStats } from '../../security/audit/audit-log.ts'
import type { AuditEvent } from '../../security/audit/audit-record.ts'
import type { LogFields, Logger } from '../../telemetry/log.ts'
import { durationMs, sizeBytes } from '../config/quantity.ts'
import type { AuditLogConfig } from '../config/schema/audit.ts'
import type { GatewayConfig } from '../config/schema/gateway.ts'
import type { GatewayFiles } from '../gateway-files.ts'

export class AuditTrail implements AccessObserver {
  readonly #clock: Clock
  readonly #log: Logger
  #audit: AuditLog | undefined
  /** What the log was opened with, files included; and how to do it again. */
  #auditKey = ''
  #reopen: (() => Promise<AuditLog>) | undefined
  /** While one log follows another: what comes meanwhile. */
  #held: ((audit: AuditLog) => void)[] | undefined

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock
    this.#log = log
  }

  /** False: requests are to be refused, because nobody could tell later that they were there. */
  get accepting(): boolean {
    if (this.#held !== undefined) return this.#held.length < MAX_HELD
    return this.#audit?.accepting ?? true
  }

  get stats(): AuditStats | undefined {
    return this.#audit?.stats
  }

  record(event: AuditEvent): void {
    this.#tell((audit) => void audit.append(event))
  }

  /** A connection was refused by its address, before anything else was known of it. */
  refused(listener: string, remote: Address, reason: string): void {
    this.onAccess({
      type: 'decision',
      outcome: 'denied',
      level: 'connection',
      action: 'connect',
      resource: listener,
      principal: undefined,
      method: undefined,
      reason,
      address: remote.kind === 'ip' ? remote.host : undefined,
      correlationId: undefined,
      connectionId: undefined,
    })
  }

  onAccess(event: AccessEvent): void {
    this.#tell((audit) => audit.onAccess(event))
  }

  /** In the log, and in the audit log. */
  reloaded(outcome: 'applied' | 'rejected', detail: LogFields): void {
    this.record({ type: 'reload', outcome, detail })
    if (outcome === 'applied') this.#log.info('configuration reloaded', detail)
    else this.#log.error('reload rejected, the old configuration goes on', detail)
  }

  /** What was asked for through the admin service. */
  readonly administered = (action: string, address: string | undefined): void => {
    this.record({ type: 'admin', action, address })
  }

  async close(): Promise<void> {
    this.record({ type: 'stop' })
    const audit = this.#audit
    this.#audit = undefined
    try {
      await audit?.close()
    } catch (error) {
      this.#log.error('the audit log is not complete', { err: toError(error) })
    }
  }

  /**
   * What a configuration asks for from now on; where nothing changed, the open log stays.
   *
   * @throws UsageError ERR_CONFIG when it cannot be opened; the one of before goes on then
   */
  async use({ audit_log: config }: GatewayConfig, files: GatewayFiles): Promise<void> {
    const secrets = files.fingerprint([config.key_file, config.signing_key_file])
    const key = JSON.stringify([config, secrets])
    if (key === this.#auditKey) return
    const before = this.#audit
    // A disk that is full must not cost what waits for it: then nothing changes.
    await before?.flush()
    const held: ((audit: AuditLog) => void)[] = []
    this.#held = held
    try {
      // One writer for one file.
      await before?.close()
      const open = config.path === 'off' ? undefined : () => this.#open(config, files)
      this.#audit = await open?.()
      this.#reopen = open
      this.#auditKey = key
    } catch (error) {
      this.#audit = await this.#reopen?.()
      throw error
    } finally {
      this.#held = undefined
      for (const tell of held) if (this.#audit !== undefined) tell(this.#audit)
    }
  }

  #tell(tell: (audit: AuditLog) => void): void {
    if (this.#held === undefined) {
      if (this.#audit !== undefined) tell(this.#audit)
    } else if (this.#held.length < MAX_HELD) this.#held.push(tell)
  }

  #open(config: AuditLogConfig, files: GatewayFiles): Promise<AuditLog> {
    const { path, key_file: keyFile, signing_key_file: signingKeyFile } = config
    const text = (name: string) => files.text(name).replace(/\r?\n$/, '')
    return AuditLog.open({
      path,
      clock: this.#clock,
      ...(keyFile !== undefined && { key: text(keyFile) }),
      ...(signingKeyFile !== undefined && { signingKey: text(signingKeyFile) }),
      ...(config.checkpoint_file !== undefined && { checkpointPath: config.checkpoint_file }),
      checkpointMs: durationMs(config.checkpoint_interval),
      maxFileBytes: sizeBytes(config.max_file),
      maxQueueBytes: sizeBytes(config.max_queue),
      whenFull: config.when_full,
      sync: config.sync,
      logins: config.logins,
      decisions: config.decisions,
      onState: (err) => {
        if (err === undefined) this.#log.info('the audit log can be written again', { path })
        else this.#log.error('the audit log cannot be written', { path, err })
      },
    })
  }

  readonly onLockout = (event: LockoutEvent): void => {
    const { scope, name, address, failures, lockedForMs } = event
    const detail = { scope, failures, locked_for_ms: lockedForMs }
    this.#log.warn('lockout', { ...detail, name, address })
    const outcome = scope === 'name' ? 'pressure' : 'locked'
    this.record({ type: 'lockout', outcome, principal: name, address, detail })
  }
}

/** A log is opened within milliseconds; then requests are refused rather than forgotten. */
const MAX_HELD = 10_000
