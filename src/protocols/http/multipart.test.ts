/** Forms: what is read, however it is cut; what is refused; limits; writing and reading back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel } from '../../core/channel.ts'
import { UsageError } from '../../core/errors.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { Body } from './body.ts'
import { randomBoundary, readMultipart, writeMultipart } from './multipart.ts'
import { boundaryOf, MultipartDecoder, type MultipartDecoderOptions } from './multipart-decoder.ts'

interface Read {
  name: string
  filename: string | undefined
  content: string
}

/** Decodes in chunks that end at `cuts`, in memory that is overwritten after each. */
function decode(text: string, cuts: readonly number[], options?: MultipartDecoderOptions): Read[] {
  const bytes = Buffer.from(text, 'utf8')
  const decoder = new MultipartDecoder('XX', options)
  const parts: Read[] = []
  let from = 0
  for (const cut of [...cuts, bytes.length]) {
    const chunk = Uint8Array.from(bytes.subarray(from, cut))
    decoder.push(chunk)
    for (let piece = decoder.next(); piece !== undefined; piece = decoder.next()) {
      if (piece.type === 'part') {
        parts.push({ name: piece.name, filename: piece.filename, content: '' })
      } else if (piece.type === 'data') {
        ;(parts.at(-1) as Read).content += Buffer.from(piece.chunk).toString('latin1')
      }
    }
    chunk.fill(0x21)
    from = cut
  }
  decoder.end()
  assert.ok(decoder.ended)
  return parts
}

const head = (disposition: string, more = ''): string =>
  `Content-Disposition: ${disposition}\r\n${more}\r\n`
const form = (...parts: string[]): string => `--XX\r\n${parts.join('\r\n--XX\r\n')}\r\n--XX--\r\n`
const GOOD = form(
  `${head('form-data; name="a"')}one`,
  `${head('form-data; name="f"; filename="x.txt"', 'Content-Type: text/plain\r\n')}line\r\n--X\r\n--XY\r\n\r\n`,
  `${head('form-data; name=empty')}`,
)
const GOOD_PARTS: Read[] = [
  { name: 'a', filename: undefined, content: 'one' },
  { name: 'f', filename: 'x.txt', content: 'line\r\n--X\r\n--XY\r\n\r\n' },
  { name: 'empty', filename: undefined, content: '' },
]

test('MultipartDecoder reads parts, however the input is cut', () => {
  const { length } = GOOD
  assert.deepEqual(decode(GOOD, []), GOOD_PARTS)
  assert.deepEqual(
    decode(
      GOOD,
      Array.from({ length: length - 1 }, (_, at) => at + 1),
    ),
    GOOD_PARTS,
  )
  const random = new SeededRandom(7578)
  for (let split = 0; split < 200; split++) {
    const cuts = Array.from({ length: 4 }, () => random.uint32() % length).sort((a, b) => a - b)
    assert.deepEqual(decode(GOOD, cuts), GOOD_PARTS, `cut at ${cuts}`)
  }
})

test('MultipartDecoder reads names as browsers and others write them', () => {
  const table: [string, string, string | undefined][] = [
    ['form-data; name="a b"', 'a b', undefined],
    ['form-data; name="say %22hi%22%0D%0A"', 'say "hi"\r\n', undefined],
    ['form-data; name="say \\"hi\\""', 'say "hi"', undefined],
    ['FORM-DATA ; NAME="x" ; FILENAME="grüße.txt"', 'x', 'grüße.txt'],
    ['form-data; name="x"; filename="C:\\dir\\a.txt"', 'x', 'C:\\dir\\a.txt'],
    ['form-data; name="x"; filename=""', 'x', ''],
    ['form-data; name="a;b=c"; filename="d;e"', 'a;b=c', 'd;e'],
  ]
  for (const [disposition, name, filename] of table) {
    const [part] = decode(form(`${head(disposition)}x`), [])
    assert.deepEqual(part, { name, filename, content: 'x' }, disposition)
  }
})

