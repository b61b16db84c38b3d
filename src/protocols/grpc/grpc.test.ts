import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  ClosedError,
  OverloadError,
  ProtocolError,
  RemoteError,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { HttpFields } from '../http/fields.ts'
import { BadRequestSchema, RetryInfoSchema } from '../protobuf/proto/google/rpc/error_details_pb.ts'
import { decodeBinaryValue, encodeBinaryValue } from './base64.ts'
import { GrpcMetadata } from './call-metadata.ts'
import { GrpcCompression } from './compression.ts'
import { grpcFormat } from './content-type.ts'
import { GrpcDecoder, onlyMessage } from './decoder.ts'
import { encodeGrpcFrame, grpcFrame } from './encoder.ts'
import { grpcStatusOf, toGrpcError } from './error-status.ts'
import { GrpcError } from './grpc-error.ts'
import { messageLimits } from './options.ts'
import { decodeGrpcMessage, encodeGrpcMessage } from './percent.ts'
import {
  GrpcStatus,
  grpcStatusCode,
  grpcStatusName,
  grpcStatusOfHttp,
  grpcStatusOfHttp2,
  httpStatusOfGrpc,
  parseGrpcStatus,
} from './status.ts'
import { decodeStatusDetails } from './status-details.ts'
import { readGrpcTimeout } from './timeout.ts'
import { readStatus, writeStatus } from './trailers.ts'

decoderConformance(
  'gRPC',
  {
    create: () => new GrpcDecoder({ maxMessageBytes: 5_000 }),
    encode: encodeGrpcFrame,
    samples: [
      { compressed: false, payload: new Uint8Array(0) },
      { compressed: false, payload: Uint8Array.of(1, 2, 3) },
      { compressed: true, payload: Uint8Array.of(9) },
      { compressed: false, payload: new Uint8Array(5_000).fill(7) },
    ],
    malformed: {
      'flags that are not defined': Uint8Array.of(2, 0, 0, 0, 0),
      'the trailer flag of gRPC-Web': Uint8Array.of(0x80, 0, 0, 0, 0),
      'a message one byte over the limit': Uint8Array.of(0, 0, 0, 0x13, 0x89),
      'a length of 4 GiB': Uint8Array.of(0, 255, 255, 255, 255),
    },
  },
  { test, ok: assert.ok },
)

test('GrpcDecoder tells a message over its limit from a malformed one', () => {
  const decoder = new GrpcDecoder({ maxMessageBytes: 3 })
  decoder.push(grpcFrame(Uint8Array.of(1, 2, 3)))
  assert.equal(decoder.next()?.payload.length, 3)
  decoder.push(grpcFrame(Uint8Array.of(1, 2, 3, 4)))
  assert.throws(() => decoder.next(), hasCode('ERR_FRAME_TOO_LARGE', /4 bytes is over .* 3$/))
})

test('onlyMessage takes exactly one frame that is not compressed', () => {
  assert.deepEqual(onlyMessage(grpcFrame(Uint8Array.of(5, 6))), Uint8Array.of(5, 6))
  assert.deepEqual(onlyMessage(grpcFrame(new Uint8Array(0))), new Uint8Array(0))
  assert.equal(onlyMessage(grpcFrame(Uint8Array.of(5), true)), undefined)
  assert.equal(onlyMessage(Uint8Array.of(0, 0, 0, 0, 2, 1)), undefined)
  assert.equal(onlyMessage(Uint8Array.of(0, 0, 0, 0, 0, 1)), undefined)
  assert.equal(onlyMessage(Uint8Array.of(0, 0, 0, 0)), undefined)
})

test('messageLimits: 4 MiB received, the ends of the range, one past them', () => {
  assert.equal(messageLimits({}).maxReceiveMessageBytes, 4_194_304)
  assert.equal(messageLimits({ maxReceiveMessageBytes: 0 }).maxReceiveMessageBytes, 0)
  const most = 0xffff_ffff
  assert.equal(messageLimits({ maxReceiveMessageBytes: most }).maxReceiveMessageBytes, most)
  for (const maxReceiveMessageBytes of [-1, most + 1, 1.5, Number.NaN]) {
    assert.throws(() => messageLimits({ maxReceiveMessageBytes }), hasCode('ERR_OPTION_RANGE'))
  }
  assert.throws(() => messageLimits({ maxSendMessageBytes: -1 }), hasCode('ERR_OPTION_RANGE'))
})

