/**
 * Keys that callers make, as they are remembered: of bounded length, and without keeping a longer
 * text alive.
 */

/** @returns `key` itself while it is short */
export function boundedKey(key: string): string {
  return key.length > MAX_LENGTH ? shorten(key) : key
}

/**
 * Text that does not keep a longer one alive: a header's value may be a slice of the whole head,
 * which would then live as long as its key.
 */
export function ownText(text: string): string {
  return ` ${text}`.slice(1)
}

/** Its beginning, its length and two hashes: 64 bits, so that two keys rarely mean the same. */
function shorten(key: string): string {
  let first = 0x811c9dc5
  let second = 0x9e3779b9
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index)
    first = Math.imul(first ^ unit, 0x01000193)
    second = Math.imul(second ^ unit, 0x85ebca6b)
    second ^= second >>> 13
  }
  const hashes = `${(first >>> 0).toString(36)}.${(second >>> 0).toString(36)}`
  return `${key.slice(0, MAX_LENGTH - 40)}…${key.length}.${hashes}`
}

const MAX_LENGTH = 256
