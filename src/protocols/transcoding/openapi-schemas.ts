/**
 * Messages as JSON Schema (2020-12, as OpenAPI 3.1 has it), in the form that Protobuf's JSON has:
 * 64-bit integers are text, enums are names, well-known types what they stand for.
 */
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type JsonValue,
  ScalarType,
} from '@bufbuild/protobuf'
import { commentOf } from '../protobuf/comments.ts'
import { field_behavior } from '../protobuf/proto/google/api/field_behavior_pb.ts'

export type JsonSchema = { [name: string]: JsonValue }

/** Schemas of messages, each once, and references to them. */
export class MessageSchemas {
  readonly components: JsonSchema = Object.create(null)
  readonly #protoNames: boolean

  constructor(protoNames: boolean) {
    this.#protoNames = protoNames
  }

  /** A reference, or the schema itself of a well-known type. */
  ofMessage(message: DescMessage): JsonSchema {
    const known = WELL_KNOWN.get(message.typeName)
    if (known !== undefined) return { ...known }
    if (!(message.typeName in this.components)) {
      // It may hold itself: the place is taken before its fields are looked at.
      this.components[message.typeName] = {}
      this.components[message.typeName] = this.object(message, () => true)
    }
    return { $ref: `#/components/schemas/${message.typeName}` }
  }

  /** The message itself, with some of its fields. */
  object(message: DescMessage, wanted: (field: DescField) => boolean): JsonSchema {
    const properties: JsonSchema = Object.create(null)
    const required: string[] = []
    for (const field of message.fields.filter(wanted)) {
      const name = this.#protoNames ? field.name : field.jsonName
      properties[name] = this.ofField(field)
      if (behaviors(field).has(REQUIRED)) required.push(name)
    }
    const exclusive = message.oneofs.map(
      ({ fields }) => `At most one of: ${fields.map(({ jsonName }) => jsonName).join(', ')}.`,
    )
    return {
      type: 'object',
      ...described([commentOf(message), ...exclusive]),
      ...(message.deprecated && { deprecated: true }),
      properties,
      ...(required.length > 0 && { required }),
    }
  }

  /** With what its comment says of it. */
  ofField(field: DescField): JsonSchema {
    const behavior = behaviors(field)
    return {
      ...this.#ofType(field),
      ...described([commentOf(field)]),
      ...(field.deprecated && { deprecated: true }),
      ...(behavior.has(OUTPUT_ONLY) && { readOnly: true }),
      ...(behavior.has(INPUT_ONLY) && { writeOnly: true }),
    }
  }

  #ofType(field: DescField): JsonSchema {
    if (field.fieldKind === 'list') return { type: 'array', items: this.#ofValue(field) }
    if (field.fieldKind === 'map') {
      return { type: 'object', additionalProperties: this.#ofValue(field) }
    }
    return this.#ofValue(field)
  }

  #ofValue(field: DescField): JsonSchema {
    if (field.message !== undefined) return this.ofMessage(field.message)
    if (field.enum !== undefined) return this.#ofEnum(field.enum)
    return { ...(SCALARS.get(field.scalar as ScalarType) ?? {}) }
  }

  #ofEnum(desc: DescEnum): JsonSchema {
    if (desc.typeName === 'google.protobuf.NullValue') return { type: 'null' }
    if (!(desc.typeName in this.components)) {
      const values = desc.values.map((value) => {
        const comment = commentOf(value)
        return comment === undefined ? undefined : `${value.name}: ${comment}`
      })
      this.components[desc.typeName] = {
        type: 'string',
        ...described([commentOf(desc), ...values]),
        ...(desc.deprecated && { deprecated: true }),
        enum: desc.values.map(({ name }) => name),
      }
    }
    return { $ref: `#/components/schemas/${desc.typeName}` }
  }
}

/** Lines that are there, as a description. */
export function described(lines: readonly (string | undefined)[]): { description?: string } {
  const text = lines.filter((line) => line !== undefined && line !== '').join('\n\n')
  return text === '' ? {} : { description: text }
}

function behaviors(field: DescField): ReadonlySet<number> {
  return new Set(hasOption(field, field_behavior) ? getOption(field, field_behavior) : [])
}

const REQUIRED = 2
const OUTPUT_ONLY = 3
const INPUT_ONLY = 4

const INT32: JsonSchema = { type: 'integer', format: 'int32' }
const UINT32: JsonSchema = { type: 'integer', minimum: 0, maximum: 4_294_967_295 }
const INT64: JsonSchema = { type: 'string', format: 'int64' }
const UINT64: JsonSchema = { type: 'string', format: 'uint64' }
const BYTES: JsonSchema = { type: 'string', contentEncoding: 'base64' }
const SCALARS: ReadonlyMap<ScalarType, JsonSchema> = new Map([
  [ScalarType.DOUBLE, { type: 'number', format: 'double' }],
  [ScalarType.FLOAT, { type: 'number', format: 'float' }],
  [ScalarType.INT64, INT64],
  [ScalarType.SINT64, INT64],
  [ScalarType.SFIXED64, INT64],
  [ScalarType.UINT64, UINT64],
  [ScalarType.FIXED64, UINT64],
  [ScalarType.INT32, INT32],
  [ScalarType.SINT32, INT32],
  [ScalarType.SFIXED32, INT32],
  [ScalarType.UINT32, UINT32],
  [ScalarType.FIXED32, UINT32],
  [ScalarType.BOOL, { type: 'boolean' }],
  [ScalarType.STRING, { type: 'string' }],
  [ScalarType.BYTES, BYTES],
])

const orNull = (schema: JsonSchema): JsonSchema => ({
  ...schema,
  type: [schema['type'] as JsonValue, 'null'],
})
const WELL_KNOWN: ReadonlyMap<string, JsonSchema> = new Map<string, JsonSchema>([
  ['google.protobuf.Timestamp', { type: 'string', format: 'date-time' }],
  ['google.protobuf.Duration', { type: 'string', pattern: '^-?\\d+(\\.\\d{1,9})?s$' }],
  ['google.protobuf.FieldMask', { type: 'string', examples: ['title,author.name'] }],
  ['google.protobuf.Struct', { type: 'object', additionalProperties: true }],
  ['google.protobuf.ListValue', { type: 'array', items: {} }],
  ['google.protobuf.Value', {}],
  ['google.protobuf.Empty', { type: 'object', properties: {} }],
  [
    'google.protobuf.Any',
    {
      type: 'object',
      properties: { '@type': { type: 'string', description: 'The URL of the type.' } },
      additionalProperties: true,
    },
  ],
  ['google.protobuf.DoubleValue', orNull({ type: 'number', format: 'double' })],
  ['google.protobuf.FloatValue', orNull({ type: 'number', format: 'float' })],
  ['google.protobuf.Int64Value', orNull(INT64)],
  ['google.protobuf.UInt64Value', orNull(UINT64)],
  ['google.protobuf.Int32Value', orNull(INT32)],
  ['google.protobuf.UInt32Value', orNull(UINT32)],
  ['google.protobuf.BoolValue', orNull({ type: 'boolean' })],
  ['google.protobuf.StringValue', orNull({ type: 'string' })],
  ['google.protobuf.BytesValue', orNull(BYTES)],
])
