import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSchema } from '../protobuf/load-schema.ts'
import { openApi } from './openapi.ts'

const PROTO = `syntax = "proto3"; package lib;
import "google/api/annotations.proto"; import "google/api/field_behavior.proto"; import "google/api/httpbody.proto";
import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
import "google/protobuf/any.proto"; import "google/protobuf/duration.proto"; import "google/protobuf/field_mask.proto"; import "google/protobuf/empty.proto";
// Books.
service Books {
  // Gives a book.
  // Or does not.
  rpc Get(GetRequest) returns (Book) { option (google.api.http) = { get: "/v1/{name=shelves/*/books/*}" additional_bindings { get: "/v1/any/{name=**}" } }; option deprecated = true; }
  rpc Create(CreateRequest) returns (Book) { option (google.api.http) = { post: "/v1/{parent=shelves/*}/books" body: "book" }; }
  rpc Update(Book) returns (Book) { option (google.api.http) = { patch: "/v1/{name}" body: "*" response_body: "author" }; }
  rpc Delete(Named) returns (google.protobuf.Empty) { option (google.api.http) = { delete: "/v1/{other}" }; }
  rpc List(ListRequest) returns (stream Book) { option (google.api.http) = { get: "/v1/books:list" }; }
  rpc Upload(stream Book) returns (Book) { option (google.api.http) = { post: "/v1/books:upload" body: "*" }; }
  rpc Download(GetRequest) returns (google.api.HttpBody) { option (google.api.http) = { get: "/v1/files/{name}" }; }
  rpc Lock(GetRequest) returns (Book) { option (google.api.http) = { custom { kind: "LOCK" path: "/v1/locks/{name}" } }; }
  rpc Hidden(GetRequest) returns (Book);
}
// How much.
enum View { VIEW_UNSPECIFIED = 0; FULL = 1; // All of it.
}
message GetRequest { string name = 1; // Which.
 View view = 2; }
message Named { string other = 1; }
message CreateRequest { string parent = 1; Book book = 2; string book_id = 3; Book like = 4; map<string, string> labels = 5; }
message ListRequest { repeated View views = 1; google.protobuf.Timestamp since = 2; ListRequest nested = 3; }
// A book.
message Book { string name = 1 [(google.api.field_behavior) = OUTPUT_ONLY]; string title = 2 [(google.api.field_behavior) = REQUIRED]; Book sequel = 3; repeated string tags = 4; map<string, int32> counts = 5;
  Author author = 6; oneof where { string room = 7; int64 number = 8; } bytes cover = 9; google.protobuf.Int64Value max = 10; google.protobuf.Value extra = 11; google.protobuf.Any any = 12;
  google.protobuf.Duration wait = 13; google.protobuf.FieldMask mask = 14; uint32 small = 15; double score = 16; bool on = 17 [deprecated = true]; google.protobuf.Struct more = 18; }
message Author { string full_name = 1; }
`
const schema = await loadSchema([{ proto: 'lib.proto', text: PROTO }])

type Json = { [name: string]: Json } & unknown[] & string

test('openApi describes paths, parameters, bodies and answers', () => {
  const document = openApi(schema, { version: '1.2', servers: ['https://api.example'] }) as Json
  assert.equal(document['openapi'], '3.1.0')
  assert.deepEqual(document['info'], { title: 'lib.Books', version: '1.2' })
  assert.deepEqual(document['servers'], [{ url: 'https://api.example' }])
  assert.deepEqual(document['tags'], [{ name: 'lib.Books', description: 'Books.' }])
  const paths = document['paths'] as Json
  assert.deepEqual(Object.keys(paths), [
    '/v1/shelves/{shelvesId}/books/{booksId}',
    '/v1/any/{name}',
    '/v1/shelves/{shelvesId}/books',
    '/v1/{name}',
    '/v1/books:list',
    '/v1/books:upload',
    '/v1/files/{name}',
  ])
  const get = (paths['/v1/shelves/{shelvesId}/books/{booksId}'] as Json)['get'] as Json
  assert.deepEqual(get['operationId'], 'Books_Get')
  assert.deepEqual(get['summary'], 'Gives a book.')
  assert.deepEqual(get['description'], 'Gives a book.\nOr does not.')
  assert.deepEqual(get['deprecated'], true)
  assert.deepEqual(get['parameters'], [
    {
      name: 'shelvesId',
      in: 'path',
      required: true,
      description: 'A part of name.',
      schema: { type: 'string' },
    },
    {
      name: 'booksId',
      in: 'path',
      required: true,
      description: 'A part of name.',
      schema: { type: 'string' },
    },
    { name: 'view', in: 'query', schema: { $ref: '#/components/schemas/lib.View' } },
  ])
  const create = (paths['/v1/shelves/{shelvesId}/books'] as Json)['post'] as Json
  const named = (create['parameters'] as Json[]).map(({ name }) => name)
  assert.deepEqual(named.slice(0, 5), [
    'shelvesId',
    'bookId',
    'like.name',
    'like.title',
    'like.tags',
  ])
  assert.deepEqual(create['requestBody'], {
    required: true,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/lib.Book' } } },
  })
  // One path, whatever its variable is called by which method.
  const shared = paths['/v1/{name}'] as Json
  assert.deepEqual(Object.keys(shared), ['patch', 'delete'])
  assert.equal(((shared['delete'] as Json)['parameters'] as Json[])[0]?.['name'], 'name')
  const patch = shared['patch'] as Json
  const body = JSON.stringify(patch['requestBody'])
  assert.ok(!body.includes('"name"') && body.includes('"title"'))
  assert.match(JSON.stringify((patch['responses'] as Json)['200']), /schemas\/lib\.Author/)
  const list = (paths['/v1/books:list'] as Json)['get'] as Json
  assert.deepEqual(list['x-stream'], ['replies'])
  assert.deepEqual(Object.keys(((list['responses'] as Json)['200'] as Json)['content'] as Json), [
    'application/x-ndjson',
    'text/event-stream',
    'application/json',
  ])
  const upload = (paths['/v1/books:upload'] as Json)['post'] as Json
  assert.deepEqual(upload['x-stream'], ['requests'])
  assert.match(JSON.stringify(upload['requestBody']), /application\/x-ndjson/)
  assert.deepEqual(document['x-omitted'], ['LOCK /v1/locks/{name}'])
})

