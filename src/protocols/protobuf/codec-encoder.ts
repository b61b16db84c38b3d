/**
 * Encoders of message types: a function for each field, made once. They take messages as well as plain
 * objects that a message can be made of, and return false for a value that they leave to protobuf-es.
 */
import { type DescField, type DescMessage, type DescOneof, ScalarType } from '@bufbuild/protobuf'
import type { CodecWriter } from './codec-writer.ts'
import { wireTypeOf } from './wire-types.ts'

type Fields = Readonly<Record<string, unknown>>

/** False: not written, or not as a whole: to be left to the library. */
export type EncodeMessage = (message: Fields, writer: CodecWriter) => boolean
type EncodeValue = (value: unknown, writer: CodecWriter) => boolean

export function encoderOf(desc: DescMessage): EncodeMessage {
  const known = ENCODERS.get(desc)
  if (known !== undefined) return known
  const { typeName } = desc
  const fields: EncodeMessage[] = []
  const encode: EncodeMessage = (message, writer) => {
    if (typeof message !== 'object' || message === null) return false
    const { $typeName: type, $unknown: unknown } = message
    // Unknown fields go behind the others: rare, and the library does that as well.
    if ((type !== undefined && type !== typeName) || unknown !== undefined) return false
    for (const field of fields) if (!field(message, writer)) return false
    return true
  }
  // Before its fields are looked at: a type may have itself as a part.
  ENCODERS.set(desc, encode)
  const sorted = [...desc.fields].sort((one, other) => one.number - other.number)
  for (const field of sorted) fields.push(fieldEncoder(field))
  return encode
}

function fieldEncoder(field: DescField): EncodeMessage {
  if (field.fieldKind === 'list') return listEncoder(field)
  if (field.fieldKind === 'map') return mapEncoder(field)
  const encode = withTag(field, valueEncoder(field))
  if (field.oneof !== undefined) return caseEncoder(field.oneof, field.localName, encode)
  const name = field.localName
  if (field.presence !== IMPLICIT) {
    return (message, writer) => {
      const value = message[name]
      return value === undefined || encode(value, writer)
    }
  }
  const zero = field.fieldKind === 'enum' ? 0 : zeroOf(field.scalar as ScalarType)
  if (field.scalar === ScalarType.BYTES) {
    return (message, writer) => {
      const value = message[name]
      if (value === undefined || (value instanceof Uint8Array && value.length === 0)) return true
      return encode(value, writer)
    }
  }
  if (field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT) {
    // -0 is another value than 0.
    return (message, writer) => {
      const value = message[name]
      return value === undefined || Object.is(value, 0) || encode(value, writer)
    }
  }
  return (message, writer) => {
    const value = message[name]
    return value === undefined || value === zero || encode(value, writer)
  }
}

function caseEncoder(oneof: DescOneof, name: string, encode: EncodeValue): EncodeMessage {
  const group = oneof.localName
  return (message, writer) => {
    const chosen = message[group] as { case?: unknown; value?: unknown } | undefined
    if (chosen === undefined) return true
    if (typeof chosen !== 'object' || chosen === null) return false
    return chosen.case !== name || encode(chosen.value, writer)
  }
}

function listEncoder(field: DescField & { fieldKind: 'list' }): EncodeMessage {
  const name = field.localName
  const value = valueEncoder(field)
  const each = field.packed ? packed(field, value) : undefined
  const encode = withTag(field, value)
  return (message, writer) => {
    const items = message[name]
    if (items === undefined) return true
    if (!Array.isArray(items)) return false
    if (items.length === 0) return true
    if (each !== undefined) return each(items, writer)
    for (const item of items) if (!encode(item, writer)) return false
    return true
  }
}

function packed(field: DescField, value: EncodeValue): EncodeValue {
  const tag = tagOf(field.number, LENGTH_DELIMITED)
  return (items, writer) => {
    writer.varint(tag)
    const offset = writer.open()
    for (const item of items as readonly unknown[]) if (!value(item, writer)) return false
    writer.close(offset)
    return true
  }
}

function mapEncoder(field: DescField & { fieldKind: 'map' }): EncodeMessage {
  const name = field.localName
  const tag = tagOf(field.number, LENGTH_DELIMITED)
  const isText = field.mapKey === ScalarType.STRING
  const key = scalarEncoder(field.mapKey)
  const keyTag = tagOf(1, wireTypeOf(field.mapKey))
  const value = valueEncoder(field)
  const valueTag = tagOf(2, wireTypeOfValue(field))
  return (message, writer) => {
    const record = message[name]
    if (record === undefined) return true
    if (typeof record !== 'object' || record === null) return false
    for (const text of Object.keys(record)) {
      writer.varint(tag)
      const offset = writer.open()
      writer.varint(keyTag)
      if (!key(isText ? text : Number(text), writer)) return false
      writer.varint(valueTag)
      if (!value((record as Fields)[text], writer)) return false
      writer.close(offset)
    }
    return true
  }
}

