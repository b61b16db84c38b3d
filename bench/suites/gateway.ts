/**
 * Reverse proxies in front of one canned upstream, all doing the same: connections to the upstream
 * are kept, X-Forwarded-For, -Host and -Proto are set, no access log.
 */
import { checkAnswer } from '../harness/check.ts'
import { type Contestant, script } from '../harness/contestant.ts'
import type { Scenario } from '../harness/measure.ts'
import type { HttpJob } from '../load/jobs.ts'
import { heddleGateway } from '../peers/gateway-heddle.ts'
import { haproxyGateway } from '../peers/haproxy.ts'
import { nginxGateway } from '../peers/nginx.ts'
import { LARGE, type ServerRequest, serverRequests, UPSTREAM_BODY } from './payloads.ts'
import { ratioAim, type Suite } from './suite.ts'

const contestants: readonly Contestant[] = [
  heddleGateway,
  script({ name: 'httpxy', setup: 'xfwd, its keep-alive agent', file: 'gateway-httpxy.ts' }),
  script({
    name: 'http-proxy-3',
    setup: 'xfwd, keep-alive agent',
    file: 'gateway-http-proxy-3.ts',
  }),
  script({
    name: '@fastify/http-proxy',
    setup: 'undici pool of 128, headers rewritten',
    file: 'gateway-fastify.ts',
  }),
  nginxGateway,
  haproxyGateway,
]

interface Shape {
  readonly name: string
  readonly description: string
  readonly request: ServerRequest
}

const shapes: readonly Shape[] = [
  {
    name: 'get',
    description: 'GET of 1 KB',
    request: { method: 'GET', path: '/', bodyBytes: 0, answer: UPSTREAM_BODY },
  },
  {
    name: 'post',
    description: 'POST of 1 KB, answered with 1 KB',
    request: { ...serverRequests.post, answer: UPSTREAM_BODY },
  },
  {
    name: 'large',
    description: 'GET of 64 KB',
    request: { method: 'GET', path: '/large', bodyBytes: 0, answer: LARGE.toString('latin1') },
  },
]

const nodeProxies = ['httpxy', 'http-proxy-3', '@fastify/http-proxy']
const names = shapes.map(({ name }) => name)

export const gatewaySuite: Suite = {
  name: 'gateway',
  title: 'Gateway',
  about:
    '64 keep-alive connections on loopback to one upstream; ratios against httpxy. ' +
    'Load, gateway and upstream share the cores, so CPU per request is the figure to read.',
  upstream: true,
  scenarios: shapes.map(toScenario),
  aims: [
    ratioAim({
      text: 'CPU per request at least 2× less than the best Node proxy',
      scenarios: names,
      against: nodeProxies,
      figure: 'cpu',
      atLeast: 2,
    }),
    ratioAim({
      text: 'CPU per request within 2× of nginx',
      scenarios: names,
      against: ['nginx'],
      figure: 'cpu',
      atLeast: 0.5,
    }),
  ],
}

function toScenario({ name, description, request }: Shape): Scenario {
  const { method, path, bodyBytes } = request
  return {
    kind: 'load',
    name,
    description,
    contestants,
    baseline: 'httpxy',
    async check({ port }) {
      await checkAnswer(port, false, request)
      await checkAnswer(port, false, { method: 'GET', path: '/head', answer: checkForwarded })
    },
    async work({ port }, { load }, milliseconds) {
      const shared = { port, tls: false, connections: 64, depth: 1, milliseconds }
      const job: HttpJob = { type: 'http', ...shared, request: { method, path, bodyBytes } }
      const { requests, ...rest } = await load.http(job)
      return { operations: requests, ...rest }
    },
  }
}

/** Nobody may win by leaving a header out. */
function checkForwarded(head: string): void {
  const expected = [/^x-forwarded-for: 127\.0\.0\.1$/im, /^x-forwarded-proto: http$/im]
  for (const field of [...expected, /^x-forwarded-host: 127\.0\.0\.1:\d+$/im]) {
    if (!field.test(head)) throw new Error(`the upstream did not get ${field.source}`)
  }
  if (/^connection: *close/im.test(head)) throw new Error('upstream connections are not kept')
}
