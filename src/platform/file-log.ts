/**
 * An append-only file (`AppendLog`) over Node's file system, for one process at a time.
 *
 * `replace` writes a new file beside the old one, syncs it, renames it over, and syncs the
 * directory: whenever the machine stops, one of the two is there whole. A lock file names the process
 * that has the log; the lock of a process that is gone is taken over.
 */
import {
  type FileHandle,
  link,
  open,
  readFile,
  rename,
  rm,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { AppendLog } from '../core/append-log.ts'
import { ClosedError, UsageError } from '../core/errors.ts'

/**
 * @throws UsageError ERR_STATE when another process, or this one, has it open
 */
export async function openFileLog(path: string): Promise<AppendLog> {
  const file = resolve(path)
  await lock(file)
  try {
    // What a crash in the middle of `replace` left.
    await rm(`${file}.new`, { force: true })
    return new FileLog(file, await open(file, 'a+', 0o600))
  } catch (error) {
    await unlock(file)
    throw error
  }
}

class FileLog implements AppendLog {
  readonly #path: string
  #file: FileHandle | undefined

  constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  async read(): Promise<Uint8Array> {
    this.#opened()
    return readFile(this.#path)
  }

  async truncate(length: number): Promise<void> {
    const file = this.#opened()
    await file.truncate(length)
    await file.sync()
  }

  async append(bytes: Uint8Array): Promise<void> {
    const file = this.#opened()
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
      at += bytesWritten
    }
  }

  async sync(): Promise<void> {
    await this.#opened().datasync()
  }

  async replace(bytes: Uint8Array): Promise<void> {
    const old = this.#opened()
    const next = await open(`${this.#path}.new`, 'wx', 0o600)
    try {
      await next.writeFile(bytes)
      await next.sync()
      await rename(`${this.#path}.new`, this.#path)
    } catch (error) {
      await next.close()
      await rm(`${this.#path}.new`, { force: true })
      throw error
    }
    await next.close()
    await syncDirectory(dirname(this.#path))
    this.#file = await open(this.#path, 'a+', 0o600)
    await old.close()
  }

  async close(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    this.#file = undefined
    await file.close()
    await unlock(this.#path)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #opened(): FileHandle {
    if (this.#file === undefined) throw new ClosedError('ERR_CLOSED', `${this.#path} is closed`)
    return this.#file
  }
}

async function lock(path: string): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    if (HELD.has(path)) throw new UsageError('ERR_STATE', `${path} is open in this process already`)
    const mine = `${path}.lock.${process.pid}`
    try {
      // A link appears with its content: nobody reads a lock that has no owner yet.
      await writeFile(mine, String(process.pid), { mode: 0o600 })
      await link(mine, `${path}.lock`)
      HELD.add(path)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      await rm(mine, { force: true })
    }
    const owner = Number(await readFile(`${path}.lock`, 'utf8').catch(() => ''))
    // A number of our own that we do not hold is from before a restart.
    if (owner > 0 && owner !== process.pid && isAlive(owner)) {
      throw new UsageError('ERR_STATE', `${path} is open in process ${owner}`)
    }
    await rm(`${path}.lock`, { force: true })
  }
  throw new UsageError('ERR_STATE', `${path} is being opened by another process`)
}

async function unlock(path: string): Promise<void> {
  HELD.delete(path)
  await unlink(`${path}.lock`).catch(() => {})
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** So that the new name survives as well. Not every file system can. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync().catch(() => {})
  } finally {
    await directory.close()
  }
}

const HELD = new Set<string>()
