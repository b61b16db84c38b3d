import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DescService } from '@bufbuild/protobuf'
import { Call } from '../../core/context.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { Body, type BodyInit } from '../../protocols/http/body.ts'
import { HttpRequest, type HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { loadSchema } from '../../protocols/protobuf/load-schema.ts'
import { BadRequestSchema } from '../../protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import { transcode } from '../../protocols/transcoding/transcode.ts'
import type { TranscodingOptions } from '../../protocols/transcoding/transcoding-options.ts'
import { grpcServer, grpcService } from '../grpc/grpc-service.ts'
import type { HandlerContext } from '../grpc/handler-context.ts'

const PROTO = `syntax = "proto3"; package lib;
import "google/api/annotations.proto"; import "google/api/httpbody.proto"; import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto"; import "google/protobuf/field_mask.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/duration.proto"; import "google/protobuf/any.proto";
service Books {
  rpc Get(GetRequest) returns (Book) { option (google.api.http) = { get: "/v1/{name=shelves/*/books/*}" additional_bindings { get: "/v1/any/{name=**}" } additional_bindings { get: "/v1/one/{name}" } }; }
  rpc Create(CreateRequest) returns (Book) { option (google.api.http) = { post: "/v1/{parent=shelves/*}/books" body: "book" }; }
  rpc Update(Book) returns (Book) { option (google.api.http) = { patch: "/v1/{name=shelves/*/books/*}" body: "*" additional_bindings { put: "/v1/{author.name=authors/*}" body: "*" response_body: "author" } }; }
  rpc Archive(GetRequest) returns (Book) { option (google.api.http) = { post: "/v1/{name=shelves/*/books/*}:archive" body: "*" response_body: "tags" }; }
  rpc Search(SearchRequest) returns (Book) { option (google.api.http) = { get: "/v1/books:search" response_body: "title" }; }
  rpc Echo(SearchRequest) returns (SearchRequest) { option (google.api.http) = { get: "/v1/echo" }; }
  rpc List(SearchRequest) returns (stream Book) { option (google.api.http) = { get: "/v1/books" }; }
  rpc Upload(stream Book) returns (Book) { option (google.api.http) = { post: "/v1/{author.name=authors/*}/books:upload" body: "*" }; }
  rpc Chat(stream Book) returns (stream Book) { option (google.api.http) = { post: "/v1/chat" body: "*" }; }
  rpc Download(GetRequest) returns (google.api.HttpBody) { option (google.api.http) = { get: "/v1/files/{name}" }; }
  rpc Parts(GetRequest) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/v1/parts/{name}" }; }
  rpc Store(google.api.HttpBody) returns (Book) { option (google.api.http) = { put: "/v1/files" body: "*" }; }
  rpc Keep(KeepRequest) returns (Book) { option (google.api.http) = { put: "/v1/files/{name}" body: "file" }; }
  rpc Lock(GetRequest) returns (Book) { option (google.api.http) = { custom { kind: "LOCK" path: "/v1/locks/{name}" } }; }
  rpc Hidden(GetRequest) returns (Book);
}
enum View { VIEW_UNSPECIFIED = 0; FULL = 1; }
message GetRequest { string name = 1; View view = 2; }
message CreateRequest { string parent = 1; Book book = 2; string book_id = 3; }
message KeepRequest { string name = 1; google.api.HttpBody file = 2; bool twice = 3; }
message Author { string name = 1; int64 born = 2; }
message Book { string name = 1; string title = 2; Author author = 3; repeated string tags = 4; google.protobuf.Value extra = 5; map<string, int32> counts = 6; google.protobuf.Any any = 7; }
message SearchRequest { string query = 1; int32 page_size = 2; repeated View views = 3; Author author = 4; google.protobuf.Timestamp since = 5;
  google.protobuf.Int64Value max = 6; google.protobuf.FieldMask mask = 7; bool all = 8; double score = 9; bytes token = 10; map<string, string> labels = 11;
  google.protobuf.Duration within = 12; google.protobuf.BoolValue strict = 13; repeated Author authors = 14; repeated int64 ids = 15; uint32 small = 16; google.protobuf.Struct more = 17; }
`
const schema = await loadSchema([{ proto: 'lib.proto', text: PROTO }])
const Books = schema.services[0] as DescService
const seen: { metadata?: string | undefined; deadline?: boolean } = {}

type Fields = Record<string, unknown>
const handlers: Record<string, (input: never, context: HandlerContext) => unknown> = {
  get({ name, view }: Fields, context) {
    seen.metadata = [...context.requestMetadata].map(([key, value]) => `${key}=${value}`).join()
    seen.deadline = context.deadline !== undefined
    context.responseHeaders.set('x-shelf', 'blue')
    context.responseTrailers.set('x-took', '3')
    if (String(name).endsWith('/none'))
      throw new GrpcError('NOT_FOUND', `no ${name}`, {
        details: [
          [BadRequestSchema, { fieldViolations: [{ field: 'name', description: 'none' }] }],
          { type: 'un.Known', value: Uint8Array.of(1) },
        ],
        metadata: { 'x-why': 'gone' },
      })
    return { name, title: view === 1 ? 'full' : 'short' }
  },
  create: ({ parent, book, bookId }: Fields) => ({
    ...(book as object),
    name: `${parent}/books/${bookId}`,
  }),
  update: (book: Fields) => book,
  archive: ({ name }: Fields) => ({ name, tags: ['archived'] }),
  search: ({ query }: Fields) => ({ title: query }),
  echo: (request: Fields) => request,
  async *list({ pageSize, query }: Fields) {
    if (query === 'early') throw new GrpcError('PERMISSION_DENIED', 'not yours')
    for (let at = 0; at < Number(pageSize); at++) yield { title: `t${at}` }
    if (query === 'late') throw new GrpcError('DATA_LOSS', 'page 3 is gone')
  },
  async upload(books: AsyncIterable<Fields>) {
    const titles: unknown[] = []
    let author: unknown
    for await (const book of books) {
      titles.push(book['title'])
      author = book['author']
    }
    return { tags: titles, author }
  },
  async *chat(books: AsyncIterable<Fields>) {
    for await (const { title } of books) yield { title: `re: ${title}` }
  },
  download: ({ name }: Fields) => ({
    contentType: 'text/csv',
    data: new TextEncoder().encode(`file,${name}`),
  }),
  async *parts() {
    yield { contentType: 'image/x', data: Uint8Array.of(1, 2) }
    yield { contentType: '', data: Uint8Array.of(3) }
  },
  store: ({ contentType, data }: Fields) => ({
    title: `${contentType} ${(data as Uint8Array).length}`,
  }),
  keep: ({ name, file, twice }: Fields) => ({
    name,
    title: `${(file as Fields)['contentType']} ${((file as Fields)['data'] as Uint8Array).length} ${twice}`,
  }),
  lock: ({ name }: Fields) => ({ name, title: 'locked' }),
  hidden: () => ({}),
}
const grpc = grpcServer([grpcService(Books, handlers as never)])

interface Asked {
  method?: string
  fields?: Record<string, string>
  body?: BodyInit
  type?: string
  options?: TranscodingOptions
  next?: HttpService
}

async function ask(target: string, asked: Asked = {}): Promise<HttpResponse> {
  const { method = asked.body === undefined ? 'GET' : 'POST', fields = {}, body, options } = asked
  const type = asked.type ?? (body === undefined ? undefined : 'application/json')
  const request = new HttpRequest({
    method,
    target,
    fields: { ...fields, ...(type !== undefined && { 'content-type': type }) },
    ...(body !== undefined && { body }),
  })
  return transcode(schema, asked.next ?? grpc, options)(request, new Call())
}

/** As it comes from a network: in pieces of three bytes. */
function inPieces(text: string): Body {
  const bytes = new TextEncoder().encode(text)
  const make = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 3) yield bytes.slice(at, at + 3)
  }
  return Body.from(
    Object.assign(make(), {
      open(sink: { write(chunk: Uint8Array): boolean; end(): void }) {
        let at = 0
        return {
          resume() {
            while (at < bytes.length) {
              const chunk = bytes.slice(at, at + 3)
              at += 3
              if (!sink.write(chunk)) return
            }
            if (at < bytes.length + 3) at = bytes.length + 3
            sink.end()
          },
          cancel() {},
        }
      },
    }),
  )
}

