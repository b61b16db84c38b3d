import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Echo } from '../../../test/fixtures/echo/echo_pb.ts'
import { echoService } from '../../../test/support/echo-service.ts'
import type { GrpcClientOptions, GrpcTarget } from '../../clients/grpc/client-settings.ts'
import { grpcChannel } from '../../clients/grpc/grpc-channel.ts'
import { grpcClient } from '../../clients/grpc/grpc-client.ts'
import { memory } from '../../core/address.ts'
import { Call } from '../../core/context.ts'
import { ClosedError, OverloadError } from '../../core/errors.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { GrpcMetadata } from '../../protocols/grpc/call-metadata.ts'
import { grpcFrame } from '../../protocols/grpc/encoder.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { ErrorInfoSchema } from '../../protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { memory as memoryTransport } from '../../transports/memory/memory-transport.ts'
import { httpServer } from '../http/http-server.ts'
import type { GrpcServiceOptions } from './grpc-options.ts'
import { grpcServer, grpcService } from './grpc-service.ts'

/** Ways from a client to a service. */
const CARRIERS: Readonly<Record<string, (service: HttpService) => Promise<Carried>>> = {
  'in process': async (service) => ({ target: service, async [Symbol.asyncDispose]() {} }),
  'HTTP/1.1 over memory': (service) => overMemory(service, '1.1'),
  'HTTP/2 over memory': (service) => overMemory(service, '2'),
}

async function overMemory(service: HttpService, version: '1.1' | '2'): Promise<Carried> {
  const transport = memoryTransport({ clock: systemClock })
  const server = httpServer(service)
  const { address } = await server.listen(transport, memory(`grpc-${++servers}`))
  const endpoints = [{ address }]
  const channel = grpcChannel('http://memory.test', { transport, endpoints, version })
  return {
    target: channel,
    async [Symbol.asyncDispose]() {
      await channel.close()
      await server.close()
    },
  }
}

interface Carried extends AsyncDisposable {
  readonly target: GrpcTarget
}

let servers = 0

