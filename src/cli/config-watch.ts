/**
 * Tells when the content of a file has changed, however it is replaced: written in place, moved over
 * (editors), or swapped by a symbolic link (Kubernetes).
 *
 * The folder is watched, because a watch on a file ends with the file it began with; then the content
 * is compared, because folders change for many reasons.
 */
import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Clock, Timer } from '../core/clock.ts'
import { toError } from '../core/errors.ts'

export interface ConfigWatchOptions {
  readonly file: string
  readonly clock: Clock
  readonly onChange: () => void
  /** Watching failed, at the start or later; changes are not noticed any more. */
  readonly onError: (error: Error) => void
  /** Quiet time after an event: an editor writes more than once. @default 100 */
  readonly settleMs?: number
}

export class ConfigWatch implements Disposable {
  readonly #options: ConfigWatchOptions
  readonly #settleMs: number
  #watcher: FSWatcher | undefined
  #timer: Timer | undefined
  #content: string | undefined
  #disposed = false

  private constructor(options: ConfigWatchOptions, content: string | undefined) {
    this.#options = options
    this.#settleMs = options.settleMs ?? SETTLE_MS
    this.#content = content
  }

  static async start(options: ConfigWatchOptions): Promise<ConfigWatch> {
    const watching = new ConfigWatch(options, await contentOf(options.file))
    watching.#start()
    return watching
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#timer?.cancel()
    this.#watcher?.close()
  }

  #start(): void {
    try {
      this.#watcher = watch(dirname(resolve(this.#options.file)), { persistent: false })
    } catch (error) {
      return this.#options.onError(toError(error))
    }
    this.#watcher.on('change', () => this.#settle())
    this.#watcher.on('error', (error) => this.#options.onError(error))
  }

  #settle(): void {
    const { clock } = this.#options
    this.#timer?.cancel()
    this.#timer = clock.setTimer(clock.now() + this.#settleMs, () => void this.#compare())
    this.#timer.unref()
  }

  async #compare(): Promise<void> {
    const content = await contentOf(this.#options.file)
    // A file that is away for a moment is on its way back.
    if (this.#disposed || content === undefined || content === this.#content) return
    this.#content = content
    this.#options.onChange()
  }
}

async function contentOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    return undefined
  }
}

const SETTLE_MS = 100