test('transcode answers a GET: path variables, query, metadata both ways, deadline', async () => {
  const response = await ask('/v1/shelves/1/books/a%20b?view=FULL', {
    fields: { 'x-tenant': 'blue', 'grpc-timeout': '2S', 'grpc-encoding': 'evil', accept: '*/*' },
  })
  assert.equal(response.status, 200)
  assert.equal(response.fields.get('content-type'), 'application/json')
  assert.equal(response.fields.get('x-shelf'), 'blue')
  assert.equal(response.fields.get('grpc-trailer-x-took'), '3')
  assert.deepEqual(await response.body.json(), { name: 'shelves/1/books/a b', title: 'full' })
  assert.deepEqual(seen, { metadata: 'x-tenant=blue', deadline: true })
})

test('transcode: bodies, verbs, nested variables, response_body, custom methods', async () => {
  const json = async (target: string, asked: Asked = {}): Promise<unknown> => {
    const response = await ask(target, asked)
    const text = await response.body.text()
    assert.equal(response.status, 200, text)
    return JSON.parse(text)
  }
  const created = { body: '{"title":"T","tags":["a"]}' }
  assert.deepEqual(await json('/v1/shelves/7/books?book_id=9', created), {
    name: 'shelves/7/books/9',
    title: 'T',
    tags: ['a'],
  })
  assert.deepEqual(
    await json('/v1/shelves/7/books?bookId=9', { body: inPieces('{"title":"T"}') }),
    {
      name: 'shelves/7/books/9',
      title: 'T',
    },
  )
  const update = { method: 'PATCH', body: '{"name":"other","title":"T","author":{"born":"1818"}}' }
  assert.deepEqual(await json('/v1/shelves/1/books/2', update), {
    name: 'shelves/1/books/2',
    title: 'T',
    author: { born: '1818' },
  })
  const put = { method: 'PUT', body: '{"author":{"born":"1818"},"title":"x"}' }
  assert.deepEqual(await json('/v1/authors/mary', put), { name: 'authors/mary', born: '1818' })
  assert.deepEqual(await json('/v1/shelves/1/books/2:archive', { method: 'POST' }), ['archived'])
  assert.deepEqual(await json('/v1/shelves/1/books/2%3Aarchive', { body: '{}' }), ['archived'])
  assert.equal(await json('/v1/books:search?query=war+and%20peace'), 'war and peace')
  assert.deepEqual(await json('/v1/locks/x', { method: 'LOCK' }), { name: 'x', title: 'locked' })
  assert.deepEqual(await json('/v1/any/a/b%2Fc/d'), { name: 'a/b%2Fc/d', title: 'short' })
  assert.deepEqual(await json('/v1/one/b%2Fc'), { name: 'b/c', title: 'short' })
  assert.deepEqual(await json('/v1/one/x:y'), { name: 'x:y', title: 'short' })
})

