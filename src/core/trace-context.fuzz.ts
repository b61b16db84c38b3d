/**
 * Any text in `traceparent`, `tracestate` and `baggage`: never an exception, what is taken can be
 * sent again, and sending it again changes nothing.
 */
import { boundBaggage, formatBaggage, parseBaggage } from './baggage.ts'
import {
  formatTraceparent,
  formatTraceState,
  parseTraceparent,
  parseTraceState,
} from './trace-context.ts'

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
  'tenant=a%2Cb;sampled,region=eu',
].map((text) => Uint8Array.from(text, (char) => char.charCodeAt(0)))

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const text = String.fromCharCode(...bytes.subarray(0, 20_000))
  const parent = parseTraceparent(text)
  if (parent !== undefined) same(parent, parseTraceparent(formatTraceparent(parent)))
  const state = parseTraceState(text)
  if (state !== undefined) {
    if (state.length > 32) throw new Error(`${state.length} members of tracestate`)
    same(state, parseTraceState(formatTraceState(state)))
  }
  const bound = boundBaggage(text)
  if (bound === undefined) return
  if (bound.length > 8_192) throw new Error(`${bound.length} bytes of baggage`)
  same(bound, boundBaggage(bound))
  same([...parseBaggage(text)], [...parseBaggage(bound)])
  const entries = parseBaggage(bound)
  const again = [...entries].filter(([, { value }]) => !value.includes('\ufffd'))
  // Escaping everything anew may be longer than the limit, which is refused, not cut.
  if (bound.length > 2_000) return
  same(again, [...parseBaggage(formatBaggage(new Map(again)))])
}

function same(a: unknown, b: unknown): void {
  const [first, second] = [JSON.stringify(a), JSON.stringify(b)]
  if (first !== second) throw new Error(`${first} became ${second}`)
}
