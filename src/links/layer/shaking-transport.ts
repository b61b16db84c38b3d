/**
 * What transports of layers have in common whose sides must agree before a connection is one: limits
 * on how long that may take and how many may be at it, and a listener that counts only those that have
 * agreed.
 */
import type { Address } from '../../core/address.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import {
  ClosedError,
  HeddleError,
  OverloadError,
  TimeoutError,
  TransportError,
  toError,
} from '../../core/errors.ts'
import type { ConnectOptions, Listener, ListenOptions } from '../../core/transport.ts'
import type { Shaking } from './record-codec.ts'

export interface ShakingLimits {
  readonly clock: Clock
  /** How long both sides may take to agree. */
  readonly handshakeTimeoutMs: number
  /** How many newcomers of one listener may be at it. */
  readonly maxHandshakes: number
}

/** What carries the layer: a `Transport` or a `MessageTransport`. */
interface Carrier<Carried> {
  connect(address: Address, options?: ConnectOptions): Promise<Carried>
  listen(address: Address, options: ListenOptions<Carried>): Promise<Listener>
}

interface Destroyable {
  destroy(reason?: Error): void
}

export async function connectShaking<Carried, Layer extends Shaking>(
  carrier: Carrier<Carried>,
  address: Address,
  options: ConnectOptions,
  limits: ShakingLimits,
  wrap: (carried: Carried) => Layer,
): Promise<Layer> {
  const layer = wrap(await carrier.connect(address, options))
  await shaken(layer, options, limits)
  return layer
}

/** Resolves when both sides have agreed; the layer is destroyed otherwise. */
function shaken(layer: Shaking, options: ConnectOptions, limits: ShakingLimits): Promise<void> {
  const { signal, deadline = Number.POSITIVE_INFINITY } = options
  const { clock, handshakeTimeoutMs } = limits
  return new Promise((resolve, reject) => {
    let timer: Timer | undefined
    let over = false
    const finish = (error: unknown): void => {
      if (over) return
      over = true
      timer?.cancel()
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined) return resolve()
      reject(error)
      layer.destroy(toError(error))
    }
    const onAbort = (): void => finish(signal?.reason)
    if (signal?.aborted) return onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    timer = clock.setTimer(Math.min(deadline, clock.now() + handshakeTimeoutMs), () => {
      finish(new TimeoutError('ERR_CONNECT_TIMEOUT', SLOW_PEER, { sent: 'nothing' }))
    })
    layer.shake((error) => finish(error === undefined ? undefined : asConnectError(error)))
  })
}

/** Errors of connecting are of the network and have sent nothing of the caller's. */
function asConnectError(error: Error): Error {
  if (error instanceof HeddleError && error.sent === 'nothing') return error
  const message = `the layer was not agreed: ${error.message}`
  const retryable = error instanceof TransportError ? error.retryable : 'no'
  return new TransportError('ERR_CONNECT', message, { cause: error, sent: 'nothing', retryable })
}

export async function listenShaking<Carried extends Destroyable, Accepted>(
  carrier: Carrier<Carried>,
  address: Address,
  options: ListenOptions<Accepted>,
  limits: ShakingLimits,
  wrap: (carried: Carried, onClosed: () => void) => Shaking & Accepted,
): Promise<Listener> {
  const shaking = new ShakingListener(limits)
  const onConnection = (carried: Carried): void => shaking.admit(carried, options, wrap)
  const listener = await carrier.listen(address, { ...options, onConnection })
  shaking.listener = listener
  return shaking
}

class ShakingListener implements Listener {
  listener!: Listener
  readonly #limits: ShakingLimits
  readonly #pending = new Map<Shaking, Timer>()
  #accepted = 0
  #closing = false

  constructor(limits: ShakingLimits) {
    this.#limits = limits
  }

  get address(): Address {
    return this.listener.address
  }

  get connectionCount(): number {
    return this.#accepted
  }

  admit<Carried extends Destroyable, Accepted>(
    carried: Carried,
    options: ListenOptions<Accepted>,
    wrap: (carried: Carried, onClosed: () => void) => Shaking & Accepted,
  ): void {
    const { clock, handshakeTimeoutMs, maxHandshakes } = this.#limits
    if (this.#closing) return carried.destroy(draining())
    if (this.#pending.size >= maxHandshakes) {
      const message = `${this.#pending.size} handshakes are under way, maxHandshakes is ${maxHandshakes}`
      const error = new OverloadError('ERR_LIMITED', message)
      carried.destroy(error)
      options.onError?.(error)
      return
    }
    let accepted = false
    const layer = wrap(carried, () => {
      if (accepted) this.#accepted -= 1
      accepted = false
    })
    const timer = clock.setTimer(clock.now() + handshakeTimeoutMs, () => {
      layer.destroy(new TimeoutError('ERR_CONNECT_TIMEOUT', SLOW_PEER))
    })
    timer.unref()
    this.#pending.set(layer, timer)
    layer.shake((error) => {
      timer.cancel()
      this.#pending.delete(layer)
      if (error !== undefined) return options.onError?.(error)
      accepted = true
      this.#accepted += 1
      options.onConnection(layer)
    })
  }

  pause(): void {
    this.listener.pause()
  }

  resume(): void {
    this.listener.resume()
  }

  close(options?: { signal?: AbortSignal }): Promise<void> {
    // Who has not agreed yet is no connection to wait for.
    this.#closing = true
    for (const [layer, timer] of this.#pending) {
      timer.cancel()
      layer.destroy(draining())
    }
    this.#pending.clear()
    return this.listener.close(options)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  ref(): void {
    this.listener.ref()
  }

  unref(): void {
    this.listener.unref()
  }
}

function draining(): ClosedError {
  return new ClosedError('ERR_DRAINING', 'the listener is closed')
}

const SLOW_PEER = 'the peer did not agree to the layer in time'