test('MultipartDecoder refuses what readers could take differently', () => {
  const bad: Record<string, string> = {
    'text before the first boundary': `hello\r\n${GOOD}`,
    'LF alone behind a boundary': GOOD.replace('--XX\r\n', '--XX\n'),
    'a space behind a boundary': GOOD.replace('--XX\r\n', '--XX \r\n'),
    'another boundary': GOOD.replaceAll('XX', 'YY'),
    'a part without Content-Disposition': form('Content-Type: text/plain\r\n\r\nx'),
    'a part without a head': form('\r\nx\r\n\r\n'),
    'a disposition that is no form-data': form(`${head('attachment; name="a"')}x`),
    'no name': form(`${head('form-data; filename="a"')}x`),
    'two names': form(`${head('form-data; name="a"; name="b"')}x`),
    'two dispositions': form(
      `${head('form-data; name="a"', 'content-disposition: form-data; name="b"\r\n')}x`,
    ),
    'an open quote': form(`${head('form-data; name="a')}x`),
    'a folded line': form(`${head('form-data;\r\n name="a"')}x`),
    'a space before the colon': form(`Content-Disposition : form-data; name="a"\r\n\r\nx`),
    'a bare LF in the head': form(`Content-Disposition: form-data; name="a"\nX: y\r\n\r\nx`),
    'a NUL in the head': form(`${head('form-data; name="a\0"')}x`),
  }
  for (const [name, text] of Object.entries(bad)) {
    const bytes = Array.from({ length: Buffer.byteLength(text) - 1 }, (_, at) => at + 1)
    for (const cuts of [[], bytes]) {
      assert.throws(() => decode(text, cuts), { code: 'ERR_MALFORMED', status: 400 }, name)
    }
  }
})

test('MultipartDecoder notices a form that ends early, at every byte', () => {
  const closed = GOOD.indexOf('--XX--') + 6
  for (let end = 0; end < closed; end++) {
    assert.throws(() => decode(GOOD.slice(0, end), []), { code: 'ERR_TRUNCATED' }, `at ${end}`)
  }
})

test('MultipartDecoder keeps its limits', () => {
  const size = (text: string): number => Buffer.byteLength(text)
  const longest = size(
    head('form-data; name="f"; filename="x.txt"', 'Content-Type: text/plain\r\n'),
  )
  const limits: [string, MultipartDecoderOptions, MultipartDecoderOptions][] = [
    ['maxParts', { maxParts: 3 }, { maxParts: 2 }],
    ['maxPartBytes', { maxPartBytes: 19 }, { maxPartBytes: 18 }],
    ['maxPartHeadBytes', { maxPartHeadBytes: longest }, { maxPartHeadBytes: longest - 1 }],
  ]
  for (const [name, within, beyond] of limits) {
    for (const step of [GOOD.length, 1, 5]) {
      const cuts = Array.from(
        { length: Math.ceil(GOOD.length / step) - 1 },
        (_, at) => (at + 1) * step,
      )
      assert.deepEqual(decode(GOOD, cuts, within), GOOD_PARTS, name)
      assert.throws(() => decode(GOOD, cuts, beyond), { code: 'ERR_LIMIT', status: 413 }, name)
    }
  }
})

test('MultipartDecoder holds no more than a delimiter of content', () => {
  const decoder = new MultipartDecoder('XX')
  const drain = (): void => {
    while (decoder.next() !== undefined) {}
  }
  decoder.push(Buffer.from(`--XX\r\n${head('form-data; name="a"')}`))
  drain()
  for (let at = 0; at < 100; at++) {
    decoder.push(Buffer.from('content that is long enough\r\n--X'))
    drain()
    assert.ok(decoder.buffered <= '\r\n--X'.length)
  }
})

test('boundaryOf reads the content type of a form', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=abc'), 'abc')
  assert.equal(boundaryOf('Multipart/Form-Data;charset=utf-8;Boundary="a b"; x=y'), 'a b')
  for (const type of [
    undefined,
    'text/plain',
    'multipart/form-data',
    'multipart/mixed; boundary=a',
    'multipart/form-data; boundary=',
    `multipart/form-data; boundary=${'a'.repeat(71)}`,
    'multipart/form-data; boundary="a "',
    'multipart/form-data; xboundary=a',
  ]) {
    assert.equal(boundaryOf(type), undefined, String(type))
  }
})

