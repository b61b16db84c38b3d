/**
 * What is asked of an Ed25519 signature beyond that it verifies: one way to write it, and a key that
 * belongs to somebody. The hash of a block covers its signature, so a second valid form of the same
 * signature would be a second block.
 *
 * Libraries differ in what they refuse here (RFC 8032, section 5.1.7 leaves room). These are
 * comparisons of numbers; the arithmetic of the curve is the library's.
 */

/** S < L: a larger one is the same signature again. */
export function isCanonicalScalar(signature: Uint8Array): boolean {
  return signature.length === 64 && isBelow(signature, 32, ORDER)
}

/** The y coordinate is reduced, and the point is not one of the eight of small order. */
export function isStrongKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== 32) return false
  const y = new Uint8Array(publicKey)
  y[31] = (y[31] as number) & 0x7f // the top bit is the sign of x
  if (!isBelow(y, 0, FIELD)) return false
  // A key of small order verifies one signature under many messages: nobody's secret is behind it.
  return !SMALL_ORDER.some((weak) => weak.every((byte, index) => byte === y[index]))
}

/** Whether 32 bytes at `start` are less than `bound`, both little-endian. */
function isBelow(bytes: Uint8Array, start: number, bound: Uint8Array): boolean {
  for (let index = 31; index >= 0; index--) {
    const byte = bytes[start + index] as number
    const limit = bound[index] as number
    if (byte !== limit) return byte < limit
  }
  return false
}

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(index * 8)) & 0xffn))
}

const P = (1n << 255n) - 19n
const FIELD = littleEndian(P)
const ORDER = littleEndian((1n << 252n) + 27_742_317_777_372_353_535_851_937_790_883_648_493n)
/** y of the points of order 1, 2, 4 and 8, whatever the sign of x. */
const SMALL_ORDER: readonly Uint8Array[] = [
  0n,
  1n,
  P - 1n,
  0x7a_03ac_9277_fdc7_4ec6_cc39_2cfa_5320_2a0f_6710_0d76_0b3c_ba4f_d84d_3d70_6a17_c7n,
  0x05_fc53_6d88_0238_b139_33c6_d305_acdf_d5f0_98ef_f289_f4c3_45b0_27b2_c28f_95e8_26n,
].map(littleEndian)
