/**
 * An OpenAPI 3.1 document of what `transcode` answers, from the same annotations and with the comments
 * of the schema, where it still has them.
 *
 *     const document = openApi(schema, { title: 'Library', version: '1' })
 *
 * What OpenAPI cannot say is said otherwise: a variable of several segments becomes one parameter for
 * each (`/v1/{name=shelves/∗/books/∗}` is `/v1/shelves/{shelvesId}/books/{booksId}`, as in Google's
 * discovery documents); methods of HTTP that it does not know are left out and named in
 * `x-omitted`; streams have their content types and `x-stream`.
 */
import type { DescField, DescMessage, JsonValue } from '@bufbuild/protobuf'
import { commentOf } from '../protobuf/comments.ts'
import { StatusSchema } from '../protobuf/proto/google/rpc/status_pb.ts'
import { isTextual } from './field-text.ts'
import { type BindingOptions, type HttpBinding, httpBindings } from './http-binding.ts'
import { isHttpBody } from './http-body-message.ts'
import { described, type JsonSchema, MessageSchemas } from './openapi-schemas.ts'
import type { TranscodingSchema } from './transcode.ts'

export interface OpenApiOptions extends BindingOptions {
  /** @default the names of the services */
  title?: string
  /** Of the API, not of OpenAPI. @default '0' */
  version?: string
  description?: string
  /** Where it is served: `https://api.example`. @default none: where the document came from */
  servers?: readonly string[]
  /** As `transcode` has it. @default false */
  protoNames?: boolean
}

/** JSON of the document. */
export type OpenApiDocument = { [name: string]: JsonValue }

/** @throws UsageError ERR_SCHEMA for annotations that do not fit their methods */
export function openApi(schema: TranscodingSchema, options: OpenApiOptions = {}): OpenApiDocument {
  const { title, version = '0', description, servers = [], protoNames = false } = options
  const schemas = new MessageSchemas(protoNames)
  const paths = new Paths(schemas, protoNames)
  for (const binding of httpBindings(schema.services, options)) paths.add(binding)
  const names = schema.services.map(({ typeName }) => typeName)
  const tags = schema.services.map((service) => ({
    name: service.typeName,
    ...described([commentOf(service)]),
  }))
  return {
    openapi: '3.1.0',
    info: {
      title: title ?? (names.join(', ') || 'API'),
      version,
      ...described([description]),
    },
    ...(servers.length > 0 && { servers: servers.map((url) => ({ url })) }),
    tags,
    paths: paths.items,
    components: { schemas: schemas.components },
    ...(paths.omitted.length > 0 && { 'x-omitted': paths.omitted }),
  }
}

class Paths {
  readonly items: JsonSchema = Object.create(null)
  readonly omitted: string[] = []
  readonly #schemas: MessageSchemas
  readonly #protoNames: boolean
  /** Paths that differ in the names of their variables only are one path. */
  readonly #shapes = new Map<string, OpenApiPath>()
  readonly #ids = new Map<string, number>()

  constructor(schemas: MessageSchemas, protoNames: boolean) {
    this.#schemas = schemas
    this.#protoNames = protoNames
  }

  add(binding: HttpBinding): void {
    const { verb, template } = binding
    const method = verb.toLowerCase()
    if (!METHODS.has(method)) {
      this.omitted.push(`${verb} ${template.text}`)
      return
    }
    const own = openApiPath(binding)
    const path = this.#shapes.get(own.shape) ?? own
    this.#shapes.set(own.shape, path)
    const item = (this.items[path.text] ??= Object.create(null) as JsonSchema) as JsonSchema
    item[method] = this.#operation(binding, own, path.names)
  }