test('transcode answers HEAD as GET, but for streams', async () => {
  const head = await ask('/v1/one/x', { method: 'HEAD' })
  assert.deepEqual([head.status, head.fields.get('content-type')], [200, 'application/json'])
  assert.equal((await ask('/v1/books', { method: 'HEAD' })).status, 405)
  assert.equal((await ask('/v1/shelves/1/books/none', { method: 'HEAD' })).status, 404)
})

test('transcode reads every kind of field from a query', async () => {
  const query = [
    'query=a%26b',
    'page_size=5',
    'views=FULL&views=1&views=VIEW_UNSPECIFIED',
    'author.name=N&author.born=-9007199254740993',
    'since=2026-01-02T03:04:05.5Z',
    'max=9007199254740993',
    'mask=title,author.full_name',
    'all=true',
    'score=1.5e3',
    'token=_-8',
    'labels[env]=prod&labels[__proto__]=x&labels[a.b]=c',
    'within=1.5s',
    'strict=false',
    'ids=1&ids=2',
  ].join('&')
  const response = await ask(`/v1/echo?${query}`)
  const text = await response.body.text()
  assert.equal(response.status, 200, text)
  const labels = Object.fromEntries([
    ['env', 'prod'],
    ['__proto__', 'x'],
    ['a.b', 'c'],
  ])
  assert.deepEqual(JSON.parse(text), {
    query: 'a&b',
    pageSize: 5,
    views: ['FULL', 'FULL', 'VIEW_UNSPECIFIED'],
    author: { name: 'N', born: '-9007199254740993' },
    since: '2026-01-02T03:04:05.500Z',
    max: '9007199254740993',
    mask: 'title,author.fullName',
    all: true,
    score: 1500,
    token: '/+8=',
    labels,
    within: '1.500s',
    strict: false,
    ids: ['1', '2'],
  })
})

