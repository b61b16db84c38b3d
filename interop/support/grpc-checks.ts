/**
 * What our client asks of any server of test/fixtures/echo, whoever wrote it: all four kinds, errors,
 * details, deadlines, cancellation, empty and large messages, metadata, compression, many at a time.
 */
import assert from 'node:assert/strict'
import type { grpcClient } from '../../src/clients/grpc/grpc-client.ts'
import type { GrpcMetadata } from '../../src/protocols/grpc/call-metadata.ts'
import { grpcStatusOf } from '../../src/protocols/grpc/error-status.ts'
import { GrpcError } from '../../src/protocols/grpc/grpc-error.ts'
import { GrpcStatus } from '../../src/protocols/grpc/status.ts'
import { ErrorInfoSchema } from '../../src/protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import type { Echo } from '../../test/fixtures/echo/echo_pb.ts'

export type EchoClient = ReturnType<typeof grpcClient<typeof Echo>>

export const GRPC_CHECKS: Readonly<Record<string, (client: EchoClient) => Promise<void>>> = {
  async 'unary, empty and large'(client) {
    for (const length of [0, 1, 1_000, 16_384, 65_536, 1_000_000, 3_900_000]) {
      const payload = new Uint8Array(length).fill(length % 251)
      const reply = await client.say({ text: 'grüße', payload, number: -5 })
      assert.deepEqual([reply.text, reply.number], ['grüße', -5])
      assert.ok(Buffer.from(payload).equals(reply.payload), `${length} bytes`)
    }
    assert.deepEqual((await client.say({})).text, '')
  },

  async 'server streaming'(client) {
    const numbers: number[] = []
    let bytes = 0
    for await (const reply of client.expand({ text: 'x', count: 300, payloadBytes: 5_000 })) {
      numbers.push(reply.number)
      bytes += reply.payload.length
    }
    assert.deepEqual(
      numbers,
      Array.from({ length: 300 }, (_, index) => index),
    )
    assert.equal(bytes, 1_500_000)
    for await (const _ of client.expand({ count: 0 })) assert.fail('a message came')
  },

  async 'client streaming'(client) {
    async function* requests(): AsyncGenerator<{ text: string; payload: Uint8Array }> {
      for (let count = 0; count < 300; count++) {
        yield { text: `t${count}`, payload: new Uint8Array(5_000) }
      }
    }
    const { count, bytes, texts } = await client.collect(requests())
    assert.deepEqual([count, bytes, texts[9]], [300, 1_500_000n, 't9'])
    assert.equal((await client.collect([])).count, 0)
  },

  async 'bidirectional, one after the other'(client) {
    let answered: () => void = () => {}
    async function* requests(): AsyncGenerator<{ number: number }> {
      for (let number = 0; number < 50; number++) {
        const next = new Promise<void>((resolve) => {
          answered = resolve
        })
        yield { number }
        await next // the answer must come before the next request goes
      }
    }
    const numbers: number[] = []
    for await (const { number } of client.chat(requests())) {
      numbers.push(number)
      answered()
    }
    assert.equal(numbers.length, 50)
  },

  async 'errors with message, details and metadata'(client) {
    for (const code of [1, 2, 3, 5, 7, 13, 14, 16]) {
      const call = client.fail({ code, message: 'ünit %\n', withDetails: code === 5 })
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof GrpcError, String(error))
        assert.deepEqual([error.grpcCode, error.grpcMessage], [code, 'ünit %\n'])
        assert.equal(error.metadata.get('x-reason'), 'asked')
        assert.deepEqual([...(error.metadata.getBinary('x-reason-bin') ?? [])], [0, 1, 255])
        if (code === 5) assert.equal(error.find(ErrorInfoSchema)[0]?.reason, 'ASKED')
        return true
      })
    }
  },

  async 'an error after some messages'(client) {
    let count = 0
    await assert.rejects(
      async () => {
        for await (const _ of client.expand({ count: 9, failAfter: 4, failCode: 9 })) count++
      },
      (error) => error instanceof GrpcError && error.status === 'FAILED_PRECONDITION',
    )
    assert.equal(count, 4)
  },

  async 'metadata both ways'(client) {
    let headers: GrpcMetadata | undefined
    let trailers: GrpcMetadata | undefined
    await client.say(
      {},
      {
        metadata: {
          'x-echo': ['one', 'two'],
          'x-echo-bin': [Uint8Array.of(0, 127, 255), Uint8Array.of(1)],
        },
        onHeader(given) {
          headers = given
        },
        onTrailer(given) {
          trailers = given
        },
      },
    )
    assert.deepEqual(headers?.getAll('x-echo').join().replaceAll(' ', ''), 'one,two')
    const binary = headers?.getAllBinary('x-echo-bin').map((value) => [...value])
    assert.deepEqual(binary, [[0, 127, 255], [1]])
    assert.match(trailers?.get('x-echo-trailer') ?? '', /^one/)
  },

  async 'a deadline that passes'(client) {
    const started = performance.now()
    for (const call of [
      () => client.say({ delayMs: 10_000 }, { timeoutMs: 150 }),
      async () => {
        const replies = client.expand({ count: 9, delayMs: 10_000 }, { timeoutMs: 150 })
        for await (const _ of replies) assert.fail('a message came')
      },
    ]) {
      await assert.rejects(call, (error) => {
        assert.equal(grpcStatusOf(error), GrpcStatus.DEADLINE_EXCEEDED, String(error))
        return true
      })
    }
    assert.ok(performance.now() - started < 5_000)
  },

  async 'cancellation, and the connection goes on'(client) {
    const controller = new AbortController()
    const reason = new Error('enough')
    const call = client.say({ delayMs: 10_000 }, { signal: controller.signal })
    setTimeout(() => controller.abort(reason), 50)
    await assert.rejects(call, reason)
    for (let round = 0; round < 20; round++) {
      for await (const _ of client.expand({ count: 1_000, payloadBytes: 10_000 })) break
    }
    assert.equal((await client.say({ text: 'after' })).text, 'after')
  },

  async '1,000 calls at the same time'(client) {
    const calls = Array.from({ length: 1_000 }, (_, number) => client.say({ number }))
    const replies = await Promise.all(calls)
    assert.ok(replies.every((reply, number) => reply.number === number))
  },
}
