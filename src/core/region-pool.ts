/**
 * Memory that the connections of a thread share: taken to fill, given back once its bytes have left.
 *
 * New memory has to be cleared before and collected after its use, which costs more than what is
 * written into it. There are two sizes: one for the answers of an input batch, one for everything
 * that was read at once. What is asked for beyond that, or while none is free, is new and not kept.
 */

/** A region of at least `size` bytes with anything in it. */
export function takeRegion(size: number): Uint8Array {
  if (size === REGION_BYTES) return regions.pop() ?? new Uint8Array(size)
  if (size < REGION_BYTES || size > LARGE_REGION_BYTES) return new Uint8Array(size)
  return largeRegions.pop() ?? new Uint8Array(LARGE_REGION_BYTES)
}

/** Nobody may look at it any more. One that came from elsewhere is left alone. */
export function giveRegionBack(region: Uint8Array): void {
  if (region.length === REGION_BYTES) {
    if (regions.length < MAX_REGIONS) regions.push(region)
  } else if (region.length === LARGE_REGION_BYTES) {
    if (largeRegions.length < MAX_LARGE_REGIONS) largeRegions.push(region)
  }
}

/**
 * A copy of a borrowed chunk for a short time: `giveCopyBack` ends it. A small one is a plain copy,
 * which the collector takes cheaply.
 */
export function copyForNow(chunk: Uint8Array): Uint8Array {
  if (chunk.length <= REGION_BYTES) return new Uint8Array(chunk)
  const region = takeRegion(chunk.length)
  region.set(chunk)
  return region.subarray(0, chunk.length)
}

export function giveCopyBack(copy: Uint8Array): void {
  if (isCopyForNow(copy)) giveRegionBack(new Uint8Array(copy.buffer))
}

/** Whether a copy has to be given back, and must not be kept. */
export function isCopyForNow(copy: Uint8Array | undefined): boolean {
  return copy?.buffer.byteLength === LARGE_REGION_BYTES
}

/** Holds the answers of a whole input batch of usual size. */
export const REGION_BYTES = 16_384
/** A whole read buffer (64 KiB) and what frames it. */
const LARGE_REGION_BYTES = 65_536 + 256
/** 1 MiB: as many as connections usually have something stuck at the same time. */
const MAX_REGIONS = 64
/** 2 MiB. */
const MAX_LARGE_REGIONS = 32
const regions: Uint8Array[] = []
const largeRegions: Uint8Array[] = []
