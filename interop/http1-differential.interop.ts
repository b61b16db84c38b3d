/**
 * What we accept, nginx and haproxy do not read differently: each is given the bytes of the corpus
 * and of seeded changes of it, and what it forwards is compared with what we read.
 *
 *     bytes ──► nginx | haproxy ──► upstream that notes requests
 *     bytes ──► Http1ServerSession                                   the same list?
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { HttpFields } from '../src/protocols/http/fields.ts'
import { Http1ServerSession } from '../src/protocols/http1/server-session.ts'
import {
  difference,
  inputs,
  type ReadRequest,
  readAsHeddle,
} from '../test/support/http1-differential.ts'
import { requirePeer } from './peers.ts'

const nginx = requirePeer('nginx')
const haproxy = requirePeer('haproxy')
const NONE = new HttpFields()
const SEED = 9112
const CHANGES = 4_000
/** Ends every input: a peer that read the same as we did answers it and closes. */
const LAST = Buffer.from('GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

test(`nginx ${nginx.version} reads what we accept as we do`, { skip: nginx.skip }, async () => {
  await compareWith(nginx.path, (port, upstream, folder) => {
    const config = join(folder, 'nginx.conf')
    writeFileSync(config, nginxConfig(port, upstream, folder))
    return ['-c', config, '-p', folder, '-e', join(folder, 'error.log')]
  })
})

test(`haproxy ${haproxy.version} reads what we accept as we do`, {
  skip: haproxy.skip,
}, async () => {
  await compareWith(haproxy.path, (port, upstream, folder) => {
    const config = join(folder, 'haproxy.cfg')
    writeFileSync(config, haproxyConfig(port, upstream))
    return ['-db', '-f', config]
  })
})

const nginxConfig = (port: number, upstream: number, folder: string): string => `
daemon off;
master_process off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  underscores_in_headers on;
  server {
    listen 127.0.0.1:${port};
    location / {
      # No URI behind the port: the target goes on as it came.
      proxy_pass http://127.0.0.1:${upstream};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_request_buffering off;
    }
  }
}
`

const haproxyConfig = (port: number, upstream: number): string => `
global
  maxconn 256
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
  timeout http-request 5s
frontend front
  bind 127.0.0.1:${port}
  # HTTP/1.0 may have none, and haproxy goes on with HTTP/1.1.
  http-request set-header Host a unless { req.hdr(host) -m found }
  default_backend back
backend back
  http-reuse never
  server one 127.0.0.1:${upstream}
`

async function compareWith(
  program: string,
  prepare: (port: number, upstream: number, folder: string) => string[],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-differential-'))
  const upstream = new Upstream()
  let peer: ChildProcess | undefined
  try {
    const port = await freePort()
    const parameters = prepare(port, await upstream.listen(), folder)
    peer = spawn(program, parameters, { stdio: ['ignore', 'ignore', 'pipe'] })
    let complaints = ''
    peer.stderr?.on('data', (chunk) => {
      complaints += chunk
    })
    await untilListening(port, peer, () => complaints)
    const { compared, answered } = await compareAll(port, upstream)
    assert.ok(compared > 500, `${compared} inputs were compared`)
    assert.ok(answered > compared / 2, `the peer read something in ${answered} of ${compared}`)
  } finally {
    peer?.kill()
    if (peer?.exitCode === null) await once(peer, 'exit')
    await upstream.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function compareAll(
  port: number,
  upstream: Upstream,
): Promise<{ compared: number; answered: number }> {
  let compared = 0
  let answered = 0
  for (const { name, bytes: input } of inputs(SEED, CHANGES)) {
    const bytes = Buffer.concat([input, LAST])
    const ours = readAsHeddle(bytes)
    if (ours.requests.length === 0) continue
    const theirs = await upstream.during(() => exchange(port, bytes))
    compared++
    if (!ours.refused) assert.equal(upstream.refused, undefined, name)
    if (theirs.length > 0) answered++
    const problem = difference(ours, theirs)
    assert.equal(problem, undefined, `${name}: ${JSON.stringify(bytes.toString('latin1'))}`)
  }
  return { compared, answered }
}

/** Sends everything, then waits until the peer closes, or says nothing for a while. */
async function exchange(port: number, bytes: Uint8Array): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  socket.on('error', () => {})
  socket.resume()
  socket.write(bytes)
  socket.setTimeout(300, () => socket.destroy())
  if (!socket.destroyed) await once(socket, 'close').catch(() => {})
}

/**
 * Notes complete requests, answers all alike. Read by our own session, since node:http refuses
 * methods that it does not know; what a proxy writes is plain.
 */
class Upstream {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #requests: ReadRequest[] = []
  /** Why something that the proxy wrote was not read: it may accept what we do not. */
  refused: string | undefined

  constructor() {
    this.#server = createTcpServer((socket) => this.#accept(socket))
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as AddressInfo).port
  }

  /** Requests that came, in their order, while `work` was done. */
  async during(work: () => Promise<void>): Promise<readonly ReadRequest[]> {
    this.#requests = []
    this.refused = undefined
    await work()
    return this.#requests
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    const session = new Http1ServerSession({ allowHalfClose: true })
    let head: ReadRequest | undefined
    socket.on('error', () => {})
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      session.receive(chunk, 0)
      for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
        const { type, exchange } = event
        if (type === 'request') {
          const { method, target } = event
          const fields = [...event.fields].map(
            ([name, value]) => [name.toLowerCase(), value] as const,
          )
          head = { method, target, fields, body: '' }
          if (event.hasBody) session.submit({ type: 'demand', exchange, wanted: true }, 0)
        } else if (type === 'data' && head !== undefined) {
          head = { ...head, body: head.body + Buffer.from(event.chunk).toString('latin1') }
        }
        if (type !== 'end' && !(type === 'request' && !event.hasBody)) continue
        this.#requests.push(head as ReadRequest)
        const response = { status: 404, reason: undefined, fields: NONE, body: undefined } as const
        session.submit({ type: 'respond', exchange, ...response }, 0)
      }
      this.refused ??= session.failure?.message
      socket.write(session.pollTransmit(1).take())
      if (session.state === 'closed') socket.end()
    })
  }
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilListening(
  port: number,
  peer: ChildProcess,
  complaints: () => string,
): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (peer.exitCode !== null) throw new Error(`the peer stopped: ${complaints()}`)
    const socket = connect(port, '127.0.0.1')
    const connected = await new Promise<boolean>((resolve) => {
      socket.on('connect', () => resolve(true))
      socket.on('error', () => resolve(false))
    })
    socket.destroy()
    if (connected) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`the peer does not listen: ${complaints()}`)
}
