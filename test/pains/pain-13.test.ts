/**
 * Pain 13, the keep-alive race (nodejs/node #47130, #20256, #52649): a server closes an idle
 * connection while a request is on its way to it.
 *
 * Invariants: a request that may be sent twice is answered all the same, over a connection that is
 * not as old as the one that broke, with one retry however many stale ones are in the pool; a
 * request that may not is sent once; and what the server said about its patience is kept.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import type { HeddleError } from '../../src/core/errors.ts'
import { systemClock } from '../../src/platform/system-clock.ts'

/** Answers the first request of each connection, and resets the connection at the second. */
async function racingServer(t: TestContext, head = '') {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let answered = 0
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      requests.push(String(chunk).split(' ', 2).join(' '))
      if (++answered > 1) return void socket.resetAndDestroy()
      socket.write(`HTTP/1.1 200 OK\r\n${head}content-length: 2\r\n\r\nok`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { origin, requests, connections: () => sockets.size }
}

/** Several idle connections, every one of which is about to break. */
async function warm(client: ReturnType<typeof httpClient>, count: number): Promise<void> {
  const answers = await Promise.all(Array.from({ length: count }, () => client.get('/warm')))
  await Promise.all(answers.map(({ body }) => body.text()))
}

test('pain 13: a GET on a connection that breaks is answered by one retry on a fresh one', async (t) => {
  const { origin, requests, connections } = await racingServer(t)
  let retries = 0
  await using client = httpClient(origin, {
    retry: { maxAttempts: 2, baseMs: 1, budget: { ratio: 1, minPerSecond: 100 } },
    observer: { onRetry: () => void retries++ },
  })
  await warm(client, 5)
  const response = await client.get('/race')
  assert.equal(response.status, 200)
  assert.equal(await response.body.text(), 'ok')
  assert.equal(retries, 1)
  assert.equal(connections(), 6)
  assert.equal(requests.filter((line) => line === 'GET /race').length, 2)
})

test('pain 13: a POST on a connection that breaks is sent once, and the error says so', async (t) => {
  const { origin, requests } = await racingServer(t)
  await using client = httpClient(origin, { retry: { maxAttempts: 3, baseMs: 1 } })
  await warm(client, 2)
  await assert.rejects(client.post('/race', 'x'), (error: HeddleError) => {
    assert.match(error.code, /^ERR_(RESET|DISCONNECTED)$/)
    assert.notEqual(error.sent, 'nothing')
    return true
  })
  assert.equal(requests.filter((line) => line === 'POST /race').length, 1)
})

test('pain 13: a connection is not used when the server has said that it closes it by then', async (t) => {
  const { origin, requests, connections } = await racingServer(t, 'keep-alive: timeout=1\r\n')
  // A second, less the margin of at most half of it: it is not lent after half a second.
  let laterMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + laterMs }
  await using client = httpClient(origin, { retry: false, clock })
  await warm(client, 1)
  laterMs = 550
  const response = await client.post('/later', 'x')
  assert.equal(await response.body.text(), 'ok')
  assert.equal(connections(), 2)
  assert.equal(requests.length, 2)
})
