/** REST in front of gRPC and behind it, in a running gateway. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { fromRoot } from '../../scripts/repository.ts'
import { grpcChannel } from '../../src/clients/grpc/grpc-channel.ts'
import { grpcClient } from '../../src/clients/grpc/grpc-client.ts'
import { checkFiles } from '../../src/gateway/certificates.ts'
import { loadConfig } from '../../src/gateway/config/load.ts'
import { file_library, Library } from '../../src/gateway/demo/library/library_pb.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { HTTP, start, upstream } from './running-gateway.ts'

const SCHEMA = fromRoot('examples/gateway/library.proto')

const config = (transcode: object, more: object = {}) => ({
  demo: true,
  listeners: [HTTP],
  routes: [
    { name: 'library', match: { prefix: '/' }, cluster: 'demo-library', transcode, ...more },
  ],
  clusters: [],
})

test('Gateway route turns REST into calls of a gRPC cluster, and streams into lines', async (t) => {
  const { url } = await start(t, config({ schema: [SCHEMA], openapi: '/v1/openapi.json' }))
  const json = async (path: string, init: RequestInit = {}): Promise<unknown[]> => {
    const response = await fetch(url(path), init)
    return [response.status, await response.json()]
  }
  const frankenstein = {
    name: 'shelves/1/books/1',
    title: 'Frankenstein',
    author: 'Mary Shelley',
    genre: 'NOVEL',
  }
  assert.deepEqual(await json('/v1/shelves/1/books/1'), [200, frankenstein])
  assert.deepEqual(await json('/v1/shelves/1/books/9'), [
    404,
    { code: 5, message: 'no book shelves/1/books/9' },
  ])
  const post = (body: string, type = 'application/json'): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': type },
    body,
  })
  assert.deepEqual(await json('/v1/shelves/3/books', post('{"title":"Emma"}')), [
    200,
    { name: 'shelves/3/books/1', title: 'Emma' },
  ])
  assert.deepEqual(await json('/v1/shelves/3/books', post('{"titel":"Emma"}')), [
    400,
    {
      code: 3,
      message: 'cannot decode message demo.library.v1.Book from JSON: key "titel" is unknown',
    },
  ])
  const lines = post('{"title":"A"}\n{"title":"B"}\n', 'application/x-ndjson')
  assert.deepEqual(await json('/v1/books:import', lines), [200, { count: 2 }])
  assert.deepEqual(await json('/nothing'), [404, { code: 5, message: 'nothing is at "/nothing"' }])
  const [, document] = (await json('/v1/openapi.json')) as [number, { paths: object }]
  assert.ok('/v1/books:import' in document.paths)
  const stream = await fetch(url('/v1/shelves/1/books?genre=NOVEL'))
  assert.equal(stream.headers.get('content-type'), 'application/x-ndjson')
  assert.equal(await stream.text(), `${JSON.stringify(frankenstein)}\n`)
  const accept = { headers: { accept: 'text/event-stream' } }
  const events = await fetch(url('/v1/shelves/2/books'), accept)
  assert.equal(
    await events.text(),
    'data: {"name":"shelves/2/books/1","title":"Middlemarch","author":"George Eliot","genre":"NOVEL"}\n\n',
  )
})

test('Gateway route reads a set of descriptors, and notices when it changes', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-schema-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'schema.binpb')
  const set = create(FileDescriptorSetSchema, { file: [file_library.proto] })
  await writeFile(file, toBinary(FileDescriptorSetSchema, set))
  const services = ['demo.library.v1.Library']
  const { gateway, url, change } = await start(t, config({ schema: [file], services }))
  const status = async (): Promise<number> => (await fetch(url('/v1/shelves/1/books/1'))).status
  assert.equal(await status(), 200)
  // Another file in its place: without services there is nothing to be found.
  await writeFile(file, 'broken')
  change(config({ schema: [file], services }))
  await gateway.reload().catch(() => undefined)
  assert.equal(await status(), 200)
  const proto = join(folder, 'other.proto')
  await writeFile(proto, 'syntax = "proto3"; package o;')
  change(config({ schema: [proto] }))
  await gateway.reload()
  assert.equal(await status(), 404)
})

test('Gateway says what is wrong with a schema before it starts', async () => {
  const problems = async (transcode: object): Promise<readonly string[]> => {
    const loaded = await loadConfig(JSON.stringify(config(transcode)), {
      file: 'g.yaml',
      environment: () => undefined,
    })
    if (!loaded.ok) return loaded.problems.map(({ message }) => message)
    return (await checkFiles(loaded.config, 0)).problems
  }
  assert.deepEqual(await problems({ schema: [SCHEMA] }), [])
  assert.match(
    (await problems({ schema: ['nowhere.proto'] })).join(),
    /route library, transcode: nowhere\.proto cannot be read/,
  )
  assert.match(
    (await problems({ schema: [SCHEMA], services: ['a.B'] })).join(),
    /no service "a\.B"; there are: demo\.library\.v1\.Library/,
  )
  assert.match((await problems({ schema: [] })).join(), /./)
})

test('Gateway route answers as the gateway when its cluster fails, and 413 past max_request', async (t) => {
  const { url } = await start(t, {
    ...config({ schema: [SCHEMA], max_request: '64B' }),
    demo: false,
    clusters: [{ name: 'demo-library', endpoints: ['127.0.0.1:1'] }],
  })
  const down = await fetch(url('/v1/shelves/1/books/1'))
  assert.equal(down.status, 502)
  const long = await fetch(url('/v1/shelves/1/books'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: `{"title":"${'x'.repeat(100)}"}`,
  })
  assert.equal(long.status, 413)
})

test('Gateway route turns calls of gRPC into requests of a REST cluster', async (t) => {
  const asked: string[] = []
  const books = await upstream(t, async ({ method, target, body }) => {
    asked.push(`${method} ${target} ${await body.text()}`)
    if (target.endsWith('/9'))
      return HttpResponse.json({ code: 5, message: 'none' }, { status: 404 })
    if (method === 'GET' && target.includes('?')) {
      const fields = { 'content-type': 'application/x-ndjson' }
      return new HttpResponse({ fields, body: '{"title":"A"}\n{"title":"B"}\n' })
    }
    return HttpResponse.json({ title: 'T', newer: true })
  })
  const { url } = await start(t, {
    ...config({ schema: [SCHEMA], direction: 'grpc_to_rest' }),
    demo: false,
    clusters: [{ name: 'demo-library', endpoints: [books] }],
  })
  await using channel = grpcChannel(new URL(url('/')).origin)
  const library = grpcClient(Library, channel)
  assert.equal((await library.getBook({ name: 'shelves/1/books/2' })).title, 'T')
  await assert.rejects(library.getBook({ name: 'shelves/1/books/9' }), { status: 'NOT_FOUND' })
  const { title } = await library.createBook({ parent: 'shelves/1', book: { title: 'N' } })
  assert.equal(title, 'T')
  const titles: string[] = []
  for await (const book of library.listBooks({ parent: 'shelves/1', genre: 1 }))
    titles.push(book.title)
  assert.deepEqual(titles, ['A', 'B'])
  assert.deepEqual(asked, [
    'GET /v1/shelves/1/books/2 ',
    'GET /v1/shelves/1/books/9 ',
    'POST /v1/shelves/1/books {"title":"N"}',
    'GET /v1/shelves/1/books?genre=NOVEL ',
  ])
})