/** A stream that counts what was asked of it. */
function source(text: string, step: number): { body: Body; asked: () => number } {
  const bytes = Buffer.from(text)
  let at = 0
  const channel: Channel<Uint8Array> = new Channel<Uint8Array>(
    () => {
      while (channel.flowing && at < bytes.length) {
        const chunk = Uint8Array.from(bytes.subarray(at, (at += step)))
        channel.write(chunk)
        chunk.fill(0x21)
      }
      if (at >= bytes.length) channel.end()
    },
    () => {},
  )
  return { body: Body.from(channel), asked: () => at }
}

const TYPE = 'multipart/form-data; boundary=XX'

test('readMultipart gives each part its body', async () => {
  for (const step of [1, 10, 1_000]) {
    const parts: Read[] = []
    for await (const part of readMultipart(source(GOOD, step).body, TYPE, { host: nodeHost })) {
      const { name, filename } = part
      parts.push({ name, filename, content: await part.body.text() })
    }
    assert.deepEqual(parts, GOOD_PARTS)
  }
})

test('readMultipart drops the body of a part that nobody opens', async () => {
  const names: string[] = []
  for await (const part of readMultipart(source(GOOD, 3).body, TYPE)) names.push(part.name)
  assert.deepEqual(names, ['a', 'f', 'empty'])
})

test('readMultipart reads no further than its parts are wanted', async () => {
  const long = form(`${head('form-data; name="a"')}${'x'.repeat(100_000)}`)
  const { body, asked } = source(long, 100)
  for await (const part of readMultipart(body, TYPE)) {
    assert.equal(part.name, 'a')
    assert.ok(asked() <= 200, `${asked()} bytes were read`)
    break
  }
})

test('readMultipart fails part and form when the input is bad', async () => {
  const bad = `${form(`${head('form-data; name="a"')}one`).slice(0, -8)}`
  const parts = readMultipart(source(bad, 5).body, TYPE)
  await assert.rejects(
    async () => {
      for await (const part of parts) await part.body.text()
    },
    { code: 'ERR_TRUNCATED' },
  )
  assert.throws(() => readMultipart(Body.from('x'), 'text/plain'), { status: 415 })
})

test('writeMultipart is read back as it was', async () => {
  const parts = [
    { name: 'a', body: 'grüße' },
    { name: 'say "hi"\r\n', body: '' },
    { name: 'f', filename: 'x.bin', body: Uint8Array.of(0, 13, 10, 45, 45) },
  ]
  const { contentType, body } = writeMultipart(parts, randomBoundary(nodeHost))
  const { length } = body
  const bytes = await body.bytes()
  assert.equal(length, bytes.length)
  const read: Read[] = []
  for await (const part of readMultipart(Body.from(bytes), contentType)) {
    const { name, filename } = part
    read.push({ name, filename, content: Buffer.from(await part.body.bytes()).toString('latin1') })
  }
  assert.deepEqual(read, [
    { name: 'a', filename: undefined, content: Buffer.from('grüße').toString('latin1') },
    { name: 'say "hi"\r\n', filename: undefined, content: '' },
    { name: 'f', filename: 'x.bin', content: '\0\r\n--' },
  ])
})

test('writeMultipart streams what is streamed, and can be empty', async () => {
  const streamed = writeMultipart([{ name: 'a', body: source('abc', 1).body }], 'b')
  assert.equal(streamed.body.length, undefined)
  assert.match(await streamed.body.text(), /\r\n\r\nabc\r\n--b--\r\n$/)
  const empty = writeMultipart([], 'b')
  assert.equal(await empty.body.text(), '--b--\r\n')
  assert.throws(() => writeMultipart([], 'a\r\nb'), UsageError)
})
