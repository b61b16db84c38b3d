/**
 * A transport of long messages made of a transport of short ones: what is over the largest message
 * of a data channel goes in pieces (protocols/framing/fragments.ts).
 *
 *     fragmented(webRtc({ signalling }))
 *
 * Both ends need it: a peer without it would see the pieces.
 */
import type { Address } from '../../core/address.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type {
  ConnectOptions,
  Listener,
  ListenOptions,
  MessageTransport,
  TransportBaseOptions,
  TransportTraits,
} from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import {
  type FragmentOptions,
  fragmentDefaults,
  MIN_PIECE_BYTES,
} from '../../protocols/framing/fragments.ts'
import { FragmentedConnection, type FragmentedSettings } from './fragmented-connection.ts'

export interface FragmentedOptions extends FragmentOptions, TransportBaseOptions {
  /**
   * Longest message given to the carrier; less where the carrier takes less. Short ones let other
   * channels of the same peers in between.
   *
   * @default 65_536
   */
  maxPieceBytes?: number
}

export const fragmentedDefaults: Readonly<Required<Omit<FragmentedOptions, 'clock'>>> =
  Object.freeze({
    ...fragmentDefaults,
    maxPieceBytes: 65_536, // every WebRTC library of today takes it
  })

export function fragmented(
  carrier: MessageTransport,
  options: FragmentedOptions = {},
): MessageTransport {
  return new FragmentedTransport(carrier, settingsOf(options))
}

/** As {@link fragmented}, for one connection, not opened yet. */
export function fragmentedMessages(
  carrier: MessageConnection,
  options: FragmentedOptions = {},
): FragmentedConnection {
  return wrap(carrier, settingsOf(options))
}

class FragmentedTransport implements MessageTransport {
  readonly name: string
  readonly traits: TransportTraits
  readonly #carrier: MessageTransport
  readonly #settings: FragmentedSettings

  constructor(carrier: MessageTransport, settings: FragmentedSettings) {
    this.name = carrier.name
    this.traits = carrier.traits
    this.#carrier = carrier
    this.#settings = settings
  }

  async connect(address: Address, options?: ConnectOptions): Promise<MessageConnection> {
    return wrap(await this.#carrier.connect(address, options), this.#settings)
  }

  listen(address: Address, options: ListenOptions<MessageConnection>): Promise<Listener> {
    return this.#carrier.listen(address, {
      ...options,
      onConnection: (carrier) => options.onConnection(wrap(carrier, this.#settings)),
    })
  }
}

function wrap(carrier: MessageConnection, settings: FragmentedSettings): FragmentedConnection {
  if (carrier.maxMessageBytes < MIN_PIECE_BYTES) {
    const text = `its messages have ${carrier.maxMessageBytes} bytes, fewer than ${MIN_PIECE_BYTES}`
    const error = new UsageError('ERR_ARGUMENT', `cannot send pieces: ${text}`)
    carrier.destroy(error)
    throw error
  }
  return new FragmentedConnection(carrier, settings)
}

function settingsOf(options: FragmentedOptions): FragmentedSettings {
  const {
    clock = systemClock,
    maxPieceBytes = fragmentedDefaults.maxPieceBytes,
    maxMessageBytes = fragmentedDefaults.maxMessageBytes,
    maxIncomplete = fragmentedDefaults.maxIncomplete,
    maxBufferedBytes = fragmentedDefaults.maxBufferedBytes,
    fragmentTimeoutMs = fragmentedDefaults.fragmentTimeoutMs,
  } = options
  checkInteger('maxPieceBytes', maxPieceBytes, MIN_PIECE_BYTES, 0x4000_0000)
  // The rest is checked where it is used; here, so that nothing is connected first.
  const limits = { maxMessageBytes, maxIncomplete, maxBufferedBytes, fragmentTimeoutMs }
  for (const [name, value] of Object.entries(limits)) checkInteger(name, value, 1, 2 ** 40)
  return { clock, maxPieceBytes, ...limits }
}