  #operation(binding: HttpBinding, own: OpenApiPath, names: readonly string[]): JsonSchema {
    const { method, clientStreams, serverStreams } = binding
    const comment = commentOf(method)
    const inPath = own.parameters.map((parameter, index) => ({
      ...parameter,
      name: names[index] as string,
    }))
    const parameters = [...inPath, ...this.#query(binding)]
    const body = this.#body(binding)
    const streams = [clientStreams && 'requests', serverStreams && 'replies'].filter(
      (one) => one !== false,
    )
    return {
      operationId: this.#id(binding),
      tags: [method.parent.typeName],
      ...(comment !== undefined && { summary: comment.split('\n', 1)[0] as string }),
      ...described([comment]),
      ...(method.deprecated && { deprecated: true }),
      ...(parameters.length > 0 && { parameters }),
      ...(body !== undefined && { requestBody: body }),
      responses: {
        200: { description: 'OK', content: this.#reply(binding) },
        default: {
          description: 'What went wrong: google.rpc.Status',
          content: { 'application/json': { schema: this.#schemas.ofMessage(StatusSchema) } },
        },
      },
      ...(streams.length > 0 && { 'x-stream': streams }),
    }
  }

  /** `Books_Get`, and `Books_Get2` of its second binding. */
  #id({ method }: HttpBinding): string {
    const name = `${method.parent.name}_${method.name}`
    const count = (this.#ids.get(name) ?? 0) + 1
    this.#ids.set(name, count)
    return count === 1 ? name : `${name}${count}`
  }

  #query(binding: HttpBinding): JsonSchema[] {
    const { method, body, template } = binding
    if (body === '*') return []
    const taken = new Set(template.variables.map(({ fieldPath }) => fieldPath.join('.')))
    if (body !== undefined) taken.add(body.name)
    return this.#fields(method.input, '', '', taken, [])
  }

  #fields(
    message: DescMessage,
    path: string,
    prefix: string,
    taken: ReadonlySet<string>,
    around: readonly DescMessage[],
  ): JsonSchema[] {
    // A message may hold itself, and a query is finite.
    if (around.includes(message) || around.length > MAX_QUERY_DEPTH) return []
    return message.fields.flatMap((field) => {
      if (taken.has(path + field.name)) return []
      const name = prefix + (this.#protoNames ? field.name : field.jsonName)
      if (field.fieldKind === 'message' && !isTextual(field)) {
        const inside = [...around, message]
        return this.#fields(field.message, `${path}${field.name}.`, `${name}.`, taken, inside)
      }
      return isTextual(field) && field.fieldKind !== 'map' ? [this.#parameter(field, name)] : []
    })
  }

  #parameter(field: DescField, name: string): JsonSchema {
    const { description, deprecated, ...schema } = this.#schemas.ofField(field)
    return {
      name,
      in: 'query',
      ...(description !== undefined && { description }),
      ...(deprecated !== undefined && { deprecated }),
      schema,
    }
  }

  #body({ body, method, template, clientStreams }: HttpBinding): JsonSchema | undefined {
    if (body === undefined) return undefined
    if (isHttpBody(typeof body === 'object' ? body.message : method.input)) return ANY_BODY
    const bound = new Set(
      template.variables
        .filter(({ fieldPath }) => fieldPath.length === 1)
        .map((one) => one.fieldPath[0]),
    )
    const schema =
      body !== '*'
        ? this.#schemas.ofField(body)
        : bound.size === 0
          ? this.#schemas.ofMessage(method.input)
          : this.#schemas.object(method.input, ({ name }) => !bound.has(name))
    const type = clientStreams ? 'application/x-ndjson' : 'application/json'
    return { required: true, content: { [type]: { schema } } }
  }

  #reply({ method, responseBody, serverStreams }: HttpBinding): JsonSchema {
    if (isHttpBody(responseBody?.message ?? method.output)) return ANY_BODY['content'] as JsonSchema
    const schema =
      responseBody === undefined
        ? this.#schemas.ofMessage(method.output)
        : this.#schemas.ofField(responseBody)
    if (!serverStreams) return { 'application/json': { schema } }
    return {
      'application/x-ndjson': { schema },
      'text/event-stream': { schema },
      'application/json': { schema: { type: 'array', items: schema } },
    }
  }
}

interface OpenApiPath {
  readonly text: string
  /** With empty names. */
  readonly shape: string
  readonly names: readonly string[]
  readonly parameters: readonly JsonSchema[]
}

function openApiPath({ template, pathFields }: HttpBinding): OpenApiPath {
  const { segments, variables, verb } = template
  const names: string[] = []
  const parameters: JsonSchema[] = []
  let before = ''
  const parts = segments.map((segment, at) => {
    if (segment.kind === 'literal') {
      before = segment.text
      return encodeURIComponent(segment.text)
    }
    const index = variables.findIndex(({ start, end }) => at >= start && at < end)
    const variable = variables[index]
    const own =
      variable?.single === true || (variable?.open === true && variable.end === variable.start + 1)
    const name = unique(
      own ? (variable?.fieldPath.join('.') ?? '') : `${before || 'path'}Id`,
      names,
    )
    names.push(name)
    const field = pathFields[index]?.at(-1)
    const rest = segment.kind === 'rest' ? 'Any number of segments, with their slashes.' : undefined
    const part =
      own || variable === undefined ? undefined : `A part of ${variable.fieldPath.join('.')}.`
    const comment = field === undefined ? undefined : commentOf(field)
    parameters.push({
      name,
      in: 'path',
      required: true,
      ...described([own ? comment : part, rest]),
      schema: { type: 'string' },
    })
    return `{${name}}`
  })
  const tail = verb === undefined ? '' : `:${verb}`
  const text = `/${parts.join('/')}${tail}`
  return { text, shape: text.replace(/\{[^}]*\}/g, '{}'), names, parameters }
}

function unique(name: string, names: readonly string[]): string {
  if (!names.includes(name)) return name
  let count = 2
  while (names.includes(`${name}${count}`)) count++
  return `${name}${count}`
}

const ANY_BODY: JsonSchema = { content: { '*/*': { schema: {} } } }
const MAX_QUERY_DEPTH = 4
const METHODS: ReadonlySet<string> = new Set([
  'get',
  'put',
  'post',
  'delete',
  'options',
  'head',
  'patch',
  'trace',
])