test('GrpcStatus has the seventeen codes, by number and by name', () => {
  assert.equal(Object.keys(GrpcStatus).length, 17)
  assert.equal(grpcStatusName(16), 'UNAUTHENTICATED')
  assert.equal(grpcStatusName(17), 'UNKNOWN')
  assert.equal(grpcStatusCode('not_found'), 5)
  assert.equal(grpcStatusCode('toString'), undefined)
  for (const [text, code] of [
    ['0', 0],
    ['16', 16],
    ['17', 2],
    ['', 2],
    ['-1', 2],
    ['5x', 2],
  ]) {
    assert.equal(parseGrpcStatus(text as string), code, String(text))
  }
})

test('grpcStatusOfHttp and grpcStatusOfHttp2 follow the tables of the specification', () => {
  const http = {
    400: 13,
    401: 16,
    403: 7,
    404: 12,
    429: 14,
    502: 14,
    503: 14,
    504: 14,
    200: 2,
    500: 2,
  }
  for (const [status, code] of Object.entries(http)) {
    assert.equal(grpcStatusOfHttp(Number(status)), code, status)
  }
  const http2 = { 0: 13, 1: 13, 2: 13, 3: 13, 6: 13, 7: 14, 8: 1, 9: 13, 11: 8, 12: 7 }
  for (const [error, code] of Object.entries(http2)) {
    assert.equal(grpcStatusOfHttp2(Number(error)), code, error)
  }
  assert.deepEqual([5, 4, 1, 14].map(httpStatusOfGrpc), [404, 504, 499, 503])
})

test('grpc-message is percent-encoded UTF-8, and read however broken it is', () => {
  for (const text of ['', 'plain', 'a%b', 'tab\there', 'schön 😀', '\r\n', '~ !']) {
    assert.equal(decodeGrpcMessage(encodeGrpcMessage(text)), text)
    assert.match(encodeGrpcMessage(text), /^[\x20-\x7e]*$/)
  }
  assert.equal(encodeGrpcMessage('é%'), '%C3%A9%25')
  assert.equal(decodeGrpcMessage('100%'), '100%')
  assert.equal(decodeGrpcMessage('%zz%4'), '%zz%4')
  assert.equal(decodeGrpcMessage('%c3%a9'), 'é')
  assert.equal(decodeGrpcMessage('%ff'), '\ufffd')
})

test('-bin values are written without padding and read with and without it', () => {
  for (let length = 0; length < 8; length++) {
    const bytes = Uint8Array.from({ length }, (_, index) => 250 + index)
    const text = encodeBinaryValue(bytes)
    assert.doesNotMatch(text, /=/)
    assert.deepEqual(decodeBinaryValue(text), bytes)
    assert.deepEqual(decodeBinaryValue(text.padEnd(Math.ceil(length / 3) * 4, '=')), bytes)
  }
  for (const text of ['A', 'AA=A', 'A===', 'AA A', 'A-_A', 'ÄAAA']) {
    assert.equal(decodeBinaryValue(text), undefined, text)
  }
})

test('GrpcMetadata keeps several values, and splits those that were joined on the way', () => {
  const metadata = new GrpcMetadata({
    'X-One': 'a',
    'two-bin': [Uint8Array.of(1), Uint8Array.of(2)],
  })
  metadata.append('x-one', 'b')
  assert.deepEqual(metadata.getAll('x-one'), ['a', 'b'])
  assert.deepEqual(metadata.getAllBinary('two-bin'), [Uint8Array.of(1), Uint8Array.of(2)])
  const fields = HttpFields.fromTrusted([
    'two-bin',
    'AQ,Ag==',
    'content-type',
    'application/grpc',
    'te',
    'trailers',
  ])
  const received = GrpcMetadata.fromFields(fields)
  assert.deepEqual(
    [...received],
    [
      ['two-bin', Uint8Array.of(1)],
      ['two-bin', Uint8Array.of(2)],
    ],
  )
  assert.equal(received.set('two-bin', Uint8Array.of(3)).size, 1)
  assert.equal(received.delete('two-bin'), true)
  assert.equal(received.has('two-bin'), false)
  assert.equal(received.getBinary('none-bin'), undefined)
})

