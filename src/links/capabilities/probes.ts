/**
 * How each capability is found out: used once, for real, on loopback or in a temporary directory. A
 * probe rejects with the reason; what it opened is closed whatever comes of it.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Address, ip, memory as memoryAddress } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { MessageConnection } from '../../core/message-connection.ts'
import type { Listener, MessageTransport, Transport } from '../../core/transport.ts'
import { nodeVersion, operatingSystem } from '../../platform/process-access.ts'
import { systemClock } from '../../platform/system-clock.ts'

export interface CapabilityProbe {
  readonly name: string
  readonly kind: 'transport' | 'feature'
  /** Resolves with details when it works. */
  run(signal: AbortSignal): Promise<Readonly<Record<string, string>> | undefined>
}

const LOOPBACK = ip('127.0.0.1', 0)

export const capabilityProbes: readonly CapabilityProbe[] = Object.freeze([
  transport('memory', async (signal) => {
    const { memory } = await import('../../transports/memory/memory-transport.ts')
    const { MemoryNetwork } = await import('../../transports/memory/memory-network.ts')
    const made = memory({ clock: systemClock, network: new MemoryNetwork() })
    await echo(made, memoryAddress('0'), signal)
  }),
  transport('tcp', async (signal) => {
    const { tcp } = await import('../../transports/tcp/tcp.ts')
    await echo(tcp(), LOOPBACK, signal)
  }),
  transport('tls', async (signal) => {
    const { tls } = await import('../../transports/tls/tls.ts')
    const { createDevCertificate } = await import('../../security/dev-certificate.ts')
    const { certificate, key, ca } = await createDevCertificate(systemClock)
    await echo(tls({ ca }), LOOPBACK, signal, tls({ credentials: { certificate, key } }))
  }),
  transport('unix', (signal) =>
    withDirectory(async (directory) => {
      const { unix } = await import('../../transports/unix/unix.ts')
      await echo(unix(), { kind: 'unix', path: join(directory, 's') }, signal)
    }),
  ),
  feature('unix-abstract', async (signal) => {
    const { unix } = await import('../../transports/unix/unix.ts')
    const path = `heddle-probe-${randomBytes(8).toString('hex')}`
    await echo(unix(), { kind: 'unix', path, abstract: true }, signal)
  }),
  transport('udp', async (signal) => {
    const { engine, bytes } = await udpEcho('127.0.0.1', signal)
    return { engine, 'largest datagram': `${bytes} bytes` }
  }),
  feature('udp-multicast', async (signal) => {
    const { udp } = await import('../../transports/udp/udp.ts')
    const group = '239.255.77.77'
    const membership = { group, interface: '127.0.0.1' }
    await using receiver = await udp({ memberships: [membership] }).bind(ip('0.0.0.0', 0))
    const heard = nextDatagram(receiver, signal)
    await using sender = await udp({ multicastInterface: '127.0.0.1', multicastTtl: 0 }).bind(
      LOOPBACK,
    )
    sender.send(PAYLOAD, ip(group, receiver.address.port))
    await heard
  }),
  feature('udp-broadcast', async (signal) => {
    const { udp } = await import('../../transports/udp/udp.ts')
    await using socket = await udp({ broadcast: true }).bind(ip('0.0.0.0', 0))
    // Loopback is a network with a broadcast address on Linux; elsewhere it is a single address.
    if (operatingSystem !== 'linux') return
    const heard = nextDatagram(socket, signal)
    socket.send(PAYLOAD, ip('127.255.255.255', socket.address.port))
    await heard
  }),
  feature('ipv6', async (signal) => {
    const { tcp } = await import('../../transports/tcp/tcp.ts')
    await echo(tcp(), ip('::1', 0), signal)
    await udpEcho('::1', signal)
  }),
  feature('reuse-port', async () => {
    const { tcp } = await import('../../transports/tcp/tcp.ts')
    const shared = tcp({ reusePort: true })
    const listen = (at: Address): Promise<Listener> => shared.listen(at, { onConnection: destroy })
    await using first = await listen(LOOPBACK)
    await using second = await listen(first.address)
    void second
  }),
  feature('fast-sockets', async () => {
    const { handleEngineProblem } = await import('../../transports/node-stream/handle-engine.ts')
    const problem = await handleEngineProblem(systemClock)
    if (problem !== undefined) throw new Error(problem)
  }),
  transport('ws', async (signal) => {
    const { webSocket } = await import('../websocket/websocket.ts')
    await echoMessage(webSocket(), LOOPBACK, signal)
  }),
  transport('quic', async () => {
    const { quicAvailability } = await import('../../transports/quic/quic-availability.ts')
    const { available, reason, driver = '', details } = quicAvailability()
    if (!available) throw new Error(reason)
    return { driver, ...details }
  }),
  feature('quic-datagrams', async () => {
    const { quicAvailability } = await import('../../transports/quic/quic-availability.ts')
    const { available, reason, driver = '', details } = quicAvailability('quiche')
    if (!available) throw new Error(reason)
    return { driver, ...details }
  }),
  transport('webrtc', async () => {
    const { webRtcAvailability } = await import(
      '../../transports/webrtc/node-datachannel-driver.ts'
    )
    const { available, reason, driver = '' } = await webRtcAvailability()
    if (!available) throw new Error(reason)
    return { driver }
  }),
  ...(['gzip', 'br', 'zstd', 'lz4'] as const).map((name) =>
    feature(name, async () => {
      const { nodeHost } = await import('../../platform/node-host.ts')
      if (nodeHost.compression[name] === undefined) {
        throw new Error(`this Node (${nodeVersion}) has no ${name}`)
      }
    }),
  ),
])