test('transcode answers a stream of replies as NDJSON, events or an array', async () => {
  const forms: readonly (readonly [string | undefined, string, string])[] = [
    [undefined, 'application/x-ndjson', '{"title":"t0"}\n{"title":"t1"}\n'],
    ['*/*', 'application/x-ndjson', '{"title":"t0"}\n{"title":"t1"}\n'],
    ['text/event-stream', 'text/event-stream', 'data: {"title":"t0"}\n\ndata: {"title":"t1"}\n\n'],
    ['application/json', 'application/json', '[{"title":"t0"},\n{"title":"t1"}]'],
    [
      'application/json;q=0, application/x-ndjson',
      'application/x-ndjson',
      '{"title":"t0"}\n{"title":"t1"}\n',
    ],
  ]
  for (const [accept, type, text] of forms) {
    const fields = accept === undefined ? {} : { accept }
    const response = await ask('/v1/books?page_size=2', { fields })
    assert.equal(response.fields.get('content-type'), type)
    assert.equal(await response.body.text(), text)
  }
  const stream = async (target: string, options: TranscodingOptions = {}): Promise<string> =>
    (await ask(target, { options })).body.text()
  assert.equal(await stream('/v1/books?page_size=0'), '')
  assert.equal(await stream('/v1/books?page_size=0', { stream: 'array' }), '[]')
  const status = '{"code":15,"message":"page 3 is gone"}'
  assert.equal(
    await stream('/v1/books?page_size=1&query=late'),
    `{"title":"t0"}\n{"error":${status}}\n`,
  )
  assert.equal(
    await stream('/v1/books?page_size=1&query=late', { wrapStream: true }),
    `{"result":{"title":"t0"}}\n{"error":${status}}\n`,
  )
  assert.equal(
    await stream('/v1/books?page_size=1&query=late', { stream: 'sse' }),
    `data: {"title":"t0"}\n\nevent: error\ndata: ${status}\n\n`,
  )
  assert.equal(
    await stream('/v1/books?page_size=1&query=late', { stream: 'array' }),
    `[{"title":"t0"},\n{"error":${status}}]`,
  )
  const early = await ask('/v1/books?query=early')
  assert.equal(early.status, 403)
  assert.deepEqual(await early.body.json(), { code: 7, message: 'not yours' })
})

test('transcode takes a stream of requests as NDJSON', async () => {
  const text = '{"title":"a"}\r\n\n{"title":"b"}\n{"title":"ü"}'
  for (const body of [text, inPieces(text)]) {
    const response = await ask('/v1/authors/x/books:upload', { body, type: 'application/x-ndjson' })
    assert.deepEqual(await response.body.json(), {
      author: { name: 'authors/x' },
      tags: ['a', 'b', 'ü'],
    })
    const chat = { body: inPieces(text), type: 'application/x-ndjson' }
    assert.equal(
      await (await ask('/v1/chat', chat)).body.text(),
      '{"title":"re: a"}\n{"title":"re: b"}\n{"title":"re: ü"}\n',
    )
  }
  for (const body of ['{"title":"a"}\n{"titel":"b"}\n', inPieces('{"title":"a"}\n{"title":')]) {
    const response = await ask('/v1/authors/x/books:upload', { body, type: 'application/x-ndjson' })
    assert.equal(response.status, 400)
    assert.equal(((await response.body.json()) as { code: number }).code, 3)
  }
})

