/** Any bytes: envelopes come out alike however they are cut; parsers answer or throw ProtocolError. */
import type { Decoder } from '../../core/codec.ts'
import { ProtocolError } from '../../core/errors.ts'
import { COMPRESSED, type Envelope, EnvelopeDecoder, envelopeBytes, TRAILERS } from './envelope.ts'
import { encodeConnectError, parseConnectError, parseEndOfStream } from './error-json.ts'
import { encodeConnectGet, parseConnectGet } from './get-query.ts'
import { TextEnvelopeDecoder } from './grpc-web-text.ts'
import { encodeTrailerBlock, parseTrailerBlock } from './trailer-block.ts'

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  envelopeBytes(0, Uint8Array.of(1, 2, 3)),
  envelopeBytes(2, new TextEncoder().encode('{"error":{"code":"aborted"},"metadata":{"a":["1"]}}')),
  new TextEncoder().encode('grpc-status: 5\r\ngrpc-message: no\r\n'),
  new TextEncoder().encode('AAAAAAEHgAAAAAMAAQI='),
  new TextEncoder().encode('{"code":"aborted","details":[{"type":"a.B","value":"AAE"}]}'),
  new TextEncoder().encode('/a?connect=v1&encoding=proto&base64=1&message=AAE'),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  const limits = { maxMessageBytes: 64 }
  const web = { ...limits, flags: COMPRESSED | TRAILERS }
  const kinds: readonly (() => Decoder<Envelope>)[] = [
    () => new EnvelopeDecoder(limits),
    () => new EnvelopeDecoder(web),
    () => new TextEnvelopeDecoder(web),
  ]
  for (const create of kinds) {
    const whole = decode(create(), [bytes.slice()])
    const parts = decode(create(), [bytes.slice(0, cut), bytes.slice(cut)])
    if (whole !== parts) throw new Error(`cut at ${cut}: ${parts} instead of ${whole}`)
  }
  roundTrips(bytes)
}

/** What was understood is written and understood alike. */
function roundTrips(bytes: Uint8Array): void {
  const error = parseConnectError(bytes, 2)
  if (error !== undefined) same(error, parseConnectError(encodeConnectError(error), 2))
  attempt(() => parseEndOfStream(bytes))
  attempt(() => {
    const trailers = parseTrailerBlock(bytes)
    same([...trailers], [...parseTrailerBlock(encodeTrailerBlock(trailers))])
  })
  attempt(() => {
    const get = parseConnectGet(new TextDecoder().decode(bytes))
    const again = parseConnectGet(encodeConnectGet(get))
    same({ ...get, versioned: true }, again)
  })
}

function attempt(parse: () => void): void {
  try {
    parse()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
}

function same(a: unknown, b: unknown): void {
  const [first, second] = [show(a), show(b)]
  if (first !== second) throw new Error(`${second} instead of ${first}`)
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, member) => (member instanceof Uint8Array ? [...member] : member))
}

function decode(decoder: Decoder<Envelope>, chunks: readonly Uint8Array[]): string {
  const outcome: string[] = []
  try {
    for (const chunk of chunks) {
      decoder.push(chunk)
      for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
        outcome.push(`${next.flags}:${next.payload.join()}`)
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