type Run = (signal: AbortSignal) => Promise<Readonly<Record<string, string>> | undefined | void>

function transport(name: string, run: Run): CapabilityProbe {
  return { name, kind: 'transport', run: run as CapabilityProbe['run'] }
}

function feature(name: string, run: Run): CapabilityProbe {
  return { name, kind: 'feature', run: run as CapabilityProbe['run'] }
}

/** Connects, sends a few bytes, and waits until they come back. */
async function echo(
  client: Transport,
  at: Address,
  signal: AbortSignal,
  server: Transport = client,
): Promise<void> {
  const listener = await server.listen(at, { onConnection: echoBack })
  try {
    const connection = await client.connect(listener.address, { signal })
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => connection.destroy(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      let heard = 0
      connection.open({
        onData(chunk) {
          heard += chunk.length
          if (heard >= PAYLOAD.length) connection.destroy()
        },
        onDrain() {},
        onEnd() {},
        onClose(reason) {
          signal.removeEventListener('abort', stop)
          if (heard >= PAYLOAD.length) resolve()
          else reject(reason ?? new Error('the connection ended before the answer'))
        },
      })
      connection.write(PAYLOAD)
    })
  } finally {
    await closeNow(listener)
  }
}

function echoBack(connection: Connection): void {
  connection.open({
    onData: (chunk) => void connection.write(chunk.slice()),
    onDrain() {},
    onEnd: () => connection.end(),
    onClose() {},
  })
}

async function echoMessage(
  transport: MessageTransport,
  at: Address,
  signal: AbortSignal,
): Promise<void> {
  const listener = await transport.listen(at, { onConnection: echoMessageBack })
  try {
    const connection = await transport.connect(listener.address, { signal })
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => connection.destroy(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      let done = false
      connection.open({
        onMessage() {
          done = true
          connection.destroy()
        },
        onDrain() {},
        onEnd() {},
        onClose(reason) {
          signal.removeEventListener('abort', stop)
          if (done) resolve()
          else reject(reason ?? new Error('the connection ended before the answer'))
        },
      })
      connection.send(PAYLOAD)
    })
  } finally {
    await closeNow(listener)
  }
}

function echoMessageBack(connection: MessageConnection): void {
  connection.open({
    onMessage: (message) => void connection.send(message.slice()),
    onDrain() {},
    onEnd: () => connection.end(),
    onClose() {},
  })
}

async function udpEcho(
  host: string,
  signal: AbortSignal,
): Promise<{ readonly engine: string; readonly bytes: number }> {
  const { udp } = await import('../../transports/udp/udp.ts')
  await using server = await udp().bind(ip(host, 0))
  server.open({
    onDatagram: (payload, from) => void server.send(payload, from),
    onError() {},
    onClose() {},
  })
  await using client = await udp().connect(server.address)
  const heard = nextDatagram(client, signal)
  client.send(PAYLOAD)
  await heard
  return { engine: client.engine, bytes: client.maxPayloadBytes }
}

interface Receiver {
  open(handler: {
    onDatagram(payload: Uint8Array): void
    onError(error: Error): void
    onClose(): void
  }): void
}

function nextDatagram(socket: Receiver, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    socket.open({
      onDatagram: () => resolve(),
      onError: reject,
      onClose: () => reject(new Error('the socket closed before the answer')),
    })
  })
}

async function withDirectory(work: (directory: string) => Promise<void>): Promise<undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'heddle-probe-'))
  try {
    await work(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
  return undefined
}

function closeNow(listener: Listener): Promise<void> {
  return listener.close({ signal: AbortSignal.abort() })
}

function destroy(connection: Connection): void {
  connection.destroy()
}

const PAYLOAD = Uint8Array.of(104, 101, 100, 100, 108, 101)
