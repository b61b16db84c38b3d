/**
 * Endpoints from a file, YAML or JSON, that something else writes: a list, or `endpoints:` with one.
 *
 *     endpoints:
 *       - 10.0.0.1:8080
 *       - { address: 10.0.0.2:8080, weight: 2, priority: 1, locality: eu-1a, healthy: false }
 *
 * It is read again when its folder changes and every `refreshMs`, because not every file system tells.
 * A file that is moved into place is taken as it is. One that is written in place is taken when it has
 * not changed for `settleMs`: a list that was cut is a shorter list, and just as valid. A file that
 * cannot be understood keeps the last set and says the line. An empty file is one that is being
 * written; nobody at all is `endpoints: []`.
 */
import { type FSWatcher, watch } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock, Random, Timer } from '../core/clock.ts'
import { checkInteger, checkRange, toError, UsageError } from '../core/errors.ts'
import type { Resolver, ResolverListener } from '../core/policy.ts'
import { nodeHost } from '../platform/node-host.ts'
import { systemClock } from '../platform/system-clock.ts'
import { parseEndpointFile } from './endpoint-file.ts'
import { type Accept, acceptedEndpoints, acceptHealthy } from './instance.ts'
import { SharedResolver, type SharedResolverOptions } from './shared-resolver.ts'
import { type Round, WatchLoop, type WatchLoopOptions } from './watch-loop.ts'

export interface FileResolverOptions
  extends SharedResolverOptions,
    Pick<WatchLoopOptions, 'minBackoffMs' | 'maxBackoffMs'> {
  /** For whatever target. @default the target is the file, as a path or a `file:` URL */
  file?: string
  /** Read again at least this often. @default 5_000 */
  refreshMs?: number
  /** How long a changed file must stay the same before it is taken. @default 100 */
  settleMs?: number
  /** Longest file, in bytes. @default 4_194_304 */
  maxFileBytes?: number
  /** Who gets calls. @default all but those that say `healthy: false` */
  accept?: Accept
  /** @default Node's file system */
  files?: FileAccess
  /** @default the system's */
  clock?: Clock
  /** @default Node's */
  random?: Random
}

/** What is needed of a file system. */
export interface FileAccess {
  /** Rejects over `maxBytes`. */
  read(file: string, maxBytes: number): Promise<string>
  /** Tells of changes that may concern the file, until it is disposed. */
  watch(file: string, onChange: () => void, onError: (error: Error) => void): Disposable
}

export const fileDefaults: Readonly<{
  refreshMs: number
  settleMs: number
  maxFileBytes: number
}> = Object.freeze({
  refreshMs: 5_000,
  settleMs: 100, // longer than a writer needs between two writes
  maxFileBytes: 4 * 1024 * 1024,
})

/** @throws UsageError for options that cannot be */
export function fileResolver(options: FileResolverOptions = {}): Resolver {
  const {
    clock = systemClock,
    random = nodeHost.random,
    accept = acceptHealthy,
    files = nodeFiles,
    refreshMs = fileDefaults.refreshMs,
    settleMs = fileDefaults.settleMs,
    maxFileBytes = fileDefaults.maxFileBytes,
    file,
  } = options
  checkRange('refreshMs', refreshMs, 10, MAX_MS)
  checkRange('settleMs', settleMs, 0, 60_000)
  checkInteger('maxFileBytes', maxFileBytes, 1, 0x4000_0000)
  const own = { clock, random, accept, files, refreshMs, settleMs, maxFileBytes }
  const settings: Settings = { ...options, ...own }
  return new SharedResolver(
    (target, sink) => new FileFeed(pathOf(file ?? target), sink, settings),
    options,
  )
}

type Settings = FileResolverOptions &
  Required<
    Pick<
      FileResolverOptions,
      'clock' | 'random' | 'accept' | 'files' | 'refreshMs' | 'settleMs' | 'maxFileBytes'
    >
  >

