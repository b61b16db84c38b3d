import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFields } from '../http/fields.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import {
  CONNECT_CODES,
  codeOfHttpStatus,
  connectCodeName,
  connectCodeOf,
  httpStatusOfCode,
} from './codes.ts'
import {
  addTrailerFields,
  checkConnectVersion,
  codingFields,
  formatConnectTimeout,
  parseConnectTimeout,
  splitTrailerFields,
} from './connect-fields.ts'
import { parseRpcContentType, rpcContentType, rpcContentTypes } from './content-type.ts'
import {
  encodeConnectError,
  encodeEndOfStream,
  parseConnectError,
  parseEndOfStream,
} from './error-json.ts'
import { encodeConnectGet, parseConnectGet } from './get-query.ts'
import { encodeTrailerBlock, MAX_TRAILER_FIELDS, parseTrailerBlock } from './trailer-block.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (encoded: Uint8Array): string => new TextDecoder().decode(encoded)

test('codes have the names and the HTTP statuses of the specification', () => {
  const statuses = {
    canceled: 499,
    unknown: 500,
    invalid_argument: 400,
    deadline_exceeded: 504,
    not_found: 404,
    already_exists: 409,
    permission_denied: 403,
    resource_exhausted: 429,
    failed_precondition: 400,
    aborted: 409,
    out_of_range: 400,
    unimplemented: 501,
    internal: 500,
    unavailable: 503,
    data_loss: 500,
    unauthenticated: 401,
  }
  assert.deepEqual(Object.keys(statuses), CONNECT_CODES.slice(1))
  for (const [name, status] of Object.entries(statuses)) {
    const code = connectCodeOf(name) as number
    assert.equal(connectCodeName(code), name)
    assert.equal(httpStatusOfCode(code), status)
  }
  assert.equal(connectCodeName(17), 'unknown')
  assert.equal(connectCodeName(0), 'unknown')
  assert.equal(httpStatusOfCode(99), 500)
  for (const none of ['', 'NOT_FOUND', 'constructor', 5, null]) {
    assert.equal(connectCodeOf(none), undefined)
  }
})

test('codeOfHttpStatus reads what a proxy or a web server said', () => {
  const codes = Object.entries({
    400: 'internal',
    401: 'unauthenticated',
    403: 'permission_denied',
    404: 'unimplemented',
    429: 'unavailable',
    502: 'unavailable',
    503: 'unavailable',
    504: 'unavailable',
    418: 'unknown',
    500: 'unknown',
  })
  for (const [status, name] of codes) {
    assert.equal(connectCodeName(codeOfHttpStatus(Number(status))), name, status)
  }
})

test('base64 is read in both alphabets, with and without padding, and nothing else is', () => {
  for (const length of [0, 1, 2, 3, 4, 5, 255]) {
    const input = Uint8Array.from({ length }, (_, index) => 255 - index)
    for (const url of [true, false]) {
      for (const padding of [true, false]) {
        const encoded = encodeBase64(input, { url, padding })
        const expected = Buffer.from(input).toString(url ? 'base64url' : 'base64')
        assert.equal(encoded.replace(/=+$/, ''), expected.replace(/=+$/, ''))
        assert.equal(encoded.endsWith('='), padding && length % 3 !== 0)
        assert.deepEqual(decodeBase64(encoded), input)
      }
    }
  }
  for (const not of ['A', 'AAAAA', 'AA=', 'A===', 'AB==', 'AAB', 'A A=', 'AÿA=', '====', 'A=A=']) {
    assert.equal(decodeBase64(not), undefined, not)
  }
})

test('parseRpcContentType knows every type of a call and no other', () => {
  assert.deepEqual(parseRpcContentType('application/json; charset=utf-8'), {
    protocol: 'connect',
    codec: 'json',
    stream: false,
    text: false,
  })
  assert.equal(parseRpcContentType('Application/gRPC-Web-Text+Proto')?.text, true)
  assert.equal(parseRpcContentType('application/grpc')?.protocol, 'grpc')
  for (const protocol of ['grpc', 'grpc-web', 'connect'] as const) {
    for (const codec of ['proto', 'json'] as const) {
      const type = rpcContentType(protocol, codec, true)
      assert.deepEqual(parseRpcContentType(type), { protocol, codec, stream: true, text: false })
    }
  }
  assert.equal(rpcContentType('connect', 'proto', false), 'application/proto')
  assert.equal(rpcContentType('grpc-web', 'proto', true, true), 'application/grpc-web-text+proto')
  assert.match(rpcContentTypes(), /^application\/grpc, .*application\/json$/)
  for (const other of [
    undefined,
    '',
    'text/plain',
    'application/grpcx',
    'application/connect',
    'application/grpc+thrift',
    'application/json,application/proto',
    'constructor',
  ]) {
    assert.equal(parseRpcContentType(other), undefined, String(other))
  }
})

