/**
 * WebSocket echo servers, each message answered by itself, against `ws` with `bufferutil`; and a bare
 * socket that sends back what came, for what the frames cost.
 */
import { WebSocket } from 'ws'
import { type Contestant, script } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import type { MemoryScenario } from '../harness/memory.ts'
import { samplePayload } from '../load/websocket-frames.ts'
import { ratioAim, type Suite } from './suite.ts'

const ws = script({ name: 'ws', setup: 'with bufferutil', file: 'websocket-ws.ts' })
const heddle = script({
  name: 'heddle',
  setup: 'webSocket(), defaults',
  file: 'websocket-heddle.ts',
})
const wide = script({
  name: 'heddle, 256 KB reads',
  setup: 'tcp({ readBufferBytes: 262_144 })',
  file: 'websocket-heddle.ts',
  variant: 'wide',
})
const bare = script({
  name: 'bare socket',
  setup: 'node:net, answers made beforehand, frames not looked at',
  file: 'websocket-bare.ts',
})
const deflated = [
  script({
    name: 'ws',
    setup: 'perMessageDeflate: true',
    file: 'websocket-ws.ts',
    variant: 'deflate',
  }),
  script({
    name: 'heddle',
    setup: 'compression: true',
    file: 'websocket-heddle.ts',
    variant: 'deflate',
  }),
]

interface Shape {
  readonly name: string
  readonly description: string
  readonly connections: number
  readonly depth: number
  readonly messageBytes: number
  readonly deflate?: boolean
  readonly contestants?: readonly Contestant[]
}

const shapes: readonly Shape[] = [
  {
    name: 'ws-64b',
    description: '64 B, 64 in flight on one connection',
    connections: 1,
    depth: 64,
    messageBytes: 64,
  },
  {
    name: 'ws-1k',
    description: '1 KB, 64 in flight on one connection',
    connections: 1,
    depth: 64,
    messageBytes: 1_024,
  },
  {
    name: 'ws-64b-many',
    description: '64 B, one in flight on each of 100 connections',
    connections: 100,
    depth: 1,
    messageBytes: 64,
  },
  {
    name: 'ws-1k-many',
    description: '1 KB, one in flight on each of 100 connections',
    connections: 100,
    depth: 1,
    messageBytes: 1_024,
  },
  {
    name: 'ws-64k',
    description: '64 KB, one in flight on each of 8 connections',
    connections: 8,
    depth: 1,
    messageBytes: 65_536,
    contestants: [ws, heddle, wide, bare],
  },
  {
    name: 'ws-deflate',
    description: '1 KB of JSON with permessage-deflate, 64 in flight on one connection',
    connections: 1,
    depth: 64,
    messageBytes: 1_024,
    deflate: true,
    contestants: deflated,
  },
]

/** Clients, 64 messages in flight on one connection. */
const clientSizes = [64, 1_024, 65_536]
const clientName = (bytes: number): string =>
  `ws-client-${bytes < 1_024 ? `${bytes}b` : `${bytes / 1_024}k`}`

const beatsWs = (text: string, atLeast: number, ...scenarios: string[]) =>
  ratioAim({ text, scenarios, against: ['ws'], figure: 'speed', atLeast })

const idle: MemoryScenario = {
  kind: 'memory',
  name: 'ws-idle',
  description: 'connections that were opened and are silent',
  contestants: [ws, heddle],
  baseline: 'ws',
  check: ({ port }) => checkEcho(port, 100, false),
  job: ({ port }, connections) => ({
    type: 'idle',
    port,
    tls: false,
    connections,
    request: { method: 'GET', path: '/', bodyBytes: 0 },
    upgrade: true,
  }),
}

export const webSocketSuite: Suite = {
  name: 'websocket',
  title: 'WebSocket echo',
  about:
    'Servers on loopback TCP, asked by raw sockets with frames made beforehand; ratios against `ws`.',
  scenarios: [...shapes.map(toScenario), ...clientSizes.map(toClientScenario), idle],
  aims: [
    beatsWs('64 B and 1 KB, 64 in flight: at least 1.8× ws', 1.8, 'ws-64b', 'ws-1k'),
    beatsWs('1 KB on 100 connections: at least 1.3× ws', 1.3, 'ws-1k-many'),
    beatsWs('64 KB: at least 2× ws', 2, 'ws-64k'),
    beatsWs('deflate: no worse than ws', 1, 'ws-deflate'),
    ratioAim({
      text: '64 B on 100 connections: at least 90 % of a bare socket',
      scenarios: ['ws-64b-many'],
      against: ['bare socket'],
      figure: 'speed',
      atLeast: 0.9,
    }),
    ratioAim({
      text: 'CPU per message below that of ws',
      scenarios: [...shapes.map(({ name }) => name), ...clientSizes.map(clientName)],
      against: ['ws'],
      figure: 'cpu',
      atLeast: 1,
    }),
  ],
}

function toScenario(shape: Shape): Scenario {
  const { name, description, connections, depth, messageBytes, deflate = false } = shape
  return {
    kind: 'load',
    name,
    description,
    contestants: shape.contestants ?? [ws, heddle, bare],
    baseline: 'ws',
    check: ({ port }) => checkEcho(port, messageBytes, deflate),
    async work({ port }, { load }, milliseconds) {
      const job = { port, tls: false, connections, depth, messageBytes, milliseconds }
      const { requests, ...rest } = await load.webSocket({ type: 'websocket', deflate, ...job })
      return { operations: requests, ...rest }
    },
  }
}

function toClientScenario(bytes: number): Scenario {
  const client = (name: string, setup: string, file: string): Contestant =>
    script({ name, setup, file, variant: String(bytes) })
  const run = { mode: 'pipelined', port: 0 } as const
  return {
    kind: 'load',
    name: clientName(bytes),
    description: `clients, messages of ${bytes.toLocaleString('en-US')} B, 64 in flight on one connection, against a bare echo`,
    contestants: [
      client('ws', 'with bufferutil', 'websocket-client-ws.ts'),
      client('heddle', 'webSocket(), defaults', 'websocket-client-heddle.ts'),
    ],
    baseline: 'ws',
    async check(contestant) {
      const { errors, operations } = await contestant.run({ ...run, milliseconds: 50 })
      if (errors > 0 || operations === 0) throw new Error(`${errors} of ${operations} wrong`)
    },
    work: (contestant, _context, milliseconds) => contestant.run({ ...run, milliseconds }),
  }
}

/** What was sent comes back, twice on one connection, byte for byte. */
function checkEcho(port: number, length: number, deflate: boolean): Promise<void> {
  const sent = samplePayload(length)
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: deflate })
    let answers = 0
    socket.on('error', reject)
    socket.on('open', () => socket.send(sent))
    socket.on('message', (data) => {
      if (!(data as Buffer).equals(sent)) return reject(new Error('another message came back'))
      if (++answers < 2) return socket.send(sent)
      socket.terminate()
      resolve()
    })
  })
}