for (const [name, carry] of Object.entries(CARRIERS)) {
  const on = (behaviour: string, body: (way: Way) => Promise<void>): void => {
    test(`gRPC ${name}: ${behaviour}`, async () => {
      const carried: Carried[] = []
      try {
        await body(async (service = {}, client = {}) => {
          const way = await carry(echoService(service))
          carried.push(way)
          return grpcClient(Echo, way.target, client)
        })
      } finally {
        for (const one of carried) await one[Symbol.asyncDispose]()
      }
    })
  }

  on('all four kinds', async (way) => {
    const client = await way()
    const said = await client.say({ text: 'hello', payload: Uint8Array.of(1, 2), number: -7 })
    assert.deepEqual([said.text, [...said.payload], said.number], ['hello', [1, 2], -7])
    assert.equal((await client.look({})).text, '')
    const numbers: number[] = []
    for await (const { number } of client.expand({ count: 3, payloadBytes: 70_000 })) {
      numbers.push(number)
    }
    assert.deepEqual(numbers, [0, 1, 2])
    const { count, texts } = await client.collect([{ text: 'a' }, { text: 'b' }])
    assert.deepEqual([count, texts], [2, ['a', 'b']])
    const answers: string[] = []
    for await (const { text } of client.chat([{ text: 'c' }, { text: 'd' }])) answers.push(text)
    assert.deepEqual(answers, ['c', 'd'])
  })

  on('streams of nothing', async (way) => {
    const client = await way()
    for await (const _ of client.expand({ count: 0 })) assert.fail('a message came')
    for await (const _ of client.chat([])) assert.fail('a message came')
    assert.equal((await client.collect([])).count, 0)
  })

  on('metadata, headers and trailers, with -bin of several values', async (way) => {
    const client = await way()
    let headers: GrpcMetadata | undefined
    let trailers: GrpcMetadata | undefined
    const options = {
      metadata: { 'x-echo': 'a b', 'x-echo-bin': [Uint8Array.of(0, 255), new Uint8Array(0)] },
      onHeader(given: GrpcMetadata) {
        headers = given
      },
      onTrailer(given: GrpcMetadata) {
        trailers = given
      },
    }
    const check = (): void => {
      assert.equal(headers?.get('x-echo'), 'a b')
      assert.deepEqual(headers?.getAllBinary('x-echo-bin'), [
        Uint8Array.of(0, 255),
        new Uint8Array(0),
      ])
      assert.equal(trailers?.get('x-echo-trailer'), 'a b')
      assert.equal(trailers?.getAllBinary('x-echo-trailer-bin').length, 2)
    }
    await client.say({}, options)
    check()
    for await (const _ of client.expand({ count: 2 }, options)) headers?.get('x-echo')
    check()
  })

  on('errors before, in and after a stream, with details', async (way) => {
    const client = await way()
    await assert.rejects(client.fail({ code: 5, message: 'ünit', withDetails: true }), (error) => {
      assert.ok(error instanceof GrpcError)
      assert.deepEqual([error.status, error.grpcMessage], ['NOT_FOUND', 'ünit'])
      assert.equal(error.metadata.get('x-reason'), 'asked')
      assert.deepEqual(error.metadata.getBinary('x-reason-bin'), Uint8Array.of(0, 1, 255))
      assert.equal(error.find(ErrorInfoSchema)[0]?.reason, 'ASKED')
      return true
    })
    for (const failAfter of [0, 2, 3]) {
      let count = 0
      const call = client.expand({ count: 3, failAfter, failCode: 9 })
      await assert.rejects(async () => {
        for await (const _ of call) count++
      }, status('FAILED_PRECONDITION'))
      assert.equal(count, Math.min(failAfter, 3))
    }
  })

  on('what a handler throws that is no GrpcError is told to nobody but onError', async (way) => {
    const seen: unknown[] = []
    const client = await way({ onError: (error) => seen.push(error) })
    const failure = client.fail({ code: 0, message: 'password is hunter2' })
    await assert.rejects(failure, (error: GrpcError) => {
      assert.equal(error.status, 'UNKNOWN')
      assert.doesNotMatch(error.message, /hunter2/)
      return true
    })
    assert.match(String(seen), /hunter2/)
  })

  on('messages at their limits and one past', async (way) => {
    const client = await way({ maxReceiveMessageBytes: 1_003 }, { maxReceiveMessageBytes: 1_003 })
    const payload = new Uint8Array(1_000)
    assert.equal((await client.say({ payload })).payload.length, 1_000)
    const over = { payload: new Uint8Array(1_001) }
    await assert.rejects(client.say(over), status('RESOURCE_EXHAUSTED', /1004 bytes .* 1003/))
    await assert.rejects(client.collect([over]), status('RESOURCE_EXHAUSTED'))
    const large = client.expand({ count: 1, payloadBytes: 1_001 })
    await assert.rejects(async () => {
      for await (const _ of large) assert.fail('it came')
    }, status('RESOURCE_EXHAUSTED'))
    const small = await way({ maxSendMessageBytes: 10 }, { maxSendMessageBytes: 20 })
    await assert.rejects(
      small.say({ text: 'x'.repeat(19) }),
      status('RESOURCE_EXHAUSTED', /21 bytes/),
    )
    assert.equal((await small.say({ text: 'x'.repeat(8) })).text.length, 8)
    await assert.rejects(
      small.say({ text: 'x'.repeat(9) }),
      status('RESOURCE_EXHAUSTED', /11 bytes/),
    )
  })

  on('compression both ways, of what is long enough', async (way) => {
    for (const compression of ['gzip', 'deflate', 'zstd'] as const) {
      const service = { compression: [compression], compressMinBytes: 100 }
      const client = await way(service, { compression, compressMinBytes: 100 })
      for (const size of [0, 50, 100_000]) {
        const text = 'a'.repeat(size)
        assert.equal((await client.say({ text })).text, text)
        const answers: number[] = []
        for await (const reply of client.chat([{ text }, { text }])) answers.push(reply.text.length)
        assert.deepEqual(answers, [size, size])
      }
    }
  })

  on('to want no more replies cancels the handler', async (way) => {
    const client = await way()
    let count = 0
    for await (const _ of client.expand({ count: 1_000_000, payloadBytes: 100 })) {
      if (++count === 3) break
    }
    assert.equal(count, 3)
    assert.equal((await client.say({ text: 'still here' })).text, 'still here')
  })

  on('the caller’s signal ends a call with its own reason', async (way) => {
    const client = await way()
    const reason = new Error('enough')
    const controller = new AbortController()
    const call = client.expand({ count: 1_000_000 }, { signal: controller.signal })
    await assert.rejects(async () => {
      for await (const { number } of call) if (number === 2) controller.abort(reason)
    }, reason)
  })

  on('100 calls at the same time', async (way) => {
    const client = await way()
    const calls = Array.from({ length: 100 }, (_, number) => client.look({ number }))
    const replies = await Promise.all(calls)
    assert.deepEqual(
      replies.map(({ number }) => number),
      Array.from({ length: 100 }, (_, number) => number),
    )
  })
}

