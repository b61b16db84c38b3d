/** Any bytes: both framings answer with payloads or a ProtocolError, alike however they are cut. */
import type { Decoder } from '../../core/codec.ts'
import { ProtocolError } from '../../core/errors.ts'
import { DelimitedDecoder } from './delimited.ts'
import { JsonLinesDecoder } from './json-lines.ts'
import { LengthPrefixedDecoder } from './length-prefixed.ts'

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  Uint8Array.of(0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0),
  Uint8Array.of(0x61, 0x0d, 0x0a, 0x0d, 0x62, 0x0d, 0x0a),
  new TextEncoder().encode('{"a":[1]}\n\n"b"\n'),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  const delimiter = Uint8Array.of(0x0d, 0x0a)
  const kinds: readonly (() => Decoder<unknown>)[] = [
    () => new LengthPrefixedDecoder({ maxFrameBytes: 64 }),
    () => new LengthPrefixedDecoder({ maxFrameBytes: 64, prefix: 'varint', empty: 'skip' }),
    () => new LengthPrefixedDecoder({ maxFrameBytes: 64, prefix: 'u16le', includesPrefix: true }),
    () => new LengthPrefixedDecoder({ maxFrameBytes: 64, prefix: 'u8', empty: 'refuse' }),
    () => new DelimitedDecoder({ maxFrameBytes: 64 }),
    () => new DelimitedDecoder({ maxFrameBytes: 64, optionalCr: true }),
    () => new DelimitedDecoder({ delimiter, maxFrameBytes: 64 }),
    () => new JsonLinesDecoder({ maxLineBytes: 64 }),
  ]
  for (const create of kinds) {
    const whole = decode(create(), [bytes.slice()])
    const parts = decode(create(), [bytes.slice(0, cut), bytes.slice(cut)])
    if (whole !== parts) throw new Error(`cut at ${cut}: ${parts} instead of ${whole}`)
  }
}

/** What came out, as text: the payloads, then how it ended. */
function decode(decoder: Decoder<unknown>, chunks: readonly Uint8Array[]): string {
  const outcome: string[] = []
  try {
    for (const chunk of chunks) {
      decoder.push(chunk)
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
        outcome.push(next instanceof Uint8Array ? next.join() : JSON.stringify(next))
      }
      chunk.fill(0xdb) // a view kept too long shows
    }
    decoder.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    outcome.push(error.code)
  }
  return outcome.join(' ')
}
