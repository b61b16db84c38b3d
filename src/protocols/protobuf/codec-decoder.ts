/**
 * Decoders of message types: a function for each field, made once. Bytes that are not as an encoder
 * writes them make the reader `bad`, and the whole message is left to protobuf-es.
 */
import { create, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf'
import type { CodecReader } from './codec-reader.ts'
import { wireTypeOf } from './wire-types.ts'

type Fields = Record<string, unknown>

/**
 * Reads up to `end`.
 *
 * @param into what was read of the same field before, which the rest is merged into
 * @returns undefined: bad
 */
export type DecodeMessage = (
  reader: CodecReader,
  end: number,
  into: Fields | undefined,
) => Fields | undefined

type ReadValue = (reader: CodecReader, end: number) => unknown
type ReadField = (message: Fields, reader: CodecReader, end: number, wireType: number) => void

export function decoderOf(desc: DescMessage): DecodeMessage {
  const known = DECODERS.get(desc)
  if (known !== undefined) return known
  const fields: (ReadField | undefined)[] = []
  const blank = blankOf(desc)
  const decode: DecodeMessage = (reader, end, into) => {
    // The library counts it against its own limit.
    if (++reader.depth > MAX_DEPTH) reader.fail()
    const message = into ?? blank()
    while (reader.at < end && !reader.bad) {
      const tag = reader.varint(end)
      const field = fields[tag >>> 3]
      if (field === undefined) readUnknown(message, reader, end, tag)
      else field(message, reader, end, tag & 7)
    }
    reader.depth--
    return reader.bad ? undefined : message
  }
  // Before its fields are looked at: a type may have itself as a part.
  DECODERS.set(desc, decode)
  // By number: an array with holes becomes a map where numbers are large.
  for (const field of desc.fields) fields[field.number] = fieldReader(field)
  return decode
}

/** Makes messages as `create` does: the same properties in the same order. */
function blankOf(desc: DescMessage): () => Fields {
  const template = create(desc) as unknown as Fields
  const fresh: [name: string, make: () => unknown][] = []
  for (const member of desc.members) {
    const name = member.localName
    if (member.kind === 'oneof') fresh.push([name, () => ({ case: undefined })])
    else if (member.fieldKind === 'list') fresh.push([name, () => []])
    else if (member.fieldKind === 'map') fresh.push([name, () => ({})])
  }
  // Copying one that is there is several times as fast as making one by its parts.
  if (fresh.length === 0) return () => ({ ...template })
  return () => {
    const message = { ...template }
    for (const [name, make] of fresh) message[name] = make()
    return message
  }
}

function fieldReader(field: DescField): ReadField {
  switch (field.fieldKind) {
    case 'list':
      return listReader(field)
    case 'map':
      return mapReader(field)
    case 'message':
      return messageFieldReader(field)
    default: {
      const type = field.fieldKind === 'enum' ? ScalarType.INT32 : field.scalar
      return set(field, wireTypeOf(type), scalarReader(type))
    }
  }
}

function set(field: DescField, expected: number, read: ReadValue): ReadField {
  const name = field.localName
  const group = field.oneof?.localName
  if (group !== undefined) {
    return (message, reader, end, wireType) => {
      if (wireType !== expected) return void reader.fail()
      message[group] = { case: name, value: read(reader, end) }
    }
  }
  return (message, reader, end, wireType) => {
    if (wireType !== expected) return void reader.fail()
    message[name] = read(reader, end)
  }
}

function messageFieldReader(field: DescField & { fieldKind: 'message' }): ReadField {
  const name = field.localName
  const group = field.oneof?.localName
  const read = childReader(field.message)
  return (message, reader, end, wireType) => {
    if (wireType !== LENGTH_DELIMITED) return void reader.fail()
    if (group === undefined) {
      message[name] = read(reader, end, message[name] as Fields | undefined)
      return
    }
    const chosen = message[group] as { case: unknown; value?: unknown }
    const before = chosen.case === name ? (chosen.value as Fields) : undefined
    message[group] = { case: name, value: read(reader, end, before) }
  }
}

/** A message behind its length. */
function childReader(
  desc: DescMessage,
): (reader: CodecReader, end: number, into: Fields | undefined) => Fields | undefined {
  let decode: DecodeMessage | undefined
  return (reader, end, into) => {
    decode ??= decoderOf(desc)
    const length = reader.varint(end)
    if (reader.bad || length > end - reader.at) return void reader.fail()
    return decode(reader, reader.at + length, into)
  }
}

function listReader(field: DescField & { fieldKind: 'list' }): ReadField {
  const name = field.localName
  if (field.message !== undefined) {
    const read = childReader(field.message)
    return (message, reader, end, wireType) => {
      if (wireType !== LENGTH_DELIMITED) return void reader.fail()
      ;(message[name] as unknown[]).push(read(reader, end, undefined))
    }
  }
  const type = field.enum !== undefined ? ScalarType.INT32 : field.scalar
  const expected = wireTypeOf(type)
  const read = scalarReader(type)
  return (message, reader, end, wireType) => {
    const items = message[name] as unknown[]
    if (wireType === expected) {
      items.push(read(reader, end))
      return
    }
    if (wireType !== LENGTH_DELIMITED) return void reader.fail()
    const length = reader.varint(end)
    if (reader.bad || length > end - reader.at) return void reader.fail()
    const last = reader.at + length
    while (reader.at < last && !reader.bad) items.push(read(reader, last))
  }
}

function mapReader(field: DescField & { fieldKind: 'map' }): ReadField {
  const name = field.localName
  const keyTag = (1 << 3) | wireTypeOf(field.mapKey)
  const readKey = scalarReader(field.mapKey)
  const type = field.mapKind === 'enum' ? ScalarType.INT32 : field.scalar
  const valueTag = (2 << 3) | (type === undefined ? LENGTH_DELIMITED : wireTypeOf(type))
  const child = field.mapKind === 'message' ? childReader(field.message) : undefined
  const readValue: ReadValue =
    type === undefined ? (reader, end) => child?.(reader, end, undefined) : scalarReader(type)
  return (message, reader, end, wireType) => {
    const length = reader.varint(end)
    const last = reader.at + length
    // Key and value once each and in this order, as every encoder writes them.
    if (wireType !== LENGTH_DELIMITED || last > end || reader.varint(last) !== keyTag) {
      return void reader.fail()
    }
    const key = String(readKey(reader, last))
    if (reader.varint(last) !== valueTag || key === '__proto__') return void reader.fail()
    const value = readValue(reader, last)
    if (reader.at !== last) return void reader.fail()
    ;(message[name] as Fields)[key] = value
  }
}

/** Kept as it is, to be written again. */
function readUnknown(message: Fields, reader: CodecReader, end: number, tag: number): void {
  if (reader.bad || tag >>> 3 === 0) return void reader.fail()
  const start = reader.at
  switch (tag & 7) {
    case 0:
      reader.varint64(end)
      break
    case 1:
      reader.take(8, end)
      break
    case LENGTH_DELIMITED:
      reader.take(reader.varint(end), end)
      break
    case 5:
      reader.take(4, end)
      break
    default:
      reader.fail()
  }
  if (reader.bad) return
  const data = reader.keep(start, reader.at)
  const unknown = (message['$unknown'] ??= []) as unknown[]
  unknown.push({ no: tag >>> 3, wireType: tag & 7, data })
}

function scalarReader(type: ScalarType): ReadValue {
  switch (type) {
    case ScalarType.STRING:
      return (reader, end) => reader.string(end)
    case ScalarType.BYTES:
      return (reader, end) => reader.bytesField(end)
    case ScalarType.BOOL:
      return (reader, end) => reader.bool(end)
    case ScalarType.DOUBLE:
      return (reader, end) => reader.double(end)
    case ScalarType.FLOAT:
      return (reader, end) => reader.float(end)
    case ScalarType.INT32:
      return (reader, end) => reader.int32(end)
    case ScalarType.UINT32:
      return (reader, end) => reader.varint(end)
    case ScalarType.SINT32:
      return (reader, end) => unzigzag(reader.varint(end))
    case ScalarType.FIXED32:
      return (reader, end) => reader.fixed32(end)
    case ScalarType.SFIXED32:
      return (reader, end) => reader.fixed32(end) | 0
    default:
      return longReader(type)
  }
}

function longReader(type: ScalarType): ReadValue {
  switch (type) {
    case ScalarType.INT64:
      return (reader, end) => BigInt.asIntN(64, reader.varint64(end))
    case ScalarType.SINT64:
      return (reader, end) => {
        const value = reader.varint64(end)
        return (value >> 1n) ^ -(value & 1n)
      }
    case ScalarType.SFIXED64:
      return (reader, end) => BigInt.asIntN(64, reader.fixed64(end))
    case ScalarType.UINT64:
      return (reader, end) => reader.varint64(end)
    default:
      return (reader, end) => reader.fixed64(end)
  }
}

function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1)
}

const DECODERS = new WeakMap<DescMessage, DecodeMessage>()
const LENGTH_DELIMITED = 2
/** The library's own limit; deeper messages are left to it to refuse. */
const MAX_DEPTH = 100
