/**
 * HTTP/2 servers over plain TCP by prior knowledge, one process each, under h2load; and what a
 * stream costs whose answer waits.
 */
import { checkHttp2Answer } from '../harness/check.ts'
import { type Contestant, type ScriptOptions, script } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import type { MemoryScenario } from '../harness/memory.ts'
import { h2loadUnavailable, runH2load } from '../load/h2load.ts'
import { HELLO, serverRequests } from './payloads.ts'
import { type Aim, ratioAim, type Suite } from './suite.ts'

const servers: readonly ScriptOptions[] = [
  {
    name: 'node:http2',
    setup: 'the stream API: respond with Content-Length, end',
    file: 'server-node-http2.ts',
  },
  {
    name: 'node:http2 compat',
    setup: 'the API of node:http: writeHead with Content-Length, end',
    file: 'server-node-http2.ts',
    variant: 'compat',
  },
  {
    name: 'heddle',
    setup: 'httpServer on tcp(), default options',
    file: 'server-http2-heddle.ts',
  },
]

const loaded: readonly Contestant[] = servers.map((options) => ({
  ...script(options),
  unavailable: h2loadUnavailable,
}))

/** heddle allows 256 streams on a connection by default. */
const waiting: readonly Contestant[] = servers.map((options) =>
  options.name === 'heddle'
    ? script({ ...options, setup: 'maxConcurrentStreams raised', variant: 'streams' })
    : script(options),
)

interface Shape {
  readonly name: string
  readonly connections: number
  readonly streams: number
  /** How many times the speed of node:http2's stream API. */
  readonly aim: number
}

const shapes: readonly Shape[] = [
  { name: '1x100', connections: 1, streams: 100, aim: 5 },
  { name: '10x10', connections: 10, streams: 10, aim: 6 },
  { name: '64x1', connections: 64, streams: 1, aim: 3 },
]

export const http2ServerSuite: Suite = {
  name: 'http2-server',
  title: 'HTTP/2 server',
  about:
    'HTTP/2 by prior knowledge on loopback TCP, 13 bytes of text; ratios against the stream API of `node:http2`.',
  load: 'h2load',
  scenarios: [...shapes.map(toScenario), openStreams()],
  aims: [
    ...shapes.map(speedAim),
    ratioAim({
      text: 'CPU per request below that of node:http2',
      scenarios: shapes.map(({ name }) => name),
      against: ['node:http2'],
      figure: 'cpu',
      atLeast: 1,
    }),
    ratioAim({
      text: 'memory per open stream at most that of node:http2',
      scenarios: ['open-streams'],
      against: ['node:http2'],
      figure: 'memory',
      atLeast: 1,
    }),
  ],
}

function toScenario({ name, connections, streams }: Shape): Scenario {
  const shape = { connections, streams, path: '/', bodyBytes: HELLO.length }
  return {
    kind: 'load',
    name,
    // The same code as the others.
    smoke: name !== '10x10',
    description: `connections × streams open on each: ${connections} × ${streams}`,
    contestants: loaded,
    baseline: 'node:http2',
    check: ({ port }) => checkHttp2Answer(port, serverRequests.hello),
    async work({ port }, _context, milliseconds) {
      const { requests, ...rest } = await runH2load({ ...shape, port, milliseconds })
      return { operations: requests, ...rest }
    },
  }
}

function openStreams(): MemoryScenario {
  return {
    kind: 'memory',
    name: 'open-streams',
    description: 'growth of resident memory by streams of one connection whose answers wait',
    contestants: waiting,
    baseline: 'node:http2',
    check: ({ port }) => checkHttp2Answer(port, serverRequests.hello),
    job: ({ port }, streams) => ({ type: 'streams', port, streams, path: '/wait' }),
  }
}

function speedAim({ name, connections, streams, aim }: Shape): Aim {
  return ratioAim({
    text: `${connections} × ${streams}: requests/s at least ${aim}× node:http2`,
    scenarios: [name],
    against: ['node:http2'],
    figure: 'speed',
    atLeast: aim,
  })
}
