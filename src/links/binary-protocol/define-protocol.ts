/**
 * A protocol of one's own in one object: name, versions, payload, messages. From it come a typed client
 * and a typed server over any transport.
 *
 *     const inventory = defineProtocol({
 *       name: 'inventory',
 *       versions: [[1, 2]],
 *       payload: json(),
 *       messages: {
 *         stock: call<{ sku: string }, { count: number }>(1),
 *         changed: event<{ sku: string; count: number }>(2),
 *       },
 *     })
 *
 * Over a byte stream messages are framed by a length of 4 bytes; a transport of messages is used as it
 * is. docs/tutorial-binary-protocol.md goes from nothing to client and server.
 */
import { type Address, parseAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { ConnectionFacts, ConnectionRole } from '../../core/connection.ts'
import type { CallContext } from '../../core/context.ts'
import { checkInteger, checkRange } from '../../core/errors.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MessageTransport,
  Transport,
  TransportBaseOptions,
} from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { answerRequests } from '../../runtime/patterns/request-answers.ts'
import { RequestReply } from '../../runtime/patterns/request-reply.ts'
import { TimerWheel } from '../../runtime/timer-wheel.ts'
import { framed } from '../framed/framed.ts'
import { type Layer, LayerMessageTransport } from '../layer/layer-transport.ts'
import { LayeredFacts } from '../layer/layered-facts.ts'
import { ProtocolCodec } from './protocol-codec.ts'
import {
  type CallName,
  checkDefinition,
  type Definition,
  type MessageDefinitions,
  type ProtocolOptions,
  type ReplyOf,
  type RequestOf,
} from './protocol-definition.ts'
import { ProtocolClient, ProtocolPeer } from './protocol-peer.ts'

/** Limits of one side, whichever it is. */
export interface PeerOptions extends TransportBaseOptions {
  /**
   * Longest message in bytes, with its head. Over a transport of messages its own limit holds as well.
   *
   * @default 1_048_576
   */
  maxMessageBytes?: number
  /**
   * Calls at a time on one connection. The client refuses one more (ERR_BUSY), the server reads no
   * further until there is room.
   *
   * @default 256
   */
  maxInFlight?: number
  /**
   * How deep the values of a body may be nested.
   *
   * @default 32: no protocol needs more, and no decoder runs out of stack
   */
  maxDepth?: number
  /**
   * How long both sides may take to agree on a version, in milliseconds.
   *
   * @default 10_000
   */
  handshakeTimeoutMs?: number
  /**
   * Newcomers of one listener that have not agreed yet; one more is closed at once.
   *
   * @default 1_024
   */
  maxHandshakes?: number
}

export interface ClientOptions extends PeerOptions {
  /**
   * Of calls that bring no earlier deadline, in milliseconds.
   *
   * @default 30_000
   */
  timeoutMs?: number
}

export interface ServerOptions<M extends MessageDefinitions> extends PeerOptions {
  /** What is answered. Each gets the body, the context of the call, and who asks. */
  calls: {
    readonly [Name in CallName<M>]: (
      request: RequestOf<M[Name]>,
      context: CallContext,
      peer: ProtocolPeer<M>,
    ) => ReplyOf<M[Name]> | Promise<ReplyOf<M[Name]>>
  }
  /** Somebody has connected: the place for `peer.on`. */
  onPeer?(peer: ProtocolPeer<M>): void
  /** Errors that the peer is told nothing about, and connections that were refused. */
  onError?(error: Error): void
}

export const binaryProtocolDefaults = Object.freeze({
  maxMessageBytes: 1_048_576,
  maxInFlight: 256,
  maxDepth: 32,
  handshakeTimeoutMs: 10_000,
  maxHandshakes: 1_024,
  timeoutMs: 30_000,
} as const)

/** What `defineProtocol` returns. */
export class BinaryProtocol<M extends MessageDefinitions> {
  readonly name: string
  readonly #definition: Definition<M>

  constructor(options: ProtocolOptions<M>) {
    this.#definition = checkDefinition(options)
    this.name = this.#definition.name
  }

