/**
 * The message of a call, from path, query and body of a request: fields of the path win over those of
 * the body, as http.proto has it.
 */
import {
  create,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  mergeFromJson,
  toBinary,
} from '@bufbuild/protobuf'
import { reflect } from '@bufbuild/protobuf/reflect'
import { toError } from '../../core/errors.ts'
import { GrpcError } from '../grpc/grpc-error.ts'
import { textToJson } from './field-text.ts'
import type { HttpBinding } from './http-binding.ts'
import { isHttpBody, toHttpBody } from './http-body-message.ts'
import { parseJson } from './json-text.ts'
import { addQuery, type JsonFields, type QueryRules, setPath } from './query-fields.ts'
import type { TranscodingSettings } from './transcoding-options.ts'

export class RequestMapping {
  readonly #binding: HttpBinding
  readonly #settings: TranscodingSettings
  readonly #rules: QueryRules
  readonly #names: readonly string[]

  constructor(binding: HttpBinding, settings: TranscodingSettings) {
    this.#binding = binding
    this.#settings = settings
    this.#names = binding.template.variables.map(({ fieldPath }) => fieldPath.join('.'))
    const { body } = binding
    this.#rules = {
      ignoreUnknown: settings.ignoreUnknownQuery,
      ignored: settings.ignoredQuery,
      taken: new Set(typeof body === 'object' ? [...this.#names, body.name] : this.#names),
      allTaken: body === '*',
      maxParameters: settings.maxQueryParameters,
    }
  }

  /** What the body holds, if it is not JSON: `google.api.HttpBody`. */
  get takesAnyBody(): boolean {
    const { body, method } = this.#binding
    return isHttpBody(typeof body === 'object' ? body.message : method.input)
  }

  /**
   * The fields that path and query say, the same for each message of a stream.
   *
   * @param values of the variables of the path
   * @throws GrpcError INVALID_ARGUMENT
   */
  fields(values: readonly string[], query: string): JsonFields {
    const into: JsonFields = Object.create(null)
    const { method, pathFields } = this.#binding
    addQuery(method.input, query, into, this.#rules)
    for (const [index, fields] of pathFields.entries()) {
      const where = `path variable ${this.#names[index]}`
      const json = textToJson(fields.at(-1) as DescField, values[index] as string, where)
      setPath(into, fields, json)
    }
    return into
  }

  /**
   * @param fields as {@link RequestMapping.fields} gave them
   * @param body as it came; its owner may use it again
   * @throws GrpcError INVALID_ARGUMENT
   */
  encode(fields: JsonFields, body: Uint8Array, contentType: string): Uint8Array {
    const { input } = this.#binding.method
    const message = this.#withBody(input, body, contentType)
    try {
      const { registry } = this.#settings
      if (Object.keys(fields).length > 0) mergeFromJson(input, message, fields, { registry })
      return toBinary(input, message)
    } catch (cause) {
      throw invalidJson(cause)
    }
  }

  #withBody(input: DescMessage, bytes: Uint8Array, contentType: string): Message {
    const { body } = this.#binding
    if (body === undefined) return create(input)
    if (this.takesAnyBody) return this.#withAnyBody(input, body, bytes, contentType)
    if (bytes.length === 0) return create(input)
    const json = parseJson(bytes, this.#settings.maxJsonDepth)
    const { ignoreUnknownFields, registry } = this.#settings
    const whole: JsonValue = body === '*' ? json : { [body.jsonName]: json }
    try {
      return fromJson(input, whole, { ignoreUnknownFields, registry })
    } catch (cause) {
      throw invalidJson(cause)
    }
  }

  #withAnyBody(
    input: DescMessage,
    body: '*' | DescField,
    bytes: Uint8Array,
    contentType: string,
  ): Message {
    if (body === '*') return toHttpBody(input, contentType, bytes.slice())
    const message = create(input)
    const desc = body.message as DescMessage
    const held = reflect(desc, toHttpBody(desc, contentType, bytes.slice()))
    reflect(input, message).set(body as DescField & { fieldKind: 'message' }, held)
    return message
  }
}

function invalidJson(cause: unknown): GrpcError {
  return new GrpcError('INVALID_ARGUMENT', toError(cause).message.slice(0, MAX_SHOWN), { cause })
}

const MAX_SHOWN = 512
