/**
 * A target that must fail: proof that the fuzzer can find a bug at all. The bug is of the usual
 * kind, a length that is believed although less than that arrived.
 */
export const samples: readonly Uint8Array[] = [Uint8Array.of(2, 7, 7), Uint8Array.of(0)]

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const length = bytes[0] ?? 0
  if (length > 8) return // a limit, as a real decoder has one
  for (let at = 1; at <= length; at++) {
    if (bytes.length > 1 && bytes[at] === undefined) throw new Error(`read past the end at ${at}`)
  }
}
