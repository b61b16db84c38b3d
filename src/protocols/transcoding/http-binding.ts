/**
 * The HTTP annotations of methods (`google.api.http`), checked against their messages.
 *
 *     rpc Get(GetBook) returns (Book) {
 *       option (google.api.http) = { get: "/v1/{name=shelves/∗/books/∗}" };
 *     }
 */
import {
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption,
} from '@bufbuild/protobuf'
import { UsageError } from '../../core/errors.ts'
import { isToken } from '../http/fields.ts'
import { http } from '../protobuf/proto/google/api/annotations_pb.ts'
import type { HttpRule } from '../protobuf/proto/google/api/http_pb.ts'
import { type PathTemplate, parsePathTemplate } from './path-template.ts'

export interface HttpBinding {
  readonly method: DescMethod
  /** `/acme.v1.Books/Get`. */
  readonly grpcPath: string
  /** `GET`, or that of a custom pattern; `*`: any. */
  readonly verb: string
  readonly template: PathTemplate
  /** Fields of each variable of the template, from the request's message inwards. */
  readonly pathFields: readonly (readonly DescField[])[]
  /** What the body of the request is: nothing, the whole message, or a field of it. */
  readonly body: undefined | '*' | DescField
  /** The field of the reply that is answered; undefined: the whole. */
  readonly responseBody: DescField | undefined
  readonly clientStreams: boolean
  readonly serverStreams: boolean
}

export interface BindingOptions {
  /**
   * Binds methods without an annotation to `POST /acme.v1.Books/Get`, the body being the message.
   *
   * @default false: what has no annotation is not meant to be reached this way
   */
  unannotated?: boolean
}

/** @throws UsageError ERR_SCHEMA for an annotation that does not fit its method */
export function httpBindings(
  services: readonly DescService[],
  { unannotated = false }: BindingOptions = {},
): HttpBinding[] {
  return services.flatMap((service) =>
    service.methods.flatMap((method) => {
      if (hasOption(method, http)) return bindingsOf(method, getOption(method, http))
      return unannotated ? [plainBinding(method)] : []
    }),
  )
}

function bindingsOf(method: DescMethod, rule: HttpRule): HttpBinding[] {
  for (const { additionalBindings } of rule.additionalBindings) {
    if (additionalBindings.length > 0) throw wrong(method, 'additional_bindings are one level deep')
  }
  return [rule, ...rule.additionalBindings].map((one) => bindingOf(method, one))
}

function plainBinding(method: DescMethod): HttpBinding {
  const path = pathOf(method)
  return {
    ...common(method),
    verb: 'POST',
    template: parsePathTemplate(path),
    pathFields: [],
    body: '*',
    responseBody: undefined,
  }
}

function bindingOf(method: DescMethod, rule: HttpRule): HttpBinding {
  const { verb, path } = patternOf(method, rule)
  let template: PathTemplate
  try {
    template = parsePathTemplate(path)
  } catch (error) {
    throw wrong(method, (error as Error).message, error)
  }
  const pathFields = template.variables.map(({ fieldPath }) => pathField(method, fieldPath))
  const body = bodyOf(method, rule.body)
  if (body !== undefined && body !== '*') {
    const bound = pathFields.find((fields) => fields.length === 1 && fields[0] === body)
    if (bound !== undefined) throw wrong(method, `${body.name} is in the path and is the body`)
  }
  if (body === undefined && common(method).clientStreams) {
    throw wrong(method, 'its requests are a stream, which needs a body')
  }
  const { responseBody } = rule
  return {
    ...common(method),
    verb,
    template,
    pathFields,
    body,
    responseBody:
      responseBody === ''
        ? undefined
        : fieldOf(method, method.output, responseBody, 'response_body'),
  }
}

function common(
  method: DescMethod,
): Pick<HttpBinding, 'method' | 'grpcPath' | 'clientStreams' | 'serverStreams'> {
  const { methodKind } = method
  return {
    method,
    grpcPath: pathOf(method),
    clientStreams: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    serverStreams: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
  }
}

function patternOf(method: DescMethod, { pattern }: HttpRule): { verb: string; path: string } {
  if (pattern.case === undefined) throw wrong(method, 'its HTTP rule has no pattern')
  if (pattern.case !== 'custom') return { verb: pattern.case.toUpperCase(), path: pattern.value }
  const { kind, path } = pattern.value
  if (kind === '*' || isToken(kind)) return { verb: kind, path }
  throw wrong(method, `${JSON.stringify(kind)} is no method of HTTP`)
}

function bodyOf(method: DescMethod, body: string): HttpBinding['body'] {
  if (body === '') return undefined
  return body === '*' ? '*' : fieldOf(method, method.input, body, 'body')
}

function fieldOf(method: DescMethod, message: DescMessage, name: string, what: string): DescField {
  const field = message.fields.find((one) => one.name === name)
  if (field !== undefined) return field
  throw wrong(method, `${what}: ${message.typeName} has no field ${JSON.stringify(name)}`)
}

function pathField(method: DescMethod, names: readonly string[]): DescField[] {
  const fields: DescField[] = []
  let message: DescMessage | undefined = method.input
  for (const name of names) {
    if (message === undefined) throw wrong(method, `${names.join('.')}: no field is in a scalar`)
    const field: DescField = fieldOf(method, message, name, names.join('.'))
    fields.push(field)
    message = field.fieldKind === 'message' ? field.message : undefined
  }
  const last = fields.at(-1) as DescField
  const textual = last.fieldKind === 'message' && TEXTUAL.has(last.message.typeName)
  if (last.fieldKind === 'scalar' || last.fieldKind === 'enum' || textual) return fields
  throw wrong(method, `${names.join('.')} cannot be in a path: it is no single value`)
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`
}

function wrong(method: DescMethod, problem: string, cause?: unknown): UsageError {
  const where = `${method.parent.typeName}.${method.name}`
  return new UsageError('ERR_SCHEMA', `${where}: ${problem}`, { cause })
}

/** Messages whose JSON is one value. */
export const TEXTUAL: ReadonlySet<string> = new Set([
  'google.protobuf.Timestamp',
  'google.protobuf.Duration',
  'google.protobuf.FieldMask',
  'google.protobuf.DoubleValue',
  'google.protobuf.FloatValue',
  'google.protobuf.Int64Value',
  'google.protobuf.UInt64Value',
  'google.protobuf.Int32Value',
  'google.protobuf.UInt32Value',
  'google.protobuf.BoolValue',
  'google.protobuf.StringValue',
  'google.protobuf.BytesValue',
])
