import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ip } from '../../core/address.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { type HttpServer, httpServer } from '../../servers/http/http-server.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { bearerCredentials } from './credentials.ts'
import { type HttpAgent, httpAgent } from './http-agent.ts'
import { httpClient } from './http-client.ts'

interface Sides extends AsyncDisposable {
  readonly agent: HttpAgent
  readonly origins: readonly string[]
}

async function serve(
  services: readonly HttpService[],
  options: Parameters<typeof httpAgent>[0] = {},
): Promise<Sides> {
  const agent = httpAgent(options)
  const servers: HttpServer[] = []
  const origins: string[] = []
  for (const service of services) {
    const server = httpServer(service)
    const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
    servers.push(server)
    origins.push(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`)
  }
  return {
    agent,
    origins,
    async [Symbol.asyncDispose]() {
      await agent.close()
      for (const server of servers) await server.close()
    },
  }
}

const name =
  (text: string): HttpService =>
  () =>
    HttpResponse.text(text)

test('HttpAgent has a client for each origin, and forgets the one not used for longest', async () => {
  await using sides = await serve([name('a'), name('b'), name('c')], { maxOrigins: 2 })
  const { agent, origins } = sides
  const [a, b, c] = origins as [string, string, string]
  const ask = async (origin: string): Promise<string> => (await agent.fetch(origin)).text()
  assert.deepEqual([await ask(a), await ask(b), await ask(a)], ['a', 'b', 'a'])
  assert.deepEqual([...agent.clients.keys()], [b, a])
  const oldest = agent.client(b)
  await ask(a)
  assert.equal(await ask(c), 'c')
  assert.deepEqual([...agent.clients.keys()], [a, c])
  assert.equal(oldest.status, 'closed')
  assert.equal(await ask(b), 'b')
})

test('HttpAgent takes no credentials that a redirect would carry to another origin', async () => {
  const credentials = bearerCredentials('abc')
  const options: object = { credentials }
  assert.throws(() => httpAgent(options), { code: 'ERR_ARGUMENT' })
  const seen: (string | undefined)[] = []
  const keep: HttpService = (request) => {
    seen.push(request.fields.get('authorization'))
    return HttpResponse.text('other')
  }
  await using other = await serve([keep])
  const to = (): HttpResponse =>
    new HttpResponse({ status: 302, fields: { location: `${other.origins[0]}/` } })
  const origins: string[] = []
  await using sides = await serve([to], {
    createClient: (origin) => httpClient(origin, origins.includes(origin) ? { credentials } : {}),
  })
  origins.push(...sides.origins)
  assert.equal(await (await sides.agent.fetch(`${sides.origins[0]}/`)).text(), 'other')
  assert.deepEqual(seen, [undefined])
})

test('HttpAgent needs an authority, and refuses after close', async () => {
  const agent = httpAgent()
  assert.throws(() => agent.call(new HttpRequest()), { code: 'ERR_ARGUMENT' })
  await agent.close()
  assert.equal(agent.status, 'closed')
  await assert.rejects(agent.fetch('http://127.0.0.1:1'), { code: 'ERR_CLOSED' })
})

test('fetch has what the standard promises: status, headers, body, url', async () => {
  await using sides = await serve([
    async (request) => {
      const response = HttpResponse.json({
        method: request.method,
        accept: request.fields.get('accept'),
        type: request.fields.get('content-type'),
        text: await request.body.text(),
      })
      response.fields.append('set-cookie', 'a=1')
      response.fields.append('set-cookie', 'b=2')
      return response
    },
  ])
  const url = `${sides.origins[0]}/x?y#z`
  const response = await sides.agent.fetch(url, {
    method: 'POST',
    body: new URLSearchParams('a=b'),
  })
  assert.equal(response.url, `${sides.origins[0]}/x?y`)
  assert.equal(response.redirected, false)
  assert.deepEqual(response.headers.getSetCookie(), ['a=1', 'b=2'])
  assert.deepEqual(await response.json(), {
    method: 'POST',
    accept: '*/*',
    type: 'application/x-www-form-urlencoded;charset=UTF-8',
    text: 'a=b',
  })
})

test('fetch follows redirects, drops credentials at another origin, and can be told not to', async () => {
  const seen: string[] = []
  const second: HttpService = (request) => {
    seen.push(`${request.method} ${request.fields.get('authorization')}`)
    return HttpResponse.text('there')
  }
  let location = ''
  const first: HttpService = (request) => {
    seen.push(`${request.method} ${request.fields.get('authorization')}`)
    return new HttpResponse({ status: request.path === '/see' ? 303 : 307, fields: { location } })
  }
  await using sides = await serve([first, second])
  const [from, to] = sides.origins as [string, string]
  location = `${to}/end`
  const headers = { authorization: 'secret' }
  const response = await sides.agent.fetch(`${from}/see`, { method: 'POST', body: 'x', headers })
  assert.equal(await response.text(), 'there')
  assert.equal(response.redirected, true)
  assert.equal(response.url, location)
  await (await sides.agent.fetch(`${from}/keep`, { method: 'POST', body: 'x' })).text()
  assert.deepEqual(seen, ['POST secret', 'GET undefined', 'POST undefined', 'POST undefined'])
  const manual = await sides.agent.fetch(from, { redirect: 'manual' })
  assert.equal(manual.status, 307)
  await assert.rejects(sides.agent.fetch(from, { redirect: 'error' }))
})

test('fetch ends a row of redirects', async () => {
  let count = 0
  await using sides = await serve([
    () => new HttpResponse({ status: 302, fields: { location: `/${++count}` } }),
  ])
  await assert.rejects(sides.agent.fetch(sides.origins[0] as string), { code: 'ERR_LIMIT' })
  assert.equal(count, 21)
})

test('fetch decodes compressed answers', async () => {
  await using sides = await serve([
    (request) => {
      assert.match(request.fields.get('accept-encoding') ?? '', /gzip/)
      return new HttpResponse({ fields: { 'content-encoding': 'gzip' }, body: gzipSync('plain') })
    },
  ])
  const response = await sides.agent.fetch(sides.origins[0] as string)
  assert.equal(response.headers.get('content-encoding'), null)
  assert.equal(await response.text(), 'plain')
})

test('fetch aborts before and after the head, with the reason of the signal', async () => {
  const gate = Promise.withResolvers<void>()
  await using sides = await serve([
    (request) =>
      request.path === '/head'
        ? new Promise<HttpResponse>(() => gate.resolve())
        : new HttpResponse({
            body: {
              open: (sink) => ({
                resume: () => void sink.write(Buffer.from('first')),
                cancel() {},
              }),
              async *[Symbol.asyncIterator]() {},
            },
          }),
  ])
  const [origin] = sides.origins as [string]
  const before = new AbortController()
  const call = sides.agent.fetch(`${origin}/head`, { signal: before.signal })
  await gate.promise
  const rejected = assert.rejects(call, { name: 'AbortError' })
  before.abort()
  await rejected
  const after = new AbortController()
  const response = await sides.agent.fetch(origin, { signal: after.signal })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  assert.equal(Buffer.from((await reader.read()).value as Uint8Array).toString(), 'first')
  const reason = new Error('enough')
  const failing = assert.rejects(reader.read(), (error) => error === reason)
  after.abort(reason)
  await failing
})

test('fetch sends a stream, and gives no body where there is none', async () => {
  await using sides = await serve([
    async (request) => {
      if (request.method === 'HEAD') return HttpResponse.text('head')
      if (request.path === '/none') return new HttpResponse({ status: 204 })
      return HttpResponse.text(String((await request.body.bytes()).length))
    },
  ])
  const [origin] = sides.origins as [string]
  const body = new Blob([new Uint8Array(300_000)]).stream()
  const sent = await sides.agent.fetch(origin, {
    method: 'POST',
    body,
    duplex: 'half',
  } as RequestInit)
  assert.equal(await sent.text(), '300000')
  assert.equal((await sides.agent.fetch(`${origin}/none`)).body, null)
  assert.equal(await (await sides.agent.fetch(origin, { method: 'HEAD' })).text(), '')
})
