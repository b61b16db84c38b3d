import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  create,
  type DescField,
  type DescMessage,
  type DescMethod,
  fromJson,
  getExtension,
  getOption,
  type Message,
  toBinary,
  toJson,
} from '@bufbuild/protobuf'
import type { GenExtension } from '@bufbuild/protobuf/codegenv2'
import { type FieldOptions, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { Echo } from '../../../test/fixtures/echo/echo_pb.ts'
import { commentOf } from './comments.ts'
import { loadSchema, type SchemaSource } from './load-schema.ts'
import { http } from './proto/google/api/annotations_pb.ts'
import { field_behavior } from './proto/google/api/field_behavior_pb.ts'
import { pickServices, type Schema } from './schema.ts'

const BOOKS = `// A library.
syntax = "proto3";
package acme.library.v1;

import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "acme/options.proto";

// Books of a library.
service Books {
  option (acme.owner) = "shelves team";
  // Gives one book.
  rpc Get(GetBook) returns (Book) {
    option (google.api.http) = {
      get: "/v1/{name=shelves/*/books/*}"
      additional_bindings { get: "/v1/books/{name}" }
      additional_bindings { post: "/v1/books:get" body: "*" response_body: "author" }
    };
    option idempotency_level = NO_SIDE_EFFECTS;
  }
  rpc Watch(stream GetBook) returns (stream Book) { option (google.api.http).post = "/v1/watch"; }
}

message GetBook { string name = 1; }

// A book.
message Book {
  string name = 1; // Its name.
  optional int32 pages = 2 [deprecated = true];
  Author author = 3;
  repeated int32 ratings = 4 [packed = false];
  map<string, Genre> genres = 5;
  oneof shelf { string room = 6; int64 number = 7 [json_name = "NUMBER"]; }
  google.protobuf.Timestamp published_at = 8 [(acme.hint) = { words: ["a", "b"] level: HIGH wait { seconds: 3 } }];
  message Author { string full_name = 1; Genre genre = 2; }
  enum Genre {
    GENRE_UNSPECIFIED = 0; // None.
    CRIME = 1;
  }
  reserved 9 to 11;
}
`
const OPTIONS = `syntax = "proto3";
package acme;
import "google/protobuf/descriptor.proto";
import "google/protobuf/duration.proto";
message Hint { repeated string words = 1; enum Level { LOW = 0; HIGH = 1; } Level level = 2; google.protobuf.Duration wait = 3; }
extend google.protobuf.FieldOptions { Hint hint = 50001; }
extend google.protobuf.ServiceOptions { string owner = 50002; }
`
const FILES: Readonly<Record<string, string>> = {
  'acme/library.proto': BOOKS,
  'acme/options.proto': OPTIONS,
}
const read = (name: string): string | undefined => FILES[name]

const fromText = (): Promise<Schema> => loadSchema([{ proto: 'acme/library.proto' }], { read })

async function fromSet(): Promise<Schema> {
  const { files } = await fromText()
  // As protoc writes it without --include_imports.
  const own = files.filter((file) => file.name.startsWith('acme/')).map(({ proto }) => proto)
  const descriptorSet = toBinary(
    FileDescriptorSetSchema,
    create(FileDescriptorSetSchema, { file: own }),
  )
  return loadSchema([{ descriptorSet }])
}

async function fromDescriptors(): Promise<Schema> {
  const schema = await fromText()
  return loadSchema(schema.services)
}

for (const [from, load] of Object.entries({
  text: fromText,
  'a descriptor set': fromSet,
  descriptors: fromDescriptors,
})) {
  test(`loadSchema from ${from}: services, HTTP annotations, messages, options`, async () => {
    const schema = await load()
    assert.deepEqual(
      schema.services.map(({ typeName }) => typeName),
      ['acme.library.v1.Books'],
    )
    const get = schema.method('/acme.library.v1.Books/Get') as DescMethod
    assert.equal(get.methodKind, 'unary')
    assert.equal(get.idempotency, 1)
    const rule = getOption(get, http)
    assert.deepEqual(rule.pattern, { case: 'get', value: '/v1/{name=shelves/*/books/*}' })
    assert.deepEqual(
      rule.additionalBindings.map(({ pattern, body, responseBody }) => [
        pattern.value,
        body,
        responseBody,
      ]),
      [
        ['/v1/books/{name}', '', ''],
        ['/v1/books:get', '*', 'author'],
      ],
    )
    const watch = schema.method('/acme.library.v1.Books/Watch') as DescMethod
    assert.equal(watch.methodKind, 'bidi_streaming')
    assert.equal(getOption(watch, http).pattern.value, '/v1/watch')

    const json = {
      name: 'x',
      pages: 0,
      author: { fullName: 'A', genre: 'CRIME' },
      ratings: [1, 2],
      genres: { k: 'CRIME' },
      NUMBER: '7',
      publishedAt: '2026-01-02T03:04:05Z',
    }
    const book = fromJson(get.output, json)
    assert.deepEqual(toJson(get.output, book), json)
    const hint = schema.registry.getExtension('acme.hint')
    const published = get.output.field['publishedAt']
    assert.ok(hint?.message !== undefined && published?.proto.options !== undefined)
    const value = getExtension(published.proto.options, hint as GenExtension<FieldOptions, Message>)
    assert.deepEqual(toJson(hint.message, value), { words: ['a', 'b'], level: 'HIGH', wait: '3s' })
    assert.equal(get.output.field['pages']?.deprecated, true)
    assert.equal(commentOf(get), 'Gives one book.')
    assert.equal(commentOf(get.output), 'A book.')
    assert.equal(commentOf(get.output.fields[0] as DescField), 'Its name.')
    assert.equal(commentOf(get.parent), 'Books of a library.')
  })
}

test('loadSchema takes generated code, and gives the very descriptors', async () => {
  const schema = await loadSchema([Echo])
  assert.equal(schema.method(`/${Echo.typeName}/Say`), Echo.method.say)
  assert.deepEqual((await loadSchema([Echo.file])).services, Echo.file.services)
})

test('loadSchema has what most schemas import built in', async () => {
  const text = `syntax = "proto3"; package a;
    import "google/rpc/status.proto"; import "google/rpc/error_details.proto"; import "google/rpc/code.proto";
    import "google/api/httpbody.proto"; import "google/api/field_behavior.proto";
    import "google/protobuf/any.proto"; import "google/protobuf/struct.proto"; import "google/protobuf/empty.proto";
    import "google/protobuf/field_mask.proto"; import "google/protobuf/wrappers.proto";
    message M { google.rpc.Status s = 1 [(google.api.field_behavior) = REQUIRED, (google.api.field_behavior) = IMMUTABLE];
      google.rpc.BadRequest b = 2; google.rpc.Code c = 3; google.api.HttpBody h = 4;
      google.protobuf.Any a = 5; google.protobuf.Value v = 6; google.protobuf.FieldMask m = 7; google.protobuf.Int64Value w = 8; }
    service S { rpc Do(M) returns (google.protobuf.Empty); }`
  const { registry, method } = await loadSchema([{ proto: 'a.proto', text }])
  const status = registry.getMessage('a.M')?.field['s']?.proto.options
  assert.deepEqual(status && getExtension(status, field_behavior), [2, 5])
  assert.equal(method('/a.S/Do')?.output.typeName, 'google.protobuf.Empty')
})

test('loadSchema reads proto2, groups, defaults, and editions', async () => {
  const proto2 = `syntax = "proto2"; message A { required int32 id = 1; optional string s = 2 [default = "x"];
    optional group Part = 3 { optional bool on = 4; } extensions 100 to 200; }
    extend A { optional int64 more = 100; }`
  const { registry } = await loadSchema([{ proto: 'a.proto', text: proto2 }])
  const a = registry.getMessage('A')
  assert.equal(a?.field['s']?.proto.defaultValue, 'x')
  const message = fromJson(a as DescMessage, { id: 1, part: { on: true } })
  assert.deepEqual([...toBinary(a as DescMessage, message)], [8, 1, 0x1b, 0x20, 1, 0x1c])
  assert.equal(registry.getExtension('more')?.number, 100)
  const edition = `edition = "2023"; option features.field_presence = IMPLICIT;
    message B { int32 x = 1; int32 y = 2 [features.field_presence = EXPLICIT]; }`
  const b = (await loadSchema([{ proto: 'b.proto', text: edition }])).registry.getMessage('B')
  assert.deepEqual([b?.field['x']?.presence, b?.field['y']?.presence], [2, 1])
})

test('loadSchema says what is wrong with a schema, and where', async () => {
  const text = (body: string, name = 'a.proto'): SchemaSource => ({
    proto: name,
    text: `syntax = "proto3"; package a; ${body}`,
  })
  const cases: readonly (readonly [SchemaSource, RegExp])[] = [
    [text('message {'), /a\.proto cannot be parsed: illegal type name '\{' \(line 1\)/],
    [text('message A { B b = 1; }'), /a\.proto: a\.A\.b needs "B", which is nowhere/],
    [text('service S { rpc X(A) returns (A); }'), /a\.S needs "A"/],
    [text('enum E { Z = 0; } service S { rpc X(E) returns (E); }'), /a\.E is an enum/],
    [text('message A {} message A {}'), /duplicate name 'A'/],
    [text('import "nowhere.proto";'), /"nowhere\.proto", imported by a\.proto is not there/],
    [text('option (no.such) = 1;'), /option \(no\.such\) is not defined/],
    [text('message A { option deprecated = "yes"; }'), /option deprecated: "yes" is no bool/],
    [
      text(
        'import "google/api/annotations.proto"; message A {} service S { rpc X(A) returns (A) { option (google.api.http) = { gett: "/" }; } }',
      ),
      /HttpRule has no field "gett"/,
    ],
    [text(`${'message A {'.repeat(3_000)}${'}'.repeat(3_000)}`), /a\.proto cannot be parsed/],
    [{ proto: 'google/../../etc/passwd' }, /is not there/],
    [{ descriptorSet: Uint8Array.of(1, 2, 3) }, /this is no descriptor set/],
    [{ descriptorSet: new Uint8Array(0) }, /it has no files/],
    [{ proto: 'b.proto', text: 'edition = "2099"; message A {}' }, /edition/],
  ]
  for (const [source, message] of cases) {
    await assert.rejects(loadSchema([source], { read }), { code: 'ERR_SCHEMA', message })
  }
})

test('loadSchema takes a file that is built in, where somebody brings it', async () => {
  const text = `${'/* a comment */\n'.repeat(200)}package google.rpc; message Own { optional string x = 1; }`
  const own = { proto: 'google/rpc/status.proto', text }
  const user =
    'syntax = "proto3"; import "google/rpc/status.proto"; message M { google.rpc.Own o = 1; }'
  const { registry } = await loadSchema([own, { proto: 'm.proto', text: user }])
  assert.equal(registry.getMessage('M')?.fields[0]?.message?.typeName, 'google.rpc.Own')
})

test('loadSchema refuses imports that lead back, and those that lead too deep', async () => {
  const circle = (name: string): string =>
    `syntax = "proto3"; import "${name === 'a.proto' ? 'b' : 'a'}.proto";`
  await assert.rejects(loadSchema([{ proto: 'a.proto' }], { read: circle }), {
    code: 'ERR_SCHEMA',
    message: /a\.proto → b\.proto → a\.proto/,
  })
  const chain = (name: string): string => {
    const at = Number(name.slice(0, -6))
    return at === 4 ? 'syntax = "proto3";' : `syntax = "proto3"; import "${at + 1}.proto";`
  }
  const load = (maxImportDepth: number): Promise<Schema> =>
    loadSchema([{ proto: '0.proto' }], { read: chain, maxImportDepth })
  await load(4)
  await assert.rejects(load(3), { code: 'ERR_SCHEMA', message: /maxImportDepth is 3/ })
})

test('loadSchema holds its limits: at them, and one past', async () => {
  const text = 'syntax = "proto3";'
  const one = [{ proto: 'a.proto', text }]
  await loadSchema(one, { maxFileBytes: 18 })
  await assert.rejects(loadSchema(one, { maxFileBytes: 17 }), /18 bytes, maxFileBytes is 17/)
  const two = [...one, { proto: 'b.proto', text }]
  await loadSchema(two, { maxFiles: 2 })
  await assert.rejects(loadSchema(two, { maxFiles: 1 }), { code: 'ERR_SCHEMA' })
  const file = [{ name: 'a.proto' }]
  const descriptorSet = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }))
  const max = descriptorSet.length
  await loadSchema([{ descriptorSet }], { maxDescriptorSetBytes: max })
  await assert.rejects(loadSchema([{ descriptorSet }], { maxDescriptorSetBytes: max - 1 }), {
    code: 'ERR_SCHEMA',
  })
})

test('pickServices takes those that are named', async () => {
  const schema = await fromText()
  assert.equal(pickServices(schema, ['acme.library.v1.Books']).services.length, 1)
  assert.throws(() => pickServices(schema, ['acme.Books']), {
    code: 'ERR_SCHEMA',
    message: /there are: acme\.library\.v1\.Books/,
  })
})
