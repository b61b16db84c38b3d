/**
 * Pain 17 (nodejs/undici #4080, #3837, #4228): when retries are used up the final response is lost,
 * and an error of the retry stands in its place.
 *
 * Invariants: the caller gets the last real outcome itself, untouched, with a body that can be read;
 * its history says what came before, in order; a refusal of ours (a breaker, a budget) never takes
 * the place of an answer of the peer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HttpClientOptions, httpClient } from '../../src/clients/http/http-client.ts'
import { HeddleError } from '../../src/core/errors.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { attemptsOf } from '../../src/runtime/middleware/retry.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { newName, rawPeer } from './raw-http-peer.ts'

function fixture(options: HttpClientOptions = {}) {
  const clock = new ManualClock()
  const transport = memory({ clock })
  const name = newName()
  const client = httpClient('http://service', {
    transport,
    clock,
    endpoints: [{ address: { kind: 'memory', name } }],
    ...options,
  })
  let requests = 0
  const server = httpServer(
    () => {
      requests++
      const fields = [['x-attempt', String(requests)]] as [string, string][]
      return new HttpResponse({ status: 503, fields, body: `answer ${requests}` })
    },
    { clock },
  )
  return { clock, transport, client, name, server, requests: () => requests }
}

test('pain 17: the last response comes through whole, with the history of attempts', async () => {
  const { clock, transport, client, name, server } = fixture()
  await server.listen(transport, `mem:${name}`)
  const call = client.get('/')
  await clock.advanceAsync(5_000)
  const response = await call
  assert.equal(response.status, 503)
  assert.equal(response.fields.get('x-attempt'), '3')
  assert.equal(await response.body.text(), 'answer 3')
  assert.deepEqual(
    attemptsOf(response).map(({ attempt, error, verdict }) => [attempt, error, verdict.failed]),
    [
      [1, undefined, true],
      [2, undefined, true],
    ],
  )
  client.core.destroy()
  await clock.advanceAsync(20_000)
})

test('pain 17: so does the last error, and the errors before it', async () => {
  const { clock, transport, client, name } = fixture()
  await rawPeer(transport, name, (exchange) => exchange.reset())
  const call = client.get('/').catch((error: unknown) => error)
  await clock.advanceAsync(5_000)
  const error = await call
  assert.ok(error instanceof HeddleError)
  assert.ok(['ERR_RESET', 'ERR_DISCONNECTED'].includes(error.code), error.code)
  assert.equal(error.attempts.length, 2)
  assert.equal(attemptsOf(error).length, 2)
  client.core.destroy()
  await clock.advanceAsync(20_000)
})

test('pain 17: a breaker that opens in between does not hide the answer', async () => {
  const { clock, transport, client, name, server, requests } = fixture({
    breaker: { consecutiveFailures: 1, openMs: 60_000, maxOpenMs: 60_000 },
  })
  await server.listen(transport, `mem:${name}`)
  const call = client.get('/')
  await clock.advanceAsync(5_000)
  const response = await call
  assert.equal(requests(), 1)
  assert.equal(response.status, 503)
  assert.equal(await response.body.text(), 'answer 1')
  client.core.destroy()
  await clock.advanceAsync(20_000)
})

test('pain 17: a budget that is used up gives the answer there is', async () => {
  const { clock, transport, client, name, server, requests } = fixture({
    retry: { budget: { ratio: 0, minPerSecond: 0 } },
  })
  await server.listen(transport, `mem:${name}`)
  const call = client.get('/')
  await clock.advanceAsync(5_000)
  const response = await call
  assert.equal(requests(), 1)
  assert.equal(await response.body.text(), 'answer 1')
  client.core.destroy()
  await clock.advanceAsync(20_000)
})