test('GrpcMetadata refuses what cannot be sent, and shows no secret', () => {
  const metadata = new GrpcMetadata()
  const refused: [string, string | Uint8Array][] = [
    ['a b', 'x'],
    ['grpc-status', '0'],
    ['content-type', 'x'],
    ['a', 'ü'],
    ['a', 'x\n'],
    ['a-bin', 'text'],
    ['a', Uint8Array.of(1)],
  ]
  for (const [name, value] of refused) {
    assert.throws(() => metadata.append(name, value), hasCode('ERR_ARGUMENT'), name)
  }
  metadata.append('authorization', 'Bearer hunter2')
  assert.doesNotMatch(JSON.stringify(metadata), /hunter2/)
})

test('a status with details goes through trailers and comes back', () => {
  const error = new GrpcError('INVALID_ARGUMENT', 'no näme', {
    details: [
      [BadRequestSchema, { fieldViolations: [{ field: 'name', description: 'is empty' }] }],
      [RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: 3n } })],
    ],
    metadata: { 'x-id': '7' },
  })
  const list: string[] = []
  writeStatus(list, error, new GrpcMetadata({ 'x-more': 'yes' }))
  const read = readStatus(HttpFields.fromTrusted(list), 200)
  assert.ok(read instanceof GrpcError)
  assert.equal(read.grpcCode, 3)
  assert.equal(read.message, 'INVALID_ARGUMENT: no näme')
  assert.equal(read.find(BadRequestSchema)[0]?.fieldViolations[0]?.field, 'name')
  assert.equal(read.find(RetryInfoSchema)[0]?.retryDelay?.seconds, 3n)
  assert.deepEqual([read.metadata.get('x-id'), read.metadata.get('x-more')], ['7', 'yes'])
})

test('readStatus takes nothing but 0 for OK', () => {
  const status = (text: string) => readStatus(HttpFields.fromTrusted(['grpc-status', text]), 200)
  assert.equal(status('0'), undefined)
  for (const text of ['00', '000', '', 'OK', '99']) assert.equal(status(text)?.grpcCode, 2, text)
  assert.equal(readStatus(undefined, 503)?.grpcCode, GrpcStatus.UNAVAILABLE)
  assert.equal(readStatus(undefined, 200)?.grpcCode, GrpcStatus.UNKNOWN)
  const broken = HttpFields.fromTrusted(['grpc-status', '5', 'grpc-status-details-bin', '!!'])
  assert.equal(readStatus(broken, 200)?.grpcCode, 5)
  assert.equal(decodeStatusDetails('AQ'), undefined)
})

test('GrpcError is a RemoteError, and OK is none', () => {
  const error = new GrpcError('UNAVAILABLE', 'later')
  assert.equal(error.code, 'ERR_REMOTE')
  assert.equal(error.status, 'UNAVAILABLE')
  assert.equal(error.retryable, 'if-idempotent')
  assert.equal(new GrpcError('NOT_FOUND').message, 'NOT_FOUND')
  assert.throws(() => new GrpcError(0 as 1), hasCode('ERR_ARGUMENT'))
  assert.throws(() => new GrpcError('NO' as 'ABORTED'), hasCode('ERR_ARGUMENT'))
  assert.ok(!((new UsageError('ERR_ARGUMENT', '') as unknown) instanceof GrpcError))
})