test('parseConnectTimeout takes one to ten digits and nothing else', () => {
  assert.equal(parseConnectTimeout(undefined), undefined)
  assert.equal(parseConnectTimeout('0'), 0)
  assert.equal(parseConnectTimeout('9999999999'), 9_999_999_999)
  for (const bad of ['', '-1', '1.5', '1e3', '10000000000', ' 5', '5s', '0x5', '1, 1']) {
    assert.throws(() => parseConnectTimeout(bad), { code: 'ERR_MALFORMED' }, bad)
  }
  assert.equal(formatConnectTimeout(0.2), '1')
  assert.equal(formatConnectTimeout(-5), '0')
  assert.equal(formatConnectTimeout(1e15), '9999999999')
})

test('checkConnectVersion takes 1, and none unless it is required', () => {
  checkConnectVersion('1', true)
  checkConnectVersion(undefined, false)
  assert.throws(() => checkConnectVersion(undefined, true), { code: 'ERR_VERSION' })
  for (const other of ['2', '', '1, 1']) {
    assert.throws(() => checkConnectVersion(other, false), { code: 'ERR_VERSION' })
  }
  assert.deepEqual(codingFields(false).coding, 'content-encoding')
  assert.deepEqual(codingFields(true).accepted, 'connect-accept-encoding')
})

test('trailers of a unary answer stand among its headers and are told apart again', () => {
  const fields = new HttpFields({ 'content-type': 'application/json' })
  addTrailerFields(fields, new HttpFields({ 'x-quota': ['7', '8'] }))
  addTrailerFields(fields, undefined)
  assert.deepEqual(
    [...fields],
    [
      ['content-type', 'application/json'],
      ['trailer-x-quota', '7'],
      ['trailer-x-quota', '8'],
    ],
  )
  const received = new HttpFields(
    [...fields].map(([name, value]) => [name.toUpperCase(), value] as const),
  )
  received.append('Trailer', 'x').append('Trailer-', 'y')
  const { headers, trailers } = splitTrailerFields(received)
  assert.deepEqual(trailers.getAll('x-quota'), ['7', '8'])
  assert.equal(trailers.size, 2)
  assert.deepEqual(
    [...headers].map(([name]) => name),
    ['content-type', 'trailer', 'trailer-'],
  )
})

test('an error is written and read as the specification has it', () => {
  const error = {
    code: 8,
    message: 'too much ünicode',
    details: [{ type: 'google.rpc.RetryInfo', value: Uint8Array.of(8, 2, 8, 60) }],
  }
  const encoded = encodeConnectError(error)
  assert.equal(
    text(encoded),
    '{"code":"resource_exhausted","message":"too much ünicode",' +
      '"details":[{"type":"google.rpc.RetryInfo","value":"CAIIPA"}]}',
  )
  assert.deepEqual(parseConnectError(encoded, 2), error)
  assert.equal(
    text(encodeConnectError({ code: 5, message: '', details: [] })),
    '{"code":"not_found"}',
  )
})

test('parseConnectError reads what is odd with care', () => {
  const bare = { code: 14, message: '', details: [] }
  assert.deepEqual(parseConnectError(bytes('{}'), 14), bare)
  assert.deepEqual(
    parseConnectError(bytes('{"code":"NOT_FOUND","message":5,"details":{}}'), 14),
    bare,
  )
  const details = '[{"type":"a","value":"AA=="},{"type":"b"},{"type":"c","value":"!"},7,null]'
  assert.deepEqual(parseConnectError(bytes(`{"code":"aborted","details":${details}}`), 14), {
    code: 10,
    message: '',
    details: [{ type: 'a', value: Uint8Array.of(0) }],
  })
  for (const not of ['', '[]', 'null', '"x"', '<html>', '{"code":']) {
    assert.equal(parseConnectError(bytes(not), 2), undefined, not)
  }
})