test('gRPC: the deadline goes along, aborts the handler and answers DEADLINE_EXCEEDED', async () => {
  const clock = new ManualClock()
  let aborted: unknown
  const service = grpcService(
    Echo,
    {
      ...noHandlers,
      say: (_request, context) => {
        assert.equal(context.deadline, clock.now() + 250)
        return new Promise(() => context.onCancel((reason) => (aborted = reason)))
      },
    },
    { clock },
  )
  const client = grpcClient(Echo, service, { clock })
  const call = client.say({}, { timeoutMs: 250 })
  clock.advance(260)
  await assert.rejects(call, status('DEADLINE_EXCEEDED'))
  assert.equal((aborted as { code?: string }).code, 'ERR_DEADLINE')
  assert.equal(clock.pendingTimers, 0)
})

test('gRPC: a bad grpc-timeout is INTERNAL, one that is over DEADLINE_EXCEEDED', async () => {
  for (const [timeout, code] of [
    ['123456789S', '13'],
    ['1x', '13'],
    ['0n', '4'],
  ] as const) {
    const response = await raw({ 'grpc-timeout': timeout })
    assert.equal(response.fields.get('grpc-status'), code, timeout)
    assert.equal(response.status, 200)
  }
})

test('gRPC: what is no gRPC gets 415, 404, 405, or the next service', async () => {
  const request = (init: object): HttpRequest =>
    new HttpRequest({ method: 'POST', target: '/heddle.echo.v1.Echo/Say', ...init })
  const statusOf = async (service: HttpService, init: object): Promise<number> =>
    (await service(request(init), new Call())).status
  const alone = echoService()
  const fields = { 'content-type': 'application/grpc' }
  assert.equal(await statusOf(alone, { fields: { 'content-type': 'application/json' } }), 415)
  assert.equal(await statusOf(alone, { fields: { 'content-type': 'application/grpc+json' } }), 415)
  assert.equal(await statusOf(alone, { fields: { 'content-type': 'application/grpc-web' } }), 415)
  assert.equal(await statusOf(alone, {}), 415)
  assert.equal(await statusOf(alone, { target: '/' }), 404)
  assert.equal(await statusOf(alone, { method: 'GET', fields }), 405)
  const both = grpcServer([alone], { next: () => HttpResponse.text('site', { status: 201 }) })
  assert.equal(await statusOf(both, { target: '/' }), 201)
  assert.equal(await statusOf(both, { fields: { 'content-type': 'application/json' } }), 201)
  assert.equal(await statusOf(both, { fields, body: grpcFrame(new Uint8Array(0)) }), 200)
})

test('gRPC: unknown methods and services are UNIMPLEMENTED', async () => {
  for (const target of [
    '/heddle.echo.v1.Echo/Nope',
    '/no.Service/Say',
    '/',
    '/heddle.echo.v1.Echo/',
  ]) {
    const response = await raw({}, { target })
    assert.equal(response.fields.get('grpc-status'), '12', target)
  }
})

test('gRPC: malformed bodies give the status that gRPC defines', async () => {
  const message = Uint8Array.of(10, 1, 97)
  const frame = grpcFrame(message)
  const cases: [string, Uint8Array, Record<string, string>, string][] = [
    ['truncated', frame.subarray(0, 6), {}, '13'],
    ['no message', new Uint8Array(0), {}, '12'],
    ['two messages', Uint8Array.of(...frame, ...frame), {}, '12'],
    ['flags that do not exist', Uint8Array.of(8, 0, 0, 0, 0), {}, '13'],
    ['the flag without an encoding', grpcFrame(message, true), {}, '13'],
    ['the flag with identity', grpcFrame(message, true), { 'grpc-encoding': 'identity' }, '13'],
    ['corrupt gzip', grpcFrame(message, true), { 'grpc-encoding': 'gzip' }, '13'],
    ['an unknown encoding', frame, { 'grpc-encoding': 'snappy' }, '12'],
    ['no protobuf', grpcFrame(Uint8Array.of(10, 100, 1)), {}, '13'],
    ['4 GiB announced', Uint8Array.of(0, 255, 255, 255, 255), {}, '8'],
  ]
  for (const [what, body, fields, code] of cases) {
    const response = await raw(fields, { body })
    const end = response.body.trailers ?? response.fields
    assert.equal(end.get('grpc-status'), code, `${what}: ${end.get('grpc-message')}`)
    if (code === '12' && fields['grpc-encoding'] === 'snappy') {
      assert.match(response.fields.get('grpc-accept-encoding') ?? '', /gzip,deflate,identity$/)
    }
  }
})

