/**
 * Many streams over one connection of any byte-stream transport, by yamux.
 *
 *     const connections = yamux(tls())            // a MultiplexedTransport
 *     const transport = yamuxStreams(tls())       // a Transport: each connect is a stream
 */
import type { Address } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { Connection } from '../../core/connection.ts'
import { checkInteger } from '../../core/errors.ts'
import type { MultiplexedConnection } from '../../core/multiplexed-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MultiplexedTransport,
  Transport,
  TransportBaseOptions,
  TransportTraits,
} from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { resolveYamuxOptions, type YamuxOptions } from '../../protocols/yamux/options.ts'
import { YamuxConnection, type YamuxConnectionSettings } from './yamux-connection.ts'

export interface YamuxTransportOptions extends YamuxOptions, TransportBaseOptions {
  /**
   * The window of a stream, in bytes: what its peer may send beyond what was taken. The first 262,144
   * are the specification's and cannot be less. Of all streams together `maxBufferedBytes` may be
   * held: that is the window of the connection.
   *
   * @default 393_216: the first window, and half of one on its way back, so that a sender never waits
   *   for a reader that keeps up
   */
  streamWindowBytes?: number
}

export const yamuxTransportDefaults: Readonly<{ streamWindowBytes: number }> = Object.freeze({
  streamWindowBytes: 393_216,
})

/** Connections of many streams. */
export function yamux(
  carrier: Transport,
  options: YamuxTransportOptions = {},
): MultiplexedTransport {
  return new YamuxTransport(carrier, options)
}

export class YamuxTransport implements MultiplexedTransport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #carrier: Transport
  readonly #settings: YamuxConnectionSettings

  constructor(carrier: Transport, options: YamuxTransportOptions) {
    const {
      clock = systemClock,
      streamWindowBytes = yamuxTransportDefaults.streamWindowBytes,
      ...session
    } = options
    this.name = `yamux+${carrier.name}`
    // A stream ends each way by itself, whatever the carrier can do.
    this.traits = Object.freeze({ ...carrier.traits, halfClose: true })
    this.#carrier = carrier
    const window = checkInteger('streamWindowBytes', streamWindowBytes, MIN_WINDOW, 0x4000_0000)
    this.#settings = Object.freeze({
      name: this.name,
      clock,
      session: resolveYamuxOptions(session),
      creditBytes: window - FIRST_WINDOW,
    })
  }

  get clock(): Clock {
    return this.#settings.clock
  }

  async connect(address: Address, options: ConnectOptions = {}): Promise<YamuxConnection> {
    return this.#wrap(await this.#carrier.connect(address, options))
  }

  listen(address: Address, options: ListenOptions<MultiplexedConnection>): Promise<Listener> {
    return this.listenFor(address, options)
  }

  /** As `listen`, with the connections as they are. */
  listenFor(address: Address, options: ListenOptions<YamuxConnection>): Promise<Listener> {
    const onConnection = (one: Connection): void => options.onConnection(this.#wrap(one))
    return this.#carrier.listen(address, { ...options, onConnection })
  }

  #wrap(carried: Connection): YamuxConnection {
    return new YamuxConnection(carried, this.#settings)
  }
}

const FIRST_WINDOW = 262_144
/** Credit is told in halves of a window. */
const MIN_WINDOW = FIRST_WINDOW + FIRST_WINDOW / 2
