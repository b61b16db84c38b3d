/**
 * The diagnostics channels of heddle (`node:diagnostics_channel`), and what is published on each.
 *
 *     import { subscribe } from 'node:diagnostics_channel'
 *     subscribe('heddle:breaker:state', ({ endpoint, state }) => …)
 *
 * A channel nobody listens to costs a property read: no message is made. Messages may change only by
 * getting more fields. They hold what the process holds, requests included: a subscriber is code of
 * the same process, and answers for what it writes down.
 */
import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import type { ConnectionState } from '../core/connection-state.ts'
import type { CallContext } from '../core/context.ts'
import type { BreakerState, Endpoint } from '../core/policy.ts'
import type { MaybePromise, Middleware } from '../core/service.ts'
import { diagnosticsChannel } from './diagnostics.ts'

/** `heddle:client:call` and `heddle:server:call`, as `tracingChannel` names their five channels. */
export interface CallMessage<Req = unknown, Res = unknown> {
  /** The client's name, or the server's. */
  readonly name: string
  readonly request: Req
  readonly context: CallContext
  /** Set before `asyncEnd`, or `end` where the reply came at once. */
  result?: Res
  error?: unknown
}

/** `heddle:connection:state` */
export interface ConnectionMessage {
  readonly side: 'client' | 'server'
  readonly name: string
  readonly state: ConnectionState
  /** The endpoint's address, or the peer's. */
  readonly peer: string
  readonly reason: Error | undefined
}

/** `heddle:breaker:state` */
export interface BreakerMessage {
  readonly client: string
  readonly endpoint: Endpoint
  readonly state: BreakerState
  readonly previous: BreakerState
  /** What opened it: an error, or a response. */
  readonly error: unknown
}

/** `heddle:endpoint:state` */
export interface EndpointMessage {
  readonly client: string
  readonly endpoint: Endpoint
  readonly state: 'ejected' | 'returned'
  /** Of an ejection. */
  readonly reason: string | undefined
  readonly forMs: number | undefined
}

/** `heddle:client:retry` */
export interface RetryMessage {
  readonly client: string
  /** The one that failed, from 1. */
  readonly attempt: number
  readonly delayMs: number
  readonly error: unknown
  readonly context: CallContext
}

/** `heddle:client:hedge` */
export interface HedgeMessage {
  readonly client: string
  /** From 1. */
  readonly hedge: number
  readonly delayMs: number
  readonly context: CallContext
}

/** `heddle:client:endpoints` */
export interface EndpointsMessage {
  readonly client: string
  readonly endpoints: readonly Endpoint[]
}

/** `heddle:client:resolve-error`, `heddle:client:connect-error` */
export interface ClientErrorMessage {
  readonly client: string
  /** Of a connection that could not be made. */
  readonly endpoint: Endpoint | undefined
  readonly error: Error
}

/** `heddle:limit:refused` */
export interface RefusedMessage {
  readonly name: string
  readonly limit: string
  readonly retryAfterMs: number
}

export const CHANNELS = Object.freeze({
  clientCall: tracingChannel<object, object>('heddle:client:call'),
  serverCall: tracingChannel<object, object>('heddle:server:call'),
  connectionState: diagnosticsChannel('connection', 'state'),
  breakerState: diagnosticsChannel('breaker', 'state'),
  endpointState: diagnosticsChannel('endpoint', 'state'),
  clientRetry: diagnosticsChannel('client', 'retry'),
  clientHedge: diagnosticsChannel('client', 'hedge'),
  clientEndpoints: diagnosticsChannel('client', 'endpoints'),
  clientResolveError: diagnosticsChannel('client', 'resolve-error'),
  clientConnectError: diagnosticsChannel('client', 'connect-error'),
  limitRefused: diagnosticsChannel('limit', 'refused'),
})

/** Publishes calls on a tracing channel. A reply that is there at once stays so. */
export function publishCalls<Req, Res>(
  channel: TracingChannel<object, object>,
  name: string,
): Middleware<Req, Res> {
  return (next) => (request, context) => {
    if (!channel.hasSubscribers) return next(request, context)
    const message: CallMessage<Req, Res> = { name, request, context }
    return channel.start.runStores(message, () => {
      let reply: MaybePromise<Res>
      try {
        reply = next(request, context)
      } catch (error) {
        message.error = error
        channel.error.publish(message)
        channel.end.publish(message)
        throw error
      }
      if (!(reply instanceof Promise)) message.result = reply
      channel.end.publish(message)
      return reply instanceof Promise ? publishEnd(channel, message, reply) : reply
    })
  }
}

function publishEnd<Req, Res>(
  channel: TracingChannel<object, object>,
  message: CallMessage<Req, Res>,
  reply: Promise<Res>,
): Promise<Res> {
  const over = (): void => {
    channel.asyncStart.publish(message)
    channel.asyncEnd.publish(message)
  }
  return reply.then(
    (result) => {
      message.result = result
      over()
      return result
    },
    (error: unknown) => {
      message.error = error
      channel.error.publish(message)
      over()
      throw error
    },
  )
}