test('grpcClient gives responses that are no gRPC their status', async () => {
  const cases: [HttpResponse, string][] = [
    [HttpResponse.text('bad gateway', { status: 502 }), 'UNAVAILABLE'],
    [HttpResponse.text('who', { status: 401 }), 'UNAUTHENTICATED'],
    [HttpResponse.text('nothing', { status: 404 }), 'UNIMPLEMENTED'],
    [HttpResponse.text('hello'), 'UNKNOWN'],
    [new HttpResponse({ fields: GRPC }), 'UNKNOWN'],
    [new HttpResponse({ fields: { ...GRPC, 'grpc-status': '0' } }), 'UNIMPLEMENTED'],
    [
      new HttpResponse({
        fields: { ...GRPC, 'grpc-encoding': 'snappy' },
        body: grpcFrame(new Uint8Array(0), true),
      }),
      'INTERNAL',
    ],
  ]
  for (const [response, name] of cases) {
    const client = grpcClient(Echo, () => response)
    await assert.rejects(client.say({}), status(name as 'UNKNOWN'), name)
  }
})

test('grpcClient passes on what is no answer of the server’s as it is', async () => {
  const error = new OverloadError('ERR_POOL_FULL', 'full')
  await assert.rejects(grpcClient(Echo, () => Promise.reject(error)).say({}), error)
  const client = grpcClient(Echo, () => {
    throw error
  })
  await assert.rejects(client.say({}), error)
  await assert.rejects(async () => {
    for await (const _ of client.expand({})) assert.fail('a message came')
  }, error)
  const cancelled = new ClosedError('ERR_ABORTED', 'no')
  await assert.rejects(client.say({}, { signal: AbortSignal.abort(cancelled) }), cancelled)
})

test('grpcService wants a handler for every method and no other', () => {
  const service = noHandlers
  assert.throws(() => grpcService(Echo, { ...service, say: undefined as never }), argument)
  assert.throws(() => grpcService(Echo, { ...service, more: () => {} } as typeof service), argument)
  const echo = echoService()
  assert.throws(() => grpcServer([echo, echo]), argument)
})

test('interceptors stand around calls on both sides, outermost first', async () => {
  const order: string[] = []
  const service = echoService({
    interceptors: ['a', 'b'].map((name) => (next) => (call, context) => {
      order.push(`${name} ${call.method.name}`)
      return next(call, new Call({ priority: 5 }, context))
    }),
  })
  const client = grpcClient(Echo, service, {
    interceptors: [
      (next) => async (call, context) => {
        const reply = await next(call, context)
        order.push(`client ${call.method.name}`)
        return reply
      },
    ],
  })
  assert.equal((await client.say({ text: 'x' })).text, 'x')
  assert.deepEqual(order, ['a Say', 'b Say', 'client Say'])
  const refusing = echoService({
    interceptors: [
      () => () => {
        throw new GrpcError('PERMISSION_DENIED', 'not you')
      },
    ],
  })
  await assert.rejects(grpcClient(Echo, refusing).say({}), status('PERMISSION_DENIED'))
})

type EchoClient = ReturnType<typeof grpcClient<typeof Echo>>
type Way = (service?: GrpcServiceOptions, client?: GrpcClientOptions) => Promise<EchoClient>

const GRPC = { 'content-type': 'application/grpc' }
const argument = { code: 'ERR_ARGUMENT' }
const unused = (): never => assert.fail('it was called')
const noHandlers = {
  say: unused as () => Promise<object>,
  look: unused,
  expand: unused,
  collect: unused,
  chat: unused,
  fail: unused,
}

async function raw(fields: Record<string, string>, init: object = {}): Promise<HttpResponse> {
  const request = new HttpRequest({
    method: 'POST',
    target: '/heddle.echo.v1.Echo/Say',
    body: grpcFrame(new Uint8Array(0)),
    ...init,
    fields: { ...GRPC, ...fields },
  })
  return echoService()(request, new Call())
}

function status(name: GrpcError['status'], message: RegExp = /.*/): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GrpcError, String(error))
    assert.equal(error.status, name, error.message)
    assert.match(error.message, message)
    return true
  }
}
