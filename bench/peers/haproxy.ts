/**
 * haproxy as a reverse proxy on one thread: connections to the upstream are shared by all clients.
 */
import type { Contestant } from '../harness/contestant.ts'
import { program } from '../harness/program.ts'

export const haproxyGateway: Contestant = program({
  name: 'haproxy',
  setup: 'nbthread 1, no log, http-reuse always, option forwardfor',
  command: 'haproxy',
  hasWorkers: false,
  parameters: (config) => ['-db', '-f', config],
  configure: ({ port }, { upstreamPort }) => `
global
  nbthread 1
  maxconn 8000

defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  option http-keep-alive
  option forwardfor
  http-reuse always

frontend in
  bind 127.0.0.1:${port}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto http
  default_backend out

backend out
  server upstream 127.0.0.1:${upstreamPort} maxconn 512 pool-max-conn 128
`,
})
