/**
 * The whole gateway without a socket: server, route, cluster's client stack, pool, client connection
 * and back. As under load, all requests of a turn come before the first answer of an upstream.
 */

import { dns } from '../../src/discovery/dns.ts'
import { loadConfig } from '../../src/gateway/config/load.ts'
import { startGateway } from '../../src/gateway/gateway.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { jsonLogger } from '../../src/telemetry/log.ts'
import type { Benchmark, Variant } from '../benchmark.ts'
import { NullConnection, nullTransport } from './null-transport.ts'

const CONFIG = `
admin: { enabled: false }
listeners:
  - { name: http, address: '127.0.0.1:1' }
routes:
  - cluster: upstream
clusters:
  - { name: upstream, endpoints: ['127.0.0.1:2'] }
`
/** As many as the macro benchmark has. */
const CONNECTIONS = 64

interface Wired {
  readonly clients: readonly NullConnection[]
  /** Upstream connections that were written to and have not answered yet. */
  readonly asked: NullConnection[]
}

async function wire(bodyBytes: number): Promise<Wired> {
  const asked: NullConnection[] = []
  const transport = nullTransport(() => {
    const connection = new NullConnection()
    // An answer before the end of the request would cost the connection.
    let answered = 0
    connection.onWrite = () => {
      if (connection.bytes - answered < bodyBytes) return
      answered = connection.bytes
      asked.push(connection)
    }
    return connection
  })
  const load = () => loadConfig(CONFIG, { file: 'bench', environment: () => undefined })
  const loaded = load()
  if (!loaded.ok) throw new Error(loaded.problems[0]?.message)
  await startGateway(loaded, {
    clock: systemClock,
    random: nodeHost.random,
    host: nodeHost,
    transports: {
      plain: () => transport,
      serverTls: async () => ({ transport, prepare: async () => () => {} }),
      clientTls: async () => transport,
    },
    names: (maxTtlMs) => dns({ clock: systemClock, random: nodeHost.random, maxTtlMs }),
    log: jsonLogger(() => {}, systemClock),
    version: 'bench',
    process: undefined,
    writeOut: () => {},
    writeErr: () => {},
    file: undefined,
    load: async () => load(),
    descriptor: () => undefined,
  })
  const clients = Array.from({ length: CONNECTIONS }, () => new NullConnection())
  for (const client of clients) transport.accept?.(client)
  return { clients, asked }
}

function answer(bytes: number): Buffer {
  const head = [
    'HTTP/1.1 200 OK',
    'Content-Type: application/octet-stream',
    'Date: Thu, 01 Jan 2026 00:00:00 GMT',
    'Server: canned',
    'Cache-Control: no-store',
    `Content-Length: ${bytes}`,
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${'y'.repeat(bytes)}`)
}

async function variant(request: string, response: Buffer, pieces: number): Promise<Variant> {
  const { clients, asked } = await wire(bodyLength(request))
  const input = Buffer.from(request)
  const pieceBytes = Math.ceil(response.length / pieces)
  const answerAll = (): void => {
    for (const connection of asked.splice(0)) {
      for (let at = 0; at < response.length; at += pieceBytes) {
        deliver(connection, response.subarray(at, at + pieceBytes))
      }
    }
  }
  return {
    async run(count) {
      for (let done = 0; done < count; done += CONNECTIONS) {
        const goal = clients.map((client) => client.bytes + response.length - SHORTER)
        for (const client of clients) deliver(client, input)
        while (clients.some((client, at) => client.bytes < (goal[at] as number))) {
          await turn()
          answerAll()
        }
      }
    },
  }
}

/** As a socket does: in a call of its own, behind which ticks and promises run. */
function deliver(connection: NullConnection, bytes: Uint8Array): void {
  setImmediate(() => connection.handler?.onData(bytes))
}

function bodyLength(request: string): number {
  return request.length - request.indexOf('\r\n\r\n') - 4
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

const GET = 'GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n'
const POST = `POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 1024\r\n\r\n${'x'.repeat(1024)}`
/** Heads may come out shorter than they went in; bodies may not. */
const SHORTER = 100

export const benchmark: Benchmark = {
  about: 'passes a request on and its answer back, through the whole gateway, without a socket',
  variants: {
    'GET of 1 KB': () => variant(GET, answer(1024), 1),
    'POST of 1 KB': () => variant(POST, answer(1024), 1),
    'GET of 64 KB, in two pieces': () => variant(GET, answer(65_536), 2),
  },
}
