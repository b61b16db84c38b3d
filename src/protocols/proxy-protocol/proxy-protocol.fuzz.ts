/**
 * Whatever a peer sends in place of a PROXY header: a header, more input wanted, or a ProtocolError;
 * and a header that was read is written and read again alike.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import { ProtocolError } from '../../core/errors.ts'
import { ProxyHeaderDecoder } from './decoder.ts'
import { encodeProxyHeader } from './encoder.ts'

const text = (line: string): Uint8Array => Uint8Array.from(line, (char) => char.charCodeAt(0))

export const samples: readonly Uint8Array[] = [
  text('PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n'),
  text('PROXY TCP6 ::1 2001:db8::1 1 65535\r\n'),
  text('PROXY UNKNOWN\r\n'),
  text('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f\x0a\0\0\x01\x0a\0\0\x02\0\x50\x01\xbb\x04\0\0'),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const decoder = new ProxyHeaderDecoder({ maxHeaderBytes: 512 })
  const step = 1 + (seed % 7)
  try {
    for (let at = 0; at < bytes.length; at += step) {
      decoder.push(bytes.slice(at, at + step))
      const header = decoder.next()
      if (header === undefined) continue
      const writer = new ByteWriter()
      encodeProxyHeader(header, writer)
      const again = new ProxyHeaderDecoder()
      again.push(writer.take())
      const second = again.next()
      if (JSON.stringify(second) !== JSON.stringify(header)) {
        throw new Error(`${JSON.stringify(header)} became ${JSON.stringify(second)}`)
      }
    }
    decoder.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
}
