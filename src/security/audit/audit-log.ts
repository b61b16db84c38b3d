/**
 * A log that shows when it was touched: each record holds the hash of the one before.
 *
 *     await using audit = await AuditLog.open({ path: 'audit.log', clock })
 *     httpServer(service, {
 *       middleware: [audit.gate()], authentication: authenticate([…], { observer: audit }) })
 *
 * `append` numbers and hashes at once, in the order of the calls; lines are written behind it, many
 * at a time. What waits is bounded. When the disk does not take it any more, `whenFull: 'refuse'`
 * closes the gate, while there is still room for what is under way: nothing is done that nobody will
 * know of. `drop` goes on, and a record says how many are missing.
 *
 * A file that is full is renamed to `<path>.<number of its first record>` and a new one goes on with
 * the chain. After a crash the torn end of the last line is cut off, and a record says so.
 */
import { createPrivateKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { AccessEvent, AccessObserver } from '../../core/access.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { checkInteger, checkRange, OverloadError, toError, UsageError } from '../../core/errors.ts'
import { reveal, type SecretText } from '../../core/secret.ts'
import type { Middleware } from '../../core/service.ts'
import { writeCheckpoint } from './audit-checkpoint.ts'
import { AuditFile, type AuditFileSystem, nodeFileSystem, placeOfLast } from './audit-file.ts'
import { AuditChain, type AuditEvent, accessAuditEvent } from './audit-record.ts'

export interface AuditLogOptions {
  /** The file; rotated ones stand beside it. */
  path: string
  clock: Clock
  /**
   * Secret of the chain, 32 bytes or more: without it nobody can compute a chain anew, and nobody can
   * verify either.
   *
   * @default none: everybody can verify, and only a checkpoint stops a rewriting
   */
  key?: SecretText | Uint8Array
  /** Ed25519 private key, PEM, that signs checkpoints. @default none */
  signingKey?: SecretText
  /** Where the checkpoint goes; best on another machine. @default `<path>.checkpoint` */
  checkpointPath?: string
  /** How often, in milliseconds, when there are new records; and at the end. @default 10_000 */
  checkpointMs?: number
  /** A file of this length is put aside. @default 67_108_864 (64 MiB, a few hundred thousand records) */
  maxFileBytes?: number
  /** Lines that wait for the disk, in bytes. @default 4_194_304 */
  maxQueueBytes?: number
  /**
   * `refuse`: the gate closes at three quarters of the queue, and callers are refused. `drop`:
   * records are dropped, counted, and their number is recorded.
   *
   * @default 'refuse'
   */
  whenFull?: 'refuse' | 'drop'
  /**
   * When the disk has it for certain: `always` before the next lines are written, `interval` every
   * `syncMs`, `never`: when the system likes.
   *
   * @default 'interval'
   */
  sync?: 'always' | 'interval' | 'never'
  /** @default 1_000 */
  syncMs?: number
  /** Logins that are recorded. @default 'all' */
  logins?: 'all' | 'refused'
  /** Decisions that are recorded; allowed ones come with every call. @default 'denied' */
  decisions?: 'all' | 'denied' | 'none'
  /** Writing failed, or works again (undefined). */
  onState?: (error: Error | undefined) => void
  /** @default Node's */
  fileSystem?: AuditFileSystem
}

type Defaulted =
  | 'checkpointMs'
  | 'maxFileBytes'
  | 'maxQueueBytes'
  | 'whenFull'
  | 'sync'
  | 'syncMs'
  | 'logins'
  | 'decisions'

export const auditLogDefaults: Readonly<Required<Pick<AuditLogOptions, Defaulted>>> = Object.freeze(
  {
    checkpointMs: 10_000,
    maxFileBytes: 64 * 1024 * 1024,
    maxQueueBytes: 4 * 1024 * 1024,
    whenFull: 'refuse',
    sync: 'interval', // a power cut costs a second of records; `always` costs a disk's latency each batch
    syncMs: 1_000,
    logins: 'all',
    decisions: 'denied',
  },
)

export interface AuditStats {
  readonly records: number
  readonly dropped: number
  readonly queuedBytes: number
  /** Writing fails at the moment. */
  readonly failing: boolean
}

export class AuditLog implements AccessObserver, AsyncDisposable {
  readonly #options: AuditLogOptions & Required<Pick<AuditLogOptions, Defaulted>>
  readonly #clock: Clock
  readonly #chain: AuditChain
  readonly #key: KeyObject | undefined
  readonly #signingKey: KeyObject | undefined
  readonly #file: AuditFile
  #queue: Buffer[] = []
  #queuedBytes = 0
  #records = 0
  /** Dropped and not yet recorded; and in all. */
  #missing = 0
  #dropped = 0
  #failing = false
  #writing: Promise<void> | undefined
  #retry: Timer | undefined
  #checkpointed: number
  #checkpointTimer: Timer | undefined
  #closed = false

  private constructor(
    options: AuditLogOptions & Required<Pick<AuditLogOptions, Defaulted>>,
    file: AuditFile,
    chain: AuditChain,
    keys: Keys,
  ) {
    this.#options = options
    this.#clock = options.clock
    this.#file = file
    this.#chain = chain
    this.#key = keys.key
    this.#signingKey = keys.signingKey
    this.#checkpointed = chain.seq
  }

  /**
   * Goes on where the files end.
   *
   * @throws UsageError ERR_OPTION_RANGE, ERR_CONFIG for a file that cannot be opened or whose last
   *   record is broken: it must be looked at (`heddle audit verify`) before anything follows it
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const checked = check(options)
    const keys = readKeys(checked)
    const { path, fileSystem = nodeFileSystem } = checked
    try {
      const last = await placeOfLast(path, fileSystem, keys.key)
      const file = await AuditFile.open(path, fileSystem, last)
      const log = new AuditLog(checked, file, new AuditChain(keys.key, last.seq, last.hash), keys)
      if (last.tornBytes > 0)
        log.append({ type: 'recovered', detail: { torn_bytes: last.tornBytes } })
      return log
    } catch (cause) {
      if (cause instanceof UsageError) throw cause
      const message = `the audit log ${path} cannot be opened: ${toError(cause).message}`
      throw new UsageError('ERR_CONFIG', message, { cause })
    }
  }

  get stats(): AuditStats {
    return {
      records: this.#records,
      dropped: this.#dropped,
      queuedBytes: this.#queuedBytes,
      failing: this.#failing,
    }
  }

  /** Room for what a new call will cause. Always true for `whenFull: 'drop'`. */
  get accepting(): boolean {
    const { whenFull, maxQueueBytes } = this.#options
    if (this.#closed) return false
    return whenFull === 'drop' || this.#queuedBytes < maxQueueBytes * GATE_SHARE
  }

  /** Refuses calls with OverloadError ERR_SHED while nothing can be recorded. */
  gate<Req, Res>(): Middleware<Req, Res> {
    return (next) => (request, context) => {
      if (this.accepting) return next(request, context)
      throw new OverloadError('ERR_SHED', 'the audit log cannot be written')
    }
  }

  onAccess(event: AccessEvent): void {
    const { logins, decisions } = this.#options
    if (event.type === 'login') {
      if (logins === 'refused' && event.outcome === 'accepted') return
    } else {
      if (decisions === 'none' || (decisions === 'denied' && event.outcome === 'allowed')) return
    }
    // Who is refused by address can come as often as they like.
    const minor = event.type === 'decision' && event.level === 'connection'
    this.append(accessAuditEvent(event), { minor })
  }

  /**
   * Records. Never throws.
   *
   * @param minor may be dropped when the queue is half full: what strangers cause at will
   * @returns false: there was no room, it is counted
   */
  append(event: AuditEvent, options: { readonly minor?: boolean } = {}): boolean {
    const { maxQueueBytes } = this.#options
    const room = options.minor === true ? maxQueueBytes * MINOR_SHARE : maxQueueBytes
    if (this.#closed || this.#queuedBytes >= room) {
      this.#dropped++
      this.#missing++
      return false
    }
    if (this.#missing > 0) {
      const count = this.#missing
      this.#missing = 0
      this.#enqueue({ type: 'dropped', detail: { count } })
    }
    this.#enqueue(event)
    return true
  }

  /** Resolves when all of it is written, and on the disk. Rejects when that fails. */
  async flush(): Promise<void> {
    this.#retry?.cancel()
    this.#retry = undefined
    await this.#writing
    while (this.#queue.length > 0) {
      this.#begin()
      await this.#writing
      if (this.#failing) throw this.#file.failure ?? new Error('the audit log cannot be written')
    }
    await this.#file.sync()
    await this.#checkpoint()
  }

  /** Writes what waits, a last checkpoint, and lets go of the file. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.flush()
    } finally {
      this.#checkpointTimer?.cancel()
      await this.#file.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #enqueue(event: AuditEvent): void {
    const line = Buffer.from(this.#chain.next(event, this.#clock.wallNow()))
    this.#records++
    this.#queue.push(line)
    this.#queuedBytes += line.length
    if (this.#retry === undefined) this.#begin()
  }

  #begin(): void {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
      // What came between the last look at the queue and now.
      if (this.#queue.length > 0 && this.#retry === undefined && !this.#failing) this.#begin()
    })
  }

  /** Everything that waits, and what comes meanwhile. One at a time. */
  async #write(): Promise<void> {
    const { sync, maxFileBytes } = this.#options
    // What the same tick appends goes out together.
    await undefined
    try {
      while (this.#queue.length > 0) {
        if (this.#file.bytes >= maxFileBytes) await this.#file.rotate()
        const lines = this.#batch()
        await this.#file.write(lines, (bytes) => this.#written(bytes))
        if (sync === 'always') await this.#file.sync()
        else if (sync === 'interval') this.#file.syncLater(this.#clock, this.#options.syncMs)
      }
      this.#setFailing(undefined)
      this.#checkpointLater()
    } catch (error) {
      this.#setFailing(toError(error))
      this.#retryLater()
    }
  }

  /** As many lines as the file may still take, at least one. */
  #batch(): Buffer[] {
    let bytes = this.#file.bytes
    let count = 0
    for (const line of this.#queue) {
      if (count > 0 && (bytes >= this.#options.maxFileBytes || count === MAX_BATCH)) break
      bytes += line.length
      count++
    }
    return this.#queue.slice(0, count)
  }

  /** The disk took so many bytes: whole lines leave the queue, the rest of one stays. */
  #written(bytes: number): void {
    this.#queuedBytes -= bytes
    let left = bytes
    while (left > 0) {
      const line = this.#queue[0] as Buffer
      if (line.length > left) {
        this.#queue[0] = line.subarray(left)
        return
      }
      left -= line.length
      this.#queue.shift()
    }
  }

  #setFailing(error: Error | undefined): void {
    if (this.#failing === (error !== undefined)) return
    this.#failing = error !== undefined
    this.#options.onState?.(error)
  }

  #retryLater(): void {
    if (this.#closed) return
    this.#retry = this.#clock.setTimer(this.#clock.now() + RETRY_MS, () => {
      this.#retry = undefined
      this.#begin()
    })
    this.#retry.unref()
  }

  #checkpointLater(): void {
    if (this.#checkpointTimer !== undefined || this.#closed) return
    const at = this.#clock.now() + this.#options.checkpointMs
    this.#checkpointTimer = this.#clock.setTimer(at, () => {
      this.#checkpointTimer = undefined
      this.#checkpoint().catch((error: unknown) => this.#options.onState?.(toError(error)))
    })
    this.#checkpointTimer.unref()
  }

  /** Only of what has been written. */
  async #checkpoint(): Promise<void> {
    const { alg, seq, hash } = this.#chain
    if (seq === this.#checkpointed || this.#queue.length > 0) return
    const line = writeCheckpoint(
      { alg, seq, hash },
      this.#clock.wallNow(),
      this.#key,
      this.#signingKey,
    )
    await this.#file.sync()
    const { checkpointPath = `${this.#options.path}.checkpoint` } = this.#options
    await this.#file.replace(checkpointPath, line)
    this.#checkpointed = seq
  }
}

