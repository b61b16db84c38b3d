/**
 * gRPC, a client in one process and a server in another, real messages and metadata: heddle at both
 * ends, at either end of `@grpc/grpc-js`, and connect-node beside them.
 */
import type { Contestant } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import { pair } from '../harness/pair.ts'
import { type Aim, ratioAim, type Suite } from './suite.ts'

/** Both processes of each: `variant` says what the client does. */
function contestant(name: string, variant: string): Contestant {
  const { setup, client, server } = PAIRS[name] as (typeof PAIRS)[string]
  return pair({ name, setup, client: { file: client, variant }, server: { file: server } })
}

const CLIENT = 'heddle client, grpc-js server'
const SERVER = 'grpc-js client, heddle server'

const PAIRS: Readonly<Record<string, { setup: string; client: string; server: string }>> = {
  'grpc-js': {
    setup: 'both ends, proto-loader, defaults',
    client: 'grpc-js.ts',
    server: 'grpc-js.ts',
  },
  heddle: {
    setup: 'grpcClient and grpcService, defaults',
    client: 'grpc-heddle.ts',
    server: 'grpc-heddle.ts',
  },
  [CLIENT]: {
    setup: 'grpcClient on a server of grpc-js',
    client: 'grpc-heddle.ts',
    server: 'grpc-js.ts',
  },
  [SERVER]: {
    setup: 'a client of grpc-js on grpcService',
    client: 'grpc-js.ts',
    server: 'grpc-heddle.ts',
  },
  'connect-node': {
    setup: 'both ends, createGrpcTransport over node:http2',
    client: 'grpc-connect-node.ts',
    server: 'grpc-connect-node.ts',
  },
}

interface Shape {
  readonly name: string
  readonly description: string
  readonly variant: string
  readonly contestants: readonly string[]
  readonly smoke: boolean
}

const both = ['grpc-js', 'heddle']
const beside = [...both, 'connect-node']
const mixed = [...both, CLIENT, SERVER]

function unary(bytes: number, depth: number, contestants: readonly string[]): Shape {
  const length = bytes < 1_024 ? `${bytes}b` : `${bytes / 1_024}k`
  return {
    name: `unary-${length}-${depth === 1 ? 'serial' : depth}`,
    description: `unary echo of ${bytes} B with metadata, ${depth} in flight on one connection`,
    variant: `unary ${bytes} ${depth}`,
    contestants,
    // The one where every contestant takes part.
    smoke: bytes === 64 && depth === 64,
  }
}

const shapes: readonly Shape[] = [
  unary(64, 1, beside),
  unary(64, 64, [...mixed, 'connect-node']),
  unary(64, 256, both),
  unary(1_024, 1, both),
  unary(1_024, 64, mixed),
  unary(1_024, 256, both),
  {
    name: 'stream-1k',
    description: 'messages of 1 KB from a server, 8 streams at a time on one connection',
    variant: 'stream 1024 8',
    contestants: beside,
    smoke: true,
  },
]

export const grpcSuite: Suite = {
  name: 'grpc',
  title: 'gRPC',
  about:
    'Client and server in two processes on loopback TCP, the CPU time of both; ratios against grpc-js at both ends.',
  scenarios: shapes.map(toScenario),
  aims: [
    beats('serial: at least 3× grpc-js', 'heddle', 3, 'unary-64b-serial', 'unary-1k-serial'),
    beats('64 in flight: at least 10× grpc-js', 'heddle', 10, 'unary-64b-64', 'unary-1k-64'),
    beats(
      '256 in flight: no collapse, at least 10×',
      'heddle',
      10,
      'unary-64b-256',
      'unary-1k-256',
    ),
    beats(
      'our client on a grpc-js server: at least 2.5×',
      CLIENT,
      2.5,
      'unary-64b-64',
      'unary-1k-64',
    ),
    beats(
      'a grpc-js client on our server: at least 1.3×',
      SERVER,
      1.3,
      'unary-64b-64',
      'unary-1k-64',
    ),
    beats('streamed messages: at least 3×', 'heddle', 3, 'stream-1k'),
    ratioAim({
      text: 'CPU per call below that of grpc-js',
      scenarios: shapes.map(({ name }) => name),
      against: ['grpc-js'],
      figure: 'cpu',
      atLeast: 1,
    }),
  ],
}

/** `ratioAim` for a contestant that is half heddle. */
function beats(text: string, name: string, atLeast: number, ...scenarios: string[]): Aim {
  return {
    text,
    evaluate(results) {
      const ratios: { scenario: string; ratio: number }[] = []
      for (const result of results) {
        if (result.kind !== 'load' || !scenarios.includes(result.name)) continue
        const found = result.results.find((one) => one.name === name)
        if (found !== undefined) ratios.push({ scenario: result.name, ratio: found.speedRatio })
      }
      if (ratios.length === 0) return undefined
      return {
        measured: ratios
          .map(({ scenario, ratio }) => `${ratio.toFixed(2)}× ${scenario}`)
          .join(', '),
        reached: ratios.every(({ ratio }) => ratio >= atLeast),
      }
    },
  }
}

function toScenario({ name, description, variant, contestants, smoke }: Shape): Scenario {
  const run = { mode: 'pipelined', port: 0 } as const
  return {
    kind: 'load',
    name,
    description,
    smoke,
    contestants: contestants.map((one) => contestant(one, variant)),
    baseline: 'grpc-js',
    async check(contestant) {
      const { errors, operations } = await contestant.run({ ...run, milliseconds: 50 })
      if (errors > 0 || operations === 0) throw new Error(`${errors} of ${operations} wrong`)
    },
    work: (contestant, _context, milliseconds) => contestant.run({ ...run, milliseconds }),
  }
}
