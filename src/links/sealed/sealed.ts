/**
 * Sealed transports: AES-256-GCM or ChaCha20-Poly1305 under a key that both sides hold beforehand, over
 * any byte stream or any messages.
 *
 *     const transport = sealed(tcp(), { keys: [{ id: '2026-01', key: process.env.LINK_KEY }] })
 *
 * This is a record layer for pre-shared keys and no more. Whoever learns the key can read everything
 * that was ever recorded under it: **there is no forward secrecy**. All holders of a key are the same
 * to each other. Where certificates can be had, use TLS (`heddle/tls`); where peers have key pairs,
 * use Noise by a library. docs/layers.md says when which.
 */
import type { ConnectionFacts, SealFacts } from '../../core/connection.ts'
import type { MessageTransport, Transport } from '../../core/transport.ts'
import { type Layer, LayerMessageTransport, LayerTransport } from '../layer/layer-transport.ts'
import { LayeredFacts } from '../layer/layered-facts.ts'
import { SealCodec } from './seal-codec.ts'
import { resolveSealedOptions, type SealedOptions } from './seal-options.ts'

/** Byte streams in, byte streams out. */
export function sealed(carrier: Transport, options: SealedOptions): Transport {
  return new LayerTransport(carrier, sealLayer(options))
}

/** As `sealed`, for messages: each is sealed by itself, 21 bytes longer. */
export function sealedMessages(
  carrier: MessageTransport,
  options: SealedOptions,
): MessageTransport {
  return new LayerMessageTransport(carrier, sealLayer(options))
}

function sealLayer(options: SealedOptions): Layer<SealCodec> {
  const settings = resolveSealedOptions(options)
  const { clock, handshakeTimeoutMs, maxHandshakes } = settings
  return Object.freeze({
    name: 'sealed',
    secures: true,
    clock,
    handshakeTimeoutMs,
    maxHandshakes,
    maxMessageBytes: Number.MAX_SAFE_INTEGER, // what the carrier takes
    createCodec: (role) => new SealCodec(settings, role),
    facts: (name, carrier, codec) => new SealedFacts(name, carrier, codec),
  } satisfies Layer<SealCodec>)
}

class SealedFacts extends LayeredFacts {
  readonly #codec: SealCodec

  constructor(name: string, carrier: ConnectionFacts, codec: SealCodec) {
    super(name, carrier)
    this.#codec = codec
  }

  override get seal(): SealFacts | undefined {
    return this.#codec.facts
  }
}
