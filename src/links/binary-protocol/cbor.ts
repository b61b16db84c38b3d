/**
 * CBOR bodies (RFC 8949), by cborg: definite lengths only, keys are text, no tags, no duplicate keys.
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { ProtocolError } from '../../core/errors.ts'
import {
  decodeWith,
  missingPackage,
  type PayloadFormat,
  protoKey,
  tooDeep,
} from './payload-format.ts'

/** @throws UsageError ERR_OPTION_UNSUPPORTED when cborg is not installed */
export function cbor(): PayloadFormat {
  const { encode, decode } = load()
  const options = {
    allowIndefinite: false,
    allowUndefined: false,
    rejectDuplicateMapKeys: true,
    useMaps: false,
  }
  return Object.freeze({
    name: 'cbor',
    encode: (value: unknown) => encode(value === undefined ? null : value),
    decode(bytes: Uint8Array, _schema: unknown, maxDepth: number): unknown {
      checkCbor(bytes, maxDepth)
      return decodeWith('CBOR', bytes, () => decode(bytes.slice(), options))
    },
  })
}

/**
 * Looks at the shape before anything is made of it: lengths against what is there, depth, keys.
 * @throws ProtocolError ERR_MALFORMED or ERR_LIMIT
 */
export function checkCbor(bytes: Uint8Array, maxDepth: number): void {
  const end = skipItem(bytes, 0, maxDepth, maxDepth)
  if (end !== bytes.length) throw malformed(`${bytes.length - end} bytes behind the value`)
}

/** @returns where the item ends */
function skipItem(bytes: Uint8Array, at: number, depth: number, maxDepth: number): number {
  const initial = byteAt(bytes, at)
  const major = initial >>> 5
  const { value, end } = readArgument(bytes, at, initial & 0x1f)
  switch (major) {
    case 2:
    case 3:
      if (value > bytes.length - end)
        throw malformed(`${value} bytes where ${bytes.length - end} are`)
      return end + value
    case 4:
      return skipItems(bytes, end, value, depth, maxDepth)
    case 5:
      return skipMap(bytes, end, value, depth, maxDepth)
    case 6:
      throw malformed(`tag ${value}`)
    default:
      return end // a number or a simple value
  }
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
  for (let index = 0; index < count; index++) at = skipItem(bytes, at, depth - 1, maxDepth)
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
    if (byteAt(bytes, at) >>> 5 !== 3) throw malformed('a key that is not text')
    const end = skipItem(bytes, at, 0, maxDepth)
    if (isProto(bytes, end)) throw protoKey()
    at = skipItem(bytes, end, depth - 1, maxDepth)
  }
  return at
}

function readArgument(
  bytes: Uint8Array,
  at: number,
  info: number,
): { readonly value: number; readonly end: number } {
  if (info < 24) return { value: info, end: at + 1 }
  if (info > 27) throw malformed(`indefinite or reserved length ${info}`)
  const size = 1 << (info - 24)
  let value = 0
  for (let index = 1; index <= size; index++) value = value * 256 + byteAt(bytes, at + index)
  return { value, end: at + 1 + size }
}

function isProto(bytes: Uint8Array, end: number): boolean {
  const start = end - PROTO.length
  return start >= 0 && PROTO.every((byte, index) => bytes[start + index] === byte)
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw malformed(`it ends at byte ${at}`)
  return byte
}

function malformed(what: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', `a body is not CBOR as it is taken here: ${what}`)
}

function load(): typeof import('cborg') {
  try {
    // It names no file for `require`, so its file for `import` is required.
    return createRequire(import.meta.url)(fileURLToPath(import.meta.resolve('cborg')))
  } catch (cause) {
    throw missingPackage('cborg', cause)
  }
}

const PROTO = new TextEncoder().encode('__proto__')
