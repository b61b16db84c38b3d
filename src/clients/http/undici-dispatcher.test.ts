import assert from 'node:assert/strict'
import { Readable, Writable } from 'node:stream'
import { test } from 'node:test'
import * as undici from 'undici'
import { ip } from '../../core/address.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { httpAgent } from './http-agent.ts'
import { heddleDispatcher } from './undici-dispatcher.ts'

async function serve(
  service: HttpService,
): Promise<AsyncDisposable & { origin: string; dispatcher: undici.Dispatcher }> {
  const server = httpServer(service)
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const dispatcher = heddleDispatcher(httpAgent())
  return {
    origin: `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`,
    // By shape: the adapter needs no undici.
    dispatcher: dispatcher as unknown as undici.Dispatcher,
    async [Symbol.asyncDispose]() {
      await dispatcher.close()
      await server.close()
    },
  }
}

const echo: HttpService = async (request) => {
  const { method, target, fields, body } = request
  const text = await body.text()
  const response = HttpResponse.json({
    method,
    target,
    type: fields.get('content-type'),
    length: fields.get('content-length'),
    custom: fields.getAll('x-custom'),
    text,
  })
  response.fields.append('set-cookie', 'a=1')
  response.fields.append('set-cookie', 'b=2')
  return response
}

async function seenBy(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>
}

/** What both have in common. Their types each know a dispatcher of their own. */
type AnyFetch = (url: string, init: object) => Promise<Response>

for (const [name, fetch] of [
  ['undici.fetch', undici.fetch as unknown as AnyFetch],
  ['global fetch', globalThis.fetch as AnyFetch],
] as const) {
  const [major = 0] = process.versions.node.split('.').map(Number)
  const skip = name === 'global fetch' && major < 24 && 'the undici inside speaks the old handlers'
  test(`heddleDispatcher carries ${name}`, { skip }, async () => {
    await using sides = await serve(echo)
    const { dispatcher } = sides
    const init = { dispatcher }
    const got = await fetch(`${sides.origin}/a?b=c`, init)
    assert.equal(got.status, 200)
    assert.deepEqual(got.headers.getSetCookie(), ['a=1', 'b=2'])
    assert.equal((await seenBy(got)).target, '/a?b=c')
    const posted = await fetch(sides.origin, { ...init, method: 'POST', body: 'grüße' })
    const seen = await seenBy(posted)
    assert.equal(seen.text, 'grüße')
    assert.equal(seen.length, '7')
    const streamed = await fetch(sides.origin, {
      ...init,
      method: 'POST',
      body: new Blob(['par', 'ts']).stream(),
      duplex: 'half',
    })
    assert.equal((await seenBy(streamed)).text, 'parts')
  })

  test(`heddleDispatcher aborts ${name} on the wire`, { skip }, async () => {
    const left = Promise.withResolvers<Error>()
    const started = Promise.withResolvers<void>()
    await using sides = await serve((_request, context) => {
      context.onCancel(left.resolve)
      started.resolve()
      return new Promise<HttpResponse>(() => {})
    })
    const controller = new AbortController()
    const { signal } = controller
    const call = fetch(sides.origin, { dispatcher: sides.dispatcher, signal })
    await started.promise
    const rejected = assert.rejects(call, { name: 'AbortError' })
    controller.abort()
    await rejected
    assert.ok((await left.promise) instanceof Error)
  })
}

test('heddleDispatcher carries undici.request, with every kind of body', async () => {
  await using sides = await serve(echo)
  const { dispatcher } = sides
  const bodies: [undici.Dispatcher.DispatchOptions['body'], string, string | undefined][] = [
    ['text', 'text', '4'],
    [Buffer.from('bytes'), 'bytes', '5'],
    [Readable.from([Buffer.from('a'), Buffer.from('b')]), 'ab', undefined],
  ]
  for (const [body, text, length] of bodies) {
    const {
      statusCode,
      headers,
      body: answer,
    } = await undici.request(`${sides.origin}/p`, {
      dispatcher,
      method: 'POST',
      body: body ?? null,
      query: { a: 'b c', d: ['1', '2'] },
      headers: { 'x-custom': ['1', '2'] },
    })
    assert.equal(statusCode, 200)
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2'])
    const seen = (await answer.json()) as Record<string, unknown>
    assert.equal(seen.text, text)
    assert.equal(seen.length, length)
    assert.equal(seen.target, '/p?a=b%20c&d=1&d=2')
    assert.deepEqual(seen.custom, ['1', '2'])
  }
})

