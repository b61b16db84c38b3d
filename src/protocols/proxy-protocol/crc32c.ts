/** CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), as extension 0x03 carries it. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) crc = (TABLE[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)
  return (crc ^ 0xffff_ffff) >>> 0
}

const TABLE: Readonly<Uint32Array> = /* @__PURE__ */ (() => {
  const table = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
    table[byte] = crc
  }
  return table
})()