test('grpcStatusOf and toGrpcError translate heddle’s errors and tell nothing of the inside', () => {
  const cases: [unknown, keyof typeof GrpcStatus][] = [
    [new TimeoutError('ERR_DEADLINE', ''), 'DEADLINE_EXCEEDED'],
    [new TimeoutError('ERR_CONNECT_TIMEOUT', ''), 'UNAVAILABLE'],
    [new ClosedError('ERR_ABORTED', ''), 'CANCELLED'],
    [new ClosedError('ERR_DRAINING', ''), 'UNAVAILABLE'],
    [new TransportError('ERR_RESET', ''), 'UNAVAILABLE'],
    [new ClosedError('ERR_ABORTED', '', { status: 'CANCEL' }), 'CANCELLED'],
    [new ClosedError('ERR_ABORTED', '', { status: 'NO_ERROR' }), 'INTERNAL'],
    [new RemoteError('ERR_REMOTE', '', { status: 'ENHANCE_YOUR_CALM' }), 'RESOURCE_EXHAUSTED'],
    [new RemoteError('ERR_REMOTE', '', { status: 'INTERNAL_ERROR' }), 'INTERNAL'],
    [new RemoteError('ERR_REMOTE', '', { status: 'toString' }), 'UNKNOWN'],
    [new OverloadError('ERR_BUSY', '', { status: 'REFUSED_STREAM' }), 'UNAVAILABLE'],
    [new OverloadError('ERR_RATE_LIMITED', ''), 'RESOURCE_EXHAUSTED'],
    [new OverloadError('ERR_SHED', ''), 'UNAVAILABLE'],
    [new ProtocolError('ERR_FRAME_TOO_LARGE', ''), 'RESOURCE_EXHAUSTED'],
    [new ProtocolError('ERR_TRUNCATED', ''), 'INTERNAL'],
    [new UsageError('ERR_ARGUMENT', ''), 'INTERNAL'],
    [new DOMException('', 'AbortError'), 'CANCELLED'],
    [new Error('password is hunter2'), 'UNKNOWN'],
    ['text', 'UNKNOWN'],
    [undefined, 'UNKNOWN'],
  ]
  for (const [error, name] of cases) {
    assert.equal(grpcStatusName(grpcStatusOf(error)), name, String(error))
    const told = toGrpcError(error)
    assert.equal(told.status, name)
    assert.doesNotMatch(told.message, /hunter2/)
  }
})

test('readGrpcTimeout: eight digits and a unit, everything else ends the call', () => {
  const valid = {
    '1S': 1_000,
    '99999999n': 99.999999,
    '2H': 7_200_000,
    '5m': 5,
    '1M': 60_000,
    '3u': 0.003,
  }
  for (const [text, ms] of Object.entries(valid)) assert.equal(readGrpcTimeout(text), ms, text)
  assert.equal(readGrpcTimeout(undefined), undefined)
  for (const text of ['', 'S', '1', '123456789S', '-1S', '1s', '1.5S', ' 1S', '1S ']) {
    assert.throws(
      () => readGrpcTimeout(text),
      (error: GrpcError) => error.grpcCode === 13,
      text,
    )
  }
})

test('grpcFormat knows gRPC from what only looks like it', () => {
  const formats: [string | undefined, string | undefined][] = [
    ['application/grpc', 'proto'],
    ['application/grpc+proto', 'proto'],
    ['application/grpc; charset=utf-8', 'proto'],
    ['Application/GRPC+JSON', 'json'],
    ['application/grpc-web', undefined],
    ['application/grpc-web+proto', undefined],
    ['application/grpcx', undefined],
    ['application/json', undefined],
    ['', undefined],
    [undefined, undefined],
  ]
  for (const [type, format] of formats) assert.equal(grpcFormat(type), format, String(type))
})

test('GrpcCompression compresses, refuses what it does not know and stops a bomb', async () => {
  const compression = new GrpcCompression(nodeHost)
  const message = new Uint8Array(50_000).fill(65)
  for (const encoding of ['gzip', 'deflate', 'zstd']) {
    if (!compression.has(encoding)) continue
    const compressed = await compression.compress(encoding, message)
    assert.ok(compressed.length < 1_000)
    const decompress = compression.decoder(encoding)
    assert.deepEqual(await decompress?.(compressed, 50_000), message)
    await assert.rejects(async () => decompress?.(compressed, 49_999), hasCode('ERR_EXPANSION'))
    await assert.rejects(async () => decompress?.(message, 50_000), hasCode('ERR_ENCODING'))
    const empty = await compression.compress(encoding, new Uint8Array(0))
    assert.equal((await decompress?.(empty, 0))?.length, 0)
  }
  assert.equal(compression.decoder('identity'), undefined)
  assert.throws(
    () => compression.decoder('br'),
    (error: GrpcError) => error.grpcCode === 12,
  )
  assert.equal(compression.choose(['gzip'], 'identity, GZIP'), 'gzip')
  assert.equal(compression.choose(['gzip'], 'identity'), undefined)
  assert.equal(compression.choose(['gzip'], undefined), undefined)
})

function hasCode(code: string, message: RegExp = /.*/): (error: unknown) => boolean {
  return (error) => {
    assert.equal((error as { code?: unknown }).code, code)
    assert.match((error as Error).message, message)
    return true
  }
}
