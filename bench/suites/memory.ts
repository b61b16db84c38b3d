/**
 * Memory per idle keep-alive connection of the HTTP servers.
 */
import { checkAnswer } from '../harness/check.ts'
import type { MemoryScenario } from '../harness/memory.ts'
import { nginxServer } from '../peers/nginx.ts'
import { serverRequests } from './payloads.ts'
import { nodeServers } from './server.ts'
import { ratioAim, type Suite } from './suite.ts'

const scenario = (name: string, tls: boolean, description: string): MemoryScenario => ({
  kind: 'memory',
  name,
  description,
  contestants: [...nodeServers, nginxServer],
  baseline: 'node:http',
  check: ({ port, tlsPort }) => checkAnswer(tls ? tlsPort : port, tls, serverRequests.hello),
  job({ port, tlsPort }, connections) {
    const { method, path, bodyBytes } = serverRequests.hello
    const request = { method, path, bodyBytes }
    return { type: 'idle', port: tls ? tlsPort : port, tls, connections, request }
  },
})

export const memorySuite: Suite = {
  name: 'memory',
  title: 'Memory per idle connection',
  about: 'Growth of resident memory, garbage collected; ratios against `node:http`.',
  scenarios: [
    scenario('idle', false, 'connections that were used once'),
    scenario('idle-tls', true, 'TLS connections that were used once'),
  ],
  aims: [
    ratioAim({
      text: 'memory per idle connection below node:http',
      scenarios: ['idle', 'idle-tls'],
      against: ['node:http'],
      figure: 'memory',
      atLeast: 1,
    }),
  ],
}