test('openApi describes messages as their JSON is', () => {
  const document = JSON.parse(JSON.stringify(openApi(schema))) as Json
  const schemas = (document['components'] as Json)['schemas'] as Json
  const book = schemas['lib.Book'] as Json
  const properties = book['properties'] as Json
  assert.equal(book['description'], 'A book.\n\nAt most one of: room, number.')
  assert.deepEqual(book['required'], ['title'])
  assert.deepEqual(properties, {
    name: { type: 'string', readOnly: true },
    title: { type: 'string' },
    sequel: { $ref: '#/components/schemas/lib.Book' },
    tags: { type: 'array', items: { type: 'string' } },
    counts: { type: 'object', additionalProperties: { type: 'integer', format: 'int32' } },
    author: { $ref: '#/components/schemas/lib.Author' },
    room: { type: 'string' },
    number: { type: 'string', format: 'int64' },
    cover: { type: 'string', contentEncoding: 'base64' },
    max: { type: ['string', 'null'], format: 'int64' },
    extra: {},
    any: {
      type: 'object',
      properties: { '@type': { type: 'string', description: 'The URL of the type.' } },
      additionalProperties: true,
    },
    wait: { type: 'string', pattern: '^-?\\d+(\\.\\d{1,9})?s$' },
    mask: { type: 'string', examples: ['title,author.name'] },
    small: { type: 'integer', minimum: 0, maximum: 4_294_967_295 },
    score: { type: 'number', format: 'double' },
    on: { type: 'boolean', deprecated: true },
    more: { type: 'object', additionalProperties: true },
  })
  assert.deepEqual(schemas['lib.View'], {
    type: 'string',
    description: 'How much.\n\nFULL: All of it.',
    enum: ['VIEW_UNSPECIFIED', 'FULL'],
  })
  const plain = openApi(schema, { protoNames: true, unannotated: true }) as Json
  assert.ok('/lib.Books/Hidden' in (plain['paths'] as Json))
  assert.match(JSON.stringify(plain['components']), /"full_name"/)
})

/** What OpenAPI 3.1 asks of a document of this kind. */
test('openApi keeps to the structure of OpenAPI 3.1', () => {
  const document = openApi(schema, { unannotated: true }) as Json
  const text = JSON.stringify(document)
  const ids = new Set<string>()
  const schemas = (document['components'] as Json)['schemas'] as Json
  for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
    assert.ok(String(name) in schemas, String(name))
  }
  for (const name of Object.keys(schemas)) assert.match(name, /^[a-zA-Z0-9._-]+$/)
  const shapes = new Set<string>()
  for (const [path, item] of Object.entries(document['paths'] as Json)) {
    assert.match(path, /^\//)
    const shape = path.replace(/\{[^}]*\}/g, '{}')
    assert.ok(!shapes.has(shape), path)
    shapes.add(shape)
    const inPath = [...path.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name)
    for (const [method, operation] of Object.entries(item as Json)) {
      assert.match(method, /^(get|put|post|delete|options|head|patch|trace)$/)
      const { operationId, parameters = [], responses, requestBody } = operation as Json
      assert.ok(!ids.has(operationId as string))
      ids.add(operationId as string)
      const list = parameters as Json[]
      const keys = list.map(({ name, in: where }) => `${where} ${name}`)
      assert.equal(new Set(keys).size, keys.length)
      const named = list.filter((one) => one['in'] === 'path').map(({ name }) => name)
      assert.deepEqual(named.toSorted(), inPath.toSorted())
      for (const one of list)
        assert.ok('schema' in one && (one['in'] === 'query' || one['required']))
      for (const response of Object.values(responses as Json)) {
        assert.equal(typeof (response as Json)['description'], 'string')
      }
      if (requestBody !== undefined) assert.ok('content' in (requestBody as Json))
    }
  }
})
