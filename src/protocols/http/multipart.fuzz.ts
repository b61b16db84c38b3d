/**
 * Whatever stands in a form: parts, more input wanted or a ProtocolError, the same however it is
 * cut, with no view of a chunk kept.
 */
import { ProtocolError } from '../../core/errors.ts'
import { MultipartDecoder } from './multipart-decoder.ts'

const toBytes = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0))

export const samples: readonly Uint8Array[] = [
  toBytes('--b\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n--b--\r\n'),
  toBytes(
    '--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\nContent-Type: a/b\r\n\r\n' +
      'x\r\n--c\r\r\n--b\r\nContent-Disposition: form-data; name=b\r\n\r\n\r\n--b--',
  ),
]

export const tokens: readonly string[] = ['\r\n', '--', '\r\n--b', '\r\n\r\n', 'name=', '"', ';']

const LIMITS = { maxParts: 4, maxPartHeadBytes: 128, maxPartBytes: 256 }

export function fuzz(seed: number, bytes: Uint8Array): void {
  const whole = replay(bytes, bytes.length || 1)
  for (const step of [1, 2 + (seed % 11)]) {
    const cut = replay(bytes, step)
    if (cut !== whole) throw new Error(`in steps of ${step}:\n${cut}\n--- whole:\n${whole}`)
  }
}

function replay(bytes: Uint8Array, step: number): string {
  const decoder = new MultipartDecoder('b', LIMITS)
  const log: string[] = []
  try {
    for (let at = 0; at < bytes.length; at += step) {
      const chunk = Uint8Array.from(bytes.subarray(at, at + step))
      decoder.push(chunk)
      for (let piece = decoder.next(); piece !== undefined; piece = decoder.next()) {
        if (piece.type === 'data') log.push(`+${String.fromCharCode(...piece.chunk)}`)
        else if (piece.type === 'part') {
          log.push(JSON.stringify([piece.name, piece.filename, [...piece.fields]]))
        } else log.push('end')
      }
      chunk.fill(0x21)
      if (decoder.buffered > LIMITS.maxPartHeadBytes + step) throw new Error('too much is held')
    }
    decoder.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    log.push(error.code)
  }
  const text = log.join('\n').replaceAll(/\n\+/g, '')
  // How much of a part that grew too long was handed out first depends on the cuts.
  return text.endsWith('ERR_LIMIT') ? 'ERR_LIMIT' : text
}
