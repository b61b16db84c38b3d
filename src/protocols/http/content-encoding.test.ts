/** Content codings: decoding, limits of expansion, negotiation, what is encoded and what is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import zlib from 'node:zlib'
import { Channel } from '../../core/channel.ts'
import { Call } from '../../core/context.ts'
import type { HeddleError } from '../../core/errors.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { Body } from './body.ts'
import {
  compress,
  decodeBody,
  decodeResponse,
  encodeResponse,
  negotiateCoding,
} from './content-encoding.ts'
import { HttpRequest, HttpResponse } from './messages.ts'

const TEXT = 'A thread of the weft crosses a thread of the warp. '.repeat(100)
const CODECS: Record<string, (bytes: string) => Uint8Array> = {
  gzip: zlib.gzipSync,
  'x-gzip': zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: zlib.brotliCompressSync,
  ...(typeof zlib.zstdCompressSync === 'function' && { zstd: zlib.zstdCompressSync }),
}

/** A stream of chunks of `step` bytes, each in memory that is overwritten when it was taken. */
function streamOf(bytes: Uint8Array, step: number): Body {
  let at = 0
  const channel: Channel<Uint8Array> = new Channel<Uint8Array>(
    () => {
      while (channel.flowing && at < bytes.length) {
        const chunk = Uint8Array.from(bytes.subarray(at, at + step))
        at += step
        channel.write(chunk)
        chunk.fill(0)
      }
      if (at >= bytes.length) channel.end()
    },
    () => {},
  )
  return Body.from(channel)
}

test('decodeBody decodes every coding, whole and in small pieces', async () => {
  for (const [coding, encode] of Object.entries(CODECS)) {
    const bytes = encode(TEXT)
    for (const step of [1, 7, 100_000]) {
      const body = decodeBody(streamOf(bytes, step), coding.toUpperCase(), nodeHost)
      assert.equal(await body.text(), TEXT, `${coding} in steps of ${step}`)
    }
  }
})

test('decodeBody decodes codings on top of one another, up to maxCodings', async () => {
  const bytes = zlib.brotliCompressSync(zlib.gzipSync(TEXT))
  const body = decodeBody(Body.from(bytes), 'gzip, identity, br', nodeHost)
  assert.equal(await body.text(), TEXT)
  assert.throws(() => decodeBody(body, 'gzip, br', nodeHost, { maxCodings: 1 }), {
    code: 'ERR_LIMIT',
  })
})

test('decodeBody leaves a body without coding as it is', () => {
  const body = Body.from('plain')
  assert.equal(decodeBody(body, undefined, nodeHost), body)
  assert.equal(decodeBody(body, 'identity', nodeHost), body)
})

test('decodeBody refuses what it does not know', () => {
  for (const coding of ['compress', 'constructor', '__proto__', 'gzip;q=1', 'g zip']) {
    assert.throws(() => decodeBody(Body.from('x'), coding, nodeHost), {
      code: 'ERR_ENCODING',
      status: 415,
    })
  }
})

test('decodeBody fails on corrupt and on truncated data', async () => {
  const bytes = zlib.gzipSync(TEXT)
  const truncated = decodeBody(Body.from(bytes.subarray(0, -9)), 'gzip', nodeHost)
  await assert.rejects(truncated.text(), { code: 'ERR_ENCODING' })
  const corrupt = decodeBody(Body.from('no gzip at all'), 'gzip', nodeHost)
  await assert.rejects(corrupt.text(), { code: 'ERR_ENCODING' })
})

test('decodeBody stops at maxDecodedBytes', async () => {
  const bytes = zlib.gzipSync('x'.repeat(1_000))
  const within = decodeBody(Body.from(bytes), 'gzip', nodeHost, { maxDecodedBytes: 1_000 })
  assert.equal((await within.bytes()).length, 1_000)
  const beyond = decodeBody(Body.from(bytes), 'gzip', nodeHost, { maxDecodedBytes: 999 })
  await assert.rejects(beyond.bytes(), { code: 'ERR_EXPANSION' })
})

test('decodeBody stops a bomb at maxDecodedRatio', async () => {
  const bomb = zlib.gzipSync(Buffer.alloc(20_000_000))
  let received = 0
  const body = decodeBody(streamOf(bomb, 1_024), 'gzip', nodeHost)
  const failure = await new Promise<Error | undefined>((resolve) => {
    const flow = body.open({
      write(chunk) {
        received += chunk.length
        return true
      },
      end: () => resolve(undefined),
      fail: resolve,
    })
    flow.resume()
  })
  assert.equal((failure as HeddleError).code, 'ERR_EXPANSION')
  assert.ok(received < 3_000_000, `${received} bytes came out`)
  // The same content is let through where the ratio does not count yet.
  const small = zlib.gzipSync(Buffer.alloc(1_000_000))
  assert.equal((await decodeBody(Body.from(small), 'gzip', nodeHost).bytes()).length, 1_000_000)
})

