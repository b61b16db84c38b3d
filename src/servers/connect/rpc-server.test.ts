import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Echo } from '../../../test/fixtures/echo/echo_pb.ts'
import type { GrpcClientOptions, GrpcTarget } from '../../clients/grpc/client-settings.ts'
import { grpcClient } from '../../clients/grpc/grpc-client.ts'
import { Call } from '../../core/context.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { connectBridge } from '../../protocols/connect/connect-bridge.ts'
import { grpcOverConnect } from '../../protocols/connect/grpc-over-connect.ts'
import { grpcOverWeb } from '../../protocols/connect/grpc-over-web.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { Body, type BodyInit } from '../../protocols/http/body.ts'
import { HttpRequest, type HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { ErrorInfoSchema } from '../../protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import { type GrpcService, grpcService } from '../grpc/grpc-service.ts'
import { type RpcServerOptions, rpcServer } from './rpc-server.ts'

const methods = new Map(Echo.methods.map((method) => [`/${Echo.typeName}/${method.name}`, method]))
const method = (path: string) => methods.get(path)

/** Every way to call, the codecs and forms of each. */
const WAYS: Readonly<Record<string, (next: HttpService) => HttpService>> = {
  gRPC: (next) => next,
  'gRPC-Web': (next) => grpcOverWeb(next),
  'gRPC-Web in text': (next) => grpcOverWeb(next, { text: true }),
  Connect: (next) => grpcOverConnect(next, { method, host: nodeHost }),
  'Connect in JSON': (next) => grpcOverConnect(next, { method, codec: 'json', host: nodeHost }),
  'Connect with GET': (next) => grpcOverConnect(next, { method, useGet: true, host: nodeHost }),
  'Connect with GET in JSON': (next) =>
    grpcOverConnect(next, { method, useGet: true, codec: 'json', host: nodeHost }),
}

/** Bodies as they come from a network: in pieces, some of them a byte long. */
const inPieces =
  (next: HttpService): HttpService =>
  async (request, context) => {
    const { method, target, fields } = request
    const body = pieces(await request.body.bytes())
    const response = await next(new HttpRequest({ method, target, fields, body }), context)
    const bytes = await response.body.bytes()
    const { trailers } = response.body
    const again = new (response.constructor as typeof HttpResponse)({
      status: response.status,
      fields: response.fields,
      body: pieces(bytes),
    })
    if (trailers !== undefined) again.body.trailers = trailers
    return again
  }

function pieces(bytes: Uint8Array): Body {
  return Body.from(() => {
    let at = 0
    return {
      open(sink) {
        let flowing = false
        const flow = {
          resume(): void {
            if (flowing) return
            flowing = true
            while (flowing) {
              if (at === bytes.length) return sink.end()
              const end = Math.min(bytes.length, at + 1 + (at % 5))
              const piece = bytes.slice(at, end)
              at = end
              flowing = sink.write(piece)
              piece.fill(0xdb) // a view kept too long shows
            }
          },
          cancel(): void {
            flowing = false
          },
        }
        return flow
      },
      [Symbol.asyncIterator]: () => assert.fail('not iterated'),
    }
  })
}

for (const [way, through] of Object.entries(WAYS)) {
  for (const [how, carried] of Object.entries({
    whole: (service: HttpService) => service,
    'in pieces': inPieces,
  })) {
    const client = (options: GrpcClientOptions = {}, server: RpcServerOptions = {}) =>
      grpcClient(Echo, through(carried(rpcServer([echo()], server))) as GrpcTarget, options)

    test(`rpcServer answers all four kinds of call: ${way}, bodies ${how}`, async () => {
      const { say, look, expand, collect, chat } = client()
      const payload = Uint8Array.from({ length: 300 }, (_, index) => index)
      const said = await say({ text: 'héllo', payload, number: -7 })
      assert.deepEqual([said.text, said.number], ['héllo', -7])
      assert.deepEqual([...said.payload], [...payload])
      assert.equal((await look({ text: 'ünd' })).text, 'ünd')
      assert.equal((await say({})).text, '')
      const numbers: number[] = []
      for await (const { number } of expand({ count: 3 })) numbers.push(number)
      assert.deepEqual(numbers, [0, 1, 2])
      for await (const _ of expand({ count: 0 })) assert.fail('a message came')
      const { count, texts } = await collect([{ text: 'a' }, { text: 'b' }])
      assert.deepEqual([count, texts], [2, ['a', 'b']])
      const answers: string[] = []
      for await (const { text } of chat([{ text: 'c' }, { text: 'd' }])) answers.push(text)
      assert.deepEqual(answers, ['c', 'd'])
    })

    test(`rpcServer answers with errors: ${way}, bodies ${how}`, async () => {
      const { fail, expand } = client()
      for (let code = 1; code <= 16; code++) {
        const message = `no such ünit, 100 % of ${code}`
        await assert.rejects(fail({ code, message, withDetails: code > 8 }), (error) => {
          assert.ok(error instanceof GrpcError)
          assert.deepEqual([error.grpcCode, error.grpcMessage], [code, message])
          const infos = error.find(ErrorInfoSchema).map(({ reason }) => reason)
          assert.deepEqual(infos, code > 8 ? ['because'] : [])
          assert.equal(error.metadata.get('x-failed'), 'yes')
          return true
        })
      }
      const got: number[] = []
      const late = async (): Promise<void> => {
        for await (const { number } of expand({ count: 5, failAfter: 2, failCode: 9 })) {
          got.push(number)
        }
      }
      await assert.rejects(late(), { status: 'FAILED_PRECONDITION', grpcMessage: 'after 2' })
      assert.deepEqual(got, [0, 1])
    })

    test(`rpcServer passes metadata both ways: ${way}, bodies ${how}`, async () => {
      const { say, expand } = client()
      const seen: string[] = []
      const options = {
        metadata: { 'x-tenant': 'blue', 'key-bin': Uint8Array.of(0, 255) },
        onHeader: (headers: { get(name: string): string | undefined }) =>
          seen.push(`header ${headers.get('x-header')}`),
        onTrailer: (trailers: { get(name: string): string | undefined }) =>
          seen.push(`trailer ${trailers.get('x-trailer')} ${trailers.get('sum-bin')}`),
      }
      await say({ text: 'metadata' }, options)
      for await (const _ of expand({ count: 1, text: 'metadata' }, options));
      const expected = ['header blue/AP8', 'trailer done AQI']
      assert.deepEqual(seen, [...expected, ...expected])
    })
  }

  test(`rpcServer ends a stream that nobody wants any more: ${way}`, async () => {
    const ended = Promise.withResolvers<number>()
    const service = echo()
    const endless = grpcService(Echo, {
      ...(handlersOf(service) as Parameters<typeof grpcService<typeof Echo>>[1]),
      async *expand() {
        let number = 0
        try {
          for (; ; number++) yield { number }
        } finally {
          ended.resolve(number)
        }
      },
    })
    const { expand } = grpcClient(Echo, through(rpcServer([endless])) as GrpcTarget)
    for await (const { number } of expand({})) if (number === 2) break
    assert.ok((await ended.promise) < 10, 'the handler ran ahead of its reader')
  })

  test(`rpcServer carries deadlines: ${way}`, async () => {
    const carried: HttpService = rpcServer([echo()])
    const { say } = grpcClient(Echo, through(carried) as GrpcTarget)
    const { text } = await say({ text: 'deadline' }, { timeoutMs: 60_000 })
    const remaining = Number(text)
    assert.ok(remaining > 30_000 && remaining <= 60_000, text)
  })

  test(`rpcServer carries compressed messages: ${way}`, async () => {
    const text = 'again and '.repeat(1_000)
    const service = echo({ compression: ['gzip'] })
    const sizes: number[] = []
    const measured =
      (next: HttpService): HttpService =>
      async (request, context) => {
        const response = await next(request, context)
        sizes.push((await request.body.bytes()).length, (await response.body.bytes()).length)
        return response
      }
    const target = through(measured(rpcServer([service]))) as GrpcTarget
    const client = grpcClient(Echo, target, { compression: 'gzip' })
    assert.equal((await client.say({ text })).text, text)
    const packed = way.includes('JSON') ? text.length + 100 : 500
    assert.ok(
      sizes.every((size) => size > 0 && size < packed),
      sizes.join(),
    )
  })
}

test('rpcServer answers curl: JSON in, JSON out', async () => {
  const response = await ask({ body: '{"text":"hi","number":7,"newer":1}' })
  assert.equal(response.status, 200)
  assert.equal(response.fields.get('content-type'), 'application/json')
  assert.deepEqual(await response.body.json(), { text: 'hi', number: 7 })
  const got = await ask({
    method: 'GET',
    path: 'Look?encoding=json&message=%7B%22text%22%3A%22hi%22%7D',
    type: undefined,
  })
  assert.deepEqual([got.status, await got.body.json()], [200, { text: 'hi' }])
})

test('rpcServer refuses what is wrong with a call of Connect', async () => {
  const cases: readonly (readonly [Parameters<typeof ask>[0], status: number, code: string])[] = [
    [{ body: '{"text":' }, 400, 'invalid_argument'],
    [{ body: '[]' }, 400, 'invalid_argument'],
    [{ body: '{"number":"x"}' }, 400, 'invalid_argument'],
    [{ body: Uint8Array.of(0x7b, 0xff, 0x7d) }, 400, 'invalid_argument'],
    [{ fields: { 'connect-timeout-ms': '5s' } }, 400, 'invalid_argument'],
    [{ fields: { 'connect-timeout-ms': '99999999999' } }, 400, 'invalid_argument'],
    [{ fields: { 'connect-protocol-version': '2' } }, 400, 'invalid_argument'],
    [{ fields: { 'content-encoding': 'rot13' } }, 501, 'unimplemented'],
    [{ fields: { 'content-encoding': 'gzip' } }, 400, 'invalid_argument'],
    [{ body: `"${'x'.repeat(4 * 1024 * 1024)}"` }, 429, 'resource_exhausted'],
    [{ type: 'application/proto', body: Uint8Array.of(10, 200) }, 500, 'internal'],
    [{ path: 'Fail', body: '{"code":5}' }, 404, 'not_found'],
    [{ method: 'GET', path: 'Look?encoding=json' }, 400, 'invalid_argument'],
    [{ method: 'GET', path: 'Look?encoding=json&message=%zz' }, 400, 'invalid_argument'],
    [{ method: 'GET', path: 'Look?connect=v2&encoding=json&message={}' }, 400, 'invalid_argument'],
  ]
  for (const [init, status, code] of cases) {
    const response = await ask(init)
    const shown = JSON.stringify(init).slice(0, 100)
    assert.equal(response.status, status, shown)
    assert.equal(response.fields.get('content-type'), 'application/json', shown)
    assert.equal(((await response.body.json()) as { code: string }).code, code, shown)
  }
})

test('rpcServer refuses what is no call, as HTTP does', async () => {
  for (const [init, status] of [
    [{ type: 'text/plain' }, 415],
    [{ type: undefined }, 415],
    [{ type: 'application/connect+json' }, 415],
    [{ path: 'Expand' }, 415],
    [{ method: 'GET', path: 'Look?encoding=xml&message=' }, 415],
    [{ method: 'GET', path: 'Say?encoding=json&message={}' }, 405],
    [{ method: 'GET', path: 'Expand?encoding=json&message={}' }, 405],
    [{ path: 'Nothing' }, 404],
    [{ type: 'application/grpc-web+thrift' }, 415],
  ] as const) {
    const response = await ask(init)
    assert.equal(response.status, status, JSON.stringify(init))
  }
})

test('rpcServer ends a broken stream of Connect with the error in its last envelope', async () => {
  const broken = { type: 'application/connect+json', path: 'Expand' } as const
  for (const [body, code] of [
    [envelope(0, '{"count":'), 'invalid_argument'],
    [envelope(1, '{}'), 'invalid_argument'],
    [envelope(0, '{}').subarray(0, 6), 'internal'],
    [Uint8Array.of(0, 255, 255, 255, 255), 'resource_exhausted'],
    [Uint8Array.of(64, 0, 0, 0, 0), 'internal'],
    [Buffer.concat([envelope(0, '{}'), envelope(0, '{}')]), 'unimplemented'],
    [new Uint8Array(0), 'unimplemented'],
  ] as const) {
    const response = await ask({ ...broken, body })
    assert.equal(response.status, 200)
    const bytes = await response.body.bytes()
    assert.equal(bytes[0], 2, code)
    const end = JSON.parse(new TextDecoder().decode(bytes.subarray(5)))
    assert.equal(end.error.code, code)
  }
  const timeout = { fields: { 'connect-timeout-ms': 'soon' }, ...broken, body: envelope(0, '{}') }
  const refused = await (await ask(timeout)).body.bytes()
  assert.match(new TextDecoder().decode(refused), /"code":"invalid_argument"/)
})

test('rpcServer ends broken calls of gRPC-Web with a status in the last frame', async () => {
  for (const [type, body, status] of [
    ['application/grpc-web+proto', Uint8Array.of(0, 0, 0, 0, 2, 10), '13'],
    ['application/grpc-web+proto', Uint8Array.of(0, 255, 255, 255, 255), '8'],
    ['application/grpc-web+proto', Uint8Array.of(128, 0, 0, 0, 0), '13'],
    ['application/grpc-web-text', 'AAAA!AAA', '13'],
    ['application/grpc-web-text', 'AAAAA', '13'],
  ] as const) {
    const response = await ask({ type, body })
    assert.equal(response.status, 200)
    const text = type.endsWith('text')
    const bytes = await response.body.bytes()
    const frame = text ? Buffer.from(Buffer.from(bytes).toString(), 'base64') : bytes
    assert.equal(frame[0], 128)
    assert.match(
      new TextDecoder().decode(frame.subarray(5)),
      new RegExp(`^grpc-status: ${status}\r`),
    )
  }
})

test('rpcServer takes and gives JSON in gRPC and gRPC-Web', async () => {
  const body = envelope(0, '{"text":"hi","number":7}')
  for (const protocol of ['grpc', 'grpc-web']) {
    const type = `application/${protocol}+json`
    const response = await ask({ type, body })
    assert.equal(response.fields.get('content-type'), type)
    const bytes = await response.body.bytes()
    assert.equal(
      Buffer.from(bytes.subarray(5, 5 + (bytes[4] as number))).toString(),
      '{"text":"hi","number":7}',
    )
    const broken = await ask({ type, body: envelope(0, '{"text":') })
    const trailers = Buffer.from(await broken.body.bytes()).toString()
    const status = broken.fields.get('grpc-status') ?? /grpc-status: (\d+)/.exec(trailers)?.[1]
    assert.equal(status, '3', protocol)
    const unknown = await ask({ type, body, fields: { 'grpc-encoding': 'rot13' } })
    const said = Buffer.from(await unknown.body.bytes()).toString()
    assert.match(unknown.fields.get('grpc-status') ?? said, /12/)
  }
})

test('rpcServer requires the version where it is told to', async () => {
  const strict = { connect: { requireVersion: true } }
  assert.equal((await ask({}, strict)).status, 400)
  const versioned = { fields: { 'connect-protocol-version': '1' } }
  assert.equal((await ask(versioned, strict)).status, 200)
  const get = { method: 'GET', path: 'Look?encoding=json&message={}' }
  assert.equal((await ask(get, strict)).status, 400)
  assert.equal((await ask({ ...get, path: `${get.path}&connect=v1` }, strict)).status, 200)
})

test('rpcServer takes a message as long as its limit and not a byte more', async () => {
  const limited = { connect: { maxMessageBytes: 32 } }
  const body = (length: number): string => `{"text":"${'x'.repeat(length - 11)}"}`
  assert.equal((await ask({ body: body(32) }, limited)).status, 200)
  assert.equal((await ask({ body: body(33) }, limited)).status, 429)
})

test('connectBridge holds a reply as long as its limit and not a byte more', async () => {
  const send = async (maxReplyBytes: number, type: string): Promise<number> => {
    const service = connectBridge(inPieces(rpcServer([echo()])), { method, maxReplyBytes })
    const request = new HttpRequest({
      method: 'POST',
      target: `/${Echo.typeName}/Say`,
      fields: { 'content-type': type },
      body: type.endsWith('json') ? '{"text":"0123456789"}' : Buffer.from('\n\n0123456789'),
    })
    return (await service(request, new Call())).status
  }
  for (const type of ['application/proto', 'application/json']) {
    assert.equal(await send(12, type), 200)
    assert.equal(await send(11, type), 429)
  }
  for (const limits of [
    { maxReplyBytes: -1 },
    { maxMessageBytes: 0.5 },
    { maxMessageBytes: 2 ** 32 },
  ]) {
    assert.throws(() => connectBridge(rpcServer([echo()]), limits), { code: 'ERR_OPTION_RANGE' })
  }
})

test('rpcServer answers only what it is told to', async () => {
  assert.equal((await ask({}, { connect: false })).status, 415)
  const web = { type: 'application/grpc-web+proto', body: Uint8Array.of(0, 0, 0, 0, 0) }
  assert.equal((await ask(web, { grpcWeb: false })).status, 415)
  assert.equal((await ask(web)).status, 200)
})

interface Asked {
  method?: string
  path?: string
  type?: string | undefined
  fields?: Record<string, string>
  body?: BodyInit
}

async function ask(init: Asked, options?: RpcServerOptions): Promise<HttpResponse> {
  const {
    method = 'POST',
    path = 'Say',
    fields = {},
    body = method === 'GET' ? undefined : '{}',
  } = init
  const type = 'type' in init ? init.type : 'application/json'
  const service = rpcServer([echo()], options)
  const request = new HttpRequest({
    method,
    target: `/${Echo.typeName}/${path}`,
    fields: { ...fields, ...(type !== undefined && method !== 'GET' && { 'content-type': type }) },
    ...(body !== undefined && { body }),
  })
  return service(request, new Call())
}

function envelope(flags: number, text: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(flags, 0, 0, 0, text.length), Buffer.from(text)])
}

