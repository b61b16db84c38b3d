/**
 * Pain 16 (nodejs/undici #3356): a retry went on in the middle of a body and gave "HHello World".
 *
 * Invariants: the bytes of a response's body come from one response, each once and in order; a body
 * that breaks off ends with an error, never with the bytes of another attempt; nothing is asked for
 * again once its head was given to the caller.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { newName, type RawExchange, rawPeer } from './raw-http-peer.ts'

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n'

/** What the caller gets of a body whose first connection breaks after so many bytes. */
async function breakAfter(count: number) {
  const clock = new ManualClock()
  const transport = memory({ clock })
  const name = newName()
  let exchanges = 0
  await rawPeer(transport, name, (exchange: RawExchange, index) => {
    exchanges++
    if (index > 0) return exchange.write(`${HEAD}Hello World`)
    exchange.write(HEAD + 'Hello World'.slice(0, count))
    clock.setTimer(clock.now() + 50, () => exchange.reset())
  })
  const client = httpClient('http://service', {
    transport,
    clock,
    endpoints: [{ address: { kind: 'memory', name } }],
    retry: { maxAttempts: 5, backoff: 'fixed', baseMs: 10 },
  })
  let text = ''
  const outcome = (async () => {
    const response = await client.get('/')
    for await (const chunk of response.body) text += new TextDecoder().decode(chunk)
    return 'ended'
  })().catch((error: { code: string }) => error.code)
  await clock.advanceAsync(5_000)
  const ended = await outcome
  client.core.destroy()
  await clock.advanceAsync(20_000)
  return { text, ended, exchanges }
}

test('pain 16: a body that breaks off is an error and is not gone on with', async () => {
  for (const count of [1, 5, 10]) {
    const { text, ended, exchanges } = await breakAfter(count)
    assert.equal(text, 'Hello World'.slice(0, count))
    assert.ok(['ERR_RESET', 'ERR_DISCONNECTED', 'ERR_TRUNCATED'].includes(ended), ended)
    assert.equal(exchanges, 1, 'nothing was asked for again')
  }
})

test('pain 16: a body that was whole before the connection broke is given as it is', async () => {
  const { text, ended, exchanges } = await breakAfter(11)
  assert.deepEqual([text, ended, exchanges], ['Hello World', 'ended', 1])
})

test('pain 16: a connection that breaks before the head is asked again, and gives one body', async () => {
  const clock = new ManualClock()
  const transport = memory({ clock })
  const name = newName()
  await rawPeer(transport, name, (exchange, index) => {
    if (index === 0) exchange.reset()
    else exchange.write(`${HEAD}Hello World`)
  })
  const client = httpClient('http://service', {
    transport,
    clock,
    endpoints: [{ address: { kind: 'memory', name } }],
  })
  const text = client.get('/').then((response) => response.body.text())
  await clock.advanceAsync(1_000)
  assert.equal(await text, 'Hello World')
  client.core.destroy()
  await clock.advanceAsync(20_000)
})
