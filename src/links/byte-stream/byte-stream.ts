/**
 * A transport of byte streams made of a transport of messages: what speaks over TCP speaks over
 * WebSocket or a data channel.
 *
 *     httpServer(service).listen(byteStream(webSocket()), …)
 *
 * Name, addresses and traits are those of the message transport; only its boundaries are gone.
 */
import type { Address } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { checkInteger } from '../../core/errors.ts'
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
import { ByteStreamConnection, type ByteStreamSettings } from './byte-stream-connection.ts'

export interface ByteStreamOptions extends TransportBaseOptions {
  /**
   * Most bytes of one message; less where the message connection takes less. A receiver holds a
   * message until it is whole, so this bounds what waits there and how long the first byte does.
   *
   * @default 65_536, as much as is read from a socket at once
   */
  maxChunkBytes?: number
}

export const byteStreamDefaults: Readonly<{ maxChunkBytes: number }> = Object.freeze({
  maxChunkBytes: 65_536,
})

export function byteStream(
  messages: MessageTransport,
  options: ByteStreamOptions = {},
): ByteStreamTransport {
  return new ByteStreamTransport(messages, options)
}

/** As {@link byteStream}, for one connection, not opened yet. */
export function byteStreamConnection(
  messages: MessageConnection,
  options: ByteStreamOptions = {},
): Connection {
  return new ByteStreamConnection(messages, settingsOf(options))
}

export class ByteStreamTransport implements Transport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #messages: MessageTransport
  readonly #settings: ByteStreamSettings

  constructor(messages: MessageTransport, options: ByteStreamOptions = {}) {
    this.name = messages.name
    this.traits = Object.freeze({ ...messages.traits, messageBoundaries: false })
    this.#messages = messages
    this.#settings = settingsOf(options)
  }

  async connect(address: Address, options?: ConnectOptions): Promise<Connection> {
    const messages = await this.#messages.connect(address, options)
    return new ByteStreamConnection(messages, this.#settings)
  }

  listen(address: Address, options: ListenOptions): Promise<Listener> {
    return this.#messages.listen(address, {
      ...options,
      onConnection: (messages) =>
        options.onConnection(new ByteStreamConnection(messages, this.#settings)),
    })
  }
}

function settingsOf(options: ByteStreamOptions): ByteStreamSettings {
  const { clock = systemClock, maxChunkBytes = byteStreamDefaults.maxChunkBytes } = options
  return { clock, maxChunkBytes: checkInteger('maxChunkBytes', maxChunkBytes, 1, 0x4000_0000) }
}