test('the end of a stream is written and read', () => {
  assert.equal(text(encodeEndOfStream({ error: undefined, metadata: [] })), '{}')
  const end = {
    error: { code: 13, message: 'no', details: [] },
    metadata: [
      ['x-a', '1'],
      ['x-a', '2'],
      ['__proto__', '3'],
    ] as const,
  }
  const encoded = encodeEndOfStream(end)
  assert.equal(
    text(encoded),
    '{"error":{"code":"internal","message":"no"},"metadata":{"x-a":["1","2"],"__proto__":["3"]}}',
  )
  assert.deepEqual(parseEndOfStream(encoded), end)
  assert.deepEqual(parseEndOfStream(bytes('{"error":null,"metadata":{"X-B":["1"]}}')), {
    error: undefined,
    metadata: [['x-b', '1']],
  })
  for (const not of [
    '',
    '[]',
    '{"error":"no"}',
    '{"error":7}',
    '{"metadata":[]}',
    '{"metadata":{"a":"1"}}',
    '{"metadata":{"a":[1]}}',
  ]) {
    assert.throws(() => parseEndOfStream(bytes(not)), { code: 'ERR_MALFORMED' }, not)
  }
})

test('a GET carries a message as text or as base64', () => {
  const json = { encoding: 'json', message: bytes('{"id":"ü&+ 7"}'), compression: undefined }
  const query = encodeConnectGet(json)
  assert.equal(query, '?connect=v1&encoding=json&message=%7B%22id%22%3A%22%C3%BC%26%2B%207%22%7D')
  assert.deepEqual(parseConnectGet(`/a.B/C${query}`), { ...json, versioned: true })
  const packed = { encoding: 'proto', message: Uint8Array.of(251, 255, 1), compression: 'gzip' }
  assert.equal(
    encodeConnectGet(packed),
    '?connect=v1&encoding=proto&compression=gzip&base64=1&message=-_8B',
  )
  assert.deepEqual(parseConnectGet(`/a.B/C${encodeConnectGet(packed)}`), {
    ...packed,
    versioned: true,
  })
  assert.deepEqual(parseConnectGet('/a?message=&encoding=proto&utm=%zz&compression=identity'), {
    encoding: 'proto',
    message: new Uint8Array(0),
    compression: undefined,
    versioned: false,
  })
})

test('parseConnectGet refuses what is missing, doubled or not text', () => {
  for (const [query, code] of [
    ['', 'ERR_MALFORMED'],
    ['?message=1', 'ERR_MALFORMED'],
    ['?encoding=json', 'ERR_MALFORMED'],
    ['?connect=v2&encoding=json&message=1', 'ERR_VERSION'],
    ['?encoding=json&message=1&message=2', 'ERR_MALFORMED'],
    ['?encoding=json&message=%zz', 'ERR_MALFORMED'],
    ['?encoding=json&message=%ff', 'ERR_MALFORMED'],
    ['?encoding=json&base64=1&message=!', 'ERR_MALFORMED'],
    ['?encoding=json&base64=2&message=', 'ERR_MALFORMED'],
    [`?${'a&'.repeat(65)}encoding=json&message=1`, 'ERR_MALFORMED'],
  ] as const) {
    assert.throws(() => parseConnectGet(`/a.B/C${query}`), { code }, query)
  }
})

test('trailers of gRPC-Web are written in lower case and read as proxies write them', () => {
  const block = encodeTrailerBlock(new HttpFields({ 'Grpc-Status': '5', 'grpc-message': 'a:b' }))
  assert.equal(text(block), 'grpc-status: 5\r\ngrpc-message: a:b\r\n')
  for (const form of [
    text(block),
    'Grpc-Status:5\ngrpc-message:a:b',
    '\r\ngrpc-status:\t5 \r\nGRPC-MESSAGE:  a:b\r\n\r\n',
  ]) {
    assert.deepEqual(
      [...parseTrailerBlock(bytes(form))],
      [
        ['grpc-status', '5'],
        ['grpc-message', 'a:b'],
      ],
    )
  }
  assert.equal(parseTrailerBlock(bytes('')).size, 0)
  for (const not of ['grpc-status', ': 5', 'a b: 1', 'a: \0', 'a: 1\r\r\n']) {
    assert.throws(() => parseTrailerBlock(bytes(not)), { code: 'ERR_MALFORMED' }, not)
  }
})

test('parseTrailerBlock takes as many fields as it says and not one more', () => {
  assert.equal(parseTrailerBlock(bytes('a:1\n'.repeat(MAX_TRAILER_FIELDS))).size, 256)
  assert.throws(() => parseTrailerBlock(bytes('a:1\n'.repeat(MAX_TRAILER_FIELDS + 1))), {
    code: 'ERR_LIMIT',
  })
})
