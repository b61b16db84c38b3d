/**
 * HTTP/2 clients by prior knowledge against one server, heddle's, in a process of its own. Every call
 * reads its body as text.
 */
import type { Contestant } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import { pair } from '../harness/pair.ts'
import { ratioAim, type Suite } from './suite.ts'

const server = { file: 'upstream-http2.ts' }

const contestants: readonly Contestant[] = [
  pair({
    name: 'undici',
    setup: 'H2CClient, as many streams as calls',
    client: { file: 'client-http2-undici.ts' },
    server,
  }),
  pair({
    name: 'node:http2',
    setup: 'one session, the stream API',
    client: { file: 'client-node-http2.ts' },
    server,
  }),
  pair({
    name: 'heddle',
    setup: 'httpClient, default stack, version 2',
    client: { file: 'client-http2-heddle.ts' },
    server,
  }),
  pair({
    name: 'heddle fetch',
    setup: 'fetch of an httpAgent, version 2',
    client: { file: 'client-http2-heddle.ts', variant: 'fetch' },
    server,
  }),
]

const descriptions = {
  serial: 'one call at a time',
  parallel: '64 calls at a time on one connection',
} as const

export const http2ClientSuite: Suite = {
  name: 'http2-client',
  title: 'HTTP/2 client',
  about:
    'GET of 1 KB on loopback TCP, body read as text, client and server in two processes, the CPU time of both; ratios against undici.',
  scenarios: (['serial', 'parallel'] as const).map(toScenario),
  aims: [
    ratioAim({
      text: '64 in flight on one connection: at least 5× undici',
      scenarios: ['parallel'],
      against: ['undici'],
      figure: 'speed',
      atLeast: 5,
    }),
    ratioAim({
      text: 'CPU per call below that of both',
      scenarios: ['serial', 'parallel'],
      against: ['undici', 'node:http2'],
      figure: 'cpu',
      atLeast: 1,
    }),
  ],
}

function toScenario(mode: keyof typeof descriptions): Scenario {
  return {
    kind: 'load',
    name: mode,
    description: descriptions[mode],
    contestants,
    baseline: 'undici',
    async check(contestant) {
      const { errors, operations } = await contestant.run({ mode, port: 0, milliseconds: 20 })
      if (errors > 0 || operations === 0) throw new Error(`${errors} of ${operations} wrong`)
    },
    work: (contestant, _context, milliseconds) => contestant.run({ mode, port: 0, milliseconds }),
  }
}
