/**
 * A message as a request of REST: the reverse of request-message.ts. Fields go into the path, the
 * body and the query, as the first of the method's annotations says whose path they can fill.
 */
import {
  type DescField,
  type DescMessage,
  type JsonValue,
  type Message,
  type Registry,
  toJson,
} from '@bufbuild/protobuf'
import { GrpcError } from '../grpc/grpc-error.ts'
import { isTextual, jsonToText } from './field-text.ts'
import type { HttpBinding } from './http-binding.ts'
import { isHttpBody, readHttpBody } from './http-body-message.ts'
import type { TemplateSegment } from './path-template.ts'
import type { JsonFields } from './query-fields.ts'

export interface RestRequest {
  readonly binding: HttpBinding
  readonly target: string
  /** Undefined: none. */
  readonly body: string | Uint8Array | undefined
  readonly contentType: string
}

/** @throws GrpcError INVALID_ARGUMENT for a message that no annotation has a place for */
export function restRequest(
  bindings: readonly HttpBinding[],
  message: Message,
  registry: Registry,
): RestRequest {
  const [first] = bindings as [HttpBinding]
  const { input } = first.method
  if (isHttpBody(input)) return rawRequest(bindings, message)
  for (const binding of bindings) {
    const { body: field } = binding
    const raw = typeof field === 'object' && isHttpBody(field.message)
    const held = raw ? (message as unknown as Record<string, unknown>)[field.localName] : undefined
    // What is no JSON is taken as it is.
    const json = toJson(input as DescMessage, message, { registry }) as JsonFields
    const path = fillPath(binding, json)
    if (path === undefined) continue
    let body: RestRequest['body']
    let contentType = 'application/json'
    if (field === '*') body = JSON.stringify(json)
    else if (field !== undefined) {
      const value = json[field.jsonName]
      delete json[field.jsonName]
      body = JSON.stringify(value ?? (field.fieldKind === 'message' ? {} : null))
    }
    if (raw) ({ body, contentType } = rawBody(held))
    const query = field === '*' ? '' : queryOf(input, json)
    return { binding, target: query === '' ? path : `${path}?${query}`, body, contentType }
  }
  const wanted = bindings.map(({ template }) => template.text).join(', ')
  throw new GrpcError('INVALID_ARGUMENT', `the message has not what is needed for ${wanted}`)
}

/** The whole message is a body: there is nothing that could go into a path. */
function rawRequest(bindings: readonly HttpBinding[], message: Message): RestRequest {
  const binding = bindings.find(({ pathFields }) => pathFields.length === 0)
  if (binding === undefined) throw new GrpcError('UNIMPLEMENTED', 'a body alone fills no path')
  return { binding, target: fillPath(binding, Object.create(null)) as string, ...rawBody(message) }
}

function rawBody(held: unknown): { body: Uint8Array; contentType: string } {
  if (held === undefined)
    return { body: new Uint8Array(0), contentType: 'application/octet-stream' }
  const { contentType, data } = readHttpBody(held)
  // A type of a message must not end the field that it stands in.
  const safe = /^[\x20-\x7e]{1,256}$/.test(contentType) ? contentType : 'application/octet-stream'
  return { body: data, contentType: safe }
}

/** Takes what it uses out of `json`. Undefined: something is missing, or does not fit. */
function fillPath({ template, pathFields }: HttpBinding, json: JsonFields): string | undefined {
  const texts: string[] = []
  for (const [index, variable] of template.variables.entries()) {
    const fields = pathFields[index] as readonly DescField[]
    const text = textAt(json, fields)
    const segments = template.segments.slice(variable.start, variable.end)
    const filled = variable.single ? one(text) : many(text, segments)
    if (filled === undefined) return undefined
    texts.push(filled)
  }
  for (const fields of pathFields) takeOut(json, fields)
  const parts: string[] = []
  for (let at = 0; at < template.segments.length; at++) {
    const index = template.variables.findIndex(({ start }) => start === at)
    const variable = template.variables[index]
    if (variable !== undefined) {
      const text = texts[index] as string
      if (text !== '') parts.push(text)
      at = variable.end - 1
      continue
    }
    const segment = template.segments[at] as TemplateSegment
    // A wildcard outside of a variable has no field that it could be filled from.
    if (segment.kind === 'one') return undefined
    if (segment.kind === 'literal') parts.push(encodeURIComponent(segment.text))
  }
  return `/${parts.join('/')}${template.verb === undefined ? '' : `:${template.verb}`}`
}

