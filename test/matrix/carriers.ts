/**
 * One way to make each transport of the matrix: what listens and connects, and where.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Address,
  ip,
  memory as memoryAddress,
  unix as unixAddress,
} from '../../src/core/address.ts'
import type { Transport } from '../../src/core/transport.ts'
import { byteStream } from '../../src/links/byte-stream/byte-stream.ts'
import { compressed } from '../../src/links/compressed/compressed.ts'
import { sealed } from '../../src/links/sealed/sealed.ts'
import { httpConnectTunnel } from '../../src/links/tunnel/http-connect-tunnel.ts'
import { socksTunnel } from '../../src/links/tunnel/socks-tunnel.ts'
import { memorySignalling } from '../../src/links/webrtc-signalling/memory-signalling.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import { yamuxStreams } from '../../src/links/yamux/yamux-streams.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { createDevCertificate } from '../../src/security/dev-certificate.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { fromDuplex } from '../../src/transports/node-stream/from-duplex.ts'
import { toDuplex } from '../../src/transports/node-stream/to-duplex.ts'
import { quicAvailability } from '../../src/transports/quic/quic-availability.ts'
import { quicStreams } from '../../src/transports/quic/quic-streams.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { tls } from '../../src/transports/tls/tls.ts'
import { unix } from '../../src/transports/unix/unix.ts'
import { webRtcAvailability } from '../../src/transports/webrtc/node-datachannel-driver.ts'
import { webRtc } from '../../src/transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../../src/transports/webrtc/webrtc-address.ts'
import type { TransportName } from './matrix.ts'
import { type ForwardProxy, httpConnectProxy, socks5Proxy } from './proxies.ts'

export interface Carrier extends Disposable {
  readonly server: Transport
  readonly client: Transport
  readonly address: Address
}

const clock = systemClock

const webRtcMissing = (await webRtcAvailability()).reason

/** Why a transport cannot be had on this machine. */
export function missing(name: TransportName): string | undefined {
  if (name === 'QUIC') return quicAvailability().reason
  return name === 'WebRTC' ? webRtcMissing : undefined
}

/** Each takes what TLS agrees to. */
export const CARRIERS: Readonly<Record<TransportName, (alpn: string) => Promise<Carrier>>> = {
  TCP: async () => same(tcp(), ip('127.0.0.1', 0)),
  TLS: async (alpn) => secure(alpn, ip('127.0.0.1', 0)),
  'Unix socket': async () => {
    const folder = mkdtempSync(join(tmpdir(), 'heddle-matrix-'))
    const carrier = same(unix(), unixAddress(join(folder, 'socket')))
    return { ...carrier, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
  },
  memory: async () => same(inMemory(), memoryAddress('matrix')),
  'TLS over memory': async (alpn) => secure(alpn, memoryAddress('matrix'), inMemory()),
  WebSocket: async () => same(byteStream(webSocket()), ip('127.0.0.1', 0)),
  'WebSocket over TLS': async (alpn) => {
    const { server, client } = await secure(alpn, ip('127.0.0.1', 0))
    return {
      server: byteStream(webSocket({ secureCarrier: server })),
      client: byteStream(webSocket({ secureCarrier: client })),
      address: { kind: 'url', url: 'wss://127.0.0.1:0/' },
      [Symbol.dispose]() {},
    }
  },
  WebRTC: async () => {
    const signalling = memorySignalling()
    return same(byteStream(webRtc({ signalling, bindAddress: '127.0.0.1' })), webRtcAddress('0'))
  },
  QUIC: async () => {
    const { certificate, key, ca } = await createDevCertificate(clock)
    const server = quicStreams({ credentials: { certificate, key } })
    const client = quicStreams({ ca, serverName: 'localhost' })
    const address = ip('127.0.0.1', 0)
    return { server, client, address, [Symbol.dispose]() {} }
  },
  'yamux over TCP': async () => same(yamuxStreams(tcp()), ip('127.0.0.1', 0)),
  'sealed TCP': async () => {
    const keys = [{ id: 'matrix', key: new Uint8Array(32).fill(7) }]
    return same(sealed(tcp(), { keys }), ip('127.0.0.1', 0))
  },
  'compressed TCP': async () => same(compressed(tcp()), ip('127.0.0.1', 0)),
  'HTTP CONNECT tunnel': async () =>
    through(await httpConnectProxy(), (proxy) => httpConnectTunnel({ proxy })),
  'SOCKS tunnel': async () => through(await socks5Proxy(), (proxy) => socksTunnel({ proxy })),
  'Node Duplex': async () => same(throughDuplex(inMemory()), memoryAddress('matrix')),
}

function inMemory(): Transport {
  return memory({ clock, network: new MemoryNetwork(), strict: true })
}

function same(transport: Transport, address: Address): Carrier {
  return { server: transport, client: transport, address, [Symbol.dispose]() {} }
}

/** A tunnel connects only: what it reaches listens on TCP. */
function through(proxy: ForwardProxy, tunnel: (address: Address) => Transport): Carrier {
  return {
    server: tcp(),
    client: tunnel(proxy.address),
    address: ip('127.0.0.1', 0),
    [Symbol.dispose]: () => proxy[Symbol.dispose](),
  }
}

async function secure(alpn: string, address: Address, inner?: Transport): Promise<Carrier> {
  const { certificate, key, ca } = await createDevCertificate(clock)
  const base = { alpn: [alpn], ...(inner !== undefined && { inner }) }
  return {
    server: tls({ ...base, credentials: { certificate, key } }),
    client: tls({ ...base, ca, serverName: 'localhost' }),
    address,
    [Symbol.dispose]() {},
  }
}

/** Every byte goes through a Node stream and back, on both sides. */
function throughDuplex(inner: Transport): Transport {
  return {
    name: 'duplex',
    traits: inner.traits,
    connect: async (address, options) =>
      fromDuplex(toDuplex(await inner.connect(address, options))),
    listen: (address, options) =>
      inner.listen(address, {
        ...options,
        onConnection: (connection) =>
          options.onConnection(fromDuplex(toDuplex(connection), { role: 'accepting' })),
      }),
  }
}
