import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { ip } from '../../core/address.ts'
import { iterableSource } from '../../links/web-stream/iterable-source.ts'
import { Body } from '../../protocols/http/body.ts'
import { type FieldsInit, HttpFields } from '../../protocols/http/fields.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import { type HttpClient, type HttpClientOptions, httpClient } from './http-client.ts'

const TEXT = 'threads of the warp '.repeat(2_000)
const CODINGS: Readonly<Record<string, (text: string) => Uint8Array>> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
}

async function pair(
  service: HttpService,
  options: HttpClientOptions = { decompress: true },
): Promise<AsyncDisposable & { client: HttpClient }> {
  const server = httpServer(service)
  const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
  const client = httpClient(`http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`, options)
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close()
      await server.close()
    },
  }
}

const encoded = (coding: string, body: Uint8Array, fields: FieldsInit = {}): HttpResponse =>
  new HttpResponse({ fields: { 'content-encoding': coding, ...(fields as object) }, body })

for (const [coding, compress] of Object.entries(CODINGS)) {
  test(`decompress decodes ${coding} and drops what described it`, async () => {
    await using sides = await pair((request) => {
      assert.equal(request.fields.get('accept-encoding'), 'zstd, br, gzip, deflate')
      return encoded(coding, compress(TEXT))
    })
    const response = await sides.client.get('/')
    assert.equal(response.fields.get('content-encoding'), undefined)
    assert.equal(response.fields.get('content-length'), undefined)
    assert.equal(await response.body.text(), TEXT)
    assert.equal(await (await sides.client.get('/')).body.text(), TEXT)
  })
}

test('decompress leaves what the caller asked for itself, plain bodies and HEAD alone', async () => {
  const asked: (string | undefined)[] = []
  await using sides = await pair((request) => {
    asked.push(request.fields.get('accept-encoding'))
    if (request.path === '/plain') return HttpResponse.text('plain')
    return encoded('gzip', gzipSync(TEXT))
  })
  const { client } = sides
  await client.get('/', { fields: { 'accept-encoding': 'gzip' } })
  await client.get('/', { fields: { range: 'bytes=0-1' } })
  const plain = await client.get('/plain')
  assert.equal(plain.fields.get('content-length'), '5')
  const head = await client.request({ method: 'HEAD', target: '/' })
  assert.equal(head.fields.get('content-encoding'), 'gzip')
  assert.deepEqual(asked.slice(0, 2), ['gzip', undefined])
})

test('decompress keeps the trailers of the body that it decodes', async () => {
  await using sides = await pair(() => {
    const body = Body.from(iterableSource([gzipSync(TEXT)]))
    body.trailers = new HttpFields({ 'x-check': 'sum' })
    return new HttpResponse({ fields: { 'content-encoding': 'gzip' }, body })
  })
  const { body } = await sides.client.get('/')
  assert.equal(await body.text(), TEXT)
  assert.equal(body.trailers?.get('x-check'), 'sum')
})

test('decompress is off unless asked for', async () => {
  await using sides = await pair((request) => {
    assert.equal(request.fields.get('accept-encoding'), undefined)
    return encoded('gzip', gzipSync(TEXT))
  }, {})
  const response = await sides.client.get('/')
  assert.equal(response.fields.get('content-encoding'), 'gzip')
  assert.deepEqual(Buffer.from(await response.body.bytes()), gzipSync(TEXT))
})

test('decompress passes on a coding that it does not know', async () => {
  await using sides = await pair(() => encoded('compress', Buffer.from('lzw')))
  const response = await sides.client.get('/')
  assert.equal(response.fields.get('content-encoding'), 'compress')
  assert.equal(await response.body.text(), 'lzw')
})

test('decompress stops a bomb, by ratio and in all, and refuses too many codings', async () => {
  const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024))
  const twice = gzipSync(gzipSync('x'))
  await using sides = await pair((request) =>
    request.path === '/twice' ? encoded('gzip, gzip', twice) : encoded('gzip', bomb),
  )
  const { client } = sides
  const response = await client.get('/')
  await assert.rejects(response.body.bytes(), { code: 'ERR_EXPANSION' })
  assert.equal(await (await client.get('/twice')).body.text(), 'x')
  await using strict = await pair(
    (request) =>
      request.path === '/twice' ? encoded('gzip, gzip', twice) : encoded('gzip', gzipSync('four')),
    { decompress: { maxDecodedBytes: 4, maxCodings: 1 } },
  )
  assert.equal(await (await strict.client.get('/')).body.text(), 'four')
  await assert.rejects(strict.client.get('/twice'), { code: 'ERR_LIMIT' })
  await using stricter = await pair(() => encoded('gzip', gzipSync('five!')), {
    decompress: { maxDecodedBytes: 4 },
  })
  const over = await stricter.client.get('/')
  await assert.rejects(over.body.bytes(), { code: 'ERR_EXPANSION' })
})
