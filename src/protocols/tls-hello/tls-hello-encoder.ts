/**
 * A minimal ClientHello, for tests and probes: enough for whatever routes by its server name, too
 * little for a handshake.
 */
import type { ByteWriter } from '../../core/byte-writer.ts'
import type { TlsHello } from './tls-hello-decoder.ts'

export function encodeTlsHello(hello: TlsHello, out: ByteWriter): void {
  const extensions: number[] = []
  if (hello.serverName !== undefined) {
    const name = [...hello.serverName].map((char) => char.charCodeAt(0))
    extension(extensions, 0, vector16([0, ...vector16(name)]))
  }
  if (hello.alpn.length > 0) {
    const names = hello.alpn.flatMap((name) => {
      return [name.length, ...[...name].map((char) => char.charCodeAt(0))]
    })
    extension(extensions, 16, vector16(names))
  }
  if (hello.version > 0x0303)
    extension(extensions, 43, [2, hello.version >>> 8, hello.version & 255])
  const version = Math.min(hello.version, 0x0303)
  const body = [
    version >>> 8,
    version & 255,
    ...new Array<number>(32).fill(0x5a), // random
    0, // session id
    ...vector16([0x13, 0x01]), // TLS_AES_128_GCM_SHA256
    1, // compression: none
    0,
    ...(extensions.length > 0 ? vector16(extensions) : []),
  ]
  out.copy(Uint8Array.of(22, 3, 1))
  out.uint16(body.length + 4)
  out.uint8(1)
  out.uint24(body.length)
  out.copy(Uint8Array.from(body))
}

function vector16(bytes: readonly number[]): number[] {
  return [bytes.length >>> 8, bytes.length & 255, ...bytes]
}

function extension(into: number[], type: number, content: readonly number[]): void {
  into.push(type >>> 8, type & 255, ...vector16(content))
}
