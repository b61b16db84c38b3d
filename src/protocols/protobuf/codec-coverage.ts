/**
 * Which message types the compiled codec knows in all their parts. The others are left to protobuf-es:
 *
 * - proto2, and editions with explicit presence: their messages have defaults on a prototype;
 * - groups (delimited encoding), closed enums, 64-bit numbers as text (`jstype`);
 * - `google.protobuf.Struct` and wrappers (`StringValue`, …) as fields, which are unwrapped;
 * - maps whose key is no text and no 32-bit number.
 */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf'
import { isWrapperDesc } from '@bufbuild/protobuf/wkt'

export function isCovered(desc: DescMessage): boolean {
  const seen = new Set<DescMessage>([desc])
  for (const one of seen) {
    if (one.file.edition < EDITION_PROTO3) return false
    for (const field of one.fields) {
      if (!isCoveredField(field)) return false
      if (field.message !== undefined) seen.add(field.message)
    }
  }
  return true
}

function isCoveredField(field: DescField): boolean {
  if (field.presence === LEGACY_REQUIRED) return false
  if (field.fieldKind !== 'map' && isDelimited(field)) return false
  if (field.enum?.open === false) return false
  if (field.fieldKind === 'map' && !MAP_KEYS.has(field.mapKey)) return false
  if ('longAsString' in field && field.longAsString === true) return false
  // Presence of a scalar outside of a oneof is kept by a prototype, but for proto3's own `optional`.
  const explicit = field.presence === EXPLICIT && field.message === undefined
  const isSingular = field.fieldKind === 'scalar' || field.fieldKind === 'enum'
  if (explicit && isSingular && !field.oneof && field.parent.file.edition !== EDITION_PROTO3) {
    return false
  }
  if (field.message === undefined) return true
  if (field.message.typeName === 'google.protobuf.Struct') return false
  return !isWrapperDesc(field.message)
}

function isDelimited(field: DescField): boolean {
  return 'delimitedEncoding' in field && field.delimitedEncoding === true
}

const EDITION_PROTO3 = 999
const EXPLICIT = 1
const LEGACY_REQUIRED = 3
const MAP_KEYS: ReadonlySet<ScalarType> = new Set([
  ScalarType.STRING,
  ScalarType.INT32,
  ScalarType.UINT32,
])