test('transcode passes google.api.HttpBody as it is', async () => {
  const file = await ask('/v1/files/x')
  assert.equal(file.fields.get('content-type'), 'text/csv')
  assert.equal(await file.body.text(), 'file,x')
  const parts = await ask('/v1/parts/x')
  assert.equal(parts.fields.get('content-type'), 'image/x')
  assert.deepEqual([...(await parts.body.bytes())], [1, 2, 3])
  const raw = { method: 'PUT', body: Uint8Array.of(0xff, 0xfe), type: 'image/png' }
  assert.deepEqual(await (await ask('/v1/files', raw)).body.json(), { title: 'image/png 2' })
  assert.deepEqual(await (await ask('/v1/files/n?twice=true', raw)).body.json(), {
    name: 'n',
    title: 'image/png 2 true',
  })
})

test('transcode answers errors with google.rpc.Status, its details and its metadata', async () => {
  const response = await ask('/v1/shelves/1/books/none')
  assert.equal(response.status, 404)
  assert.equal(response.fields.get('grpc-trailer-x-why'), 'gone')
  assert.deepEqual(await response.body.json(), {
    code: 5,
    message: 'no shelves/1/books/none',
    details: [
      {
        '@type': 'type.googleapis.com/google.rpc.BadRequest',
        fieldViolations: [{ field: 'name', description: 'none' }],
      },
      { '@type': 'type.googleapis.com/un.Known', value: 'AQ==' },
    ],
  })
})

