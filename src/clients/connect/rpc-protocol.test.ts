import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Echo } from '../../../test/fixtures/echo/echo_pb.ts'
import { memory } from '../../core/address.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { rpcServer } from '../../servers/connect/rpc-server.ts'
import { type GrpcService, grpcService } from '../../servers/grpc/grpc-service.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { memory as memoryTransport } from '../../transports/memory/memory-transport.ts'
import type { GrpcClient } from '../grpc/client-types.ts'
import { grpcClient } from '../grpc/grpc-client.ts'
import { httpClient } from '../http/http-client.ts'
import { connect, grpcWeb, type RpcProtocolOption } from './rpc-protocol.ts'

const PROTOCOLS: Readonly<Record<string, RpcProtocolOption>> = {
  gRPC: 'grpc', // trailers of HTTP/1.1 carry it too
  'gRPC-Web': 'grpc-web',
  'gRPC-Web in text': grpcWeb({ text: true }),
  Connect: 'connect',
  'Connect in JSON with GET': connect({ codec: 'json', useGet: true }),
}

for (const version of ['1.1', '2'] as const) {
  for (const [name, protocol] of Object.entries(PROTOCOLS)) {
    test(`grpcClient speaks ${name} over HTTP/${version}`, async () => {
      await using sides = await overMemory(rpcServer([echo()]), version)
      const { say, look, expand, collect, chat, fail } = grpcClient(Echo, sides.client, {
        protocol,
      })
      assert.equal((await say({ text: 'hello' })).text, 'hello')
      assert.equal((await look({ text: 'see' })).text, 'see')
      const numbers: number[] = []
      for await (const { number } of expand({ count: 200, payloadBytes: 1_000 }))
        numbers.push(number)
      assert.equal(numbers.length, 200)
      const requests = async function* () {
        for (const text of ['a', 'b', 'c']) yield { text }
      }
      assert.deepEqual((await collect(requests())).texts, ['a', 'b', 'c'])
      if (version === '2') await converse(chat)
      await assert.rejects(fail({ code: 6, message: 'there' }), {
        status: 'ALREADY_EXISTS',
        grpcMessage: 'there',
      })
      await assert.rejects(say({ delayMs: 60_000 }, { timeoutMs: 20 }), /DEADLINE|deadline/)
      const broken = expand({ count: 2_000_000, payloadBytes: 1_000 })
      for await (const { number } of broken) if (number === 3) break
      assert.equal((await say({ text: 'still' })).text, 'still')
    })
  }
}

/** Each request waits for the reply to the one before. */
async function converse(chat: GrpcClient<typeof Echo>['chat']): Promise<void> {
  let answered = Promise.withResolvers<void>()
  const requests = async function* () {
    for (const text of ['a', 'b', 'c']) {
      yield { text }
      await answered.promise
      answered = Promise.withResolvers()
    }
  }
  const heard: string[] = []
  for await (const { text } of chat(requests())) {
    heard.push(text)
    answered.resolve()
  }
  assert.deepEqual(heard, ['a', 'b', 'c'])
}

test('grpcClient takes no answer that is longer than its limit', async () => {
  await using sides = await overMemory(rpcServer([echo()]))
  for (const protocol of ['grpc', 'grpc-web', 'connect'] as const) {
    const limited = { protocol, maxReceiveMessageBytes: 104 }
    const client = grpcClient(Echo, sides.client, limited)
    assert.equal((await client.say({ payload: new Uint8Array(102) })).payload.length, 102)
    await assert.rejects(client.say({ payload: new Uint8Array(103) }), (error: Error) =>
      /over .*104/.test(error.message),
    )
  }
})

test('grpcClient says what a server answered that speaks none of it', async () => {
  for (const protocol of ['grpc', 'grpc-web', 'connect'] as const) {
    for (const [response, status] of [
      [HttpResponse.text('hello'), 'UNKNOWN'],
      [HttpResponse.text('gone', { status: 404 }), 'UNIMPLEMENTED'],
      [HttpResponse.json({}, { status: 503 }), 'UNAVAILABLE'],
      [HttpResponse.json({ code: 'aborted' }, { status: 200 }), 'UNKNOWN'],
    ] as const) {
      const { say, expand } = grpcClient(Echo, () => response, { protocol })
      await assert.rejects(say({}), { status }, `${protocol} ${status}`)
      const stream = async (): Promise<void> => {
        for await (const _ of expand({ count: 1 }));
      }
      await assert.rejects(stream(), { status }, `${protocol} stream ${status}`)
    }
  }
})

async function overMemory(service: HttpService, version: '1.1' | '2' = '1.1') {
  const transport = memoryTransport({ clock: systemClock })
  const server = httpServer(service)
  const { address } = await server.listen(transport, memory('rpc'))
  const client = httpClient('http://rpc.test', { transport, endpoints: [{ address }], version })
  return {
    client,
    async [Symbol.asyncDispose](): Promise<void> {
      await client.close()
      await server.close()
    },
  }
}

function echo(): GrpcService {
  return grpcService(Echo, {
    async say({ text, payload, delayMs }, context) {
      if (delayMs > 0) await new Promise((resolve) => context.onCancel(resolve))
      return { text, payload }
    },
    look: async ({ text }) => ({ text }),
    async *expand({ count, payloadBytes }) {
      const payload = new Uint8Array(payloadBytes)
      for (let number = 0; number < count; number++) yield { number, payload }
    },
    async collect(requests) {
      const texts: string[] = []
      for await (const { text } of requests) texts.push(text)
      return { count: texts.length, texts }
    },
    async *chat(requests) {
      for await (const { text } of requests) yield { text }
    },
    fail({ code, message }) {
      throw new GrpcError(code as 5, message)
    },
  })
}
