/**
 * The transport kit run against what others made: Node's own sockets, streams of `ws`, and the TCP of
 * js-libp2p. Each is wrapped as thinly as it can be. What the kit reports is pinned here, property by
 * property, so that a change on either side is noticed; docs/transport-differences.md explains each.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import type { MultiaddrConnection, Upgrader } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { tcp as libp2pTcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'
import { ip } from '../src/core/address.ts'
import { CollectingHarness } from '../src/testing/harness.ts'
import { transportConformance } from '../src/testing/transport-conformance.ts'
import { realFixture } from '../test/transports/real-fixture.ts'
import {
  type ForeignTransport,
  foreignTransport,
  MessageStreamDuplex,
} from './support/foreign-transport.ts'

const net: ForeignTransport = {
  name: 'net',
  halfClose: true,
  async connect({ host, port }, signal) {
    const socket = connect({
      host,
      port,
      allowHalfOpen: true,
      noDelay: true,
      ...(signal && { signal }),
    })
    await once(socket, 'connect')
    return socket
  },
  async listen(accept) {
    const server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true },
      accept,
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      port: (server.address() as AddressInfo).port,
      stop: () => new Promise((done) => server.close(() => done())),
    }
  },
}

/** WebSocket has no half-close, so the stream must not claim it. */
const ONE_END = { allowHalfOpen: false }

const ws: ForeignTransport = {
  name: 'ws',
  halfClose: false,
  async connect({ host, port }) {
    const socket = new WebSocket(`ws://${host}:${port}`)
    const stream = createWebSocketStream(socket, ONE_END)
    const heard = () => {} // `open` says what the stream would say as well
    stream.on('error', heard)
    await once(socket, 'open')
    stream.off('error', heard)
    return stream
  },
  async listen(accept) {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    server.on('connection', (socket) => accept(createWebSocketStream(socket, ONE_END)))
    await once(server, 'listening')
    return {
      port: (server.address() as AddressInfo).port,
      stop: () => new Promise((done) => server.close(() => done())),
    }
  },
}

const libp2p: ForeignTransport = {
  name: 'libp2p',
  // `close` ends both directions: see docs/transport-differences.md.
  halfClose: false,
  async connect({ host, port }, signal = AbortSignal.timeout(10_000)) {
    const { transport, upgrader } = plainLibp2p()
    const dialled = await transport.dial(multiaddr(`/ip4/${host}/tcp/${port}`), {
      upgrader,
      signal,
    })
    return new MessageStreamDuplex(dialled as unknown as MultiaddrConnection)
  },
  async listen(accept) {
    const { transport, upgrader } = plainLibp2p((inbound) =>
      accept(new MessageStreamDuplex(inbound)),
    )
    const server = transport.createListener({ upgrader })
    await server.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
    const port = Number(server.getAddrs()[0]?.toString().split('/').at(-1))
    return { port, stop: () => server.close() }
  },
}

/** Without handshakes and muxers: connections come as they are. */
function plainLibp2p(onInbound: (connection: MultiaddrConnection) => void = () => {}) {
  const upgrader = {
    upgradeOutbound: async (connection: MultiaddrConnection) => connection,
    upgradeInbound: async (connection: MultiaddrConnection) => onInbound(connection),
    createInboundAbortSignal: (signal: AbortSignal) => signal,
  } as unknown as Upgrader
  return { transport: libp2pTcp()({ logger: defaultLogger() }), upgrader }
}

/** About listeners, names and attempts: those are the wrapper's here, not the library's. */
const WRAPPERS =
  /listen|connect|abort|deadline|signal|address|facts|accept|ids?\b|nobody|timers|last connection/i

/** Properties that do not hold, by library. */
const DIFFERENCES: Readonly<Record<string, readonly string[]>> = {
  net: [],
  ws: ['hears nothing of its peer after destroy but the close'],
  libp2p: [
    'closes cleanly when both end at once',
    'closes while it is paused',
    'delivers what was put back, what came meanwhile, the end and the close in this order',
    'drops what is written after end',
    'ends both directions inside one onData',
    'tells both ends data, then the end, then the close',
  ],
}

for (const foreign of [net, ws, libp2p]) {
  test(`the kit against ${foreign.name} reports what is known`, { timeout: 240_000 }, async (t) => {
    const harness = new CollectingHarness()
    const transport = foreignTransport(foreign)
    transportConformance(
      foreign.name,
      {
        traits: transport.traits,
        maxTurns: 20_000,
        create: () => {
          const { leaks: _, ...fixture } = realFixture(transport, ip('127.0.0.1', 0))
          return fixture
        },
      },
      harness,
    )
    const results = await harness.run()
    const about = results.filter(({ name }) => !WRAPPERS.test(propertyOf(name)))
    const failed = about.filter(({ outcome }) => outcome === 'failed')
    for (const { name, error } of failed) t.diagnostic(`${name}: ${(error as Error).message}`)
    const count = (wanted: string) => about.filter(({ outcome }) => outcome === wanted).length
    t.diagnostic(
      `${count('passed')} hold, ${failed.length} do not, ${count('skipped')} do not apply`,
    )
    const names = failed.map(({ name }) => propertyOf(name))
    assert.deepEqual(names.sort(), [...(DIFFERENCES[foreign.name] ?? [])].sort())
  })
}

function propertyOf(title: string): string {
  return title.slice(title.indexOf(' transport: ') + ' transport: '.length)
}