function one(text: string): string | undefined {
  return text === '' ? undefined : encodeURIComponent(notRelative(text))
}

function many(text: string, segments: readonly TemplateSegment[]): string | undefined {
  const parts = text === '' ? [] : text.split('/')
  const open = segments.at(-1)?.kind === 'rest'
  const fixed = open ? segments.slice(0, -1) : segments
  if (open ? parts.length < fixed.length : parts.length !== fixed.length) return undefined
  for (const [index, part] of parts.entries()) {
    const segment = fixed[index]
    if (part === '') return undefined
    if (segment?.kind === 'literal' && segment.text !== part) return undefined
  }
  // A slash that was no separator came as %2F, and goes as that.
  return parts
    .map((part) => encodeURIComponent(notRelative(part)).replace(/%252F/gi, '%2F'))
    .join('/')
}

/** @throws GrpcError INVALID_ARGUMENT: whoever resolves the path would be led out of it */
function notRelative(text: string): string {
  if (!/(?:^|\/|%2f)\.\.?(?:\/|%2f|$)/i.test(text)) return text
  throw new GrpcError('INVALID_ARGUMENT', 'a field of the path is relative')
}

function textAt(json: JsonFields, fields: readonly DescField[]): string {
  let value: JsonValue | undefined = json
  for (const { jsonName } of fields) value = (value as JsonFields | undefined)?.[jsonName]
  const text = jsonToText(value)
  if (text !== undefined) return text
  const last = fields.at(-1) as DescField
  if (last.enum !== undefined) return last.enum.values[0]?.name ?? ''
  if (last.message !== undefined || last.proto.type === STRING || last.proto.type === BYTES)
    return ''
  return last.proto.type === BOOL ? 'false' : '0'
}

function takeOut(json: JsonFields, fields: readonly DescField[]): void {
  let inside: JsonFields | undefined = json
  for (const { jsonName } of fields.slice(0, -1))
    inside = inside?.[jsonName] as JsonFields | undefined
  if (inside !== undefined) delete inside[(fields.at(-1) as DescField).jsonName]
}

/** @throws GrpcError INVALID_ARGUMENT for what a query cannot hold */
function queryOf(message: DescMessage, json: JsonFields): string {
  const pairs: string[] = []
  addTo(pairs, message, json, '')
  return pairs.join('&')
}

function addTo(pairs: string[], message: DescMessage, json: JsonFields, prefix: string): void {
  for (const field of message.fields) {
    const value = json[field.jsonName]
    if (value === undefined || value === null) continue
    const name = prefix + field.name
    if (field.fieldKind === 'map' && isTextual(field)) {
      for (const [key, one] of Object.entries(value as JsonFields)) {
        add(pairs, `${name}[${key}]`, one)
      }
    } else if (field.fieldKind === 'list' && isTextual(field)) {
      for (const one of value as JsonValue[]) add(pairs, name, one)
    } else if (isTextual(field)) add(pairs, name, value)
    else if (field.fieldKind === 'message' && typeof value === 'object' && !Array.isArray(value)) {
      addTo(pairs, field.message, value, `${name}.`)
    } else throw new GrpcError('INVALID_ARGUMENT', `${name} cannot be in a query`)
  }
}

function add(pairs: string[], name: string, value: JsonValue): void {
  const text = jsonToText(value) ?? ''
  pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(text)}`)
}

/** Numbers of FieldDescriptorProto.Type. */
const BOOL = 8
const STRING = 9
const BYTES = 12
