/**
 * Byte echo: what the transport alone costs, against the sockets it stands on.
 */
import { connect } from 'node:net'
import { script } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import { ratioAim, type Suite } from './suite.ts'

const contestants = [
  script({ name: 'node:net', setup: 'data → write, noDelay', file: 'echo-node-net.ts' }),
  script({ name: 'node:net pipe', setup: 'socket.pipe(socket)', file: 'echo-node-pipe.ts' }),
  script({ name: 'heddle', setup: 'tcp(), leased reads when stuck', file: 'echo-heddle.ts' }),
  script({
    name: 'heddle on net.Socket',
    setup: "tcp({ engine: 'net' }), public interfaces of Node only",
    file: 'echo-heddle.ts',
    variant: 'net',
  }),
]

interface Shape {
  readonly name: string
  readonly description: string
  readonly connections: number
  readonly messageBytes: number
  readonly depth: number
}

const shapes: readonly Shape[] = [
  {
    name: 'small',
    description: '64 B messages, one in flight on each of 64 connections',
    connections: 64,
    messageBytes: 64,
    depth: 1,
  },
  {
    name: 'medium',
    description: '4 KB messages, one in flight on each of 64 connections',
    connections: 64,
    messageBytes: 4096,
    depth: 1,
  },
  {
    name: 'bulk',
    description: '64 KB messages, one in flight on each of 8 connections',
    connections: 8,
    messageBytes: 65_536,
    depth: 1,
  },
]

export const echoSuite: Suite = {
  name: 'echo',
  title: 'Byte echo',
  about: 'Loopback TCP; ratios against `node:net`.',
  scenarios: shapes.map(toScenario),
  aims: [
    ratioAim({
      text: 'CPU per message no more than node:net',
      scenarios: shapes.map(({ name }) => name),
      against: ['node:net'],
      figure: 'cpu',
      atLeast: 1,
    }),
  ],
}

function toScenario(shape: Shape): Scenario {
  const { name, description, connections, messageBytes, depth } = shape
  return {
    kind: 'load',
    name,
    description,
    contestants,
    baseline: 'node:net',
    check: ({ port }) => checkEcho(port, messageBytes),
    async work({ port }, { load }, milliseconds) {
      const job = { port, tls: false, connections, depth, messageBytes, milliseconds }
      const { requests, ...rest } = await load.echo({ type: 'echo', ...job })
      return { operations: requests, ...rest }
    },
  }
}

/** Every byte must come back, in order. */
function checkEcho(port: number, length: number): Promise<void> {
  const sent = Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31) & 0xff))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let received = 0
    const socket = connect(port, '127.0.0.1', () => socket.write(sent))
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      received += chunk.length
      if (received < length) return
      socket.destroy()
      if (Buffer.concat(chunks).equals(sent)) resolve()
      else reject(new Error('other bytes came back than were sent'))
    })
  })
}
