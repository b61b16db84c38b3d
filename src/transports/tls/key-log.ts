/**
 * The key log of SSLKEYLOGFILE: secrets of connections, line by line, for Wireshark and the like.
 */
import { openSync, writeSync } from 'node:fs'
import { toError, UsageError } from '../../core/errors.ts'

export class KeyLog {
  readonly #descriptor: number

  private constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  /**
   * One log for each file, for as long as the process lives.
   *
   * @throws UsageError ERR_CONFIG when the file cannot be written
   */
  static open(path: string): KeyLog {
    const open = logs.get(path)
    if (open !== undefined) return open
    try {
      const log = new KeyLog(openSync(path, 'a', 0o600))
      logs.set(path, log)
      return log
    } catch (cause) {
      const message = `the key log ${path} cannot be written: ${toError(cause).message}`
      throw new UsageError('ERR_CONFIG', message, { cause })
    }
  }

  /** At once: a connection that hangs is the one somebody wants to look at. */
  write(line: Uint8Array): void {
    try {
      writeSync(this.#descriptor, line)
    } catch {
      // A full disk must not break the connections that are logged.
    }
  }
}

const logs = new Map<string, KeyLog>()
