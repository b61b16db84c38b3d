import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DescMethod, DescService } from '@bufbuild/protobuf'
import { fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf'
import { Call } from '../../core/context.ts'
import { GrpcDecoder } from '../../protocols/grpc/decoder.ts'
import { grpcFrame } from '../../protocols/grpc/encoder.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { readStatus } from '../../protocols/grpc/trailers.ts'
import { HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { loadSchema } from '../../protocols/protobuf/load-schema.ts'
import { BadRequestSchema } from '../../protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import { restUpstream } from '../../protocols/transcoding/rest-upstream.ts'
import type { RestUpstreamOptions } from '../../protocols/transcoding/rest-upstream-options.ts'
import { transcode } from '../../protocols/transcoding/transcode.ts'
import { grpcServer, grpcService } from '../grpc/grpc-service.ts'

const PROTO = `syntax = "proto3"; package lib;
import "google/api/annotations.proto"; import "google/api/httpbody.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/field_mask.proto";
service Books {
  rpc Get(Request) returns (Book) { option (google.api.http) = { get: "/v1/{name=shelves/*/books/*}" additional_bindings { get: "/v1/n/{number}" } additional_bindings { get: "/v1/any/{name=**}:get" } }; }
  rpc Create(Request) returns (Book) { option (google.api.http) = { post: "/v1/{book.name}/x" body: "book" response_body: "inner" }; }
  rpc Update(Request) returns (Book) { option (google.api.http) = { patch: "/v1/books" body: "*" }; }
  rpc List(Request) returns (stream Book) { option (google.api.http) = { get: "/v1/books" }; }
  rpc Upload(stream Book) returns (Book) { option (google.api.http) = { post: "/v1/books:upload" body: "*" }; }
  rpc Into(stream Request) returns (Book) { option (google.api.http) = { post: "/v1/{name}/into" body: "*" }; }
  rpc Chat(stream Book) returns (stream Book) { option (google.api.http) = { post: "/v1/chat" body: "*" }; }
  rpc File(Request) returns (google.api.HttpBody) { option (google.api.http) = { get: "/v1/files/{name}" }; }
  rpc Store(google.api.HttpBody) returns (Book) { option (google.api.http) = { put: "/v1/files" body: "*" }; }
  rpc Keep(Kept) returns (Book) { option (google.api.http) = { put: "/v1/files/{name}" body: "file" }; }
  rpc Hidden(Request) returns (Book);
}
enum View { NONE = 0; FULL = 1; }
message Kept { string name = 1; google.api.HttpBody file = 2; }
message Request { string name = 1; int64 number = 2; Book book = 3; repeated View views = 4; map<string, string> labels = 5; google.protobuf.Timestamp since = 6; google.protobuf.FieldMask mask = 7; bool all = 8; repeated Book books = 9; bytes token = 10; }
message Book { string name = 1; string title = 2; Book inner = 3; int64 count = 4; }
`
const schema = await loadSchema([{ proto: 'lib.proto', text: PROTO }])
const Books = schema.services[0] as DescService

interface Reply {
  error: GrpcError | undefined
  messages: unknown[]
  response: HttpResponse
}

async function call(
  name: string,
  inputs: readonly object[],
  next: HttpService,
  options: RestUpstreamOptions = {},
  fields: Record<string, string> = {},
): Promise<Reply> {
  const method = Books.methods.find((one) => one.name === name) as DescMethod
  const frames = inputs.map((input) =>
    grpcFrame(toBinary(method.input, fromJson(method.input, input as never))),
  )
  const request = new HttpRequest({
    method: 'POST',
    target: `/lib.Books/${name}`,
    fields: { 'content-type': 'application/grpc', te: 'trailers', ...fields },
    body: Buffer.concat(frames),
  })
  const response = await restUpstream(schema, next, options)(request, new Call())
  assert.equal(response.status, 200)
  assert.match(response.fields.get('content-type') ?? '', /^application\/grpc/)
  const bytes = await response.body.bytes()
  const decoder = new GrpcDecoder()
  decoder.push(bytes)
  const messages: unknown[] = []
  for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
    messages.push(toJson(method.output, fromBinary(method.output, frame.payload)))
  }
  decoder.end()
  const end = response.fields.has('grpc-status') ? response.fields : response.body.trailers
  return { error: readStatus(end, 200), messages, response }
}

/** Keeps what was asked, and answers. */
function rest(answer: HttpResponse | ((request: HttpRequest) => HttpResponse)) {
  const asked: { line: string; body: string; fields: HttpRequest['fields'] }[] = []
  const service: HttpService = async (request) => {
    const { method, target, fields } = request
    asked.push({ line: `${method} ${target}`, body: await request.body.text(), fields })
    return typeof answer === 'function' ? answer(request) : answer
  }
  return { asked, service }
}

test('restUpstream makes requests of messages: path, query, body', async () => {
  const lines = async (name: string, input: object): Promise<string> => {
    const { asked, service } = rest(HttpResponse.json({}))
    const { error } = await call(name, [input], service)
    if (error !== undefined) return error.message
    const [{ line, body } = { line: '', body: '' }] = asked
    return body === '' ? line : `${line} ${body}`
  }
  assert.equal(
    await lines('Get', { name: 'shelves/1/books/a b?' }),
    'GET /v1/shelves/1/books/a%20b%3F',
  )
  assert.equal(await lines('Get', { name: 'x', number: '7' }), 'GET /v1/n/7?name=x')
  assert.equal(
    await lines('Get', { name: 'shelves/1%2F2/books/3' }),
    'GET /v1/shelves/1%2F2/books/3',
  )
  assert.equal(
    await lines('List', {
      name: 'a&b',
      views: ['FULL', 'NONE'],
      labels: { 'a]': 'b' },
      since: '2026-01-02T03:04:05Z',
      mask: 'a,b.cD',
      all: true,
      book: { inner: { title: 'deep' } },
      token: '/+8=',
    }),
    'GET /v1/books?name=a%26b&book.inner.title=deep&views=FULL&views=NONE&labels%5Ba%5D%5D=b&since=2026-01-02T03%3A04%3A05Z&mask=a%2Cb.cD&all=true&token=%2F%2B8%3D',
  )
  assert.equal(
    await lines('Create', { name: 'q', book: { name: 'N', title: 'T' } }),
    'POST /v1/N/x?name=q {"title":"T"}',
  )
  assert.equal(
    await lines('Update', { name: 'N', all: true }),
    'PATCH /v1/books {"name":"N","all":true}',
  )
  assert.match(
    await lines('Create', { book: { title: 'T' } }),
    /^INVALID_ARGUMENT: the message has not/,
  )
  assert.match(await lines('List', { books: [{}] }), /books cannot be in a query/)
  for (const name of ['shelves/../books/x', 'shelves/%2e/books/..', 'shelves/a%2F..%2Fb/books/x']) {
    assert.match(
      await lines('Get', { name }),
      /INVALID_ARGUMENT: a field of the path is relative/,
      name,
    )
  }
})

test('restUpstream makes messages of answers', async () => {
  const { service, asked } = rest(
    HttpResponse.json(
      { title: 'T', count: '9007199254740993', newer: 1 },
      { fields: { 'x-a': '1' } },
    ),
  )
  const { error, messages, response } = await call(
    'Get',
    [{ number: '1' }],
    service,
    {},
    { 'x-tenant': 'blue', 'grpc-timeout': '5S' },
  )
  assert.deepEqual([error, messages], [undefined, [{ title: 'T', count: '9007199254740993' }]])
  assert.equal(response.fields.get('x-a'), '1')
  const sent = asked[0]?.fields
  assert.deepEqual(
    ['x-tenant', 'grpc-timeout', 'te', 'accept'].map((name) => sent?.get(name)),
    ['blue', '5S', undefined, 'application/json'],
  )
  const inner = await call(
    'Create',
    [{ book: { name: 'N' } }],
    rest(HttpResponse.json({ title: 'I' })).service,
  )
  assert.deepEqual(inner.messages, [{ inner: { title: 'I' } }])
  const empty = await call('Get', [{}], rest(new HttpResponse({ status: 204 })).service)
  assert.deepEqual([empty.error, empty.messages], [undefined, [{}]])
  const file = await call('File', [{ name: 'x' }], rest(HttpResponse.text('hi')).service)
  assert.deepEqual(file.messages, [{ contentType: 'text/plain; charset=utf-8', data: 'aGk=' }])
  const store = rest(HttpResponse.json({}))
  await call('Store', [{ contentType: 'image/png', data: 'aGk=' }], store.service)
  await call('Keep', [{ name: 'n', file: { contentType: 'a\r\nb', data: 'aGk=' } }], store.service)
  assert.deepEqual(
    store.asked.map(({ line, body, fields }) => [line, body, fields.get('content-type')]),
    [
      ['PUT /v1/files', 'hi', 'image/png'],
      ['PUT /v1/files/n', 'hi', 'application/octet-stream'],
    ],
  )
})

test('restUpstream makes a stream of lines, events and arrays', async () => {
  const answers: readonly (readonly [string, string, unknown[], string | undefined])[] = [
    ['application/x-ndjson', '{"title":"a"}\n{"title":"b"}\n', ['a', 'b'], undefined],
    ['application/x-ndjson', '{"result":{"title":"a"}}\n', ['a'], undefined],
    ['application/x-ndjson', '', [], undefined],
    [
      'application/x-ndjson',
      '{"title":"a"}\n{"error":{"code":5,"message":"gone"}}\n',
      ['a'],
      'NOT_FOUND: gone',
    ],
    [
      'application/x-ndjson',
      '{"title":"a"}\n{"title":',
      ['a'],
      'INTERNAL: the answer cannot be read: the body is not JSON',
    ],
    [
      'application/x-ndjson',
      '{"title":1}\n{"title":"b"}',
      [],
      'INTERNAL: the answer cannot be read: cannot decode field lib.Book.title from JSON: expected string, got 1',
    ],
    [
      'text/event-stream',
      ': hi\n\nid: 1\ndata: {"title":\ndata: "a"}\n\ndata:{"title":"b"}\n\n',
      ['a', 'b'],
      undefined,
    ],
    [
      'text/event-stream',
      'data: {"title":"a"}\r\n\r\nevent: error\ndata: {"code":7,"message":"no"}\n\n',
      ['a'],
      'PERMISSION_DENIED: no',
    ],
    ['application/json', '[{"title":"a"},{"title":"b"}]', ['a', 'b'], undefined],
    ['application/json', '{"title":"a"}', ['a'], undefined],
  ]
  for (const [type, text, titles, problem] of answers) {
    const service = rest(
      () => new HttpResponse({ fields: { 'content-type': type }, body: text }),
    ).service
    const { error, messages } = await call('List', [{}], service)
    assert.deepEqual(
      messages.map((one) => (one as { title: string }).title),
      titles,
      text,
    )
    assert.equal(error?.message, problem, text)
  }
})

test('restUpstream sends a stream of requests as lines', async () => {
  const { asked, service } = rest(HttpResponse.json({ count: '2' }))
  const { messages } = await call('Upload', [{ title: 'a' }, { title: 'b' }], service)
  assert.deepEqual(messages, [{ count: '2' }])
  assert.equal(asked[0]?.line, 'POST /v1/books:upload')
  assert.equal(asked[0]?.body, '{"title":"a"}\n{"title":"b"}\n')
  assert.equal((await call('Into', [{ name: 'a' }], service)).error?.status, 'UNIMPLEMENTED')
})

test('restUpstream answers errors with the status that they stand for', async () => {
  const status = async (answer: HttpResponse): Promise<string | undefined> =>
    (await call('Get', [{}], rest(answer).service)).error?.message
  assert.equal(
    await status(HttpResponse.json({ code: 9, message: 'm' }, { status: 400 })),
    'FAILED_PRECONDITION: m',
  )
  assert.equal(
    await status(HttpResponse.json({ error: { code: 404, message: 'm' } }, { status: 404 })),
    'NOT_FOUND: HTTP status 404',
  )
  for (const [http, grpc] of [
    [400, 'INVALID_ARGUMENT'],
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
    [409, 'ABORTED'],
    [418, 'INVALID_ARGUMENT'],
    [429, 'RESOURCE_EXHAUSTED'],
    [500, 'INTERNAL'],
    [503, 'UNAVAILABLE'],
    [504, 'DEADLINE_EXCEEDED'],
    [599, 'UNKNOWN'],
    [302, 'UNKNOWN'],
  ] as const) {
    assert.equal(
      await status(new HttpResponse({ status: http, body: 'x' })),
      `${grpc}: HTTP status ${http}`,
    )
  }
  assert.match(
    (await status(HttpResponse.text('<html>'))) ?? '',
    /UNKNOWN: the answer is of type "text\/plain"/,
  )
  assert.match((await status(HttpResponse.json([1]))) ?? '', /INTERNAL: the answer cannot be read/)
  const details = [
    { '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field: 'f' }] },
    { '@type': 'a/b' },
  ]
  const rich = await call(
    'Get',
    [{}],
    rest(HttpResponse.json({ code: 3, details }, { status: 400 })).service,
  )
  assert.deepEqual(rich.error?.find(BadRequestSchema)[0]?.fieldViolations[0]?.field, 'f')
  const down = await call('Get', [{}], () => Promise.reject(new GrpcError('UNAVAILABLE', 'down')))
  assert.equal(down.error?.message, 'UNAVAILABLE: down')
})

test('restUpstream refuses what is no call, and holds its limits', async () => {
  const service = rest(() => HttpResponse.json({ title: 'xxxx' })).service
  const answer = async (
    fields: Record<string, string>,
    target = '/lib.Books/Get',
    body: Uint8Array = grpcFrame(new Uint8Array(0)),
  ) => {
    const request = new HttpRequest({ method: 'POST', target, fields, body })
    const response = await restUpstream(schema, service)(request, new Call())
    return response.status === 200 ? readStatus(response.fields, 200)?.status : response.status
  }
  const grpc = { 'content-type': 'application/grpc' }
  assert.equal(await answer({ 'content-type': 'application/json' }), 415)
  assert.equal(await answer(grpc, '/lib.Books/Hidden'), 'UNIMPLEMENTED')
  assert.equal(await answer({ ...grpc, 'grpc-encoding': 'gzip' }), 'UNIMPLEMENTED')
  assert.equal(await answer(grpc, '/lib.Books/Get', Uint8Array.of(0, 0)), 'INTERNAL')
  assert.equal(await answer(grpc, '/lib.Books/Get', grpcFrame(Uint8Array.of(10, 200))), 'INTERNAL')
  const limited = async (options: RestUpstreamOptions, name = 'N'): Promise<string | undefined> =>
    (await call('Update', [{ name }], service, options)).error?.status as string | undefined
  assert.equal(await limited({ maxReplyBytes: 16 }), undefined)
  assert.equal(await limited({ maxReplyBytes: 15 }), 'RESOURCE_EXHAUSTED')
  assert.equal(await limited({ maxRequestBytes: 3 }), undefined)
  assert.equal(await limited({ maxRequestBytes: 2 }), 'RESOURCE_EXHAUSTED')
  assert.equal(await limited({ maxJsonDepth: 1 }), undefined)
})

test('restUpstream and transcode are the reverse of each other', async () => {
  const handlers = {
    get: (request: { name: string; number: bigint }) => ({
      name: request.name,
      count: request.number,
    }),
    create: ({ book }: { book: object }) => ({ inner: book }),
    update: ({ name }: { name: string }) => ({ name }),
    *list({ number }: { number: bigint }) {
      for (let at = 0n; at < number; at++) yield { count: at }
      if (number === 3n)
        throw new GrpcError('DATA_LOSS', 'lost', {
          details: [[BadRequestSchema, { fieldViolations: [{ field: 'n' }] }]],
        })
    },
    async upload(books: AsyncIterable<{ title: string }>) {
      let title = ''
      for await (const book of books) title += book.title
      return { title }
    },
    async *chat(books: AsyncIterable<{ title: string }>) {
      for await (const { title } of books) yield { title: `re: ${title}` }
    },
    into: () => ({}),
    file: ({ name }: { name: string }) => ({
      contentType: 'a/b',
      data: new TextEncoder().encode(name),
    }),
    store: ({ contentType }: { contentType: string }) => ({ title: contentType }),
    keep: ({ name, file }: { name: string; file: { contentType: string } }) => ({
      name,
      title: file.contentType,
    }),
    hidden: () => ({}),
  }
  const back = transcode(schema, grpcServer([grpcService(Books, handlers as never)]))
  const ask = async (name: string, ...inputs: object[]) => {
    const { messages, error } = await call(name, inputs, back)
    return error === undefined ? messages : [...messages, error.message]
  }
  assert.deepEqual(await ask('Get', { name: 'shelves/ü/books/a%2Fb' }), [
    { name: 'shelves/ü/books/a%2Fb' },
  ])
  assert.deepEqual(await ask('Get', { name: 'x', number: '9007199254740993' }), [
    { name: 'x', count: '9007199254740993' },
  ])
  assert.deepEqual(await ask('Create', { book: { name: 'N', title: 'T' } }), [
    { inner: { name: 'N', title: 'T' } },
  ])
  assert.deepEqual(await ask('List', { number: '2' }), [{}, { count: '1' }])
  assert.deepEqual(await ask('List', { number: '3' }), [
    {},
    { count: '1' },
    { count: '2' },
    'DATA_LOSS: lost',
  ])
  assert.deepEqual(await ask('Upload', { title: 'a' }, { title: 'b' }), [{ title: 'ab' }])
  assert.deepEqual(await ask('Chat', { title: 'a' }, { title: 'b' }), [
    { title: 're: a' },
    { title: 're: b' },
  ])
  assert.deepEqual(await ask('File', { name: 'f' }), [{ contentType: 'a/b', data: 'Zg==' }])
  assert.deepEqual(await ask('Store', { contentType: 'x/y', data: 'AA==' }), [{ title: 'x/y' }])
  assert.deepEqual(await ask('Keep', { name: 'k', file: { contentType: 'x/y' } }), [
    { name: 'k', title: 'x/y' },
  ])
})
