/**
 * Queries of anybody, into a message that has a field of every kind: refused with INVALID_ARGUMENT, or
 * fields of that message and nothing else.
 */
import { fromJson } from '@bufbuild/protobuf'
import { FieldDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { GrpcError } from '../grpc/grpc-error.ts'
import { addQuery, type JsonFields, type QueryRules } from './query-fields.ts'

const text = (value: string): Uint8Array => Uint8Array.from(value, (char) => char.charCodeAt(0))

export const samples: readonly Uint8Array[] = [
  text(
    'name=a&number=5&options.deprecated=true&options.targets=1&options.targets=TARGET_TYPE_FILE',
  ),
  text('json_name=a%20b+c&jsonName=d&__proto__.x=1&options.feature_support.edition_introduced=998'),
  text(
    'options.features.field_presence=IMPLICIT&label=2&oneof_index=-1&proto3_optional=false&%&=&&',
  ),
]

const RULES: QueryRules = {
  ignoreUnknown: true,
  ignored: new Set(),
  taken: new Set(['name']),
  allTaken: false,
  maxParameters: 16,
}

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const query = String.fromCharCode(...bytes.subarray(0, 512))
  const fields: JsonFields = Object.create(null)
  try {
    addQuery(FieldDescriptorProtoSchema, query, fields, RULES)
  } catch (error) {
    if (error instanceof GrpcError && error.status === 'INVALID_ARGUMENT') return
    throw error
  }
  if ('name' in fields) throw new Error('a field that is taken was set')
  if (({} as { x?: unknown }).x !== undefined) throw new Error('a prototype was changed')
  try {
    fromJson(FieldDescriptorProtoSchema, fields)
  } catch (error) {
    // A value out of range, or two of a oneof: said where the message is made.
    if (/is unknown/.test((error as Error).message)) throw error
  }
}
