/**
 * Pins one connection of a client: a lease whose resource is a service again, on that connection and
 * no other.
 *
 * Another endpoint is asked when one cannot be connected to, as long as nothing has been sent. Once
 * pinned, a call has the client's deadline, metrics and tracing and the endpoint's own layers, but
 * neither retry nor balancer: both would leave the connection.
 */
import type { Clock, Random } from '../core/clock.ts'
import type { CallContext } from '../core/context.ts'
import { ClosedError, HeddleError, OverloadError, TransportError } from '../core/errors.ts'
import type { Pick } from '../core/policy.ts'
import type { Lease } from '../core/pool.ts'
import type { Service } from '../core/service.ts'
import { verdictOfError } from '../core/verdicts.ts'
import type { EndpointBalancer } from './balancer/balancer.ts'
import type { EndpointStack } from './endpoint-stack.ts'
import type { Exchanger } from './exchanger.ts'
import { type Layer, stackLayers } from './stack/layer.ts'

export interface PinParts<Req, Res> {
  readonly clock: Clock
  readonly random: Random
  readonly balancer: EndpointBalancer<EndpointStack<Req, Res>, Req>
  /** Waits for the endpoints, where they are not known yet. */
  known(): Promise<void> | undefined
  describe(now: number): string
  /** Of the client: those that do not leave the connection are used. */
  readonly layers: readonly Layer<Req, Res>[]
}

export async function pin<Req, Res>(
  context: CallContext,
  parts: PinParts<Req, Res>,
): Promise<Lease<Service<Req, Res>>> {
  await parts.known()
  const { balancer, clock, random } = parts
  const tried = new Set<EndpointStack<Req, Res>>()
  let failure: unknown
  for (let attempt = 0; attempt < MAX_ENDPOINTS; attempt++) {
    const now = clock.now()
    const pick = balancer.pick(context, now, random, tried)
    if (pick === undefined || tried.has(pick.node)) {
      pick?.done(now, undefined, false)
      throw failure ?? new OverloadError('ERR_NO_ENDPOINT', parts.describe(now))
    }
    try {
      return await pinAt(context, pick, parts)
    } catch (error) {
      if (context.cancelled || !(error instanceof HeddleError) || error.blame !== 'network') {
        throw error
      }
      failure = error
      tried.add(pick.node)
    }
  }
  throw failure
}

async function pinAt<Req, Res>(
  context: CallContext,
  pick: Pick<EndpointStack<Req, Res>>,
  parts: PinParts<Req, Res>,
): Promise<Lease<Service<Req, Res>>> {
  const { clock, layers } = parts
  const { node } = pick
  let lease: Lease<Exchanger<Req, Res>>
  try {
    lease = await node.pool.acquire(context, EXCLUSIVE)
  } catch (error) {
    const { endpointFailure } = verdictOfError(error, context)
    pick.done(clock.now(), undefined, endpointFailure)
    throw error
  }
  const around = layers.filter(({ name }) => KEPT_LAYERS.has(name))
  const pinned = new PinnedService(lease)
  const service = stackLayers([...around, ...node.layers], pinned.call)
  return new PinnedLease(service, pinned, () => pick.done(clock.now(), undefined, false))
}

/** The end of the stack: this connection, as long as the lease lasts. */
class PinnedService<Req, Res> {
  lease: Lease<Exchanger<Req, Res>> | undefined
  readonly call: Service<Req, Res>

  constructor(lease: Lease<Exchanger<Req, Res>>) {
    this.lease = lease
    this.call = (request, context) => {
      if (this.lease === undefined) {
        throw new ClosedError('ERR_CLOSED', 'the lease of the connection was given back')
      }
      const { resource } = this.lease
      if (resource.state !== 'ready') {
        const message = `the pinned connection is ${resource.state}: what it was told is lost`
        throw new TransportError('ERR_DISCONNECTED', message, { sent: 'nothing', retryable: 'no' })
      }
      return resource.call(request, context)
    }
  }
}

class PinnedLease<Req, Res> implements Lease<Service<Req, Res>> {
  readonly resource: Service<Req, Res>
  readonly #pinned: PinnedService<Req, Res>
  readonly #onEnd: () => void

  constructor(resource: Service<Req, Res>, pinned: PinnedService<Req, Res>, onEnd: () => void) {
    this.resource = resource
    this.#pinned = pinned
    this.#onEnd = onEnd
  }

  release(): void {
    this.#take().release()
  }

  discard(reason: Error): void {
    this.#take().discard(reason)
  }

  [Symbol.dispose](): void {
    if (this.#pinned.lease !== undefined) this.release()
  }

  #take(): Lease<Exchanger<Req, Res>> {
    const { lease } = this.#pinned
    if (lease === undefined) {
      throw new ClosedError('ERR_CLOSED', 'the lease of the connection was given back already')
    }
    this.#pinned.lease = undefined
    this.#onEnd()
    return lease
  }
}

const EXCLUSIVE = Object.freeze({ exclusive: true })
const KEPT_LAYERS: ReadonlySet<string> = new Set(['metrics', 'tracing', 'deadline'])
/** Asked one after the other before a pin is given up. */
const MAX_ENDPOINTS = 3
