/**
 * Values of fields in paths and queries, which are text, as JSON, and back.
 *
 * | field                        | text |
 * |------------------------------|------|
 * | numbers                      | `42`, `-1.5`, `NaN`, `Infinity` |
 * | bool                         | `true`, `false` |
 * | enum                         | a name or a number |
 * | bytes                        | base64, of either alphabet |
 * | Timestamp, Duration          | `2026-01-02T03:04:05Z`, `1.5s` |
 * | FieldMask                    | `title,author.name` |
 * | wrappers                     | as what they wrap |
 */
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonValue,
  ScalarType,
} from '@bufbuild/protobuf'
import { GrpcError } from '../grpc/grpc-error.ts'

/** The parts of a field that say what one value of it is. */
export interface ValueType {
  readonly message?: DescMessage | undefined
  readonly enum?: DescEnum | undefined
  readonly scalar?: ScalarType | undefined
}

/** @throws GrpcError INVALID_ARGUMENT for text that is no such value */
export function textToJson(type: ValueType, text: string, where: string): JsonValue {
  if (type.message !== undefined) return messageJson(type.message, text, where)
  if (type.enum !== undefined) return enumJson(type.enum, text, where)
  return scalarJson(type.scalar as ScalarType, text, where)
}

/** Undefined: this JSON is no single value, and cannot be text. */
export function jsonToText(json: JsonValue | undefined): string | undefined {
  if (typeof json === 'string') return json
  return typeof json === 'number' || typeof json === 'boolean' ? String(json) : undefined
}

/** Whether a value of the field can be text. */
export function isTextual(field: DescField): boolean {
  if (field.message === undefined) return true
  return WRAPPED.has(field.message.typeName) || TEXT_MESSAGES.has(field.message.typeName)
}

function messageJson({ typeName }: DescMessage, text: string, where: string): JsonValue {
  const wrapped = WRAPPED.get(typeName)
  if (wrapped !== undefined) return scalarJson(wrapped, text, where)
  if (typeName === FIELD_MASK) return text.split(',').map(camelPath).join(',')
  if (TEXT_MESSAGES.has(typeName)) return text
  throw invalid(where, `${typeName} cannot be written as text`)
}

/** In a query a mask may have the names of the `.proto` file; JSON has its own. */
function camelPath(path: string): string {
  return path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function enumJson(desc: DescEnum, text: string, where: string): JsonValue {
  if (desc.typeName === 'google.protobuf.NullValue') return null
  if (/^-?\d{1,10}$/.test(text)) return Number(text)
  if (desc.values.some(({ name }) => name === text)) return text
  throw invalid(where, `is no value of ${desc.typeName}`)
}

function scalarJson(type: ScalarType, text: string, where: string): JsonValue {
  switch (type) {
    case ScalarType.STRING:
      return text
    case ScalarType.BYTES:
      if (/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) return text
      throw invalid(where, 'is no base64')
    case ScalarType.BOOL:
      if (text === 'true') return true
      if (text === 'false') return false
      throw invalid(where, 'is neither true nor false')
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      if (/^(?:NaN|-?Infinity|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(text)) return text
      throw invalid(where, 'is no number')
    default:
      if (/^-?\d{1,20}$/.test(text)) return text
      throw invalid(where, 'is no whole number')
  }
}

export function invalid(where: string, problem: string): GrpcError {
  return new GrpcError('INVALID_ARGUMENT', `${where}: ${problem}`)
}

const FIELD_MASK = 'google.protobuf.FieldMask'
const TEXT_MESSAGES: ReadonlySet<string> = new Set([
  'google.protobuf.Timestamp',
  'google.protobuf.Duration',
  FIELD_MASK,
])
const WRAPPED: ReadonlyMap<string, ScalarType> = new Map([
  ['google.protobuf.DoubleValue', ScalarType.DOUBLE],
  ['google.protobuf.FloatValue', ScalarType.FLOAT],
  ['google.protobuf.Int64Value', ScalarType.INT64],
  ['google.protobuf.UInt64Value', ScalarType.UINT64],
  ['google.protobuf.Int32Value', ScalarType.INT32],
  ['google.protobuf.UInt32Value', ScalarType.UINT32],
  ['google.protobuf.BoolValue', ScalarType.BOOL],
  ['google.protobuf.StringValue', ScalarType.STRING],
  ['google.protobuf.BytesValue', ScalarType.BYTES],
])