test('transcode refuses what is wrong with a request, and says what', async () => {
  const deep = (depth: number): string => `{"extra":${'['.repeat(depth)}${']'.repeat(depth)}}`
  const post = (body: BodyInit): Asked => ({ method: 'PATCH', body })
  const cases: readonly (readonly [string, Asked, number, number, RegExp])[] = [
    ['/v1/nothing', {}, 404, 5, /nothing is at "\/v1\/nothing"/],
    ['/v1', {}, 404, 5, /./],
    ['/lib.Books/Hidden', post('{}'), 404, 5, /./],
    ['/v1/shelves/1/books/2', { method: 'DELETE' }, 405, 12, /has no DELETE/],
    ['/v1/shelves/%zz/books/2', {}, 400, 3, /percent-encoded/],
    ['/v1/shelves/%ff/books/2', {}, 400, 3, /percent-encoded/],
    ['/v1/shelves/%c0%ae/books/2', {}, 400, 3, /percent-encoded/],
    ['/v1/shelves/../books/2', {}, 400, 3, /relative/],
    ['/v1/shelves/%2e%2e/books/2', {}, 400, 3, /relative/],
    ['/v1/any/a%2F..%2Fb', {}, 400, 3, /relative/],
    ['/v1/shelves//books/2', {}, 404, 5, /./],
    ['/v1/echo?nope=1', {}, 400, 3, /"nope": lib\.SearchRequest has no such field/],
    ['/v1/echo?__proto__=1', {}, 400, 3, /__proto__/],
    ['/v1/echo?__proto__.x=1', {}, 400, 3, /no such field/],
    ['/v1/echo?constructor.prototype.x=1', {}, 400, 3, /no such field/],
    ['/v1/echo?query=%', {}, 400, 3, /the query is not percent-encoded/],
    ['/v1/echo?query=a&query=b', {}, 400, 3, /more than once/],
    ['/v1/echo?page_size=x', {}, 400, 3, /"page_size": is no whole number/],
    ['/v1/echo?page_size=99999999999', {}, 400, 3, /page_size|pageSize/],
    ['/v1/echo?small=-1', {}, 400, 3, /small/],
    ['/v1/echo?all=yes', {}, 400, 3, /neither true nor false/],
    ['/v1/echo?views=NOPE', {}, 400, 3, /no value of lib\.View/],
    ['/v1/echo?since=yesterday', {}, 400, 3, /Timestamp/],
    ['/v1/echo?score=0x1', {}, 400, 3, /no number/],
    ['/v1/echo?token=!', {}, 400, 3, /base64/],
    ['/v1/echo?author=x', {}, 400, 3, /is a message/],
    ['/v1/echo?authors.name=x', {}, 400, 3, /no such field/],
    ['/v1/echo?labels=x', {}, 400, 3, /name\[key\]/],
    ['/v1/echo?more=x', {}, 400, 3, /is a message/],
    [`/v1/echo?${'author.'.repeat(40)}name=x`, {}, 400, 3, /no such field/],
    ['/v1/shelves/1/books/2?name=x', {}, 400, 3, /no such field/],
    ['/v1/echo', { method: 'GET', body: 'x' }, 400, 3, /takes no body/],
    ['/v1/shelves/1/books/2', post('{"title":'), 400, 3, /not JSON/],
    ['/v1/shelves/1/books/2', post('[]'), 400, 3, /./],
    ['/v1/shelves/1/books/2', post('{"title":1}'), 400, 3, /title/],
    ['/v1/shelves/1/books/2', post('{"titel":"x"}'), 400, 3, /titel/],
    ['/v1/shelves/1/books/2', post('{"__proto__":{"title":"x"}}'), 400, 3, /__proto__/],
    ['/v1/shelves/1/books/2', post(Uint8Array.of(0x22, 0xff, 0x22)), 400, 3, /not UTF-8/],
    ['/v1/shelves/1/books/2', post(deep(100)), 400, 3, /over 100 levels/],
    ['/v1/shelves/1/books/2', post('['.repeat(1_000_000)), 400, 3, /over 100 levels/],
    [
      '/v1/shelves/1/books/2',
      post('{"any":{"@type":"type.googleapis.com/no.Such"}}'),
      400,
      3,
      /no\.Such/,
    ],
    [
      '/v1/shelves/1/books/2',
      { ...post('{}'), type: 'text/plain' },
      415,
      3,
      /must be application\/json/,
    ],
    ['/v1/one/x', { fields: { 'grpc-timeout': 'soon' } }, 400, 3, /grpc-timeout/],
    ['/v1/one/x', { fields: { 'x-envoy-expected-rq-timeout-ms': '-1' } }, 400, 3, /milliseconds/],
  ]
  for (const [target, asked, status, code, message] of cases) {
    const response = await ask(target, asked)
    const shown = `${target} ${JSON.stringify(asked).slice(0, 80)}`
    const text = await response.body.text()
    assert.equal(response.status, status, `${shown}: ${text}`)
    const body = JSON.parse(text) as { code: number; message: string }
    assert.equal(body.code, code, shown)
    assert.match(body.message, message, shown)
  }
  assert.equal(
    (await ask('/v1/shelves/1/books/2', { method: 'DELETE' })).fields.get('allow'),
    'GET, PATCH',
  )
  assert.equal(({} as { x?: unknown }).x, undefined)
  const shallow = async (depth: number): Promise<number> => {
    const asked = { ...post(deep(depth)), options: { maxJsonDepth: 10 } }
    return (await ask('/v1/shelves/1/books/2', asked)).status
  }
  assert.deepEqual([await shallow(9), await shallow(10)], [200, 400])
})

test('transcode holds its limits: at them, and one past', async () => {
  const body = (length: number): string => `{"title":"${'x'.repeat(length - 12)}"}`
  const limited = { maxRequestBytes: 64, maxReplyBytes: 60, maxQueryParameters: 2 }
  for (const make of [(text: string) => text, inPieces]) {
    const status = async (length: number): Promise<number> => {
      const asked = { method: 'PATCH', body: make(body(length)), options: { maxRequestBytes: 64 } }
      return (await ask('/v1/shelves/1/books/2', asked)).status
    }
    assert.equal(await status(64), 200)
    assert.equal(await status(65), 413)
  }
  const query = async (text: string): Promise<number> =>
    (await ask(`/v1/echo?${text}`, { options: limited })).status
  assert.equal(await query('ids=1&ids=2'), 200)
  assert.equal(await query('ids=1&ids=2&ids=3'), 400)
  // name 17 + 2, title 2 + n
  const reply = async (length: number): Promise<number> => {
    const asked = { method: 'PATCH', body: `{"title":"${'x'.repeat(length)}"}` }
    return (await ask('/v1/shelves/1/books/2', { ...asked, options: { maxReplyBytes: 60 } })).status
  }
  assert.equal(await reply(39), 200)
  assert.equal(await reply(40), 429)
  const line = async (length: number): Promise<number> => {
    const asked = { body: body(length), type: 'application/x-ndjson', options: limited }
    return (await ask('/v1/authors/x/books:upload', { ...asked })).status
  }
  assert.equal(await line(64), 429) // the reply is too long, the request is not
  assert.equal(await line(65), 429)
})

