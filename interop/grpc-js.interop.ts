/**
 * gRPC with `@grpc/grpc-js`: our client on its server, its client on our server; all four kinds, errors,
 * details, deadlines, cancellation, metadata, compression, keepalive, the age of connections.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import grpc from '@grpc/grpc-js'
import { grpcClient } from '../src/clients/grpc/grpc-client.ts'
import { decodeStatusDetails } from '../src/protocols/grpc/status-details.ts'
import { type HttpServerOptions, httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { Echo as EchoDescriptor } from '../test/fixtures/echo/echo_pb.ts'
import { type EchoCounts, echoService } from '../test/support/echo-service.ts'
import { GRPC_CHECKS } from './support/grpc-checks.ts'
import { Echo, type Message, serveGrpcJs } from './support/grpc-js-echo.ts'

for (const [name, check] of Object.entries(GRPC_CHECKS)) {
  test(`our client, grpc-js server: ${name}`, { timeout: 30_000 }, async () => {
    using server = await serveGrpcJs()
    await using client = grpcClient(EchoDescriptor, `http://127.0.0.1:${server.port}`)
    await check(client)
  })
}

for (const compression of ['gzip', 'deflate'] as const) {
  test(`our client, grpc-js server: ${compression} both ways`, { timeout: 30_000 }, async () => {
    using server = await serveGrpcJs({
      'grpc.default_compression_algorithm': compression === 'gzip' ? 2 : 1,
    })
    const options = { compression, compressMinBytes: 0 }
    await using client = grpcClient(EchoDescriptor, `http://127.0.0.1:${server.port}`, options)
    for (const length of [0, 10, 100_000]) {
      assert.equal((await client.say({ text: 'a'.repeat(length) })).text.length, length)
    }
  })
}

test('our client, grpc-js server: a connection that grows old is replaced', {
  timeout: 30_000,
}, async () => {
  using server = await serveGrpcJs({
    'grpc.max_connection_age_ms': 300,
    'grpc.max_connection_age_grace_ms': 5_000,
  })
  await using client = grpcClient(EchoDescriptor, `http://127.0.0.1:${server.port}`)
  const until = performance.now() + 2_000
  let calls = 0
  for (; performance.now() < until; calls++)
    assert.equal((await client.say({ number: calls })).number, calls)
  assert.ok(calls > 50, `${calls} calls`)
})

test('grpc-js client, our server: all four kinds, errors, metadata', {
  timeout: 30_000,
}, async () => {
  await using server = await serve()
  using client = grpcJsClient(server.port)
  for (const length of [0, 1, 16_384, 1_000_000, 3_900_000]) {
    const { message } = await client.say({ payload: Buffer.alloc(length, 7), number: -5 })
    assert.equal(message.payload.length, length)
    assert.equal(message.number, -5)
  }
  const metadata = new grpc.Metadata()
  metadata.add('x-echo', 'one')
  metadata.add('x-echo', 'two')
  metadata.add('x-echo-bin', Buffer.of(0, 127, 255))
  const { headers, status } = await client.say({}, metadata)
  assert.equal(headers.get('x-echo').join().replaceAll(' ', ''), 'one,two')
  assert.deepEqual(headers.get('x-echo-bin'), [Buffer.of(0, 127, 255)])
  assert.deepEqual(status.metadata.get('x-echo-trailer'), ['one'])
  const replies = client.stream('Expand', { count: 300, payload_bytes: 5_000 })
  let number = 0
  for await (const reply of replies) assert.equal(reply.number, number++)
  assert.equal(number, 300)
  assert.deepEqual(await client.collect(300, 5_000), { count: 300, bytes: 1_500_000 })
  assert.equal(await client.chat(50), 50)
})

test('grpc-js client, our server: errors with details', { timeout: 30_000 }, async () => {
  await using server = await serve()
  using client = grpcJsClient(server.port)
  const error = await client.fail({ code: 5, message: 'ünit %\n', with_details: true })
  assert.deepEqual([error.code, error.details], [5, 'ünit %\n'])
  assert.deepEqual(error.metadata.get('x-reason-bin'), [Buffer.of(0, 1, 255)])
  const [details] = error.metadata.get('grpc-status-details-bin') as [Buffer]
  const decoded = decodeStatusDetails(details.toString('base64'))
  assert.equal(decoded?.details[0]?.type, 'google.rpc.ErrorInfo')
  assert.equal((await client.fail({ code: 0, message: 'secret' })).code, 2)
})

test('grpc-js client, our server: deadline and cancellation reach the handler', {
  timeout: 30_000,
}, async () => {
  const counts = { active: 0, aborted: 0 }
  await using server = await serve(counts)
  using client = grpcJsClient(server.port)
  await assert.rejects(client.say({ delay_ms: 10_000 }, new grpc.Metadata(), 150), { code: 4 })
  const call = client.stream('Expand', { count: 9, delay_ms: 10_000 })
  setTimeout(() => call.cancel(), 100)
  await assert.rejects(
    async () => {
      for await (const _ of call) assert.fail('a message came')
    },
    { code: 1 },
  )
  while (counts.active > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(counts.aborted, 2)
})

test('grpc-js client, our server: 1,000 calls at the same time, and gzip', {
  timeout: 30_000,
}, async () => {
  await using server = await serve()
  using client = grpcJsClient(server.port, { 'grpc.default_compression_algorithm': 2 })
  const calls = Array.from({ length: 1_000 }, (_, number) =>
    client.say({ number, text: 'a'.repeat(2_000) }),
  )
  const replies = await Promise.all(calls)
  assert.ok(replies.every(({ message }, number) => message.number === number))
})

test('grpc-js client, our server: keepalive pings on an idle channel', {
  timeout: 30_000,
}, async () => {
  await using server = await serve()
  using client = grpcJsClient(server.port, {
    'grpc.keepalive_time_ms': 200,
    'grpc.keepalive_timeout_ms': 500,
    'grpc.keepalive_permit_without_calls': 1,
  })
  await client.say({})
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  assert.equal((await client.say({ number: 3 })).message.number, 3)
})

test('grpc-js client, our server: one that pings too often gets GOAWAY too_many_pings', {
  timeout: 30_000,
}, async () => {
  await using server = await serve(undefined, { http2: { minPingIntervalMs: 300_000 } })
  await using road = await listenTo(server.port)
  using client = grpcJsClient(road.port, {
    'grpc.keepalive_time_ms': 100,
    'grpc.keepalive_timeout_ms': 2_000,
    'grpc.keepalive_permit_without_calls': 1,
  })
  assert.equal((await client.say({ number: 1 })).message.number, 1)
  while (road.heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  // ENHANCE_YOUR_CALM is 11, and the text is what clients of gRPC look for.
  assert.deepEqual(road.heard, [{ code: 11, text: 'too_many_pings' }])
  // It comes again, with keepalive further apart, and its calls go on.
  assert.equal((await client.say({ number: 2 })).message.number, 2)
  assert.equal(server.accepted(), 2)
})

test('grpc-js client, our server: a connection that grows old is replaced', {
  timeout: 30_000,
}, async () => {
  await using server = await serve(undefined, { maxConnectionAgeMs: 300 })
  using client = grpcJsClient(server.port)
  const until = performance.now() + 2_000
  let calls = 0
  for (; performance.now() < until; calls++) {
    const { message } = await client.say({ number: calls })
    assert.equal(message.number, calls)
  }
  assert.ok(server.accepted() > 2, `${server.accepted()} connections`)
  assert.ok(calls > 50, `${calls} calls`)
})

async function serve(
  counts?: EchoCounts,
  options: HttpServerOptions = {},
): Promise<{ port: number; accepted: () => number } & AsyncDisposable> {
  const server = httpServer(echoService({ compression: ['gzip', 'deflate'] }, counts), options)
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  return {
    port: address.kind === 'ip' ? address.port : 0,
    accepted: () => server.stats.accepted,
    [Symbol.asyncDispose]: () => server.close({ signal: AbortSignal.timeout(1_000) }),
  }
}

interface GoAway {
  readonly code: number
  readonly text: string
}

/** A road to the server that hears its GOAWAYs other than NO_ERROR. */
async function listenTo(to: number): Promise<{ port: number; heard: GoAway[] } & AsyncDisposable> {
  const heard: GoAway[] = []
  const sockets: net.Socket[] = []
  const road = net.createServer((near) => {
    const far = net.connect(to, '127.0.0.1')
    let input = Buffer.alloc(0)
    far.on('data', (chunk: Buffer) => {
      input = Buffer.concat([input, chunk])
      while (input.length >= 9 && input.length >= 9 + input.readUIntBE(0, 3)) {
        const end = 9 + input.readUIntBE(0, 3)
        const code = input[3] === 7 ? input.readUInt32BE(13) : 0
        if (code !== 0) heard.push({ code, text: input.subarray(17, end).toString() })
        input = input.subarray(end)
      }
    })
    for (const socket of [near, far]) {
      socket.on('error', () => {})
      sockets.push(socket)
    }
    near.pipe(far).pipe(near)
  })
  road.listen(0, '127.0.0.1')
  await once(road, 'listening')
  return {
    port: (road.address() as net.AddressInfo).port,
    heard,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      road.close()
    },
  }
}

