import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { test } from 'node:test'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { ip } from '../../core/address.ts'
import type { HttpService } from '../../protocols/http/messages.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { fetchHandler } from './fetch-handler.ts'
import { httpServer } from './http-server.ts'
import { nodeHandler } from './node-handler.ts'

interface Answer {
  status: number | undefined
  headers: http.IncomingHttpHeaders
  body: string
}

/** Asks with node:http, so that nothing of ours is on both sides. */
async function withServer(
  service: HttpService,
  use: (ask: (options: http.RequestOptions, body?: string) => Promise<Answer>) => Promise<void>,
): Promise<void> {
  const agent = new http.Agent({ keepAlive: true })
  await using server = httpServer(service)
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  try {
    await use(async (options, body) => {
      const request = http.request({ host: '127.0.0.1', port, agent, ...options })
      request.end(body)
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      const chunks = await response.toArray()
      const text = Buffer.concat(chunks).toString()
      return { status: response.statusCode, headers: response.headers, body: text }
    })
  } finally {
    agent.destroy()
  }
}

const json = { method: 'POST', headers: { 'content-type': 'application/json' } }

test('nodeHandler runs an Express application', async () => {
  const app = express()
  app.use(express.json())
  app.get('/hello/:name', (request, response) => {
    response
      .set('x-agent', request.get('user-agent') ?? 'none')
      .send(`hello ${request.params.name}`)
  })
  app.post('/echo', (request, response) => void response.status(201).json(request.body))
  app.get('/stream', (_request, response) => {
    response.write('one,')
    setImmediate(() => response.end('two'))
  })
  app.get('/boom', () => {
    throw new Error('boom')
  })
  await withServer(nodeHandler(app), async (ask) => {
    const hello = await ask({ path: '/hello/you?x=1', headers: { 'user-agent': 'test' } })
    assert.deepEqual(
      [hello.status, hello.body, hello.headers['x-agent']],
      [200, 'hello you', 'test'],
    )
    assert.equal(hello.headers['content-length'], '9')
    const echo = await ask({ ...json, path: '/echo' }, '{"a":[1,2]}')
    assert.deepEqual([echo.status, JSON.parse(echo.body)], [201, { a: [1, 2] }])
    assert.equal((await ask({ path: '/stream' })).body, 'one,two')
    assert.equal((await ask({ path: '/boom' })).status, 500)
    assert.equal((await ask({ path: '/nowhere' })).status, 404)
    const head = await ask({ method: 'HEAD', path: '/hello/you' })
    assert.deepEqual([head.status, head.body], [200, ''])
  })
})

test('nodeHandler runs a Fastify application', async () => {
  const app = fastify()
  app.get('/hello/:name', (request) => ({ hello: (request.params as { name: string }).name }))
  app.post('/echo', (request, reply) => reply.code(201).send(request.body))
  await app.ready()
  await withServer(
    nodeHandler((request, response) => app.routing(request, response)),
    async (ask) => {
      const hello = await ask({ path: '/hello/you' })
      assert.deepEqual([hello.status, JSON.parse(hello.body)], [200, { hello: 'you' }])
      const echo = await ask({ ...json, path: '/echo' }, '{"a":1}')
      assert.deepEqual([echo.status, JSON.parse(echo.body)], [201, { a: 1 }])
      assert.equal((await ask({ ...json, path: '/echo' }, '{broken')).status, 400)
    },
  )
  await app.close()
})

test('fetchHandler runs a Hono application', async () => {
  const app = new Hono()
  app.get('/hello/:name', (c) => c.text(`hello ${c.req.param('name')} ${c.req.query('x')}`))
  app.post('/echo', async (c) => c.json(await c.req.json(), 201))
  app.post('/form', async (c) => c.text(String((await c.req.formData()).get('a'))))
  app.get('/stream', (c) => c.body(new Blob(['one,', 'two']).stream()))
  await withServer(
    fetchHandler((request) => app.fetch(request)),
    async (ask) => {
      assert.equal((await ask({ path: '/hello/you?x=1' })).body, 'hello you 1')
      const echo = await ask({ ...json, path: '/echo' }, '{"a":1}')
      assert.deepEqual([echo.status, JSON.parse(echo.body)], [201, { a: 1 }])
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      assert.equal((await ask({ method: 'POST', path: '/form', headers }, 'a=b%20c')).body, 'b c')
      assert.equal((await ask({ path: '/stream' })).body, 'one,two')
    },
  )
})

test('fetchHandler gives a Request that is one', async () => {
  await withServer(
    fetchHandler(async (request) => {
      assert.ok(request instanceof Request)
      const copy = request.clone()
      const text = `${request.method} ${new URL(request.url).pathname} ${await copy.text()}`
      return new Response(text, {
        status: 202,
        headers: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ],
      })
    }),
    async (ask) => {
      const answer = await ask({ method: 'PUT', path: '/x?y' }, 'body')
      assert.deepEqual([answer.status, answer.body], [202, 'PUT /x body'])
      assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
    },
  )
})
