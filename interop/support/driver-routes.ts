/**
 * The ways an unmodified driver takes to its real server:
 *
 *     driver ── Duplex ── one of our transports ── splice ── TCP ── the server
 */
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Address,
  ip,
  memory as memoryAddress,
  unix as unixAddress,
} from '../../src/core/address.ts'
import { toError } from '../../src/core/errors.ts'
import type { Transport } from '../../src/core/transport.ts'
import { byteStream } from '../../src/links/byte-stream/byte-stream.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { splice } from '../../src/runtime/splice.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { type ConnectionDuplex, dialDuplex } from '../../src/transports/node-stream/to-duplex.ts'
import { quicAvailability } from '../../src/transports/quic/quic-availability.ts'
import { quicStreams } from '../../src/transports/quic/quic-streams.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { tls } from '../../src/transports/tls/tls.ts'
import { unix } from '../../src/transports/unix/unix.ts'

export interface DriverRoute {
  readonly name: string
  /** False, or why it cannot be tried here. */
  readonly skip: false | string
  open(): Promise<{ transport: Transport; address: Address; dispose?(): void | Promise<void> }>
}

const clock = systemClock
const loopback = ip('127.0.0.1', 0)
const quicState = quicAvailability()

export const DRIVER_ROUTES: readonly DriverRoute[] = [
  {
    name: 'memory',
    skip: false,
    open: async () => ({
      transport: memory({ clock, network: new MemoryNetwork() }),
      address: memoryAddress('driver'),
    }),
  },
  {
    name: 'a Unix socket',
    skip: process.platform === 'win32' && 'Windows has no Unix sockets here',
    async open() {
      const folder = await mkdtemp(join(tmpdir(), 'heddle-route-'))
      return {
        transport: unix(),
        address: unixAddress(join(folder, 'socket')),
        dispose: () => rmSync(folder, { recursive: true, force: true }),
      }
    },
  },
  {
    name: 'TLS',
    skip: false,
    open: async () => ({ transport: tls(await identity()), address: loopback }),
  },
  {
    name: 'WebSocket',
    skip: false,
    open: async () => ({ transport: byteStream(webSocket()), address: loopback }),
  },
  {
    name: 'QUIC',
    skip: quicState.available ? false : (quicState.reason ?? 'no QUIC here'),
    async open() {
      const transport = quicStreams(await identity())
      return { transport, address: loopback, dispose: () => transport.close() }
    },
  },
]

export interface DriverRelay extends AsyncDisposable {
  /** A new stream through the relay, connecting by itself. */
  stream(): ConnectionDuplex
}

/** What arrives over `route` goes on to `port`. */
export async function relay(route: DriverRoute, port: number): Promise<DriverRelay> {
  const { transport, address, dispose } = await route.open()
  const upstream = tcp()
  const listener = await transport.listen(address, {
    async onConnection(near) {
      try {
        splice(near, await upstream.connect(ip('127.0.0.1', port)))
      } catch (error) {
        near.destroy(toError(error))
      }
    },
  })
  return {
    stream: () => dialDuplex(transport, listener.address, { serverName: 'localhost' }),
    async [Symbol.asyncDispose]() {
      await listener.close({ signal: AbortSignal.timeout(5_000) })
      await dispose?.()
    },
  }
}

async function identity() {
  const authority = await DevAuthority.create(clock)
  return { credentials: await authority.issue(), ca: authority.ca }
}
