/**
 * Removes the socket file of a listener that is gone. Never anything else: not a file, a directory,
 * a symbolic link, nor a socket that somebody listens on.
 *
 * Looking and removing are two steps, and another process may put something new there between them.
 * So the file is first moved aside, looked at again, and only removed when it is still the very
 * socket that refused; otherwise it is moved back.
 */
import { randomUUID } from 'node:crypto'
import { lstat, rename, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { TransportError } from '../../core/errors.ts'

/**
 * Returns when nothing is at `path` or a stale socket was removed.
 *
 * @throws TransportError ERR_ADDRESS_IN_USE naming what is there
 */
export async function removeStaleSocket(path: string, clock: Clock): Promise<void> {
  const before = await identify(path)
  if (before === undefined) return
  if (!before.isSocket) throw inUse(path, 'what is there is not a socket')
  if (await somebodyListens(path, clock)) throw inUse(path, 'somebody listens on it')
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch (cause) {
    if (isMissing(cause)) return // another process removed it first
    throw inUse(path, 'its stale socket cannot be removed', cause)
  }
  const moved = await identify(aside)
  if (moved?.identity === before.identity) return unlink(aside)
  await rename(aside, path)
  throw inUse(path, 'another process has just taken it')
}

interface FileIdentity {
  readonly isSocket: boolean
  /** Changes when a file is replaced, even by one with the same inode number. */
  readonly identity: string
}

async function identify(path: string): Promise<FileIdentity | undefined> {
  try {
    const stat = await lstat(path, { bigint: true })
    // Moving a file changes its ctime, so the time of the last write stands for its making.
    return { isSocket: stat.isSocket(), identity: `${stat.dev}:${stat.ino}:${stat.mtimeNs}` }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Only a refusal proves that nobody does. */
function somebodyListens(path: string, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const settle = (listens: boolean) => {
      timer.cancel()
      socket.destroy()
      resolve(listens)
    }
    // A full accept queue makes a local connect wait; then somebody listens.
    const timer = clock.setTimer(clock.now() + PROBE_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code !== 'ECONNREFUSED'))
  })
}

function inUse(path: string, why: string, cause?: unknown): TransportError {
  const message = `unix:${path} is in use: ${why}`
  return new TransportError('ERR_ADDRESS_IN_USE', message, { cause, sent: 'nothing' })
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

const PROBE_MS = 1_000
