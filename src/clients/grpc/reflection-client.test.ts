import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { Echo } from '../../../test/fixtures/echo/echo_pb.ts'
import {
  type ServerReflectionResponseSchema,
  ServerReflection as V1,
} from '../../protocols/grpc/proto/grpc/reflection/v1/reflection_pb.ts'
import { type GrpcService, grpcServer, grpcService } from '../../servers/grpc/grpc-service.ts'
import { grpcReflection } from '../../servers/grpc/reflection/grpc-reflection.ts'
import { ReflectionClient } from './reflection-client.ts'

test('ReflectionClient lists services and makes descriptors of them, of either version', async () => {
  const all = [echo(), ...grpcReflection([echo()])]
  for (const services of [all, [all[0], all[2]]] as GrpcService[][]) {
    const client = new ReflectionClient(grpcServer(services))
    assert.ok((await client.listServices()).includes(Echo.typeName))
    const registry = await client.registryOf(Echo.typeName)
    const service = registry.getService(Echo.typeName)
    assert.deepEqual(
      service?.methods.map(({ name, methodKind }) => `${name} ${methodKind}`),
      Echo.methods.map(({ name, methodKind }) => `${name} ${methodKind}`),
    )
    const [request] = service?.methods.map(({ input }) => input) ?? []
    assert.equal(request?.field['delayMs']?.name, 'delay_ms')
  }
})

test('ReflectionClient passes on what the server says', async () => {
  const server = grpcServer([echo(), ...grpcReflection([echo()])])
  await assert.rejects(new ReflectionClient(server).registryOf('no.Such'), {
    status: 'NOT_FOUND',
    grpcMessage: 'no symbol "no.Such" is known here',
  })
  const bare = new ReflectionClient(grpcServer([echo()]))
  await assert.rejects(bare.listServices(), { status: 'UNIMPLEMENTED' })
})

test('ReflectionClient refuses answers that cannot be', async () => {
  type Answer = MessageInitShape<typeof ServerReflectionResponseSchema>
  const files = (...fileDescriptorProto: Uint8Array[]): Answer => ({
    messageResponse: { case: 'fileDescriptorResponse', value: { fileDescriptorProto } },
  })
  const named = (name: string, ...imports: string[]): Uint8Array => {
    const field = (number: number, text: string): Buffer =>
      Buffer.from([(number << 3) | 2, text.length, ...Buffer.from(text)])
    return Buffer.concat([field(1, name), ...imports.map((one) => field(3, one))])
  }
  for (const [answers, code, options] of [
    [[{}], 'ERR_MALFORMED'],
    [[], 'ERR_MALFORMED'],
    [[files()], 'ERR_MALFORMED'],
    [[files(Uint8Array.of(10, 200))], 'ERR_MALFORMED'],
    [[files(named('a.proto', 'b.proto')), files(named('c.proto'))], 'ERR_MALFORMED'],
    [[files(named('a.proto'), named('b.proto'))], 'ERR_LIMIT', { maxFiles: 1 }],
  ] as const) {
    let asked = 0
    const server = grpcService(V1, {
      async *serverReflectionInfo(requests) {
        for await (const _ of requests) {
          const answer = answers[asked++] as Answer | undefined
          if (answer !== undefined) yield answer
        }
      },
    })
    await assert.rejects(new ReflectionClient(server, options).registryOf('a.B'), { code })
  }
})

function echo(): GrpcService {
  return grpcService(Echo, {
    say: ({ text }) => ({ text }),
    look: ({ text }) => ({ text }),
    expand: () => [],
    collect: () => ({}),
    chat: () => [],
    fail: () => ({}),
  })
}
