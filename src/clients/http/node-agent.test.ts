import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import { test } from 'node:test'
import { ip, memory } from '../../core/address.ts'
import type { Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpResponse } from '../../protocols/http/messages.ts'
import { DevAuthority } from '../../security/dev-certificate.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { memory as memoryTransport } from '../../transports/memory/memory-transport.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { tls } from '../../transports/tls/tls.ts'
import { nodeAgent } from './node-agent.ts'

async function ask(
  request: http.ClientRequest,
  body?: string,
): Promise<{ status: number | undefined; text: string; reused: boolean }> {
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode, text, reused: request.reusedSocket }
}

test('nodeAgent runs http.request over TCP, and keeps connections', async () => {
  await using server = httpServer(async (request) =>
    HttpResponse.text(`${request.method} ${request.target} ${await request.body.text()}`),
  )
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  const agent = nodeAgent({ transport: tcp() })
  const url = `http://localhost:${port}/a?b`
  for (const reused of [false, true]) {
    const answer = await ask(http.request(url, { agent, method: 'POST' }), 'body')
    assert.deepEqual(answer, { status: 200, text: 'POST /a?b body', reused })
  }
  agent.destroy()
})

test('nodeAgent runs http.request over memory, whatever the URL says', async () => {
  const transport: Transport = memoryTransport({ clock: systemClock })
  await using server = httpServer((request) => HttpResponse.text(request.authority))
  await server.listen(transport, memory('server'))
  const agent = nodeAgent({ transport, address: memory('server') })
  assert.equal((await ask(http.request('http://a.example/', { agent }))).text, 'a.example')
  agent.destroy()
})

test('nodeAgent runs https.request over our TLS, which checks the certificate', async () => {
  const authority = await DevAuthority.create(systemClock)
  const credentials = await authority.issue()
  await using server = httpServer((request) => HttpResponse.text(request.scheme))
  const { address } = await server.listen(tls({ credentials }), ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  const agent = nodeAgent({ transport: tls({ ca: authority.ca }) })
  const url = `https://localhost:${port}/`
  assert.equal((await ask(https.request(url, { agent }))).text, 'https')
  agent.destroy()
  const stranger = nodeAgent({ transport: tls() })
  await assert.rejects(ask(https.request(url, { agent: stranger })), { code: 'ERR_TLS' })
  stranger.destroy()
})

test('nodeAgent gives our error when nobody listens', async () => {
  const agent = nodeAgent({ transport: tcp() })
  const request = http.request('http://127.0.0.1:1/', { agent })
  await assert.rejects(ask(request), { code: 'ERR_CONNECT_REFUSED' })
  agent.destroy()
})

test('nodeAgent destroy ends what is still connecting', async () => {
  const asked = Promise.withResolvers<void>()
  const transport: Transport = {
    name: 'slow',
    traits: { halfClose: true, secure: false, messageBoundaries: false },
    connect: (_address, options) =>
      new Promise((_resolve, reject) => {
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason))
        asked.resolve()
      }),
    listen: () => Promise.reject(new Error('not here')),
  }
  const agent = nodeAgent({ transport })
  const failed = assert.rejects(ask(http.request('http://a.example/', { agent })), {
    code: 'ERR_CLOSED',
  })
  await asked.promise
  agent.destroy()
  await failed
})
