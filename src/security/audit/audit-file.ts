/**
 * The file of an audit log: appended to, put aside when it is full, found again after a crash.
 */
import type { KeyObject } from 'node:crypto'
import { open, readdir, rename, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock, Timer } from '../../core/clock.ts'
import { toError, UsageError } from '../../core/errors.ts'
import { type AuditRecord, GENESIS, MAX_LINE_BYTES, readRecord } from './audit-record.ts'

/** What is needed of the file system; injected, so that a test can have a full disk. */
export interface AuditFileSystem {
  /** Appends, and makes the file, for its owner only, when it is not there. */
  openForAppend(path: string): Promise<AuditHandle>
  /** Bytes from `start`; undefined: there is no such file. */
  readFrom(path: string, start: number): Promise<Buffer | undefined>
  /** Undefined: there is no such file. */
  size(path: string): Promise<number | undefined>
  list(folder: string): Promise<readonly string[]>
  rename(from: string, to: string): Promise<void>
}

export interface AuditHandle {
  /** @returns how many bytes were taken */
  write(bytes: Buffer): Promise<number>
  sync(): Promise<void>
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
}

/** Where the log ends. */
export interface LastPlace {
  readonly seq: number
  readonly hash: string
  /** Length of the file that goes on, without the torn end. */
  readonly bytes: number
  readonly firstSeq: number
  readonly tornBytes: number
}

/** @throws UsageError ERR_CONFIG when the last whole line is no record of this log */
export async function placeOfLast(
  path: string,
  fs: AuditFileSystem,
  key: KeyObject | undefined,
): Promise<LastPlace> {
  const size = (await fs.size(path)) ?? 0
  const tail = await tailOf(path, size, fs)
  const torn = tail.length - (tail.lastIndexOf(NEWLINE) + 1)
  const bytes = size - torn
  const whole = tail.subarray(0, tail.length - torn)
  if (whole.length > 0) {
    const record = lastRecord(whole, path, key)
    const firstSeq = await firstSeqOf(path, fs, record.seq)
    return { seq: record.seq, hash: record.hash, bytes, firstSeq, tornBytes: torn }
  }
  // Nothing here yet: the chain goes on from the file that was put aside last.
  const before = (await rotatedFiles(path, fs)).at(-1)
  if (before === undefined) return { seq: 0, hash: GENESIS, bytes, firstSeq: 1, tornBytes: torn }
  const length = (await fs.size(before)) ?? 0
  const record = lastRecord(await tailOf(before, length, fs), before, key)
  const { seq, hash } = record
  return { seq, hash, bytes, firstSeq: seq + 1, tornBytes: torn }
}

/** Files that were put aside, oldest first. */
export async function rotatedFiles(path: string, fs: AuditFileSystem): Promise<string[]> {
  const folder = dirname(path)
  const prefix = `${basename(path)}.`
  const names = (await fs.list(folder)).filter((name) => {
    return name.startsWith(prefix) && SUFFIX.test(name.slice(prefix.length))
  })
  return names.sort().map((name) => join(folder, name))
}

export class AuditFile {
  readonly #path: string
  readonly #fs: AuditFileSystem
  #handle: AuditHandle | undefined
  #bytes: number
  /** Number of the first record in it, which names it when it is put aside. */
  #firstSeq: number
  #lines = 0
  #syncTimer: Timer | undefined
  #dirty = false
  failure: Error | undefined

  private constructor(path: string, fs: AuditFileSystem, handle: AuditHandle, last: LastPlace) {
    this.#path = path
    this.#fs = fs
    this.#handle = handle
    this.#bytes = last.bytes
    this.#firstSeq = last.firstSeq
    this.#lines = last.seq - last.firstSeq + 1
  }

