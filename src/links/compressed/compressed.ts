/**
 * Compressed transports: gzip, zstd or LZ4 over any byte stream or any messages.
 *
 *     const transport = compressed(tcp())
 *     const messages = compressedMessages(framed(tcp()), { algorithms: ['lz4'] })
 *
 * What is written in one tick is compressed together, in records of up to 64 KiB, and leaves at its
 * end: nothing waits for more to come. Do not compress what holds secrets beside what an attacker can
 * choose (CRIME, BREACH): the length tells; seal after compressing, `compressed(sealed(tcp()))`.
 */
import type { ConnectionRole } from '../../core/connection.ts'
import type { MessageTransport, Transport } from '../../core/transport.ts'
import { type Layer, LayerMessageTransport, LayerTransport } from '../layer/layer-transport.ts'
import { LayeredFacts } from '../layer/layered-facts.ts'
import { CompressionCodec, MAX_PAYLOAD_BYTES } from './compression-codec.ts'
import {
  type CompressedOptions,
  type CompressionSettings,
  resolveCompressedOptions,
} from './compression-options.ts'

/** Byte streams in, byte streams out. */
export function compressed(carrier: Transport, options: CompressedOptions = {}): Transport {
  return new LayerTransport(carrier, layer(resolveCompressedOptions(options), MAX_PAYLOAD_BYTES))
}

/** As `compressed`, for messages: each is compressed by itself. */
export function compressedMessages(
  carrier: MessageTransport,
  options: CompressedOptions = {},
): MessageTransport {
  const settings = resolveCompressedOptions(options)
  return new LayerMessageTransport(carrier, layer(settings, settings.maxMessageBytes))
}

function layer(settings: CompressionSettings, maxOutputBytes: number): Layer<CompressionCodec> {
  const { clock, handshakeTimeoutMs, maxHandshakes } = settings
  return Object.freeze({
    name: 'compressed',
    secures: false,
    clock,
    handshakeTimeoutMs,
    maxHandshakes,
    maxMessageBytes: maxOutputBytes,
    createCodec: (role: ConnectionRole) => new CompressionCodec(settings, role, maxOutputBytes),
    facts: (name, carrier) => new LayeredFacts(name, carrier),
  } satisfies Layer<CompressionCodec>)
}