interface Answer {
  readonly message: Message
  readonly headers: grpc.Metadata
  readonly status: grpc.StatusObject
}

/** Its callbacks as promises. */
function grpcJsClient(port: number, options: grpc.ClientOptions = {}) {
  const stub = new Echo(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options)
  const methods = stub as unknown as Record<string, (...parameters: unknown[]) => never>
  const method = (name: string): ((...parameters: unknown[]) => never) =>
    (methods[name] as (...parameters: unknown[]) => never).bind(stub)
  return {
    say(message: object, metadata = new grpc.Metadata(), timeoutMs = 20_000): Promise<Answer> {
      return new Promise((resolve, reject) => {
        let answer: Partial<Answer> = {}
        const deadline = { deadline: Date.now() + timeoutMs }
        const call: grpc.ClientUnaryCall = method('Say')(
          message,
          metadata,
          deadline,
          (error: Error | null, reply: Message) => {
            if (error) reject(error)
            else answer = { ...answer, message: reply }
          },
        )
        call.on('metadata', (headers) => (answer = { ...answer, headers }))
        call.on('status', (status) => resolve({ ...answer, status } as Answer))
      })
    },
    stream(name: string, message: object): grpc.ClientReadableStream<Message> {
      return method(name)(message)
    },
    collect(count: number, bytes: number): Promise<{ count: number; bytes: number }> {
      return new Promise((resolve, reject) => {
        const call: grpc.ClientWritableStream<object> = method('Collect')(
          (error: Error | null, reply: { count: number; bytes: number }) => {
            if (error) reject(error)
            else resolve({ count: reply.count, bytes: reply.bytes })
          },
        )
        for (let index = 0; index < count; index++)
          call.write({ text: `t${index}`, payload: Buffer.alloc(bytes) })
        call.end()
      })
    },
    async chat(count: number): Promise<number> {
      const call: grpc.ClientDuplexStream<object, Message> = method('Chat')()
      let answers = 0
      call.write({ number: 0 })
      for await (const { number } of call as AsyncIterable<Message>) {
        assert.equal(number, answers++)
        if (answers < count) call.write({ number: answers })
        else call.end()
      }
      return answers
    },
    fail(message: object): Promise<grpc.ServiceError> {
      return new Promise((resolve, reject) => {
        method('Fail')(message, (error: grpc.ServiceError | null) => {
          if (error) resolve(error)
          else reject(new Error('it went well'))
        })
      })
    },
    [Symbol.dispose]: () => stub.close(),
  }
}