/** The value alone, without its tag. */
function valueEncoder(field: DescField): EncodeValue {
  if (field.message !== undefined) return messageEncoder(field.message)
  return field.enum !== undefined ? scalarEncoder(ScalarType.INT32) : scalarEncoder(field.scalar)
}

function messageEncoder(desc: DescMessage): EncodeValue {
  let encode: EncodeMessage | undefined
  return (value, writer) => {
    encode ??= encoderOf(desc)
    const offset = writer.open()
    if (!encode(value as Fields, writer)) return false
    writer.close(offset)
    return true
  }
}

function withTag(field: DescField, encode: EncodeValue): EncodeValue {
  const tag = tagOf(field.number, wireTypeOfValue(field))
  return (value, writer) => {
    writer.varint(tag)
    return encode(value, writer)
  }
}

function wireTypeOfValue(field: DescField): number {
  if (field.message !== undefined) return LENGTH_DELIMITED
  return field.enum !== undefined ? VARINT : wireTypeOf(field.scalar)
}

/** What is not of the type that is expected, or out of its range, is the library's to convert or refuse. */
function scalarEncoder(type: ScalarType): EncodeValue {
  switch (type) {
    case ScalarType.STRING:
      return (value, writer) => typeof value === 'string' && done(writer.string(value))
    case ScalarType.BYTES:
      return (value, writer) => value instanceof Uint8Array && done(writer.bytesField(value))
    case ScalarType.BOOL:
      return (value, writer) => typeof value === 'boolean' && done(writer.varint(value ? 1 : 0))
    case ScalarType.DOUBLE:
      return (value, writer) => typeof value === 'number' && done(writer.double(value))
    case ScalarType.FLOAT:
      return (value, writer) => isFloat(value) && done(writer.float(value))
    case ScalarType.INT32:
      return (value, writer) => isInt32(value) && done(writer.int32(value))
    case ScalarType.SINT32:
      return (value, writer) =>
        isInt32(value) && done(writer.varint(((value << 1) ^ (value >> 31)) >>> 0))
    case ScalarType.SFIXED32:
      return (value, writer) => isInt32(value) && done(writer.fixed32(value))
    case ScalarType.UINT32:
      return (value, writer) => isUint32(value) && done(writer.varint(value))
    case ScalarType.FIXED32:
      return (value, writer) => isUint32(value) && done(writer.fixed32(value))
    default:
      return longEncoder(type)
  }
}

function longEncoder(type: ScalarType): EncodeValue {
  switch (type) {
    case ScalarType.INT64:
      return (value, writer) => isInt64(value) && done(writer.varint64(value))
    case ScalarType.SINT64:
      return (value, writer) =>
        isInt64(value) && done(writer.varint64((value << 1n) ^ (value >> 63n)))
    case ScalarType.SFIXED64:
      return (value, writer) => isInt64(value) && done(writer.fixed64(value))
    case ScalarType.UINT64:
      return (value, writer) => isUint64(value) && done(writer.varint64(value))
    default:
      return (value, writer) => isUint64(value) && done(writer.fixed64(value))
  }
}

function done(_written: void): true {
  return true
}

function isInt32(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value
}

function isUint32(value: unknown): value is number {
  return typeof value === 'number' && value >>> 0 === value
}

function isFloat(value: unknown): value is number {
  if (typeof value !== 'number') return false
  return !Number.isFinite(value) || Math.abs(value) <= FLOAT_MAX
}

function isInt64(value: unknown): value is bigint {
  return typeof value === 'bigint' && BigInt.asIntN(64, value) === value
}

function isUint64(value: unknown): value is bigint {
  return typeof value === 'bigint' && BigInt.asUintN(64, value) === value
}

function zeroOf(type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return ''
    case ScalarType.BOOL:
      return false
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 0n
    default:
      return 0
  }
}

function tagOf(number: number, wireType: number): number {
  return ((number << 3) | wireType) >>> 0
}

const ENCODERS = new WeakMap<DescMessage, EncodeMessage>()
const IMPLICIT = 2
const VARINT = 0
const LENGTH_DELIMITED = 2
const FLOAT_MAX = 3.4028234663852886e38