test('heddleDispatcher sends forms of undici and of Node', async () => {
  await using sides = await serve(echo)
  for (const form of [new undici.FormData(), new FormData()]) {
    form.set('field', 'välue')
    form.set('file', new File(['con', 'tent'], 'a.txt', { type: 'text/plain' }))
    const { body } = await undici.request(sides.origin, {
      dispatcher: sides.dispatcher,
      method: 'POST',
      body: form as undici.FormData,
    })
    const seen = (await body.json()) as Record<string, string>
    const parsed = await new Response(seen.text, {
      headers: { 'content-type': seen.type as string },
    }).formData()
    assert.equal(parsed.get('field'), 'välue')
    const file = parsed.get('file') as File
    assert.equal(file.name, 'a.txt')
    assert.equal(await file.text(), 'content')
  }
})

test('heddleDispatcher reads the response as undici asks for it', async () => {
  const size = 32 * 1024 * 1024
  let given = 0
  await using sides = await serve(
    () =>
      new HttpResponse({
        body: {
          open: (sink) => {
            const chunk = new Uint8Array(65_536)
            return {
              resume() {
                while (given < size) {
                  given += chunk.length
                  if (!sink.write(chunk)) return
                }
                sink.end()
              },
              cancel() {},
            }
          },
          async *[Symbol.asyncIterator]() {},
        },
      }),
  )
  const { body } = await undici.request(sides.origin, { dispatcher: sides.dispatcher })
  let before = -1
  while (before !== given) {
    before = given
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.ok(given < size, 'everything was taken though nobody reads')
  let length = 0
  for await (const chunk of body) length += (chunk as Buffer).length
  assert.equal(length, size)
})

test('heddleDispatcher tells errors and timeouts, and closes', async () => {
  await using sides = await serve(() => new Promise<HttpResponse>(() => {}))
  const { dispatcher, origin } = sides
  await assert.rejects(undici.request(origin, { dispatcher, headersTimeout: 20 }), {
    code: 'ERR_DEADLINE',
  })
  await assert.rejects(undici.request('http://127.0.0.1:1', { dispatcher }), {
    code: 'ERR_CONNECT',
  })
  const pending = undici.request(origin, { dispatcher })
  const reason = new Error('down')
  const rejected = assert.rejects(pending, (error) => error === reason)
  await dispatcher.destroy(reason)
  await rejected
  await assert.rejects(undici.request(origin, { dispatcher }), { code: 'ERR_CLOSED' })
})

test('heddleDispatcher upgrades', async () => {
  await using sides = await serve(
    () =>
      new HttpResponse({
        status: 101,
        fields: { upgrade: 'shout', connection: 'upgrade' },
        upgrade(connection) {
          connection.open({
            onData: (chunk) => {
              connection.write(Buffer.from(Buffer.from(chunk).toString().toUpperCase()))
            },
            onDrain() {},
            onEnd: () => connection.end(),
            onClose() {},
          })
        },
      }),
  )
  const { socket, headers } = await undici.upgrade(sides.origin, {
    dispatcher: sides.dispatcher,
    protocol: 'shout',
  })
  assert.equal(headers.upgrade, 'shout')
  socket.end('quiet')
  let text = ''
  for await (const chunk of socket) text += chunk
  assert.equal(text, 'QUIET')
})

test('heddleDispatcher carries undici.stream and pipeline', async () => {
  await using sides = await serve((request) => new HttpResponse({ body: request.body }))
  const { dispatcher, origin } = sides
  let text = ''
  const sink = (): Writable =>
    new Writable({
      write(chunk, _encoding, done) {
        text += chunk
        done()
      },
    })
  await undici.stream(origin, { dispatcher, method: 'POST', body: 'streamed' }, sink)
  assert.equal(text, 'streamed')
  const piped = undici.pipeline(origin, { dispatcher, method: 'POST' }, ({ body }) => body)
  piped.end('piped')
  assert.equal(await readAll(piped), 'piped')
})

async function readAll(stream: AsyncIterable<unknown>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}
