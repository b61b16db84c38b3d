/**
 * UDP echo servers against `node:dgram`: what a datagram in and one out cost.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { script } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import { ratioAim, type Suite } from './suite.ts'

const contestants = [
  script({ name: 'node:dgram', setup: 'message → send', file: 'udp-node-dgram.ts' }),
  script({ name: 'heddle', setup: 'udp()', file: 'udp-heddle.ts' }),
  script({
    name: 'heddle on dgram',
    setup: "udp({ engine: 'dgram' }), public interfaces of Node only",
    file: 'udp-heddle.ts',
    variant: 'dgram',
  }),
]

interface Shape {
  readonly name: string
  readonly description: string
  readonly connections: number
  readonly depth: number
  readonly messageBytes: number
}

const shapes: readonly Shape[] = [
  {
    name: 'udp-64b',
    description: '64 B, 32 under way from one socket',
    connections: 1,
    depth: 32,
    messageBytes: 64,
  },
  {
    name: 'udp-1200b',
    description: '1,200 B, 32 under way from one socket',
    connections: 1,
    depth: 32,
    messageBytes: 1_200,
  },
  {
    name: 'udp-64b-many',
    description: '64 B, one under way from each of 50 sockets',
    connections: 50,
    depth: 1,
    messageBytes: 64,
  },
]

export const udpSuite: Suite = {
  name: 'udp',
  title: 'UDP echo',
  about: 'Servers on loopback, asked by sockets of `node:dgram`; ratios against `node:dgram`.',
  scenarios: shapes.map(toScenario),
  aims: [
    ratioAim({
      text: 'CPU per datagram no more than node:dgram',
      scenarios: shapes.map(({ name }) => name),
      against: ['node:dgram'],
      figure: 'cpu',
      atLeast: 1,
    }),
  ],
}

function toScenario(shape: Shape): Scenario {
  const { name, description, connections, depth, messageBytes } = shape
  return {
    kind: 'load',
    name,
    description,
    contestants,
    baseline: 'node:dgram',
    check: ({ port }) => checkEcho(port, messageBytes),
    async work({ port }, { load }, milliseconds) {
      const job = { port, tls: false, connections, depth, messageBytes, milliseconds }
      const { requests, ...rest } = await load.datagrams({ type: 'datagrams', ...job })
      return { operations: requests, ...rest }
    },
  }
}

async function checkEcho(port: number, length: number): Promise<void> {
  const sent = Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 31) & 0xff))
  const socket = createSocket('udp4')
  try {
    socket.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.send(sent)
    const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(5_000) })) as [
      Buffer,
    ]
    if (!answer.equals(sent)) throw new Error('other bytes came back than were sent')
  } finally {
    socket.close()
  }
}
