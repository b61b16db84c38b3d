import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { ByteWriter } from '../../core/byte-writer.ts'
import { decoderConformance } from '../../testing/decoder-conformance.ts'
import { type TlsHello, TlsHelloDecoder } from './tls-hello-decoder.ts'
import { encodeTlsHello } from './tls-hello-encoder.ts'

const SMALL: TlsHello = { serverName: undefined, alpn: [], version: 0x0301 }
const USUAL: TlsHello = {
  serverName: 'a.example',
  alpn: ['h2', 'http/1.1'],
  version: 0x0304,
}
/** Bytes of a hello besides a server name. */
const BASE = encoded({ ...SMALL, serverName: 'x' }).length - 5 - 1
const MAX = BASE + 200

function encoded(hello: TlsHello): Uint8Array {
  const writer = new ByteWriter()
  encodeTlsHello(hello, writer)
  return writer.take()
}

/** The same hello in records of `size` bytes. */
function fragmented(hello: Uint8Array, size: number): Uint8Array {
  const parts: number[] = []
  for (let at = 5; at < hello.length; at += size) {
    const fragment = hello.subarray(at, at + size)
    parts.push(22, 3, 1, fragment.length >>> 8, fragment.length & 255, ...fragment)
  }
  return Uint8Array.from(parts)
}

/** A hello with one byte changed. */
function broken(hello: TlsHello, offset: number, value: number): Uint8Array {
  const bytes = encoded(hello)
  bytes[offset] = value
  return bytes
}

const SNI_LIST_LENGTH = 5 + 4 + 2 + 32 + 1 + 4 + 2 + 2 + 4

decoderConformance(
  'TLS hello',
  {
    create: () => new TlsHelloDecoder({ maxHelloBytes: MAX }),
    encode: encodeTlsHello,
    samples: [SMALL, USUAL, { ...SMALL, serverName: 'x'.repeat(200) }],
    malformed: {
      'plain HTTP': Uint8Array.from(Buffer.from('GET / HTTP/1.1\r\n')),
      'an alert record': Uint8Array.of(21, 3, 1),
      'another record version': Uint8Array.of(22, 2),
      'an empty record': Uint8Array.of(22, 3, 1, 0, 0),
      'a record over 2^14 bytes': Uint8Array.of(22, 3, 1, 0x40, 0x01),
      'a ServerHello': Uint8Array.of(22, 3, 3, 0, 80, 2),
      'a hello one byte too long': encoded({ ...SMALL, serverName: 'x'.repeat(201) }),
      'bytes behind the hello': broken(SMALL, 8, (encoded(SMALL)[8] as number) - 1),
      'a name list that is too long': broken(USUAL, SNI_LIST_LENGTH + 1, 200),
      'a name that is no name': broken(USUAL, SNI_LIST_LENGTH + 5, 0),
      'session id over the end': broken(SMALL, 5 + 4 + 2 + 32, 255),
      'an extension twice': doubledName(),
    },
    accepted: {
      'a hello in records of 7 bytes': { bytes: fragmented(encoded(USUAL), 7), messages: [USUAL] },
      'a name in capitals with a final dot': {
        bytes: encoded({ ...SMALL, serverName: 'A.Example.' }),
        messages: [{ ...SMALL, serverName: 'a.example' }],
      },
    },
  },
  { test, ok: assert.ok },
)

/** Two server_name extensions: what is behind us may read the other one. */
function doubledName(): Uint8Array {
  const one = encoded({ ...SMALL, serverName: 'a.b' })
  const start = 5 + 4 + 2 + 32 + 1 + 4 + 2
  const extension = one.subarray(start + 2)
  const bytes = new Uint8Array(one.length + extension.length)
  bytes.set(one)
  bytes.set(extension, one.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(3, view.getUint16(3) + extension.length)
  view.setUint16(7, view.getUint16(7) + extension.length)
  view.setUint16(start, view.getUint16(start) + extension.length)
  return bytes
}

test('TlsHelloDecoder reads the hello of a real client', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const accepted = once(server, 'connection')
  const client = connect({
    port,
    host: '127.0.0.1',
    servername: 'gateway.example',
    ALPNProtocols: ['h2', 'http/1.1'],
  })
  client.on('error', () => {})
  const [socket] = await accepted
  const decoder = new TlsHelloDecoder()
  let hello: TlsHello | undefined
  while (hello === undefined) {
    const [chunk] = await once(socket, 'data')
    decoder.push(chunk)
    hello = decoder.next()
  }
  assert.deepEqual(hello, {
    serverName: 'gateway.example',
    alpn: ['h2', 'http/1.1'],
    version: 0x0304,
  })
  socket.destroy()
  client.destroy()
  server.close()
})
