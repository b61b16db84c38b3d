/** The gateway against clients and upstreams that misbehave, over real sockets and processes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  freePort,
  start,
  startGateway,
  temporaryFolder,
  untilListening,
} from './support/processes.ts'
import { ask, serve } from './support/raw-http.ts'

function configFor(ports: readonly number[], listener = ''): string {
  return `
admin: { address: '127.0.0.1:0' }
routes: [{ match: {}, cluster: upstream, timeout: 10s }]
clusters:
  - name: upstream
    endpoints: [${ports.map((port) => `'127.0.0.1:${port}'`).join(', ')}]
listeners:
  - { name: http, address: '127.0.0.1:0'${listener} }
`
}

function open(address: string): Socket {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  socket.on('error', () => {})
  return socket
}

async function textUntilClosed(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await once(socket, 'close')
  return text
}

test('kill -9 of an upstream under load costs no idempotent request', async () => {
  await using folder = await temporaryFolder()
  const program = join(folder.path, 'upstream.mjs')
  await writeFile(
    program,
    `import http from 'node:http'
     http.createServer((q, s) => s.end('ok')).listen(Number(process.argv[2]), '127.0.0.1')`,
  )
  const [victim, survivor] = [await freePort(), await freePort()]
  await using first = start(process.execPath, [program, String(victim)])
  await using second = start(process.execPath, [program, String(survivor)])
  await untilListening(victim, first)
  await untilListening(survivor, second)
  await using gateway = await startGateway(folder.path, configFor([victim, survivor]))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 })
  const statuses = new Map<number, number>()
  let stop = false
  const worker = async (): Promise<void> => {
    while (!stop) {
      const { status } = await ask(agent, gateway.address('http'), { path: '/' })
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  const workers = Array.from({ length: 32 }, worker)
  await sleep(1_000)
  await first.stop('SIGKILL')
  await sleep(2_000)
  stop = true
  await Promise.all(workers)
  agent.destroy()
  const total = [...statuses.values()].reduce((a, b) => a + b, 0)
  const failed = total - (statuses.get(200) ?? 0)
  assert.ok(total > 500, `only ${total} requests`)
  assert.ok(
    failed / total <= 0.001,
    `${failed} of ${total} failed: ${JSON.stringify([...statuses])}`,
  )
})

test('a slow-loris client is closed with 408 and harms nobody', async () => {
  await using folder = await temporaryFolder()
  await using origin = await serve((_request, response) => response.end('ok'))
  await using gateway = await startGateway(
    folder.path,
    configFor([origin.port], ', request_header_timeout: 1s'),
  )
  const loris = open(gateway.address('http'))
  const closed = textUntilClosed(loris)
  const drip = setInterval(() => loris.write('X-A: b\r\n'), 200)
  loris.write('GET / HTTP/1.1\r\nHost: x\r\n')
  const agent = new http.Agent({ keepAlive: true })
  const good = await ask(agent, gateway.address('http'), { path: '/' })
  assert.equal(good.status, 200)
  const text = await closed
  clearInterval(drip)
  agent.destroy()
  assert.match(text, /^HTTP\/1\.1 408 /)
})

test('a client that never reads holds up its own upstream, not the memory', async () => {
  await using folder = await temporaryFolder()
  const chunk = Buffer.alloc(65_536)
  let sent = 0
  await using origin = await serve((_request, response) => {
    const fill = (): void => {
      while (!response.destroyed) {
        sent += chunk.length
        if (!response.write(chunk)) break
      }
    }
    response.on('drain', fill)
    fill()
  })
  await using gateway = await startGateway(folder.path, configFor([origin.port]))
  const lazy = open(gateway.address('http'))
  lazy.pause()
  lazy.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await sleep(1_500)
  const before = sent
  await sleep(500)
  assert.ok(before > 0)
  assert.equal(sent, before, 'the upstream was still being read')
  assert.ok(before < 64 * 1024 * 1024, `${before} bytes were taken for a client that does not read`)
  lazy.destroy()
})

test('an upstream that stops in the middle of a body cuts the answer, never ends it', async () => {
  await using folder = await temporaryFolder()
  const upstream = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
      setTimeout(() => socket.destroy(), 200)
    })
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const { port } = upstream.address() as { port: number }
  await using gateway = await startGateway(folder.path, configFor([port]))
  const client = open(gateway.address('http'))
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const text = await textUntilClosed(client)
  assert.match(text, /hello/)
  assert.doesNotMatch(text, /0\r\n\r\n$/)
  upstream.close()
})

test('a client that leaves cancels the upstream request', async () => {
  await using folder = await temporaryFolder()
  const closed = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  await using origin = await serve((_request, response) => {
    arrived.resolve()
    response.on('close', () => closed.resolve())
  })
  await using gateway = await startGateway(folder.path, configFor([origin.port]))
  const client = open(gateway.address('http'))
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await arrived.promise
  client.destroy()
  await closed.promise
})

test('TLS on the plain port and plain HTTP on the TLS port are told apart and refused', async () => {
  await using folder = await temporaryFolder()
  await using gateway = await startGateway(
    folder.path,
    `
demo: true
admin: { address: '127.0.0.1:0' }
routes: [{ match: {}, cluster: demo-api }]
listeners:
  - { name: http, address: '127.0.0.1:0' }
  - { name: https, address: '127.0.0.1:0', tls: { development: true } }
`,
  )
  const hello = open(gateway.address('http'))
  hello.write(Buffer.from('16030100c8010000c40303', 'hex'))
  assert.match(await textUntilClosed(hello), /^HTTP\/1\.1 400 [\s\S]*TLS/)
  const plain = open(gateway.address('https'))
  plain.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await textUntilClosed(plain)
  const agent = new http.Agent()
  const { status } = await ask(agent, gateway.address('http'), { path: '/hello' })
  assert.equal(status, 200)
})
