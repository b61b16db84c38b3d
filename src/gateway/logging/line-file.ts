/**
 * Lines to a file, off the hot path: `write` only adds to a bounded buffer; one write at a time is
 * in flight. A disk that is too slow loses lines, counted, never memory.
 *
 * `reopen()` opens the path again after the lines before it were written, so that a rotated file is
 * complete and no line is lost (logrotate's `postrotate`, SIGUSR1).
 */
import { type FileHandle, open } from 'node:fs/promises'
import { checkInteger, toError } from '../../core/errors.ts'

export interface LineFileOptions {
  /**
   * Most characters that wait for the disk; lines beyond it are dropped and counted.
   *
   * @default 4 MiB: some seconds of a busy gateway
   */
  maxBuffered?: number
  /** Writing or opening failed; lines are dropped until it works again. */
  onError?(error: Error): void
}

export const lineFileDefaults: Readonly<{ maxBuffered: number }> = Object.freeze({
  maxBuffered: 4 * 1024 * 1024,
})

export class LineFile implements AsyncDisposable {
  readonly path: string
  readonly #maxBuffered: number
  readonly #onError: ((error: Error) => void) | undefined
  #file: FileHandle
  #buffer: string[] = []
  #buffered = 0
  #dropped = 0
  #writing: Promise<void> | undefined
  #reopen = false
  #closed = false

  private constructor(path: string, file: FileHandle, options: LineFileOptions) {
    const { maxBuffered = lineFileDefaults.maxBuffered, onError } = options
    this.path = path
    this.#file = file
    this.#maxBuffered = checkInteger('maxBuffered', maxBuffered, 1, 0x7fff_ffff)
    this.#onError = onError
  }

  /** Opens for appending; made with mode 0640, since logs hold addresses. @throws the system's error */
  static async open(path: string, options: LineFileOptions = {}): Promise<LineFile> {
    return new LineFile(path, await open(path, 'a', 0o640), options)
  }

  /** Lines lost because the disk was slower than the traffic, or failed. */
  get dropped(): number {
    return this.#dropped
  }

  /** @param line whole, with its newline */
  write(line: string): void {
    if (this.#closed || this.#buffered + line.length > this.#maxBuffered) {
      this.#dropped++
      return
    }
    this.#buffer.push(line)
    this.#buffered += line.length
    this.#writing ??= this.#drain()
  }

  /** Takes effect after what was written before; resolves when the new file is in use. */
  async reopen(): Promise<void> {
    if (this.#closed) return
    this.#reopen = true
    this.#writing ??= this.#drain()
    await this.#writing
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writing
    await this.#file.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #drain(): Promise<void> {
    // Lines of one tick go out together.
    await null
    while (this.#buffer.length > 0 || this.#reopen) {
      const lines = this.#buffer
      this.#buffer = []
      try {
        if (lines.length > 0) await this.#file.appendFile(lines.join(''))
        if (this.#reopen) await this.#openAgain()
      } catch (error) {
        this.#dropped += lines.length
        this.#reopen = false
        this.#onError?.(toError(error))
      }
      this.#buffered = 0
      for (const line of this.#buffer) this.#buffered += line.length
    }
    this.#writing = undefined
  }

  async #openAgain(): Promise<void> {
    this.#reopen = false
    // The new one first: when that fails, the old one goes on.
    const file = await open(this.path, 'a', 0o640)
    const old = this.#file
    this.#file = file
    await old.close()
  }
}
