/**
 * heddle's own transports by name, each loaded when it is first asked for.
 */
import { UsageError } from '../../core/errors.ts'
import type { Transport } from '../../core/transport.ts'
import type { TransportUrl } from '../../core/transport-url.ts'
import { systemClock } from '../../platform/system-clock.ts'
import {
  type AnyTransport,
  type LoadedTransport,
  type TransportLoader,
  type TransportOptionSets,
  TransportRegistry,
} from './transport-registry.ts'

/** The transport that a URL or multiaddr names, from the registry of this process. */
export function transportFor(
  target: string | TransportUrl,
  options: TransportOptionSets = {},
): Promise<LoadedTransport> {
  return transportRegistry.load(target, options)
}

export type LoadedStream = Omit<LoadedTransport, 'kind' | 'transport'> & {
  readonly transport: Transport
}

/**
 * As {@link transportFor}, as a byte stream whatever it is: what speaks over TCP speaks over it. One
 * connection is one stream of QUIC.
 *
 * @throws UsageError ERR_OPTION_UNSUPPORTED for datagrams, which are no stream
 */
export async function streamTransportFor(
  target: string | TransportUrl,
  options: TransportOptionSets = {},
): Promise<LoadedStream> {
  const loaded = await transportFor(target, options)
  const { url, address, connectOptions } = loaded
  const rest = { url, address, connectOptions }
  switch (loaded.kind) {
    case 'stream':
      return { ...rest, transport: loaded.transport }
    case 'messages': {
      const { byteStream } = await import('../byte-stream/byte-stream.ts')
      return { ...rest, transport: byteStream(loaded.transport, options.byteStream) }
    }
    case 'multiplexed': {
      if (url.transport === 'quic') {
        const { quicStreams } = await import('../../transports/quic/quic-streams.ts')
        return { ...rest, transport: quicStreams(quicOptions(url, options)) }
      }
      break
    }
    case 'datagrams':
      break
  }
  const message = `transport ${url.transport} of ${loaded.kind} has no byte stream`
  throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
}

const LOADERS: Readonly<Record<string, TransportLoader>> = {
  async tcp(url, options): Promise<AnyTransport> {
    takeOptions(url, ['family'])
    const { tcp } = await import('../../transports/tcp/tcp.ts')
    return { kind: 'stream', transport: tcp({ ...options.tcp, ...family(url) }) }
  },

  async tls(url, options): Promise<AnyTransport> {
    takeOptions(url, ['sni', 'alpn', 'family'])
    const { tls } = await import('../../transports/tls/tls.ts')
    const { tls: set } = options
    const tcp = { ...set?.tcp, ...family(url) }
    return { kind: 'stream', transport: tls({ ...set, ...alpn(url), tcp }) }
  },

  async unix(url, options): Promise<AnyTransport> {
    takeOptions(url, [])
    const { unix } = await import('../../transports/unix/unix.ts')
    return { kind: 'stream', transport: unix(options.unix) }
  },

  async memory(url, options): Promise<AnyTransport> {
    takeOptions(url, [])
    const { memory } = await import('../../transports/memory/memory-transport.ts')
    return { kind: 'stream', transport: memory({ clock: systemClock, ...options.memory }) }
  },

  async udp(url, options): Promise<AnyTransport> {
    takeOptions(url, ['family'])
    const { udp } = await import('../../transports/udp/udp.ts')
    return { kind: 'datagrams', transport: udp({ ...options.udp, ...family(url) }) }
  },

  async quic(url, options): Promise<AnyTransport> {
    takeOptions(url, ['sni', 'alpn'])
    const { quic } = await import('../../transports/quic/quic.ts')
    return { kind: 'multiplexed', transport: quic(quicOptions(url, options)) }
  },

  ws: loadWebSocket,
  wss: loadWebSocket,

  async webrtc(url, options): Promise<AnyTransport> {
    takeOptions(url, [])
    if (options.webRtc === undefined) {
      const message = 'transport webrtc needs the option webRtc: no URL can make its signalling'
      throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
    }
    const { webRtc } = await import('../../transports/webrtc/webrtc.ts')
    return { kind: 'messages', transport: webRtc(options.webRtc) }
  },
}

/** What `transportFor` uses. Transports that are registered here are there for the whole process. */
export const transportRegistry: TransportRegistry = new TransportRegistry(LOADERS)

async function loadWebSocket(
  url: TransportUrl,
  options: TransportOptionSets,
): Promise<AnyTransport> {
  takeOptions(url, ['sni', 'family'])
  const { webSocket } = await import('../websocket/websocket.ts')
  const { webSocket: set, tcp, tls } = options
  if (set?.carrier !== undefined || set?.secureCarrier !== undefined) {
    return { kind: 'messages', transport: webSocket(set) }
  }
  const ip = family(url)
  if (url.transport === 'wss') {
    const { tls: secure } = await import('../../transports/tls/tls.ts')
    const secureCarrier = secure({ ...tls, tcp: { ...tls?.tcp, ...ip } })
    return { kind: 'messages', transport: webSocket({ ...set, secureCarrier }) }
  }
  if (url.address.kind !== 'ip') return { kind: 'messages', transport: webSocket(set) }
  const { tcp: plain } = await import('../../transports/tcp/tcp.ts')
  return { kind: 'messages', transport: webSocket({ ...set, carrier: plain({ ...tcp, ...ip }) }) }
}

function quicOptions(
  url: TransportUrl,
  options: TransportOptionSets,
): TransportOptionSets['quic'] & object {
  return { ...options.quic, ...alpn(url) }
}

/** An option of the URL that nobody takes would be one that is silently not heeded. */
function takeOptions(url: TransportUrl, known: readonly string[]): void {
  for (const name of Object.keys(url.options)) {
    if (known.includes(name)) continue
    const message = `transport ${url.transport} has no option '${name}' in its URL`
    throw new UsageError('ERR_OPTION_UNKNOWN', message)
  }
}

function family(url: TransportUrl): { family?: 4 | 6 } {
  const { family: text } = url.options
  if (text === undefined) return {}
  if (text === '4' || text === '6') return { family: Number(text) as 4 | 6 }
  throw new UsageError('ERR_OPTION_RANGE', `family is '${text}' in a URL, must be 4 or 6`)
}

function alpn(url: TransportUrl): { alpn?: readonly string[] } {
  const { alpn: text } = url.options
  return text === undefined ? {} : { alpn: text.split(',') }
}
