/**
 * `heddle up` with the shortest configuration there is. All its defaults are on: retries, breaker,
 * balancer, loop detection, request ids, metrics of every request. No admin listener.
 */
import { fileURLToPath } from 'node:url'
import type { Contestant } from '../harness/contestant.ts'
import { program } from '../harness/program.ts'

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export const heddleGateway: Contestant = program({
  name: 'heddle',
  setup: 'heddle up, default options, no admin listener',
  kind: 'script',
  command: process.execPath,
  hasWorkers: false,
  parameters: (config) => ['--disable-warning=ExperimentalWarning', CLI, 'up', config],
  configure: ({ port }, { upstreamPort }) => `
admin: { enabled: false }
listeners:
  - { name: http, address: '127.0.0.1:${port}' }
routes:
  - cluster: upstream
clusters:
  - { name: upstream, endpoints: ['127.0.0.1:${upstreamPort}'] }
`,
})
