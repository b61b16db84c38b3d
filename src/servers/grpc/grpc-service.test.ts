import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Echo } from '../../../test/fixtures/echo/echo_pb.ts'
import { grpcClient } from '../../clients/grpc/grpc-client.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { type GrpcService, grpcService } from './grpc-service.ts'

test('grpcClient calls all four kinds of a service in the same process', async () => {
  const client = grpcClient(Echo, echo())
  const said = await client.say({ text: 'hello', payload: Uint8Array.of(1, 2), number: -7 })
  assert.deepEqual([said.text, [...said.payload], said.number], ['hello', [1, 2], -7])
  const numbers: number[] = []
  for await (const { number } of client.expand({ count: 3 })) numbers.push(number)
  assert.deepEqual(numbers, [0, 1, 2])
  const { count, texts } = await client.collect([{ text: 'a' }, { text: 'b' }])
  assert.deepEqual([count, texts], [2, ['a', 'b']])
  const answers: string[] = []
  for await (const { text } of client.chat([{ text: 'c' }, { text: 'd' }])) answers.push(text)
  assert.deepEqual(answers, ['c', 'd'])
})

test('GrpcError crosses from the handler to the client with its text', async () => {
  const client = grpcClient(Echo, echo())
  await assert.rejects(client.fail({ code: 5, message: 'no such ünit, 100 %' }), (error) => {
    assert.ok(error instanceof GrpcError)
    assert.equal(error.status, 'NOT_FOUND')
    assert.equal(error.grpcMessage, 'no such ünit, 100 %')
    return true
  })
})

function echo(): GrpcService {
  return grpcService(Echo, {
    say: ({ text, payload, number }) => ({ text, payload, number }),
    look: async ({ text }) => ({ text }),
    async *expand({ count }) {
      for (let number = 0; number < count; number++) yield { number }
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
