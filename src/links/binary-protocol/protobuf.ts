/**
 * Protobuf bodies, by @bufbuild/protobuf: each message is defined with the descriptors that
 * `protoc-gen-es` makes. Bodies may be given as plain objects.
 *
 *     messages: { stock: call<StockRequest, Stock>(1, { request: StockRequestSchema, reply: StockSchema }) }
 */
import { createRequire } from 'node:module'
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf'
import { UsageError } from '../../core/errors.ts'
import { decodeWith, missingPackage, type PayloadFormat, tooDeep } from './payload-format.ts'

/** @throws UsageError ERR_OPTION_UNSUPPORTED when @bufbuild/protobuf is not installed */
export function protobuf(): PayloadFormat {
  const { create, fromBinary, toBinary } = load()
  return Object.freeze({
    name: 'protobuf',
    encode(value: unknown, schema: unknown): Uint8Array {
      const descriptor = checkSchema(schema)
      return toBinary(descriptor, create(descriptor, value as MessageInitShape<DescMessage>))
    },
    decode(bytes: Uint8Array, schema: unknown, maxDepth: number): unknown {
      const descriptor = checkSchema(schema)
      return decodeWith('Protobuf', bytes, () => {
        checkDepth(bytes, 0, bytes.length, descriptor, maxDepth, maxDepth)
        return fromBinary(descriptor, bytes.slice())
      })
    },
  })
}

/**
 * Follows the fields that are messages, as the descriptor has them, before anything is made. What is
 * wrong otherwise is left for the library to say.
 */
function checkDepth(
  bytes: Uint8Array,
  start: number,
  end: number,
  descriptor: DescMessage,
  depth: number,
  maxDepth: number,
): void {
  if (depth === 0) throw tooDeep(maxDepth)
  const nested = nestedOf(descriptor)
  let at = start
  while (at < end) {
    const tag = readVarint(bytes, at, end)
    if (tag === undefined) return
    at = tag.end
    const wire = tag.value % 8
    if (wire === GROUP_START) throw new Error('groups are not taken')
    const size = sizeOf(bytes, at, end, wire)
    if (size === undefined) return
    const { from, to } = size
    const inner = nested.get(Math.floor(tag.value / 8))
    if (inner !== undefined && wire === LENGTH_DELIMITED && to <= end) {
      checkDepth(bytes, from, to, inner, depth - 1, maxDepth)
    }
    at = to
  }
}

/** The fields that are messages, by number; looked up once for each descriptor. */
function nestedOf(descriptor: DescMessage): ReadonlyMap<number, DescMessage> {
  const known = NESTED.get(descriptor)
  if (known !== undefined) return known
  const nested = new Map<number, DescMessage>()
  for (const field of descriptor.fields) {
    const inner = messageOf(field)
    if (inner !== undefined) nested.set(field.number, inner)
  }
  NESTED.set(descriptor, nested)
  return nested
}

function messageOf(field: DescMessage['fields'][number]): DescMessage | undefined {
  if (field.fieldKind === 'message') return field.message
  if (field.fieldKind === 'list' && field.listKind === 'message') return field.message
  if (field.fieldKind !== 'map' || field.mapKind !== 'message') return undefined
  // The entry of a map is a message that the descriptor does not name: its value is field 2.
  const value = { fieldKind: 'message', number: 2, message: field.message }
  return { fields: [value] } as unknown as DescMessage
}

function sizeOf(
  bytes: Uint8Array,
  at: number,
  end: number,
  wire: number,
): { readonly from: number; readonly to: number } | undefined {
  if (wire === 0) {
    const value = readVarint(bytes, at, end)
    return value === undefined ? undefined : { from: at, to: value.end }
  }
  if (wire === 1) return { from: at, to: at + 8 }
  if (wire === 5) return { from: at, to: at + 4 }
  if (wire !== LENGTH_DELIMITED) return undefined
  const length = readVarint(bytes, at, end)
  return length === undefined ? undefined : { from: length.end, to: length.end + length.value }
}

function readVarint(
  bytes: Uint8Array,
  start: number,
  end: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0
  for (let at = start; at < end && at < start + 10; at++) {
    const byte = bytes[at] as number
    value += (byte & 0x7f) * 2 ** (7 * (at - start))
    if (byte < 0x80) return { value, end: at + 1 }
  }
  return undefined
}

function checkSchema(schema: unknown): DescMessage {
  const descriptor = schema as DescMessage | undefined
  if (descriptor?.kind === 'message') return descriptor
  throw new UsageError('ERR_ARGUMENT', 'a Protobuf message is defined without its schema')
}

function load(): typeof import('@bufbuild/protobuf') {
  try {
    return createRequire(import.meta.url)('@bufbuild/protobuf')
  } catch (cause) {
    throw missingPackage('@bufbuild/protobuf', cause)
  }
}

const NESTED = new WeakMap<DescMessage, ReadonlyMap<number, DescMessage>>()
const LENGTH_DELIMITED = 2
const GROUP_START = 3