class FileFeed implements Disposable {
  readonly #file: string
  readonly #sink: ResolverListener
  readonly #settings: Settings
  readonly #loop: WatchLoop
  #watch: Disposable | undefined
  #settling: Timer | undefined
  /** What the set was made from, or what was found wrong. */
  #text: string | undefined
  /** From the first set on, only what has settled is taken: also after mistakes. */
  #known = false

  constructor(file: string, sink: ResolverListener, settings: Settings) {
    this.#file = file
    this.#sink = sink
    this.#settings = settings
    const { clock, random, files, settleMs, minBackoffMs, maxBackoffMs } = settings
    this.#loop = new WatchLoop({
      clock,
      random,
      minIntervalMs: 1,
      ...(minBackoffMs !== undefined && { minBackoffMs }),
      ...(maxBackoffMs !== undefined && { maxBackoffMs }),
      round: (round) => this.#round(round),
      onError: (error) => {
        this.#text = undefined
        sink.onError(error)
      },
    }).start()
    const onChange = (): void => {
      this.#settling?.cancel()
      this.#settling = clock.setTimer(clock.now() + settleMs, () => this.#loop.poke(true))
      this.#settling.unref()
    }
    // Without a watch the file is still read every `refreshMs`.
    this.#watch = files.watch(file, onChange, () => {})
  }

  [Symbol.dispose](): void {
    this.#loop[Symbol.dispose]()
    this.#settling?.cancel()
    this.#watch?.[Symbol.dispose]()
  }

  async #round({ signal }: Round): Promise<number> {
    const { files, accept, refreshMs, settleMs, maxFileBytes, random } = this.#settings
    const text = await files.read(this.#file, maxFileBytes)
    const again = refreshMs * (1 + JITTER * random())
    if (signal.aborted || text === this.#text) return again
    if (this.#known && settleMs > 0) {
      await this.#wait(settleMs, signal)
      const later = await files.read(this.#file, maxFileBytes)
      // Still being written.
      if (later !== text) return settleMs
    }
    const instances = parseEndpointFile(text, basename(this.#file))
    this.#text = text
    this.#known = true
    if (!signal.aborted) this.#sink.onEndpoints(acceptedEndpoints(instances, accept))
    return again
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#settings
    return new Promise((resolved) => {
      const timer = clock.setTimer(clock.now() + ms, () => {
        signal.removeEventListener('abort', done)
        resolved()
      })
      timer.unref()
      const done = (): void => {
        timer.cancel()
        resolved()
      }
      signal.addEventListener('abort', done, { once: true })
    })
  }
}

/** The folder is watched: a watch on a file ends with the file that it began with. */
export const nodeFiles: FileAccess = Object.freeze({
  async read(file: string, maxBytes: number): Promise<string> {
    const handle = await open(file, 'r')
    try {
      // One byte more than is allowed, so that nothing is read of a file that is far too long.
      const buffer = Buffer.alloc(Math.min(maxBytes, (await handle.stat()).size) + 1)
      let length = 0
      while (length < buffer.length) {
        const { bytesRead } = await handle.read(buffer, length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      if (length > maxBytes) {
        const message = `${file} has over ${maxBytes} bytes, the limit of maxFileBytes`
        throw new UsageError('ERR_CONFIG', message)
      }
      return buffer.toString('utf8', 0, length)
    } finally {
      await handle.close()
    }
  },

  watch(file: string, onChange: () => void, onError: (error: Error) => void): Disposable {
    let watcher: FSWatcher | undefined
    try {
      watcher = watch(dirname(file), { persistent: false })
      watcher.on('change', onChange)
      watcher.on('error', onError)
    } catch (error) {
      onError(toError(error))
    }
    return { [Symbol.dispose]: () => watcher?.close() }
  },
})

function pathOf(target: string): string {
  return resolve(
    target.startsWith('file://') ? fileURLToPath(target) : target.replace(/^file:/, ''),
  )
}

const JITTER = 0.1
const MAX_MS = 0x7fff_ffff
