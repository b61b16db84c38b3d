/** Whatever an event stream holds: the same events or the same refusal, however it is cut. */
import { ProtocolError } from '../../core/errors.ts'
import { EventStreamDecoder } from './server-sent-events.ts'

const toBytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export const samples: readonly Uint8Array[] = [
  toBytes('\uFEFFevent: add\nid: 7\ndata: a\ndata: b\n\n: note\nretry: 5\r\n\r\ndata: ü\r\r'),
]

export const tokens: readonly string[] = ['\n', '\r', '\r\n', 'data:', 'event: ', 'id', 'retry: ']

export function fuzz(seed: number, bytes: Uint8Array): void {
  const whole = replay(bytes, bytes.length || 1)
  for (const step of [1, 2 + (seed % 11)]) {
    const cut = replay(bytes, step)
    if (cut !== whole) throw new Error(`in steps of ${step}:\n${cut}\n--- whole:\n${whole}`)
  }
}

function replay(bytes: Uint8Array, step: number): string {
  const decoder = new EventStreamDecoder({ maxEventLength: 64 })
  const log: string[] = []
  try {
    for (let at = 0; at < bytes.length; at += step) {
      decoder.push(bytes.slice(at, at + step))
      for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
        log.push(JSON.stringify(event))
      }
      if (decoder.buffered > 64 + step) throw new Error('too much is held')
    }
    decoder.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    log.push(error.code)
  }
  return `${log.join('\n')}\n${decoder.retryMs}`
}
