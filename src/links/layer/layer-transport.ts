/**
 * Transports whose connections are records over those of another: one for byte streams, one for
 * messages. A layer says how a codec is made and what is known of a connection.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection, ConnectionFacts, ConnectionRole } from '../../core/connection.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MessageTransport,
  Transport,
  TransportTraits,
} from '../../core/transport.ts'
import type { RecordCodec } from './record-codec.ts'
import { RecordMessages } from './record-messages.ts'
import { RecordStream } from './record-stream.ts'
import { connectShaking, listenShaking, type ShakingLimits } from './shaking-transport.ts'

export interface Layer<Codec extends RecordCodec> extends ShakingLimits {
  /** `sealed`, `compressed` */
  readonly name: string
  /** Whether it makes what it carries secure. */
  readonly secures: boolean
  readonly clock: Clock
  createCodec(role: ConnectionRole): Codec
  facts(name: string, carrier: ConnectionFacts, codec: Codec): ConnectionFacts
  /** Longest message in bytes. */
  readonly maxMessageBytes: number
}

export class LayerTransport<Codec extends RecordCodec> implements Transport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #carrier: Transport
  readonly #layer: Layer<Codec>

  constructor(carrier: Transport, layer: Layer<Codec>) {
    this.name = `${layer.name}+${carrier.name}`
    const { secure } = carrier.traits
    this.traits = Object.freeze({ ...carrier.traits, secure: secure || layer.secures })
    this.#carrier = carrier
    this.#layer = layer
  }

  connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
    const wrap = (carried: Connection): RecordStream => this.#wrap(carried)
    return connectShaking(this.#carrier, address, options, this.#layer, wrap)
  }

  listen(address: Address, options: ListenOptions): Promise<Listener> {
    return listenShaking(this.#carrier, address, options, this.#layer, (carried, onClosed) => {
      const stream = this.#wrap(carried)
      stream.onClosed = onClosed
      return stream
    })
  }

  #wrap(carried: Connection): RecordStream {
    const codec = this.#layer.createCodec(carried.facts.role)
    const facts = this.#layer.facts(this.name, carried.facts, codec)
    return new RecordStream(carried, codec, facts, this.#layer.clock)
  }
}

export class LayerMessageTransport<Codec extends RecordCodec> implements MessageTransport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #carrier: MessageTransport
  readonly #layer: Layer<Codec>

  constructor(carrier: MessageTransport, layer: Layer<Codec>) {
    this.name = `${layer.name}+${carrier.name}`
    const { secure } = carrier.traits
    this.traits = Object.freeze({ ...carrier.traits, secure: secure || layer.secures })
    this.#carrier = carrier
    this.#layer = layer
  }

  connect(address: Address, options: ConnectOptions = {}): Promise<MessageConnection> {
    const wrap = (carried: MessageConnection): RecordMessages => this.#wrap(carried)
    return connectShaking(this.#carrier, address, options, this.#layer, wrap)
  }

  listen(address: Address, options: ListenOptions<MessageConnection>): Promise<Listener> {
    return listenShaking(this.#carrier, address, options, this.#layer, (carried, onClosed) => {
      const messages = this.#wrap(carried)
      messages.onClosed = onClosed
      return messages
    })
  }

  #wrap(carried: MessageConnection): RecordMessages {
    const { clock, maxMessageBytes } = this.#layer
    const codec = this.#layer.createCodec(carried.facts.role)
    const facts = this.#layer.facts(this.name, carried.facts, codec)
    return new RecordMessages(carried, codec, { facts, clock, maxMessageBytes })
  }
}
