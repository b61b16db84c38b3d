/**
 * MessagePack bodies, by msgpackr. Integers of 64 bits that a number cannot hold are bigints; maps are
 * objects; timestamps (extension -1) are dates, and no other extension is taken.
 */
import { createRequire } from 'node:module'
import { ProtocolError } from '../../core/errors.ts'
import {
  decodeWith,
  missingPackage,
  type PayloadFormat,
  protoKey,
  tooDeep,
} from './payload-format.ts'

/** @throws UsageError ERR_OPTION_UNSUPPORTED when msgpackr is not installed */
export function messagePack(): PayloadFormat {
  const { Packr } = load()
  // 'auto' is in msgpackr's manual and not in its types: bigints only where a number is too small.
  const options = { useRecords: false, mapsAsObjects: true, int64AsType: 'auto' as 'number' }
  const packr = new Packr(options)
  return Object.freeze({
    name: 'messagepack',
    encode: (value: unknown) => new Uint8Array(packr.pack(value === undefined ? null : value)),
    decode(bytes: Uint8Array, _schema: unknown, maxDepth: number): unknown {
      checkMessagePack(bytes, maxDepth)
      // A copy: what it decodes may be views of it.
      return decodeWith('MessagePack', bytes, () => packr.unpack(bytes.slice()))
    },
  })
}

/**
 * Looks at the shape before anything is made of it: lengths against what is there, depth, keys.
 * @throws ProtocolError ERR_MALFORMED or ERR_LIMIT
 */
export function checkMessagePack(bytes: Uint8Array, maxDepth: number): void {
  const end = skipValue(bytes, 0, maxDepth, maxDepth)
  if (end !== bytes.length) throw malformed(`${bytes.length - end} bytes behind the value`)
}

/** @returns where the value ends */
function skipValue(bytes: Uint8Array, at: number, depth: number, maxDepth: number): number {
  const type = byteAt(bytes, at)
  if (type <= 0x7f || type >= 0xe0) return at + 1
  if (type <= 0x8f) return skipMap(bytes, at + 1, type & 0x0f, depth, maxDepth)
  if (type <= 0x9f) return skipItems(bytes, at + 1, type & 0x0f, depth, maxDepth)
  if (type <= 0xbf) return skipBytes(bytes, at + 1, type & 0x1f)
  const layout = LAYOUTS[type - 0xc0] as Layout
  if (layout.kind === 'none') throw malformed(`type 0x${type.toString(16)}`)
  if (layout.kind === 'fixed') return skipBytes(bytes, at + 1, layout.size)
  const length = readLength(bytes, at + 1, layout.size)
  const start = at + 1 + layout.size
  if (layout.kind === 'bytes') return skipBytes(bytes, start, length)
  if (layout.kind === 'array') return skipItems(bytes, start, length, depth, maxDepth)
  if (layout.kind === 'map') return skipMap(bytes, start, length, depth, maxDepth)
  const extension = layout.size === 0 ? byteAt(bytes, at + 1) : byteAt(bytes, start)
  if (extension !== TIMESTAMP) throw malformed(`extension ${(extension << 24) >> 24}`)
  const count = layout.size === 0 ? layout.length : length
  if (count !== 4 && count !== 8 && count !== 12) throw malformed(`a timestamp of ${count} bytes`)
  return skipBytes(bytes, start + 1, count)
}

function skipItems(
  bytes: Uint8Array,
  start: number,
  count: number,
  depth: number,
  maxDepth: number,
): number {
  if (depth === 0) throw tooDeep(maxDepth)
  if (count > bytes.length - start)
    throw malformed(`${count} items in ${bytes.length - start} bytes`)
  let at = start
  for (let index = 0; index < count; index++) at = skipValue(bytes, at, depth - 1, maxDepth)
  return at
}

function skipMap(
  bytes: Uint8Array,
  start: number,
  count: number,
  depth: number,
  maxDepth: number,
): number {
  if (depth === 0) throw tooDeep(maxDepth)
  if (count * 2 > bytes.length - start) {
    throw malformed(`${count} pairs in ${bytes.length - start} bytes`)
  }
  let at = start
  for (let index = 0; index < count; index++) {
    const end = skipValue(bytes, at, 0, maxDepth)
    if (endsWithProto(bytes, at, end)) throw protoKey()
    at = skipValue(bytes, end, depth - 1, maxDepth)
  }
  return at
}

function endsWithProto(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < PROTO.length) return false
  for (let index = 0; index < PROTO.length; index++) {
    if (bytes[end - PROTO.length + index] !== PROTO[index]) return false
  }
  return end - start <= PROTO.length + MAX_HEAD_BYTES
}

function skipBytes(bytes: Uint8Array, start: number, count: number): number {
  if (count > bytes.length - start)
    throw malformed(`${count} bytes where ${bytes.length - start} are`)
  return start + count
}

function readLength(bytes: Uint8Array, at: number, size: number): number {
  let length = 0
  for (let index = 0; index < size; index++) length = length * 256 + byteAt(bytes, at + index)
  return length
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw malformed(`it ends at byte ${at}`)
  return byte
}

function malformed(what: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', `a body is not MessagePack: ${what}`)
}

function load(): typeof import('msgpackr') {
  try {
    return createRequire(import.meta.url)('msgpackr')
  } catch (cause) {
    throw missingPackage('msgpackr', cause)
  }
}

interface Layout {
  readonly kind: 'none' | 'fixed' | 'bytes' | 'array' | 'map' | 'extension'
  /** Of the value, or of the length in front of it. */
  readonly size: number
  /** Of an extension without a length. */
  readonly length: number
}

function layout(kind: Layout['kind'], size: number, length: number = 0): Layout {
  return { kind, size, length }
}

/** 0xc0 to 0xdf, in their order. */
const LAYOUTS: readonly Layout[] = [
  layout('fixed', 0), // nil
  layout('none', 0), // never used
  layout('fixed', 0), // false
  layout('fixed', 0), // true
  layout('bytes', 1), // bin
  layout('bytes', 2),
  layout('bytes', 4),
  layout('extension', 1), // ext
  layout('extension', 2),
  layout('extension', 4),
  layout('fixed', 4), // float
  layout('fixed', 8),
  layout('fixed', 1), // uint
  layout('fixed', 2),
  layout('fixed', 4),
  layout('fixed', 8),
  layout('fixed', 1), // int
  layout('fixed', 2),
  layout('fixed', 4),
  layout('fixed', 8),
  layout('extension', 0, 1), // fixext
  layout('extension', 0, 2),
  layout('extension', 0, 4),
  layout('extension', 0, 8),
  layout('extension', 0, 16),
  layout('bytes', 1), // str
  layout('bytes', 2),
  layout('bytes', 4),
  layout('array', 2),
  layout('array', 4),
  layout('map', 2),
  layout('map', 4),
]
const TIMESTAMP = 0xff
const PROTO = new TextEncoder().encode('__proto__')
/** In front of a key: its type and the longest length. */
const MAX_HEAD_BYTES = 5
