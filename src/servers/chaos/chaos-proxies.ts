/** The proxies of one process, by name, and what toxiproxy's control API does to them. */

import type { Clock } from '../../core/clock.ts'
import { UsageError } from '../../core/errors.ts'
import { ChaosProxy } from './chaos-proxy.ts'

export interface ChaosProxiesOptions {
  readonly clock: Clock
  readonly seed: number
  /** @default 1_000: each has a listener */
  readonly maxProxies?: number
  onError?(proxy: string, error: Error): void
}

export interface ProxySpec {
  readonly name: string
  readonly listen?: string
  readonly upstream: string
  readonly enabled?: boolean
}

export class ChaosProxies implements AsyncDisposable {
  readonly seed: number
  readonly #options: ChaosProxiesOptions
  readonly #proxies = new Map<string, ChaosProxy>()
  #made = 0

  constructor(options: ChaosProxiesOptions) {
    this.seed = options.seed
    this.#options = options
  }

  get list(): readonly ChaosProxy[] {
    return [...this.#proxies.values()]
  }

  get(name: string): ChaosProxy | undefined {
    return this.#proxies.get(name)
  }

  /**
   * @throws UsageError ERR_STATE for a name in use, ERR_OPTION_RANGE over `maxProxies`,
   *   ERR_ADDRESS_INVALID; TransportError where it cannot listen
   */
  async add(spec: ProxySpec): Promise<ChaosProxy> {
    const { name, listen = '', upstream, enabled = true } = spec
    checkName(name)
    if (this.#proxies.has(name)) throw new UsageError('ERR_STATE', `proxy '${name}' exists already`)
    const { maxProxies = 1_000, clock, onError } = this.#options
    if (this.#proxies.size >= maxProxies) {
      const said = `${this.#proxies.size + 1} proxies, maxProxies is ${maxProxies}`
      throw new UsageError('ERR_OPTION_RANGE', said)
    }
    const proxy = new ChaosProxy({
      name,
      // As toxiproxy: without an address, a port on loopback.
      listen: listen === '' ? `${/^wss?:/.test(upstream) ? 'ws://' : ''}127.0.0.1:0` : listen,
      upstream,
      seed: this.seed + this.#made++,
      clock,
      onError: (error) => onError?.(name, error),
    })
    this.#proxies.set(name, proxy)
    try {
      if (enabled) await proxy.enable()
    } catch (error) {
      this.#proxies.delete(name)
      throw error
    }
    return proxy
  }

  /** Other addresses make another proxy, with the toxics of the one before; its clients are cut. */
  async update(proxy: ChaosProxy, change: Partial<ProxySpec>): Promise<ChaosProxy> {
    const { listen = proxy.listen, upstream = proxy.upstream, enabled = proxy.enabled } = change
    if (listen === proxy.listen && upstream === proxy.upstream) {
      if (enabled) await proxy.enable()
      else await proxy.disable()
      return proxy
    }
    const wasEnabled = proxy.enabled
    await this.remove(proxy)
    let next: ChaosProxy
    try {
      next = await this.add({ name: proxy.name, listen, upstream, enabled })
    } catch (error) {
      // Its new address cannot be had: it stays what it was.
      this.#proxies.set(proxy.name, proxy)
      if (wasEnabled) await proxy.enable()
      throw error
    }
    for (const toxic of proxy.toxics.list) next.toxics.add(toxic)
    return next
  }

  async remove(proxy: ChaosProxy): Promise<void> {
    this.#proxies.delete(proxy.name)
    await proxy.disable()
  }

  async reset(): Promise<void> {
    for (const proxy of this.list) {
      proxy.toxics.clear()
      await proxy.enable()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.list.map((proxy) => this.remove(proxy)))
  }
}

/** Names are shown on terminals: nothing in one may move the cursor. */
function checkName(name: string): void {
  if (name.length > 0 && name.length <= MAX_NAME && !/[\p{Cc}\p{Cf}]/u.test(name)) return
  const message = `a proxy's name has 1 to ${MAX_NAME} characters and no control characters`
  throw new UsageError('ERR_ARGUMENT', message)
}

const MAX_NAME = 255