test('decodeBody passes backpressure and cancellation on', async () => {
  const bytes = zlib.gzipSync(
    Buffer.from(Array.from({ length: 400_000 }, (_, at) => (at * 7919) % 251)),
  )
  let asked = 0
  let cancelled = false
  let at = 0
  const channel: Channel<Uint8Array> = new Channel<Uint8Array>(
    () => {
      asked++
      const chunk = bytes.subarray(at, (at += 2_000))
      channel.write(chunk)
    },
    () => {
      cancelled = true
    },
  )
  const body = decodeBody(Body.from(channel), 'gzip', nodeHost)
  let wake = (): void => {}
  const flow = body.open({
    write() {
      wake()
      return false
    },
    end() {},
    fail: assert.fail,
  })
  const first = new Promise<void>((resolve) => {
    wake = resolve
  })
  flow.resume()
  await first
  const before = asked
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(asked, before, 'nothing is asked for while the sink is not ready')
  flow.cancel()
  assert.ok(cancelled)
})

test('decodeResponse takes away the fields that described the encoded body', async () => {
  const encoded = new HttpResponse({
    fields: { 'content-encoding': 'gzip', 'content-length': '9', etag: '"a"' },
    body: zlib.gzipSync(TEXT),
  })
  const response = decodeResponse(encoded, nodeHost)
  assert.deepEqual([...response.fields], [['etag', '"a"']])
  assert.equal(await response.body.text(), TEXT)
})

test('negotiateCoding follows the weights, then the order offered', () => {
  const offered = ['br', 'gzip']
  const table: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ['', undefined],
    ['gzip', 'gzip'],
    ['gzip, br', 'br'],
    ['gzip;q=1.0, br;q=0.9', 'gzip'],
    ['GZIP ; Q=0.5', 'gzip'],
    ['x-gzip', 'gzip'],
    ['br;q=0, gzip;q=0', undefined],
    ['*', 'br'],
    ['*;q=0.1, br;q=0', 'gzip'],
    ['identity', undefined],
    ['identity;q=0.5, gzip;q=0.4', undefined],
    ['identity;q=0.5, gzip;q=0.5', 'gzip'],
    ['gzip;q=nonsense', undefined],
    ['gzip;q=1.1', undefined],
    ['zstd', undefined],
  ]
  for (const [accept, expected] of table) {
    assert.equal(negotiateCoding(accept, offered), expected, String(accept))
  }
})

const accepting = (accept: string, method = 'GET'): HttpRequest =>
  new HttpRequest({ method, fields: { 'accept-encoding': accept } })

test('encodeResponse encodes text that is long enough', async () => {
  for (const coding of ['br', 'gzip']) {
    const plain = HttpResponse.text(TEXT, { fields: { etag: '"a"', 'content-length': '5100' } })
    const response = encodeResponse(accepting(coding), plain, nodeHost)
    assert.equal(response.fields.get('content-encoding'), coding)
    assert.equal(response.fields.get('vary'), 'accept-encoding')
    assert.equal(response.fields.get('etag'), 'W/"a"')
    assert.equal(response.fields.has('content-length'), false)
    assert.equal(await decodeResponse(response, nodeHost).body.text(), TEXT)
  }
})

test('encodeResponse says Vary even where it sends the plain form', () => {
  const response = encodeResponse(accepting('compress'), HttpResponse.text(TEXT), nodeHost)
  assert.equal(response.fields.get('vary'), 'accept-encoding')
  assert.equal(response.fields.has('content-encoding'), false)
})

test('encodeResponse leaves alone what gains nothing or must not change', () => {
  const text = { 'content-type': 'text/plain' }
  const untouched: [string, HttpResponse, HttpRequest?][] = [
    ['too short', HttpResponse.text('x'.repeat(1_023))],
    ['no type', new HttpResponse({ body: TEXT })],
    ['an image', new HttpResponse({ body: TEXT, fields: { 'content-type': 'image/png' } })],
    ['events', new HttpResponse({ body: TEXT, fields: { 'content-type': 'text/event-stream' } })],
    ['encoded', new HttpResponse({ body: TEXT, fields: { ...text, 'content-encoding': 'br' } })],
    ['part', new HttpResponse({ status: 206, body: TEXT, fields: text })],
    ['no body', new HttpResponse({ status: 204, fields: text })],
    ['no-transform', HttpResponse.text(TEXT, { fields: { 'cache-control': 'no-transform' } })],
    ['HEAD', HttpResponse.text(TEXT), accepting('gzip', 'HEAD')],
  ]
  for (const [name, response, request = accepting('gzip')] of untouched) {
    assert.equal(encodeResponse(request, response, nodeHost), response, name)
  }
  const long = HttpResponse.text('x'.repeat(1_024))
  assert.notEqual(encodeResponse(accepting('gzip'), long, nodeHost), long)
})

test('compress wraps a service, synchronous or not', async () => {
  for (const service of [
    () => HttpResponse.text(TEXT),
    () => Promise.resolve(HttpResponse.text(TEXT)),
  ]) {
    const response = await compress(nodeHost)(service)(accepting('gzip'), new Call())
    assert.equal(response.fields.get('content-encoding'), 'gzip')
  }
})
