/** Whatever arrives on a port that looks for TLS: a hello, more input wanted, or a ProtocolError. */
import { ByteWriter } from '../../core/byte-writer.ts'
import { ProtocolError } from '../../core/errors.ts'
import { TlsHelloDecoder } from './tls-hello-decoder.ts'
import { encodeTlsHello } from './tls-hello-encoder.ts'

function hello(serverName: string | undefined, alpn: readonly string[]): Uint8Array {
  const writer = new ByteWriter()
  encodeTlsHello({ serverName, alpn, version: 0x0304 }, writer)
  return writer.take()
}

export const samples: readonly Uint8Array[] = [
  hello('a.example', ['h2', 'http/1.1']),
  hello(undefined, []),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const maxHelloBytes = 512
  const decoder = new TlsHelloDecoder({ maxHelloBytes })
  const step = 1 + (seed % 11)
  let given = 0
  try {
    for (let at = 0; at < bytes.length; at += step) {
      const chunk = bytes.slice(at, at + step)
      given += chunk.length
      decoder.push(chunk)
      const read = decoder.next()
      if (read?.serverName?.includes('\0')) throw new Error('a name with a zero byte')
      if (decoder.buffered > given) throw new Error(`${decoder.buffered} buffered of ${given}`)
    }
    decoder.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
}
