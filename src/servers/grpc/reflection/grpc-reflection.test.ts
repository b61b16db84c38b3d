import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt'
import { Echo } from '../../../../test/fixtures/echo/echo_pb.ts'
import { grpcClient } from '../../../clients/grpc/grpc-client.ts'
import {
  type ServerReflectionRequest,
  type ServerReflectionRequestSchema,
  ServerReflection as V1,
} from '../../../protocols/grpc/proto/grpc/reflection/v1/reflection_pb.ts'
import { ServerReflection as V1Alpha } from '../../../protocols/grpc/proto/grpc/reflection/v1alpha/reflection_pb.ts'
import { type GrpcService, grpcServer, grpcService } from '../grpc-service.ts'
import { grpcReflection } from './grpc-reflection.ts'

type Asked = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>['messageRequest']>

const ECHO = 'echo.proto'
const EMPTY = 'google/protobuf/empty.proto'

test('grpcReflection lists the services, its own among them', async () => {
  for (const version of [V1, V1Alpha] as const) {
    const [answer] = await ask([{ case: 'listServices', value: '' }], version)
    assert.ok(answer?.case === 'listServicesResponse')
    assert.deepEqual(
      answer.value.service.map(({ name }) => name),
      [
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
        Echo.typeName,
      ],
    )
  }
})

test('grpcReflection gives files by name and by every kind of symbol', async () => {
  for (const symbol of [
    'heddle.echo.v1.Echo',
    '.heddle.echo.v1.Echo',
    'heddle.echo.v1.Echo.Say',
    'heddle.echo.v1.EchoRequest',
    'heddle.echo.v1.EchoRequest.text',
  ]) {
    assert.deepEqual(names(await ask([{ case: 'fileContainingSymbol', value: symbol }])), [
      [ECHO, EMPTY],
    ])
  }
  const twice = await ask([
    { case: 'fileByFilename', value: ECHO },
    { case: 'fileByFilename', value: ECHO },
    { case: 'fileByFilename', value: EMPTY },
  ])
  // What a stream has brought already is not brought again, but for what is asked for by name.
  assert.deepEqual(names(twice), [[ECHO, EMPTY], [ECHO], [EMPTY]])
})

test('grpcReflection gives extensions by number, and the numbers of a message', async () => {
  const files = [...extended().files]
  const asked: Asked[] = [
    {
      case: 'fileContainingExtension',
      value: { containingType: 'ext.Base', extensionNumber: 101 },
    },
    { case: 'allExtensionNumbersOfType', value: 'ext.Base' },
    { case: 'allExtensionNumbersOfType', value: 'ext.Other' },
    { case: 'fileContainingSymbol', value: 'ext.late' },
    { case: 'fileContainingSymbol', value: 'ext.RED' },
    { case: 'fileContainingSymbol', value: 'ext.Base.GREEN' },
    { case: 'fileContainingSymbol', value: 'ext.Base.choice' },
  ]
  const answers = await ask(asked, V1, { files })
  assert.deepEqual(names(answers.slice(0, 1)), [['late.proto', 'base.proto']])
  const numbers = answers.slice(1, 3).map((answer) => {
    assert.ok(answer.case === 'allExtensionNumbersResponse')
    return [answer.value.baseTypeName, ...answer.value.extensionNumber]
  })
  assert.deepEqual(numbers, [['ext.Base', 100, 101], ['ext.Other']])
  // The stream has brought base.proto before.
  assert.deepEqual(names(answers.slice(3)), [
    ['late.proto'],
    ['base.proto'],
    ['base.proto'],
    ['base.proto'],
  ])
})

test('grpcReflection says what it does not know, and goes on', async () => {
  const answers = await ask([
    { case: 'fileByFilename', value: 'no.proto' },
    { case: 'fileContainingSymbol', value: 'no.Symbol' },
    { case: 'fileContainingExtension', value: { containingType: 'no.T', extensionNumber: 1 } },
    { case: 'allExtensionNumbersOfType', value: 'no.T' },
    { case: undefined },
    { case: 'fileContainingSymbol', value: 'x'.repeat(1_000) },
  ])
  const errors = answers.map((answer) => {
    assert.ok(answer.case === 'errorResponse')
    return `${answer.value.errorCode} ${answer.value.errorMessage}`
  })
  assert.deepEqual(errors.slice(0, 5), [
    '5 no file "no.proto" is known here',
    '5 no symbol "no.Symbol" is known here',
    '5 no extension 1 of "no.T" is known here',
    '5 no message "no.T" is known here',
    '3 the request asks for nothing',
  ])
  assert.ok((errors[5] as string).length < 200)
})

async function ask(
  asked: readonly Asked[],
  version: typeof V1 | typeof V1Alpha = V1,
  options: Parameters<typeof grpcReflection>[1] = {},
) {
  const services = [echo()]
  const server = grpcServer([...services, ...grpcReflection(services, options)])
  const client = grpcClient(version as typeof V1, server)
  const answers = []
  const requests = asked.map((messageRequest) => ({ host: 'here', messageRequest }))
  for await (const response of client.serverReflectionInfo(requests)) {
    assert.equal(response.validHost, 'here')
    const original = response.originalRequest as ServerReflectionRequest
    assert.equal(original.messageRequest.case, asked[answers.length]?.case)
    answers.push(response.messageResponse)
  }
  assert.equal(answers.length, asked.length)
  return answers
}

/** Names of the files in each answer, which are whole and decode. */
function names(answers: Awaited<ReturnType<typeof ask>>): string[][] {
  return answers.map((answer) => {
    assert.ok(answer.case === 'fileDescriptorResponse', String(answer.case))
    return answer.value.fileDescriptorProto.map(
      (bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name,
    )
  })
}

function extended() {
  const base = file('base.proto', [], {
    messageType: [
      {
        name: 'Base',
        extensionRange: [{ start: 100, end: 200 }],
        oneofDecl: [{ name: 'choice' }],
        field: [{ name: 'one', number: 1, type: Type.INT32, label: Label.OPTIONAL, oneofIndex: 0 }],
        enumType: [{ name: 'Inner', value: [{ name: 'GREEN', number: 0 }] }],
        nestedType: [
          { name: 'Nested', enumType: [{ name: 'Deep', value: [{ name: 'D', number: 0 }] }] },
        ],
        extension: [extension('early', 100)],
      },
      { name: 'Other' },
    ],
    enumType: [{ name: 'Colour', value: [{ name: 'RED', number: 0 }] }],
  })
  const late = file('late.proto', ['base.proto'], { extension: [extension('late', 101)] })
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [base, late] }))
}

function extension(name: string, number: number) {
  return { name, number, extendee: '.ext.Base', type: Type.STRING, label: Label.OPTIONAL }
}

function file(
  name: string,
  dependency: string[],
  init: MessageInitShape<typeof FileDescriptorProtoSchema>,
): FileDescriptorProto {
  return create(FileDescriptorProtoSchema, {
    syntax: 'proto2',
    package: 'ext',
    ...init,
    name,
    dependency,
  })
}

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
