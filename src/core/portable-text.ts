/**
 * `TextCodec` in plain JavaScript: for browsers and tests. Node's is in platform/node-host.ts.
 */
import type { TextCodec } from './host.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export const portableText: TextCodec = Object.freeze({
  latin1(bytes: Uint8Array, start: number, end: number): string {
    let text = ''
    // In slices, because arguments go on the stack.
    for (let at = start; at < end; at += MAX_ARGUMENTS) {
      const slice = bytes.subarray(at, Math.min(end, at + MAX_ARGUMENTS))
      text += String.fromCharCode.apply(null, slice as unknown as number[])
    }
    return text
  },

  utf8(bytes: Uint8Array, start: number, end: number): string {
    return decoder.decode(bytes.subarray(start, end))
  },

  utf8Length(text: string): number {
    let length = 0
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      if (unit < 0x80) length += 1
      else if (unit < 0x800) length += 2
      else if (isPair(text, index)) {
        length += 4
        index++
      } else length += 3
    }
    return length
  },

  writeUtf8(text: string, into: Uint8Array, at: number): number {
    return encoder.encodeInto(text, into.subarray(at)).written
  },

  writeLatin1(text: string, into: Uint8Array, at: number): number {
    for (let index = 0; index < text.length; index++) into[at + index] = text.charCodeAt(index)
    return text.length
  },

  indexOf(bytes: Uint8Array, needle: Uint8Array, from: number): number {
    const first = needle[0]
    if (first === undefined) return from
    const last = bytes.length - needle.length
    let at = bytes.indexOf(first, from)
    while (at >= 0 && at <= last) {
      let index = 1
      while (index < needle.length && bytes[at + index] === needle[index]) index++
      if (index === needle.length) return at
      at = bytes.indexOf(first, at + 1)
    }
    return -1
  },
})

function isPair(text: string, index: number): boolean {
  const high = text.charCodeAt(index)
  const low = text.charCodeAt(index + 1)
  return high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000
}

const MAX_ARGUMENTS = 4_096
