/**
 * Two ends of every transport in this process, for the benchmarks that compare them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Connection } from '../../src/core/connection.ts'
import { streamTransportFor, transportFor } from '../../src/links/selection/transport-for.ts'
import type { TransportOptionSets } from '../../src/links/selection/transport-registry.ts'
import { memorySignalling } from '../../src/links/webrtc-signalling/memory-signalling.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { createDevCertificate } from '../../src/security/dev-certificate.ts'

export const TRANSPORTS = [
  'tcp',
  'memory',
  'unix',
  'udp',
  'tls',
  'ws',
  'wss',
  'quic',
  'webrtc',
] as const
export type TransportName = (typeof TRANSPORTS)[number]

export interface BenchPair {
  /** From the near end. */
  send(payload: Uint8Array): void
  close(): Promise<void>
}

/**
 * @param far `echo`: it sends back what it hears; `count`: it keeps it
 * @param onBytes what came back, or what arrived
 */
export async function openPair(
  name: TransportName,
  far: 'echo' | 'count',
  onBytes: (bytes: number) => void,
): Promise<BenchPair> {
  return name === 'udp' ? openDatagrams(far, onBytes) : openStream(name, far, onBytes)
}

async function openDatagrams(
  far: 'echo' | 'count',
  onBytes: (bytes: number) => void,
): Promise<BenchPair> {
  const loaded = await transportFor('udp://127.0.0.1:0')
  if (loaded.kind !== 'datagrams') throw new Error('udp is datagrams')
  const server = await loaded.transport.bind(loaded.address)
  const ignored = { onError() {}, onClose() {} }
  server.open({
    ...ignored,
    onDatagram(payload, from) {
      if (far === 'echo') server.send(payload, from)
      else onBytes(payload.length)
    },
  })
  const client = await loaded.transport.connect(server.address)
  client.open({ ...ignored, onDatagram: (payload) => onBytes(payload.length) })
  return {
    send: (payload) => void client.send(payload),
    async close() {
      await Promise.all([client.close(), server.close()])
    },
  }
}

async function openStream(
  name: Exclude<TransportName, 'udp'>,
  far: 'echo' | 'count',
  onBytes: (bytes: number) => void,
): Promise<BenchPair> {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-bench-'))
  const { certificate, key, ca } = await createDevCertificate(systemClock)
  const credentials = { certificate, key }
  const webRtc = { signalling: memorySignalling() }
  const server: TransportOptionSets = {
    tls: { credentials },
    quic: { credentials, alpn: ['x'] },
    webRtc,
  }
  const client: TransportOptionSets = { tls: { ca }, quic: { ca, alpn: ['x'] }, webRtc }
  const url = {
    tcp: 'tcp://127.0.0.1:0',
    memory: 'mem:0',
    unix: `unix:${join(directory, 's')}`,
    tls: 'tls://127.0.0.1:0',
    ws: 'ws://127.0.0.1:0/',
    wss: 'wss://127.0.0.1:0/',
    quic: 'quic://127.0.0.1:0',
    webrtc: 'webrtc://0',
  }[name]
  const near = await streamTransportFor(url, client)
  const remote = await streamTransportFor(url, server)
  const ends: Connection[] = []
  const listener = await remote.transport.listen(remote.address, {
    onConnection(connection) {
      ends.push(connection)
      const queue = new Queue(connection)
      connection.open({
        onData(chunk) {
          if (far === 'echo') queue.send(chunk.slice())
          else onBytes(chunk.length)
        },
        onDrain: () => queue.flush(),
        onEnd() {},
        onClose() {},
      })
    },
  })
  const connection = await near.transport.connect(listener.address)
  ends.push(connection)
  const queue = new Queue(connection)
  connection.open({
    onData: (chunk) => onBytes(chunk.length),
    onDrain: () => queue.flush(),
    onEnd() {},
    onClose() {},
  })
  return {
    send: (payload) => queue.send(payload),
    async close() {
      for (const end of ends) end.destroy()
      await listener.close({ signal: AbortSignal.abort() })
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** What did not fit waits for the drain. */
class Queue {
  readonly #connection: Connection
  #waiting: Uint8Array[] = []
  #stuck = false

  constructor(connection: Connection) {
    this.#connection = connection
  }

  send(payload: Uint8Array): void {
    if (this.#stuck) this.#waiting.push(payload)
    else this.#stuck = !this.#connection.write(payload)
  }

  flush(): void {
    this.#stuck = false
    const waiting = this.#waiting
    this.#waiting = []
    for (const payload of waiting) this.send(payload)
  }
}
