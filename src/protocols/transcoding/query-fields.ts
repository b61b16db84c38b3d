/**
 * Query parameters as fields of a message, in JSON: `author.name=x&tag=a&tag=b&labels[env]=prod`.
 *
 * Names are those of the `.proto` file or of JSON. A parameter that comes several times is a list.
 */
import type { DescField, DescMessage, JsonValue } from '@bufbuild/protobuf'
import { GrpcError } from '../grpc/grpc-error.ts'
import { invalid, isTextual, textToJson } from './field-text.ts'

/** Without a prototype: names come from outside. */
export type JsonFields = { [name: string]: JsonValue }

export interface QueryRules {
  /** Parameters that are no fields are dropped; otherwise they are refused. */
  readonly ignoreUnknown: boolean
  /** Parameters that are for somebody else: an API key. */
  readonly ignored: ReadonlySet<string>
  /** Paths of fields (`book.name`) that are in the path, or are the body. */
  readonly taken: ReadonlySet<string>
  /** Every field is in the path or in the body. */
  readonly allTaken: boolean
  /** Parameters; one more is refused. */
  readonly maxParameters: number
}

/** @throws GrpcError INVALID_ARGUMENT, with the name of the parameter */
export function addQuery(
  message: DescMessage,
  query: string,
  into: JsonFields,
  rules: QueryRules,
): void {
  if (query === '') return
  const pairs = query.split('&', rules.maxParameters + 1)
  if (pairs.length > rules.maxParameters) {
    const problem = `over ${rules.maxParameters} query parameters`
    throw new GrpcError('INVALID_ARGUMENT', problem)
  }
  for (const pair of pairs) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decode(equals < 0 ? pair : pair.slice(0, equals))
    if (rules.ignored.has(name)) continue
    const known = addParameter(
      message,
      name,
      decode(equals < 0 ? '' : pair.slice(equals + 1)),
      into,
      rules,
    )
    if (!known && !rules.ignoreUnknown) {
      throw invalid(shown(name), `${message.typeName} has no such field to be set in a query`)
    }
  }
}

/** Sets a field inside a message in JSON, making the messages around it. */
export function setPath(into: JsonFields, fields: readonly DescField[], value: JsonValue): void {
  const last = fields.at(-1) as DescField
  container(into, fields.slice(0, -1))[last.jsonName] = value
}

function addParameter(
  message: DescMessage,
  name: string,
  value: string,
  into: JsonFields,
  rules: QueryRules,
): boolean {
  const bracket = name.indexOf('[')
  const hasKey = bracket > 0 && name.endsWith(']')
  const path = (hasKey ? name.slice(0, bracket) : name).split('.')
  if (rules.allTaken || path.length > MAX_DEPTH) return false
  const fields = resolve(message, path)
  if (fields === undefined || isTaken(fields, rules.taken)) return false
  const last = fields.at(-1) as DescField
  const where = shown(name)
  if (last.fieldKind === 'map') {
    if (!hasKey || !isTextual(last)) throw invalid(where, 'a map is set as name[key]=value')
    const entries = container(into, fields)
    entries[name.slice(bracket + 1, -1)] = textToJson(last, value, where)
    return true
  }
  if (hasKey) return false
  if (!isTextual(last)) throw invalid(where, 'is a message, which a query cannot hold')
  const json = textToJson(last, value, where)
  const holder = container(into, fields.slice(0, -1))
  const before = holder[last.jsonName]
  if (last.fieldKind === 'list') {
    if (Array.isArray(before)) before.push(json)
    else holder[last.jsonName] = [json]
  } else if (before === undefined) holder[last.jsonName] = json
  else throw invalid(where, 'is given more than once, and is no list')
  return true
}

function resolve(message: DescMessage, path: readonly string[]): DescField[] | undefined {
  const fields: DescField[] = []
  let inside: DescMessage | undefined = message
  for (const name of path) {
    const field: DescField | undefined = inside?.fields.find(
      (one) => one.name === name || one.jsonName === name,
    )
    if (field === undefined) return undefined
    fields.push(field)
    inside = field.fieldKind === 'message' ? field.message : undefined
  }
  return fields
}

function isTaken(fields: readonly DescField[], taken: ReadonlySet<string>): boolean {
  if (taken.size === 0) return false
  let path = ''
  for (const { name } of fields) {
    path = path === '' ? name : `${path}.${name}`
    if (taken.has(path)) return true
  }
  return false
}

function container(into: JsonFields, fields: readonly DescField[]): JsonFields {
  let inside = into
  for (const { jsonName } of fields) {
    const known = inside[jsonName]
    if (typeof known === 'object' && known !== null && !Array.isArray(known)) inside = known
    else {
      const made: JsonFields = Object.create(null)
      inside[jsonName] = made
      inside = made
    }
  }
  return inside
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch (cause) {
    const message = 'the query is not percent-encoded UTF-8'
    throw new GrpcError('INVALID_ARGUMENT', message, { cause })
  }
}

function shown(name: string): string {
  return `query parameter ${JSON.stringify(name.slice(0, 64))}`
}

const MAX_DEPTH = 32