test('transcode drops what it is told to drop', async () => {
  const options = { unknownQuery: 'ignore', unknownFields: 'ignore' } as const
  assert.equal((await ask('/v1/echo?nope=1', { options })).status, 200)
  const patch = { method: 'PATCH', body: '{"titel":"x"}', options }
  assert.equal((await ask('/v1/shelves/1/books/2', patch)).status, 200)
  const key = { options: { ignoreQuery: ['key'] } }
  assert.equal((await ask('/v1/echo?key=secret', key)).status, 200)
  assert.equal((await ask('/v1/echo?keys=secret', key)).status, 400)
  await ask('/v1/one/x', {
    fields: { 'x-a': '1', 'x-b': '2' },
    options: { forwardField: (name) => name === 'x-b' },
  })
  assert.equal(seen.metadata, 'x-b=2')
})

test('transcode hands on what no annotation is for', async () => {
  const options = { fallback: grpc }
  assert.equal((await ask('/v1/nothing', { options })).status, 404)
  const hidden = { body: '{}', options: { unannotated: true } }
  assert.equal((await ask('/lib.Books/Hidden', hidden)).status, 200)
})

test('transcode answers what is no gRPC with the status that it has', async () => {
  const { HttpResponse: Response } = await import('../../protocols/http/messages.ts')
  const down = await ask('/v1/one/x', { next: () => new Response({ status: 503, body: 'no' }) })
  assert.equal(down.status, 503)
  assert.equal(((await down.body.json()) as { code: number }).code, 14)
  const page = await ask('/v1/one/x', { next: () => Response.text('hello') })
  assert.equal(page.status, 502)
  const broken = await ask('/v1/one/x', {
    next: () => {
      throw new GrpcError('UNAVAILABLE', 'down')
    },
  })
  assert.equal(broken.status, 503)
  const fails: HttpService = () => Promise.reject(new GrpcError('ABORTED', 'no'))
  assert.equal((await ask('/v1/one/x', { next: fails })).status, 409)
})

test('transcode refuses annotations that do not fit', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['get: "/v1/{nope}"', /lib\.S\.X: nope: lib\.M has no field "nope"/],
    ['get: "v1"', /expected '\/' at 0/],
    ['get: "/v1/{m}"', /m cannot be in a path/],
    ['get: "/v1/{many}"', /many cannot be in a path/],
    ['get: "/v1/{name.x}"', /no field is in a scalar/],
    ['post: "/v1" body: "nope"', /body: lib\.M has no field "nope"/],
    ['post: "/v1" response_body: "nope"', /response_body: lib\.M has no field/],
    ['post: "/v1/{name}" body: "name"', /in the path and is the body/],
    ['get: "/v1/{name}" additional_bindings { get: "/v1/{other}" }', /is there already/],
    ['body: "*"', /no pattern/],
    ['custom { kind: "A B" path: "/" }', /no method of HTTP/],
  ]
  for (const [rule, message] of cases) {
    const text = `syntax = "proto3"; package lib; import "google/api/annotations.proto";
      message M { string name = 1; M m = 2; repeated string many = 3; string other = 4; }
      service S { rpc X(M) returns (M) { option (google.api.http) = { ${rule} }; } }`
    const bad = await loadSchema([{ proto: 's.proto', text }])
    assert.throws(() => transcode(bad, grpc), { code: 'ERR_SCHEMA', message })
  }
  assert.throws(() => transcode(schema, grpc, { maxJsonDepth: 0 }), { code: 'ERR_OPTION_RANGE' })
})