interface Keys {
  readonly key: KeyObject | undefined
  readonly signingKey: KeyObject | undefined
}

function check(
  options: AuditLogOptions,
): AuditLogOptions & Required<Pick<AuditLogOptions, Defaulted>> {
  const {
    checkpointMs = auditLogDefaults.checkpointMs,
    maxFileBytes = auditLogDefaults.maxFileBytes,
    maxQueueBytes = auditLogDefaults.maxQueueBytes,
    whenFull = auditLogDefaults.whenFull,
    sync = auditLogDefaults.sync,
    syncMs = auditLogDefaults.syncMs,
    logins = auditLogDefaults.logins,
    decisions = auditLogDefaults.decisions,
  } = options
  return {
    ...options,
    whenFull,
    sync,
    logins,
    decisions,
    checkpointMs: checkRange('checkpointMs', checkpointMs, 1, MAX_MS),
    maxFileBytes: checkInteger('maxFileBytes', maxFileBytes, 1, Number.MAX_SAFE_INTEGER),
    maxQueueBytes: checkInteger('maxQueueBytes', maxQueueBytes, 1, 0x4000_0000),
    syncMs: checkRange('syncMs', syncMs, 1, MAX_MS),
  }
}

function readKeys({ key, signingKey }: AuditLogOptions): Keys {
  return {
    key: key === undefined ? undefined : auditKey(key instanceof Uint8Array ? key : reveal(key)),
    signingKey: signingKey === undefined ? undefined : ed25519Key(reveal(signingKey)),
  }
}

/** @throws UsageError ERR_OPTION_RANGE for one that is too short */
export function auditKey(key: string | Uint8Array): KeyObject {
  const bytes = Buffer.from(key as Uint8Array)
  if (bytes.length < MIN_KEY_BYTES) {
    const message = `the audit key has ${bytes.length} bytes, must have at least ${MIN_KEY_BYTES}`
    throw new UsageError('ERR_OPTION_RANGE', message)
  }
  return createSecretKey(bytes)
}

function ed25519Key(pem: string): KeyObject {
  let key: KeyObject | undefined
  try {
    key = createPrivateKey(pem)
  } catch {
    // OpenSSL's words about a key that it cannot read help nobody.
  }
  if (key?.asymmetricKeyType === 'ed25519') return key
  const what = key === undefined ? 'cannot be read' : `is ${key.asymmetricKeyType}`
  throw new UsageError('ERR_CONFIG', `the signing key ${what}, must be an Ed25519 key, PEM`)
}

/** Room that is left for what is under way when the gate closes. */
const GATE_SHARE = 0.75
const MINOR_SHARE = 0.5
const MAX_BATCH = 256
const RETRY_MS = 1_000
const MIN_KEY_BYTES = 32
const MAX_MS = 86_400_000