  /** Connects, and agrees on a version: ProtocolError ERR_VERSION when there is none in common. */
  async connect(
    transport: Transport | MessageTransport,
    address: Address | string,
    options: ClientOptions & ConnectOptions = {},
  ): Promise<ProtocolClient<M>> {
    const { signal, deadline, serverName } = options
    const settings = resolve(options)
    const { timeoutMs = binaryProtocolDefaults.timeoutMs } = options
    const connection = await this.#layered(transport, settings).connect(asAddress(address), {
      ...(signal !== undefined && { signal }),
      ...(deadline !== undefined && { deadline }),
      ...(serverName !== undefined && { serverName }),
    })
    const peer = this.#peer(connection, settings)
    const wheel = new TimerWheel({ clock: settings.clock })
    const maxPending = settings.maxInFlight
    const requests = new RequestReply(peer.calls, { wheel, maxPending, timeoutMs })
    peer.start()
    return new ProtocolClient(peer, requests)
  }

  /** Accepts and answers until the listener is closed. */
  listen(
    transport: Transport | MessageTransport,
    address: Address | string,
    options: ServerOptions<M> & Partial<ListenOptions<MessageConnection>>,
  ): Promise<Listener> {
    const { calls, onPeer, onError } = options
    const settings = resolve(options)
    const wheel = new TimerWheel({ clock: settings.clock })
    const { maxInFlight } = settings
    const onConnection = (connection: MessageConnection): void => {
      const peer = this.#peer(connection, settings)
      const service = (body: Uint8Array, context: CallContext): Promise<Uint8Array> =>
        answer(peer, calls, body, context)
      const limits = { wheel, maxInFlight, ...(onError !== undefined && { onError }) }
      answerRequests(peer.calls, service, limits)
      onPeer?.(peer)
      peer.start()
    }
    return this.#layered(transport, settings).listen(asAddress(address), {
      ...options,
      onConnection,
    })
  }

  #layered(
    transport: Transport | MessageTransport,
    settings: PeerSettings,
  ): LayerMessageTransport<ProtocolCodec> {
    const { clock, maxMessageBytes, handshakeTimeoutMs, maxHandshakes } = settings
    const definition = this.#definition as unknown as Definition<MessageDefinitions>
    const layer: Layer<ProtocolCodec> = {
      name: this.name,
      secures: false,
      clock,
      handshakeTimeoutMs,
      maxHandshakes,
      maxMessageBytes,
      createCodec: (role: ConnectionRole) => new ProtocolCodec(definition, role),
      facts: (name, carrier, codec) => new ProtocolFacts(name, carrier, codec),
    }
    return new LayerMessageTransport(asMessages(transport, settings), layer)
  }

  #peer(connection: MessageConnection, settings: PeerSettings): ProtocolPeer<M> {
    const version = (connection.facts as ProtocolFacts).version
    return new ProtocolPeer(connection, this.#definition, version, settings.maxDepth)
  }
}

export function defineProtocol<const M extends MessageDefinitions>(
  options: ProtocolOptions<M>,
): BinaryProtocol<M> {
  return new BinaryProtocol(options)
}

async function answer<M extends MessageDefinitions>(
  peer: ProtocolPeer<M>,
  calls: ServerOptions<M>['calls'],
  body: Uint8Array,
  context: CallContext,
): Promise<Uint8Array> {
  const { name, definition } = peer.callOf(body)
  peer.checkVersion(name, definition)
  const value = peer.decodeBody(body.subarray(2), definition.request)
  const request = definition.check === undefined ? value : definition.check(value)
  const handler = calls[name as CallName<M>] as (
    request: unknown,
    context: CallContext,
    peer: ProtocolPeer<M>,
  ) => unknown
  const reply = await handler(request, context, peer)
  return peer.encodeReply(reply, definition.reply)
}

interface PeerSettings {
  readonly clock: Clock
  readonly maxMessageBytes: number
  readonly maxInFlight: number
  readonly maxDepth: number
  readonly handshakeTimeoutMs: number
  readonly maxHandshakes: number
}

function resolve(options: PeerOptions): PeerSettings {
  const defaults = binaryProtocolDefaults
  const {
    clock = systemClock,
    maxMessageBytes = defaults.maxMessageBytes,
    maxInFlight = defaults.maxInFlight,
    maxDepth = defaults.maxDepth,
    handshakeTimeoutMs = defaults.handshakeTimeoutMs,
    maxHandshakes = defaults.maxHandshakes,
  } = options
  return {
    clock,
    maxMessageBytes: checkInteger('maxMessageBytes', maxMessageBytes, 256, 0x4000_0000),
    maxInFlight: checkInteger('maxInFlight', maxInFlight, 1, 1_000_000),
    maxDepth: checkInteger('maxDepth', maxDepth, 1, 1_000),
    handshakeTimeoutMs: checkRange('handshakeTimeoutMs', handshakeTimeoutMs, 1, 3_600_000),
    maxHandshakes: checkInteger('maxHandshakes', maxHandshakes, 1, 1_000_000),
  }
}

function asAddress(address: Address | string): Address {
  return typeof address === 'string' ? parseAddress(address) : address
}

/** A byte stream is framed; what keeps boundaries already is used as it is. */
function asMessages(
  transport: Transport | MessageTransport,
  { clock, maxMessageBytes }: PeerSettings,
): MessageTransport {
  if (transport.traits.messageBoundaries) return transport as MessageTransport
  return framed(transport as Transport, { clock, maxMessageBytes })
}

class ProtocolFacts extends LayeredFacts {
  readonly #codec: ProtocolCodec

  constructor(name: string, carrier: ConnectionFacts, codec: ProtocolCodec) {
    super(name, carrier)
    this.#codec = codec
  }

  get version(): number {
    return this.#codec.version as number
  }
}