  static async open(path: string, fs: AuditFileSystem, last: LastPlace): Promise<AuditFile> {
    const handle = await fs.openForAppend(path)
    if (last.tornBytes > 0) await handle.truncate(last.bytes)
    return new AuditFile(path, fs, handle, last)
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Tells after each write how much was taken, so that a disk that fills up loses nothing. */
  async write(lines: readonly Buffer[], onWritten: (bytes: number) => void): Promise<void> {
    const all = lines.length === 1 ? (lines[0] as Buffer) : Buffer.concat(lines)
    let at = 0
    try {
      this.#handle ??= await this.#fs.openForAppend(this.#path)
      while (at < all.length) {
        const taken = await this.#handle.write(all.subarray(at))
        if (taken === 0) throw new Error('the disk takes nothing')
        for (let index = at; index < at + taken; index++) if (all[index] === NEWLINE) this.#lines++
        at += taken
        this.#bytes += taken
        this.#dirty = true
        onWritten(taken)
      }
      this.failure = undefined
    } catch (error) {
      this.failure = toError(error)
      throw error
    }
  }

  /** Puts the file aside; the next line makes a new one. */
  async rotate(): Promise<void> {
    if (this.#lines === 0) return
    await this.sync()
    await this.#handle?.close()
    this.#handle = undefined
    const suffix = String(this.#firstSeq).padStart(SUFFIX_DIGITS, '0')
    await this.#fs.rename(this.#path, `${this.#path}.${suffix}`)
    this.#firstSeq += this.#lines
    this.#lines = 0
    this.#bytes = 0
  }

  async sync(): Promise<void> {
    this.#syncTimer?.cancel()
    this.#syncTimer = undefined
    if (!this.#dirty) return
    await this.#handle?.sync()
    this.#dirty = false
  }

  syncLater(clock: Clock, afterMs: number): void {
    if (this.#syncTimer !== undefined) return
    this.#syncTimer = clock.setTimer(clock.now() + afterMs, () => {
      this.#syncTimer = undefined
      this.sync().catch((error: unknown) => {
        this.failure = toError(error)
      })
    })
    this.#syncTimer.unref()
  }

  /** Another small file, replaced as a whole: half of a checkpoint would be none. */
  async replace(path: string, text: string): Promise<void> {
    const next = `${path}.next`
    const handle = await this.#fs.openForAppend(next)
    try {
      await handle.truncate(0)
      await handle.write(Buffer.from(text))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await this.#fs.rename(next, path)
  }

  async close(): Promise<void> {
    this.#syncTimer?.cancel()
    await this.#handle?.close()
    this.#handle = undefined
  }
}

export const nodeFileSystem: AuditFileSystem = Object.freeze({
  async openForAppend(path: string): Promise<AuditHandle> {
    const handle = await open(path, 'a', 0o600)
    return {
      write: async (bytes) => (await handle.write(bytes)).bytesWritten,
      sync: () => handle.datasync(),
      truncate: (bytes) => handle.truncate(bytes),
      close: () => handle.close(),
    }
  },
  async readFrom(path: string, start: number): Promise<Buffer | undefined> {
    const handle = await open(path, 'r').catch(nothingThere)
    if (handle === undefined) return undefined
    try {
      const { size } = await handle.stat()
      const bytes = Buffer.alloc(Math.max(0, Math.min(size - start, TAIL_BYTES)))
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
      return bytes.subarray(0, bytesRead)
    } finally {
      await handle.close()
    }
  },
  async size(path: string): Promise<number | undefined> {
    return (await stat(path).catch(nothingThere))?.size
  },
  list: (folder: string): Promise<readonly string[]> => readdir(folder),
  rename: (from: string, to: string): Promise<void> => rename(from, to),
})

function nothingThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

async function tailOf(path: string, size: number, fs: AuditFileSystem): Promise<Buffer> {
  if (size === 0) return Buffer.alloc(0)
  return (await fs.readFrom(path, Math.max(0, size - TAIL_BYTES))) ?? Buffer.alloc(0)
}

/** @param whole ends with a newline */
function lastRecord(whole: Buffer, path: string, key: KeyObject | undefined): AuditRecord {
  const end = whole.length - 1
  const start = end === 0 ? 0 : whole.lastIndexOf(NEWLINE, end - 1) + 1
  const record = readRecord(whole.subarray(start, end).toString('utf8'), key)
  if (typeof record !== 'string') return record
  const message = `the last record of ${path} is broken: ${record} (see heddle audit verify)`
  throw new UsageError('ERR_CONFIG', message)
}

async function firstSeqOf(path: string, fs: AuditFileSystem, last: number): Promise<number> {
  const head = (await fs.readFrom(path, 0))?.toString('latin1') ?? ''
  const seq = /^[^\n]*"seq":(\d{1,15})[,}]/.exec(head)?.[1]
  return seq === undefined ? last : Number(seq)
}

const NEWLINE = 0x0a
/** The last whole line, and a torn one behind it. */
const TAIL_BYTES = 2 * MAX_LINE_BYTES
/** Of the names of files that were put aside, so that they sort by age. */
const SUFFIX_DIGITS = 12
const SUFFIX = /^\d{12,}$/
