/**
 * Messages of a method in JSON and in binary form, one to the other: for callers that speak JSON to a
 * service that speaks Protobuf.
 */
import {
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJsonString,
  type Registry,
  toBinary,
  toJsonString,
} from '@bufbuild/protobuf'
import { ProtocolError } from '../../core/errors.ts'

/** Which method a path names: `/acme.v1.Users/Get`. Undefined: none. */
export type MethodLookup = (path: string) => DescMethod | undefined

export interface JsonOptions {
  /** Types that may stand in `google.protobuf.Any`. @default none */
  readonly registry?: Registry | undefined
  /**
   * Takes fields that the schema does not have, and drops them.
   *
   * @default true: a client may be newer than its server, as with Protobuf's binary form
   */
  readonly ignoreUnknownFields?: boolean
  /** Writes fields that have their default value too. @default false */
  readonly alwaysEmitImplicit?: boolean
  /** Writes names as they stand in the `.proto` file. @default false: lowerCamelCase */
  readonly useProtoFieldName?: boolean
}

/** @throws ProtocolError ERR_MALFORMED for what is not JSON of this message */
export function jsonToBinary(
  schema: DescMessage,
  json: Uint8Array,
  options: JsonOptions = {},
): Uint8Array {
  const { ignoreUnknownFields = true, registry } = options
  try {
    const text = STRICT.decode(json)
    return toBinary(
      schema,
      fromJsonString(schema, text, { ignoreUnknownFields, ...(registry && { registry }) }),
    )
  } catch (cause) {
    throw malformed(schema, 'JSON', cause)
  }
}

/** @throws ProtocolError ERR_MALFORMED for bytes that are not of this message */
export function binaryToJson(
  schema: DescMessage,
  binary: Uint8Array,
  options: JsonOptions = {},
): Uint8Array<ArrayBuffer> {
  const { alwaysEmitImplicit = false, useProtoFieldName = false, registry } = options
  try {
    const message = fromBinary(schema, binary)
    return ENCODER.encode(
      toJsonString(schema, message, {
        alwaysEmitImplicit,
        useProtoFieldName,
        ...(registry && { registry }),
      }),
    )
  } catch (cause) {
    throw malformed(schema, 'a binary message', cause)
  }
}

function malformed(schema: DescMessage, form: string, cause: unknown): ProtocolError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new ProtocolError('ERR_MALFORMED', `not ${form} of ${schema.typeName}: ${why}`, { cause })
}

const ENCODER = new TextEncoder()
const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
