/**
 * HTTP/1.1 clients against one canned server. Every call reads its body as text.
 */
import { type Contestant, script } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import type { ClientMode } from '../harness/peer.ts'
import { ratioAim, type Suite } from './suite.ts'

const contestants: readonly Contestant[] = [
  script({
    name: 'undici',
    setup: 'request on an Agent; Client with pipelining: 10 when pipelined',
    file: 'client-undici.ts',
  }),
  script({
    name: 'node:http',
    setup: 'keep-alive Agent; one connection, no pipelining, when pipelined',
    file: 'client-node-http.ts',
  }),
  script({
    name: 'heddle',
    setup: 'httpClient, default stack; maxPipelined: 10 when pipelined',
    file: 'client-heddle.ts',
  }),
  script({
    name: 'heddle fetch',
    setup: 'fetch of an httpAgent',
    file: 'client-heddle.ts',
    variant: 'fetch',
  }),
  script({ name: 'fetch', setup: 'the global one', file: 'client-fetch.ts' }),
]

const descriptions: Readonly<Record<ClientMode, string>> = {
  serial: 'one call at a time',
  parallel: '64 calls at a time on 64 connections',
  pipelined: '10 calls at a time on one connection',
}

export const clientSuite: Suite = {
  name: 'client',
  title: 'HTTP/1.1 client',
  about: 'GET of 1 KB from a canned server on loopback, body read as text; ratios against undici.',
  upstream: true,
  scenarios: (['serial', 'parallel', 'pipelined'] as const).map(toScenario),
  aims: [
    ratioAim({
      text: 'calls/s at least 1.7× undici at 64 connections',
      scenarios: ['parallel'],
      against: ['undici'],
      figure: 'speed',
      atLeast: 1.7,
    }),
  ],
}

function toScenario(mode: ClientMode): Scenario {
  return {
    kind: 'load',
    name: mode,
    description: descriptions[mode],
    // fetch has no pipelining and no choice of connections.
    contestants: contestants.filter(({ name }) => mode !== 'pipelined' || !name.endsWith('fetch')),
    baseline: 'undici',
    async check(contestant, { settings }) {
      const work = { mode, port: settings.upstreamPort, milliseconds: 20 }
      const { errors, operations } = await contestant.run(work)
      if (errors > 0 || operations === 0) throw new Error(`${errors} of ${operations} wrong`)
    },
    work: (contestant, { settings }, milliseconds) =>
      contestant.run({ mode, port: settings.upstreamPort, milliseconds }),
  }
}
