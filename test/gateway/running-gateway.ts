/**
 * What tests of a whole gateway share: a running gateway over real sockets, upstreams, raw clients.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { dns } from '../../src/discovery/dns.ts'
import { loadConfig } from '../../src/gateway/config/load.ts'
import { formatProblem } from '../../src/gateway/config/problem.ts'
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts'
import type { GatewayEnvironment } from '../../src/gateway/gateway-environment.ts'
import { nodeTransports } from '../../src/gateway/node-transports.ts'
import type { GatewayTransports } from '../../src/gateway/transports.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { nodeProcess } from '../../src/platform/node-process.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { type Logger, silentLogger } from '../../src/telemetry/log.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'

/** Time that a test moves, over real sockets: what is deferred runs by itself. */
export class SocketClock extends ManualClock {
  override defer(callback: () => void): void {
    systemClock.defer(callback)
  }
}

export interface Running {
  readonly gateway: Gateway
  /** Host and port of a listener. */
  at(listener?: string): { host: string; port: number }
  url(path: string, listener?: string): string
  /** Replaces the configuration. */
  change(config: object | string): void
}

export async function start(
  t: TestContext,
  config: object | string,
  log: Logger = silentLogger,
  transports: GatewayTransports = nodeTransports(systemClock),
  more: Partial<GatewayEnvironment> = {},
): Promise<Running> {
  const textOf = (given: object | string): string =>
    typeof given === 'string' ? given : JSON.stringify({ admin: { enabled: false }, ...given })
  let text = textOf(config)
  const load = async () => loadConfig(text, { file: 'g.yaml', environment: () => undefined })
  const loaded = await load()
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'))
  const gateway = await startGateway(loaded, {
    clock: systemClock,
    random: nodeHost.random,
    host: nodeHost,
    transports,
    names: (maxTtlMs) => dns({ clock: systemClock, maxTtlMs }),
    log,
    version: 'test',
    process: nodeProcess,
    writeOut() {},
    writeErr() {},
    file: undefined,
    load,
    descriptor: () => undefined,
    ...more,
  })
  t.after(() => gateway.destroy())
  const at = (name = 'http') => {
    const address = gateway.listeners().find((one) => one.name === name)?.address ?? ''
    const [host = '', port = ''] = address.split(':')
    return { host, port: Number(port) }
  }
  return {
    gateway,
    at,
    url: (path, name) => `http://127.0.0.1:${at(name).port}${path}`,
    change(next) {
      text = textOf(next)
    },
  }
}

/** An HTTP upstream of ours; its address. */
export async function upstream(t: TestContext, service: HttpService): Promise<string> {
  const server = httpServer(service)
  const listener = await server.listen(tcp(), '127.0.0.1:0')
  t.after(() => server.close({ signal: AbortSignal.abort(new Error('test over')) }))
  return listener.address.kind === 'ip' ? `127.0.0.1:${listener.address.port}` : ''
}

/** A bare TCP upstream. */
export async function rawUpstream(
  t: TestContext,
  serve: (socket: Socket) => void,
): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

export const HTTP: { name: string; address: string } = { name: 'http', address: '127.0.0.1:0' }
export const named =
  (name: string): HttpService =>
  ({ method, target }) =>
    HttpResponse.text(`${name} ${method} ${target}`)

/** Collects what a socket says until it ends, or until `enough`. */
export async function collect(socket: Socket, enough = '\u0000'): Promise<string> {
  let text = ''
  for await (const chunk of socket) {
    text += String(chunk)
    if (text.includes(enough)) break
  }
  return text
}