/** The functions behind a service, by the names that its handlers have. */
function handlersOf({ implementation }: GrpcService): Readonly<Record<string, unknown>> {
  const methods = [...implementation.methods.values()]
  return Object.fromEntries(methods.map(({ desc, call }) => [desc.localName, call]))
}

function echo(options?: Parameters<typeof grpcService>[2]): GrpcService {
  return grpcService(
    Echo,
    {
      say({ text, payload, number }, context) {
        if (text === 'metadata') addMetadata(context)
        if (text === 'deadline') {
          const remaining = (context.deadline ?? 0) - performance.now()
          return { text: String(Math.round(remaining)) }
        }
        return { text, payload, number }
      },
      look: async ({ text }) => ({ text }),
      async *expand({ count, text, failAfter, failCode }, context) {
        if (text === 'metadata') addMetadata(context)
        for (let number = 0; number < count; number++) {
          if (failAfter > 0 && number === failAfter) {
            throw new GrpcError(failCode as 9, `after ${number}`)
          }
          yield { number }
        }
      },
      async collect(requests) {
        const texts: string[] = []
        for await (const { text } of requests) texts.push(text)
        return { count: texts.length, texts }
      },
      async *chat(requests) {
        for await (const { text } of requests) yield { text }
      },
      fail({ code, message, withDetails }) {
        throw new GrpcError(code as 5, message, {
          metadata: { 'x-failed': 'yes' },
          details: withDetails ? [[ErrorInfoSchema, { reason: 'because' }]] : [],
        })
      },
    },
    options,
  )
}

function addMetadata(context: {
  requestMetadata: { get(name: string): string | undefined }
  responseHeaders: { set(name: string, value: string): unknown }
  responseTrailers: { set(name: string, value: string | Uint8Array): unknown }
}): void {
  const { requestMetadata } = context
  const value = `${requestMetadata.get('x-tenant')}/${requestMetadata.get('key-bin')}`
  context.responseHeaders.set('x-header', value)
  context.responseTrailers.set('x-trailer', 'done')
  context.responseTrailers.set('sum-bin', Uint8Array.of(1, 2))
}
