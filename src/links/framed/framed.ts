/**
 * Messages over any byte-stream transport, by a length in front of each or a delimiter behind.
 *
 *     const messages = framed(tcp())
 *     const lines = framed(tls(), { framing: delimiter('\n', { optionalCr: true }) })
 *
 * Nothing is exchanged at the beginning: both sides must be told the same framing.
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MessageTransport,
  Transport,
  TransportBaseOptions,
  TransportTraits,
} from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { LayeredFacts } from '../layer/layered-facts.ts'
import { FramedConnection } from './framed-connection.ts'
import { checkMaxMessageBytes, type Framing, lengthPrefix } from './framing.ts'

export interface FramedOptions extends TransportBaseOptions {
  /** @default lengthPrefix(): 4 bytes, big-endian, the payload only */
  framing?: Framing
  /**
   * Longest message in bytes, in both directions. What one connection may make this side hold: a
   * message is delivered when all of it is there. A peer that announces more is disconnected with
   * ERR_FRAME_TOO_LARGE before a byte of it is kept.
   *
   * @default 1_048_576, as the seed's `TransportConfig`; a thousand connections then hold 1 GB at worst
   */
  maxMessageBytes?: number
}

export const framedDefaults: Readonly<{ maxMessageBytes: number }> = Object.freeze({
  maxMessageBytes: 1_048_576,
})

export function framed(carrier: Transport, options: FramedOptions = {}): MessageTransport {
  return new FramedTransport(carrier, options)
}

class FramedTransport implements MessageTransport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #carrier: Transport
  readonly #framing: Framing
  readonly #maxMessageBytes: number
  readonly #clock: Clock

  constructor(carrier: Transport, options: FramedOptions) {
    const {
      framing = lengthPrefix(),
      maxMessageBytes = framedDefaults.maxMessageBytes,
      clock = systemClock,
    } = options
    this.name = `framed+${carrier.name}`
    this.traits = Object.freeze({ ...carrier.traits, messageBoundaries: true })
    this.#carrier = carrier
    this.#framing = framing
    this.#maxMessageBytes = checkMaxMessageBytes(maxMessageBytes, framing)
    this.#clock = clock
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<MessageConnection> {
    return this.#wrap(await this.#carrier.connect(address, options))
  }

  listen(address: Address, options: ListenOptions<MessageConnection>): Promise<Listener> {
    const onConnection = (one: Connection): void => options.onConnection(this.#wrap(one))
    return this.#carrier.listen(address, { ...options, onConnection })
  }

  #wrap(connection: Connection): FramedConnection {
    const decoder = this.#framing.createDecoder(this.#maxMessageBytes)
    const facts = new LayeredFacts(this.name, connection.facts)
    const options = { clock: this.#clock, facts }
    const { encode } = this.#framing
    return new FramedConnection(connection, decoder, encode, this.#maxMessageBytes, options)
  }
}
