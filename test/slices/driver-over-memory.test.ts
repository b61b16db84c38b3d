/**
 * Slice: an unmodified npm driver, and a server that knows nothing of heddle, joined by it.
 *
 *     undici ── toDuplex ── memory ── splice ── TCP ── node:http
 *
 * What it proves: a `Duplex` made of a connection is socket enough for a real driver (keep-alive,
 * pipelining, streamed bodies, abort), and a splice carries its backpressure and its ends.
 * interop/drivers.interop.ts does the same with ioredis and a real Redis.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { after, test } from 'node:test'
import { Client } from 'undici'
import { ip, memory as memoryAddress } from '../../src/core/address.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { type SpliceOutcome, splice } from '../../src/runtime/splice.ts'
import { MemoryNetwork } from '../../src/transports/memory/memory-network.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { toDuplex } from '../../src/transports/node-stream/to-duplex.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'

const server = createServer(async (request, response) => {
  if (request.url === '/never') return
  const body = await bodyOf(request)
  const text = `${request.method} ${request.url} ${body.length}`
  response.end(request.url === '/large' ? Buffer.alloc(LARGE, 'x') : text)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as { port: number }
after(() => server.close())

const clock = systemClock
const near = memory({ clock, network: new MemoryNetwork(), strict: true })
const far = tcp()
let splices = 0
const outcomes: Promise<SpliceOutcome>[] = []
const relay = await near.listen(memoryAddress('0'), {
  async onConnection(connection) {
    splices += 1
    const target = await far.connect(ip('127.0.0.1', port))
    outcomes.push(new Promise((onDone) => void splice(connection, target, { clock, onDone })))
  },
})

function client(pipelining: number): Client {
  return new Client('http://relay.example', {
    pipelining,
    connect(_options, callback) {
      near.connect(relay.address).then(
        (connection) => callback(null, toDuplex(connection) as unknown as Socket),
        (error) => callback(error, null),
      )
    },
  })
}

test('undici keeps one connection alive and pipelines over a splice', async () => {
  const undici = client(10)
  const before = splices
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const { body } = await undici.request({ method: 'GET', path: `/${index}` })
      return body.text()
    }),
  )
  assert.deepEqual(
    answers,
    Array.from({ length: 100 }, (_, index) => `GET /${index} 0`),
  )
  assert.equal(splices, before + 1)
  await undici.close()
  // However undici closes its socket, both sides of the splice are told.
  assert.ok(((await outcomes.at(-1))?.bytesFromB ?? 0) > 0)
})

test('undici sends and receives bodies that are larger than any buffer', async () => {
  const undici = client(1)
  const sent = await undici.request({ method: 'PUT', path: '/up', body: Buffer.alloc(LARGE, 'y') })
  assert.equal(await sent.body.text(), `PUT /up ${LARGE}`)
  const { body } = await undici.request({ method: 'GET', path: '/large' })
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    // A reader that is slower than the server: the splice has to hold it back.
    await new Promise(setImmediate)
  }
  assert.equal(length, LARGE)
  await undici.close()
})

test('undici that gives up a request takes the connection down on both sides', async () => {
  const undici = client(1)
  const controller = new AbortController()
  const arrived = once(server, 'request') as Promise<[IncomingMessage]>
  const request = undici.request({ method: 'GET', path: '/never', signal: controller.signal })
  const [{ socket }] = await arrived
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const told = once(socket, 'error') // giving up is a reset, and is passed on as one
  controller.abort()
  await assert.rejects(request, { name: 'AbortError' })
  assert.equal(((await told)[0] as { code?: string }).code, 'ECONNRESET')
  await gone
  await undici.destroy()
})

after(() => relay.close({ signal: AbortSignal.abort() }))

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const LARGE = 12_000_000
