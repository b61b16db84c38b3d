/**
 * A registry of your own, in one function or two.
 *
 *     const resolver = registryResolver({
 *       load: async (service, { signal }) => (await fetchInstances(service, signal)).map(toInstance),
 *     })
 *
 * `load` is asked again every `refreshMs`, a little later by chance. `watch`, where the registry can
 * tell by itself, pushes whole sets in between; `changed` asks `load` again at once. Everything that
 * the other resolvers promise holds here: shared watches, no set emptied by an error, bounds, waits
 * that grow after errors.
 */
import type { Clock, Random } from '../core/clock.ts'
import { checkRange, TimeoutError, toError } from '../core/errors.ts'
import type { Endpoint, Resolver, ResolverListener } from '../core/policy.ts'
import { nodeHost } from '../platform/node-host.ts'
import { systemClock } from '../platform/system-clock.ts'
import { type Accept, acceptedEndpoints, acceptHealthy, type Instance } from './instance.ts'
import { SharedResolver, type SharedResolverOptions } from './shared-resolver.ts'
import { type Round, WatchLoop, type WatchLoopOptions } from './watch-loop.ts'

export interface RegistryResolverOptions
  extends SharedResolverOptions,
    Pick<WatchLoopOptions, 'minBackoffMs' | 'maxBackoffMs'> {
  /** Everything that runs under this name. It should stop when `signal` aborts. */
  load(
    target: string,
    context: { readonly signal: AbortSignal },
  ): Promise<readonly (Instance | Endpoint)[]>
  /** Follows changes until the returned function is called. */
  watch?(target: string, updates: RegistryUpdates): () => void
  /** @default 30_000 */
  refreshMs?: number
  /** One `load` takes at most so long. @default 10_000 */
  loadTimeoutMs?: number
  /** Who gets calls. @default those that are healthy */
  accept?: Accept
  /** @default the system's */
  clock?: Clock
  /** @default Node's */
  random?: Random
}

/** What a `watch` may say. Ignored once it has ended. */
export interface RegistryUpdates {
  /** This is everything now. */
  replace(instances: readonly (Instance | Endpoint)[]): void
  /** Something is different: `load` says what. */
  changed(): void
  failed(error: Error): void
}

export const registryDefaults: Readonly<{ refreshMs: number; loadTimeoutMs: number }> =
  Object.freeze({
    refreshMs: 30_000,
    loadTimeoutMs: 10_000,
  })

export function registryResolver(options: RegistryResolverOptions): Resolver {
  const {
    clock = systemClock,
    random = nodeHost.random,
    accept = acceptHealthy,
    refreshMs = registryDefaults.refreshMs,
    loadTimeoutMs = registryDefaults.loadTimeoutMs,
  } = options
  checkRange('refreshMs', refreshMs, 1, MAX_MS)
  checkRange('loadTimeoutMs', loadTimeoutMs, 1, MAX_MS)
  const settings: Settings = { ...options, clock, random, accept, refreshMs, loadTimeoutMs }
  return new SharedResolver((target, sink) => new RegistryFeed(target, sink, settings), options)
}

type Settings = RegistryResolverOptions &
  Required<
    Pick<RegistryResolverOptions, 'clock' | 'random' | 'accept' | 'refreshMs' | 'loadTimeoutMs'>
  >

class RegistryFeed implements Disposable {
  readonly #target: string
  readonly #sink: ResolverListener
  readonly #settings: Settings
  readonly #loop: WatchLoop
  #stop: (() => void) | undefined
  #ended = false
  /** Raised by each push: a `load` that began before one is older than it. */
  #pushes = 0

  constructor(target: string, sink: ResolverListener, settings: Settings) {
    this.#target = target
    this.#sink = sink
    this.#settings = settings
    const { clock, random, minBackoffMs, maxBackoffMs } = settings
    this.#loop = new WatchLoop({
      clock,
      random,
      minIntervalMs: 1,
      ...(minBackoffMs !== undefined && { minBackoffMs }),
      ...(maxBackoffMs !== undefined && { maxBackoffMs }),
      round: (round) => this.#round(round),
      onError: (error) => sink.onError(error),
    }).start()
    this.#stop = settings.watch?.(target, {
      replace: (instances) => {
        if (this.#ended) return
        this.#pushes++
        this.#report(instances)
      },
      changed: () => this.#loop.poke(),
      failed: (error) => {
        if (!this.#ended) sink.onError(toError(error))
      },
    })
  }

  [Symbol.dispose](): void {
    this.#ended = true
    this.#loop[Symbol.dispose]()
    this.#stop?.()
  }

  async #round({ signal }: Round): Promise<number> {
    const { random, refreshMs } = this.#settings
    const pushes = this.#pushes
    const instances = await this.#load(signal)
    if (pushes === this.#pushes) this.#report(instances)
    return refreshMs * (1 + JITTER * random())
  }

  #load(ended: AbortSignal): Promise<readonly (Instance | Endpoint)[]> {
    const { clock, load, loadTimeoutMs } = this.#settings
    const controller = new AbortController()
    return new Promise((resolve, reject) => {
      const cut = (reason: Error): void => {
        controller.abort(reason)
        reject(reason)
      }
      const timer = clock.setTimer(clock.now() + loadTimeoutMs, () => {
        const message = `${this.#target} was not loaded within ${loadTimeoutMs} ms`
        cut(new TimeoutError('ERR_DEADLINE', message))
      })
      const onEnded = (): void => cut(toError(ended.reason))
      ended.addEventListener('abort', onEnded, { once: true })
      Promise.resolve()
        .then(() => load(this.#target, { signal: controller.signal }))
        .then(resolve, reject)
        .finally(() => {
          ended.removeEventListener('abort', onEnded)
          timer.cancel()
        })
      controller.signal.addEventListener('abort', () => timer.cancel(), { once: true })
    })
  }

  #report(instances: readonly (Instance | Endpoint)[]): void {
    const { accept } = this.#settings
    const all = instances.map((one) => ('endpoint' in one ? one : { endpoint: one, healthy: true }))
    this.#sink.onEndpoints(acceptedEndpoints(all, accept))
  }
}

const JITTER = 0.1
const MAX_MS = 0x7fff_ffff
