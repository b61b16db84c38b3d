/** What happens to a client, told on diagnostics channels. Nothing is made while nobody listens. */
import { formatAddress } from '../../core/address.ts'
import type { ClientObserver } from '../../runtime/client-options.ts'
import {
  type BreakerMessage,
  CHANNELS,
  type ClientErrorMessage,
  type ConnectionMessage,
  type EndpointMessage,
  type EndpointsMessage,
  type HedgeMessage,
  type RefusedMessage,
  type RetryMessage,
} from '../../telemetry/channels.ts'

/** @param client its name in messages */
export function channelObserver(client: string): ClientObserver {
  return {
    onConnection(endpoint, state, reason) {
      if (!CHANNELS.connectionState.hasSubscribers) return
      const peer = formatAddress(endpoint.address)
      const message: ConnectionMessage = { side: 'client', name: client, state, peer, reason }
      CHANNELS.connectionState.publish(message)
    },
    onBreaker(endpoint, state, previous, error) {
      if (!CHANNELS.breakerState.hasSubscribers) return
      const message: BreakerMessage = { client, endpoint, state, previous, error }
      CHANNELS.breakerState.publish(message)
    },
    onEjected(endpoint, reason, forMs) {
      if (!CHANNELS.endpointState.hasSubscribers) return
      const message: EndpointMessage = { client, endpoint, state: 'ejected', reason, forMs }
      CHANNELS.endpointState.publish(message)
    },
    onReturned(endpoint) {
      if (!CHANNELS.endpointState.hasSubscribers) return
      const none = { reason: undefined, forMs: undefined }
      const message: EndpointMessage = { client, endpoint, state: 'returned', ...none }
      CHANNELS.endpointState.publish(message)
    },
    onRetry({ attempt, error }, delayMs, context) {
      if (!CHANNELS.clientRetry.hasSubscribers) return
      const message: RetryMessage = { client, attempt, delayMs, error, context }
      CHANNELS.clientRetry.publish(message)
    },
    onHedge(hedge, delayMs, context) {
      if (!CHANNELS.clientHedge.hasSubscribers) return
      CHANNELS.clientHedge.publish({ client, hedge, delayMs, context } satisfies HedgeMessage)
    },
    onEndpoints(endpoints) {
      if (!CHANNELS.clientEndpoints.hasSubscribers) return
      CHANNELS.clientEndpoints.publish({ client, endpoints } satisfies EndpointsMessage)
    },
    onResolveError(error) {
      if (!CHANNELS.clientResolveError.hasSubscribers) return
      const message: ClientErrorMessage = { client, endpoint: undefined, error }
      CHANNELS.clientResolveError.publish(message)
    },
    onConnectError(endpoint, error) {
      if (!CHANNELS.clientConnectError.hasSubscribers) return
      CHANNELS.clientConnectError.publish({ client, endpoint, error } satisfies ClientErrorMessage)
    },
    onRefused({ limit, retryAfterMs }) {
      if (!CHANNELS.limitRefused.hasSubscribers) return
      // Without the key: it may name a person.
      const message: RefusedMessage = { name: client, limit, retryAfterMs }
      CHANNELS.limitRefused.publish(message)
    },
  }
}
