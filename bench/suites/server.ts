/**
 * HTTP/1.1 servers: the same answers by everyone, one process each.
 */
import { checkAnswer } from '../harness/check.ts'
import { type Contestant, script } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import type { HttpJob } from '../load/jobs.ts'
import { nginxServer } from '../peers/nginx.ts'
import { type ServerRequest, serverRequests } from './payloads.ts'
import { ratioAim, type Suite } from './suite.ts'

export const nodeHttpServer: Contestant = script({
  name: 'node:http',
  setup: 'writeHead with Content-Length, end',
  file: 'server-node-http.ts',
})
const fastifyServer = script({
  name: 'fastify',
  setup: 'no logger, response schema',
  file: 'server-fastify.ts',
})
const honoServer = script({
  name: 'hono',
  setup: '@hono/node-server, default options',
  file: 'server-hono.ts',
})
const heddleServer = script({
  name: 'heddle',
  setup: 'httpServer on tcp(), default options',
  file: 'server-heddle.ts',
})
const heddleFetchServer = script({
  name: 'heddle fetch',
  setup: 'fetchHandler, a web Response each',
  file: 'server-heddle.ts',
  variant: 'fetch',
})
export const nodeServers: readonly Contestant[] = [
  nodeHttpServer,
  heddleServer,
  heddleFetchServer,
  fastifyServer,
  honoServer,
]
interface Shape {
  readonly name: string
  readonly description: string
  readonly request: ServerRequest
  readonly depth?: number
  readonly tls?: boolean
  /** nginx cannot echo a body without a module. */
  readonly nginx?: boolean
}

const shapes: readonly Shape[] = [
  { name: 'hello', description: '13 bytes of text', request: serverRequests.hello },
  { name: 'json', description: '1 KB of JSON, serialised each time', request: serverRequests.json },
  {
    name: 'post',
    description: 'POST of 1 KB, sent back',
    request: serverRequests.post,
    nginx: false,
  },
  { name: 'large', description: '64 KB from memory', request: serverRequests.large },
  {
    name: 'pipelined',
    description: '13 bytes of text, 16 requests in flight on each connection',
    request: serverRequests.hello,
    depth: 16,
  },
  {
    name: 'tls',
    description: '13 bytes of text over TLS 1.3, connections kept',
    request: serverRequests.hello,
    tls: true,
  },
]

export const serverSuite: Suite = {
  name: 'server',
  title: 'HTTP/1.1 server',
  about: '64 keep-alive connections on loopback; ratios against `node:http`.',
  scenarios: shapes.map(toScenario),
  aims: [
    ratioAim({
      text: 'requests/s at least 1.6× node:http',
      scenarios: ['hello', 'json', 'post', 'large', 'tls'],
      against: ['node:http'],
      figure: 'speed',
      atLeast: 1.6,
    }),
    ratioAim({
      text: 'CPU per request at least 1.6× less than node:http',
      scenarios: ['hello', 'json', 'post', 'large', 'tls'],
      against: ['node:http'],
      figure: 'cpu',
      atLeast: 1.6,
    }),
    ratioAim({
      text: 'requests/s at least 8× node:http with 16 pipelined',
      scenarios: ['pipelined'],
      against: ['node:http'],
      figure: 'speed',
      atLeast: 8,
    }),
    ratioAim({
      text: 'requests/s within 15 % of nginx with one worker',
      scenarios: ['hello', 'json'],
      against: ['nginx'],
      figure: 'speed',
      atLeast: 0.85,
    }),
  ],
}

function toScenario(shape: Shape): Scenario {
  const { name, description, request, depth = 1, tls = false, nginx = true } = shape
  const job = (port: number, milliseconds: number): HttpJob => {
    const { method, path, bodyBytes } = request
    const shared = { port, tls, connections: CONNECTIONS, depth, milliseconds }
    return { type: 'http', ...shared, request: { method, path, bodyBytes } }
  }
  return {
    kind: 'load',
    name,
    description,
    contestants: nginx ? [...nodeServers, nginxServer] : nodeServers,
    baseline: 'node:http',
    check: (contestant) => checkAnswer(tls ? contestant.tlsPort : contestant.port, tls, request),
    async work(contestant, { load }, milliseconds) {
      const port = tls ? contestant.tlsPort : contestant.port
      const { requests, ...rest } = await load.http(job(port, milliseconds))
      return { operations: requests, ...rest }
    },
  }
}

const CONNECTIONS = 64
