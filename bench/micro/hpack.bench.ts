/** Field blocks (RFC 7541) through encoder and decoder, no session: what a head costs in HTTP/2. */
import { ByteWriter } from '../../src/core/byte-writer.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { HpackDecoder } from '../../src/protocols/http2/hpack-decoder.ts'
import { HpackEncoder } from '../../src/protocols/http2/hpack-encoder.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

/** A call of gRPC: everything is in the table from the second time on. */
const CALL = [
  ...[':method', 'POST', ':scheme', 'http', ':path', '/echo.v1.EchoService/Echo'],
  ...[':authority', '127.0.0.1:50051', 'content-type', 'application/grpc', 'te', 'trailers'],
  ...['user-agent', 'heddle/0.5', 'grpc-accept-encoding', 'identity,deflate,gzip'],
]
const RESPONSE = [
  ...[':status', '200', 'content-type', 'text/plain; charset=utf-8', 'content-length', '12'],
  ...['date', 'Tue, 24 Nov 2026 12:00:00 GMT', 'server', 'heddle'],
]
/** As a browser asks; `PATHS` and the identifier are others each time. */
const BROWSER = [
  ...[':method', 'GET', ':scheme', 'https', ':authority', 'api.example.com'],
  ...['accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'],
  ...['accept-language', 'en-US,en;q=0.5', 'accept-encoding', 'gzip, deflate, br, zstd'],
  ...['cookie', 'session=0123456789abcdef0123456789abcdef; theme=dark'],
  ...[
    'user-agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36',
  ],
]
const PATHS = Array.from({ length: 64 }, (_, index) => [
  ...[':path', `/api/v1/users/${index * 12_345}?fields=name,email`],
  ...['x-request-id', `0f8fad5b-d9cb-469f-a165-70867728${1_000 + index}`],
])

export const benchmark: Benchmark = {
  about: 'encodes, or decodes, the fields of one head',
  counters() {
    const size = (fields: readonly string[]): number => blocksOf([fields, fields])[1]?.length ?? 0
    return {
      'bytes of a call': size(CALL),
      'bytes of a response': size(RESPONSE),
      'bytes of a request of a browser': size([...BROWSER, ...(PATHS[1] as string[])]),
    }
  },
  variants: {
    'encode a call': () => encoding([CALL]),
    'encode a response': () => encoding([RESPONSE]),
    'encode a browser request': () => encoding(PATHS.map((path) => [...BROWSER, ...path])),
    'decode a call': () => decoding([CALL]),
    'decode a response': () => decoding([RESPONSE]),
    'decode a browser request': () => decoding(PATHS.map((path) => [...BROWSER, ...path])),
  },
}

function encode(encoder: HpackEncoder, out: ByteWriter, fields: readonly string[]): void {
  out.reserve(encoder.bound(fields))
  encoder.begin(out)
  for (let at = 0; at < fields.length; at += 2) {
    encoder.field(out, fields[at] as string, fields[at + 1] as string)
  }
}

function encoding(lists: readonly (readonly string[])[]): Variant {
  const encoder = new HpackEncoder()
  const out = new ByteWriter()
  return {
    run(count) {
      for (let done = 0; done < count; done++) {
        encode(encoder, out, lists[done % lists.length] as readonly string[])
        out.length = 0
      }
    },
  }
}

function blocksOf(lists: readonly (readonly string[])[]): Uint8Array[] {
  const encoder = new HpackEncoder()
  return lists.map((fields) => {
    const out = new ByteWriter()
    encode(encoder, out, fields)
    return out.take()
  })
}

/** The first time fills the table; what is measured are blocks that find it filled. */
function decoding(lists: readonly (readonly string[])[]): Variant {
  const decoder = new HpackDecoder({ text: nodeHost.text })
  const blocks = blocksOf([...lists, ...lists])
  const into: string[] = []
  const read = (block: Uint8Array | undefined): void => {
    into.length = 0
    if (block === undefined || decoder.decode(block, into) !== 'ok') throw new Error('not decoded')
  }
  for (let index = 0; index < lists.length; index++) read(blocks[index])
  return {
    run(count) {
      for (let done = 0; done < count; done++) read(blocks[lists.length + (done % lists.length)])
    },
  }
}
