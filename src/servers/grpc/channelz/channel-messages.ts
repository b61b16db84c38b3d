/** Channels and their endpoints as messages of channelz. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { PoolStats } from '../../../core/pool.ts'
import {
  type ChannelSchema,
  ChannelConnectivityState_State as State,
  type SubchannelSchema,
} from '../../../protocols/grpc/proto/grpc/channelz/v1/channelz_pb.ts'
import type { CallCounts } from '../../../runtime/client.ts'

/** One endpoint of a channel. */
export interface EndpointLike {
  readonly address: string
  readonly pool: { readonly stats: PoolStats }
  available(now: number): boolean
}

/** What is shown of a channel: `HttpClient` has it. */
export interface ChannelLike {
  readonly status: 'open' | 'busy' | 'closed'
  readonly core: {
    readonly counts: CallCounts
    readonly clock: { now(): number }
    readonly endpoints: { readonly target: string; readonly nodes: Iterable<EndpointLike> }
  }
}

export function channelMessage(
  entry: {
    readonly id: number
    readonly name: string
    readonly channel: ChannelLike
    readonly createdAt: number
  },
  idOf: (stack: object) => number,
): MessageInitShape<typeof ChannelSchema> {
  const { id, name, channel, createdAt } = entry
  const { counts, endpoints } = channel.core
  const nodes = [...endpoints.nodes]
  const now = channel.core.clock.now()
  return {
    ref: { channelId: BigInt(id), name },
    data: {
      state: { state: channelState(channel, nodes, now) },
      target: endpoints.target,
      trace: { creationTimestamp: timestampFromMs(createdAt) },
      callsStarted: BigInt(counts.started),
      callsSucceeded: BigInt(counts.succeeded),
      callsFailed: BigInt(counts.failed),
    },
    subchannelRef: nodes.map((stack) => ({
      subchannelId: BigInt(idOf(stack)),
      name: stack.address,
    })),
  }
}

/** Of its connections there are counts: the pool does not give them away. */
export function subchannelMessage(
  stack: EndpointLike,
  channel: ChannelLike,
  idOf: (stack: object) => number,
): MessageInitShape<typeof SubchannelSchema> {
  const { created, discarded, timeouts } = stack.pool.stats
  const events = [`${created} connections made, ${discarded} given up, ${timeouts} timed out`]
  return {
    ref: { subchannelId: BigInt(idOf(stack)), name: stack.address },
    data: {
      state: { state: endpointState(stack, channel.core.clock.now()) },
      target: stack.address,
      trace: {
        numEventsLogged: BigInt(created + discarded + timeouts),
        events: events.map((description) => ({ description, severity: 1 })),
      },
    },
  }
}

function channelState(channel: ChannelLike, nodes: readonly EndpointLike[], now: number): State {
  if (channel.status === 'closed') return State.SHUTDOWN
  const states = new Set(nodes.map((stack) => endpointState(stack, now)))
  for (const state of [State.READY, State.CONNECTING, State.IDLE]) {
    if (states.has(state)) return state
  }
  return nodes.length === 0 ? State.IDLE : State.TRANSIENT_FAILURE
}

/** As gRPC's connectivity has it, of a pool: ready with a connection, idle without any. */
function endpointState(stack: EndpointLike, now: number): State {
  if (!stack.available(now)) return State.TRANSIENT_FAILURE
  const { idle, leased, connecting } = stack.pool.stats
  if (idle + leased > 0) return State.READY
  return connecting > 0 ? State.CONNECTING : State.IDLE
}
