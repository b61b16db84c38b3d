/**
 * Pain 15 (nodejs/undici #3288, #4691, #470, #5008): a retry breaks with bodies.
 *
 * Invariants: every attempt sends the whole body or is not made; what is declared to be replayable
 * (bytes, text, made anew, kept up to a bound) is sent again byte for byte; what can be sent once is
 * sent once, and the caller gets the real answer, not an error about a consumed body.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpClient } from '../../src/clients/http/http-client.ts'
import { Body, type BodyInit } from '../../src/protocols/http/body.ts'
import { ConcatenatedSource } from '../../src/protocols/http/concatenated-source.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'
import { newName, rawPeer } from './raw-http-peer.ts'

const PIECES = ['Hello ', 'World, ', 'again']
const WHOLE = PIECES.join('')

/** A stream that is read once. */
const stream = (): ConcatenatedSource => new ConcatenatedSource(PIECES.map((one) => Body.from(one)))

const KINDS: [what: string, body: () => BodyInit, requests: number][] = [
  ['text', () => WHOLE, 2],
  ['bytes', () => new TextEncoder().encode(WHOLE), 2],
  ['made anew', () => stream, 2],
  ['kept, at the bound', () => Body.buffered(stream(), WHOLE.length), 2],
  ['kept, one past the bound', () => Body.buffered(stream(), WHOLE.length - 1), 1],
  ['read once', stream, 1],
]

function connect(clock: ManualClock) {
  const transport = memory({ clock })
  const name = newName()
  const client = httpClient('http://service', {
    transport,
    clock,
    endpoints: [{ address: { kind: 'memory', name } }],
  })
  return { transport, client, name }
}

test('pain 15: a retry after an answer sends the whole body again, or is not made', async () => {
  for (const [what, body, expected] of KINDS) {
    const clock = new ManualClock()
    const { transport, client, name } = connect(clock)
    const bodies: string[] = []
    const server = httpServer(
      async (request) => {
        bodies.push(await request.body.text())
        return HttpResponse.text('answer', { status: bodies.length === 1 ? 503 : 200 })
      },
      { clock },
    )
    await server.listen(transport, `mem:${name}`)
    const call = Promise.resolve(client.request({ method: 'PUT', target: '/', body: body() }))
    await clock.advanceAsync(1_000)
    const response = await call
    assert.deepEqual(bodies, Array<string>(expected).fill(WHOLE), what)
    assert.equal(response.status, expected === 1 ? 503 : 200, what)
    assert.equal(await response.body.text(), 'answer', what)
    const closing = Promise.all([client.close(), server.close()])
    await clock.advanceAsync(20_000)
    await closing
  }
})

test('pain 15: a retry after a connection that broke within the body sends it whole', async () => {
  for (const [what, body, expected] of KINDS) {
    const clock = new ManualClock()
    const { transport, client, name } = connect(clock)
    const received: string[] = []
    await rawPeer(transport, name, (exchange, index) => {
      received[index] = exchange.received()
      if (index === 0 && exchange.received().includes('H')) exchange.reset()
      else if (exchange.received().includes(PIECES[2] as string)) {
        exchange.write('HTTP/1.1 204 \r\n\r\n')
      }
    })
    const call = Promise.resolve(client.request({ method: 'PUT', target: '/', body: body() }))
    const outcome = call.then(
      ({ status }) => status,
      (error: { code: string }) => error.code,
    )
    await clock.advanceAsync(1_000)
    const result = await outcome
    if (expected === 2) {
      assert.equal(result, 204, what)
      const again = received[1] ?? ''
      const sent = again.slice(again.indexOf('\r\n\r\n') + 4)
      assert.equal(withoutChunks(again, sent), WHOLE, what)
    } else {
      assert.ok(['ERR_RESET', 'ERR_DISCONNECTED'].includes(String(result)), `${what}: ${result}`)
      assert.equal(received.length, 1, what)
    }
    client.core.destroy()
    await clock.advanceAsync(20_000)
  }
})

/** The content of a request whose head says how it is framed. */
function withoutChunks(head: string, body: string): string {
  if (!/transfer-encoding: *chunked/i.test(head)) return body
  return body
    .replace(/\r?\n?[0-9a-f]+\r\n/gi, '')
    .replace(/\r\n$/, '')
    .replace(/0\r\n.*$/s, '')
}
