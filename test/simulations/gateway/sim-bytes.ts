/** Content by which a mix-up of two calls shows. */
export function fill(id: number, size: number): Uint8Array {
  return new Uint8Array(size).fill(id & 0xff)
}

export function isFilled(bytes: Uint8Array, id: number): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== (id & 0xff)) return false
  return true
}
