/**
 * One `.proto` file as protobufjs reads it, as a `FileDescriptorProto`. Names of types stand as they
 * were written, options of one's own are set apart: both need the other files.
 *
 * protobufjs can write descriptors too, but drops imports, comments and options of one's own.
 */
import { create, type DescMessage } from '@bufbuild/protobuf'
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  Edition,
  type EnumDescriptorProto,
  EnumDescriptorProtoSchema,
  EnumOptionsSchema,
  EnumValueDescriptorProtoSchema,
  EnumValueOptionsSchema,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileOptionsSchema,
  MessageOptionsSchema,
  MethodDescriptorProtoSchema,
  MethodOptionsSchema,
  OneofDescriptorProtoSchema,
  type ServiceDescriptorProto,
  ServiceDescriptorProtoSchema,
  ServiceOptionsSchema,
  SourceCodeInfoSchema,
} from '@bufbuild/protobuf/wkt'
import type * as protobufjs from 'protobufjs'
import { toError, UsageError } from '../../core/errors.ts'
import { jsonName } from './json-names.ts'
import { type CustomOption, type OptionTarget, setStandardOptions } from './option-values.ts'

export type ProtobufJs = Pick<
  typeof protobufjs,
  'parse' | 'Root' | 'Type' | 'Enum' | 'Service' | 'Field' | 'MapField' | 'Namespace'
>

export interface ParsedFile {
  readonly descriptor: FileDescriptorProto
  readonly customOptions: readonly CustomOption[]
}

/** @throws UsageError ERR_SCHEMA, with the line */
export function parseProto(parser: ProtobufJs, name: string, text: string): ParsedFile {
  try {
    const root = new parser.Root()
    const options = { keepCase: true, alternateCommentMode: true, preferTrailingComment: false }
    const result = parser.parse(text, root, options)
    return new FileConverter(parser, name).convert(result, syntaxOf(text))
  } catch (cause) {
    if (cause instanceof UsageError) throw cause
    const why = cause instanceof RangeError ? 'it is nested too deeply' : toError(cause).message
    throw new UsageError('ERR_SCHEMA', `${name} cannot be parsed: ${why}`, { cause })
  }
}

class FileConverter {
  readonly #parser: ProtobufJs
  readonly #file: FileDescriptorProto
  readonly #custom: CustomOption[] = []

  constructor(parser: ProtobufJs, name: string) {
    this.#parser = parser
    this.#file = create(FileDescriptorProtoSchema, { name })
  }

  convert(result: protobufjs.IParserResult, syntax: string): ParsedFile {
    const file = this.#file
    file.package = result.package ?? ''
    file.dependency = [...new Set([...(result.imports ?? []), ...(result.weakImports ?? [])])]
    file.syntax = syntax === 'proto2' || syntax === 'proto3' ? syntax : 'editions'
    if (file.syntax === 'editions') file.edition = editionOf(file.name, syntax)
    file.sourceCodeInfo = create(SourceCodeInfoSchema)
    let scope: protobufjs.Namespace = result.root
    for (const part of file.package === '' ? [] : file.package.split('.')) {
      scope = (scope.get(part) as protobufjs.Namespace | null) ?? scope
    }
    for (const member of scope.nestedArray) {
      if (member instanceof this.#parser.Type) {
        const path = [4, file.messageType.length]
        file.messageType.push(this.#message(member, file.package, path))
      } else if (member instanceof this.#parser.Enum) {
        const path = [5, file.enumType.length]
        file.enumType.push(this.#enum(member, file.package, path))
      } else if (member instanceof this.#parser.Service) {
        const path = [6, file.service.length]
        file.service.push(this.#service(member, path))
      } else if (member instanceof this.#parser.Field) {
        const path = [7, file.extension.length]
        file.extension.push(this.#field(member, file.package, path))
      }
    }
    const options = this.#options(FileOptionsSchema, scope, file.package)
    if (options !== undefined) file.options = options
    return { descriptor: file, customOptions: this.#custom }
  }

  #message(type: protobufjs.Type, scope: string, path: number[]): DescriptorProto {
    const { name } = type
    const message = create(DescriptorProtoSchema, { name })
    const inside = scope === '' ? name : `${scope}.${name}`
    this.#comment(type, path)
    for (const member of type.nestedArray) {
      if (member instanceof this.#parser.Type) {
        const at = [...path, 3, message.nestedType.length]
        message.nestedType.push(this.#message(member, inside, at))
      } else if (member instanceof this.#parser.Enum) {
        const at = [...path, 4, message.enumType.length]
        message.enumType.push(this.#enum(member, inside, at))
      } else if (member instanceof this.#parser.Field) {
        const at = [...path, 6, message.extension.length]
        message.extension.push(this.#field(member, inside, at))
      }
    }
    this.#fields(type, message, inside, path)
    this.#ranges(type, message)
    const options = this.#options(MessageOptionsSchema, type, inside)
    if (options !== undefined) message.options = options
    return message
  }

  #fields(type: protobufjs.Type, message: DescriptorProto, inside: string, path: number[]): void {
    // Those that stand for `optional` come last, as in every descriptor.
    const oneofs = [...type.oneofsArray].sort((a, b) => Number(isProto3(a)) - Number(isProto3(b)))
    for (const { name } of oneofs) {
      message.oneofDecl.push(create(OneofDescriptorProtoSchema, { name }))
    }
    for (const field of type.fieldsArray) {
      // An extension in the same file: protobufjs puts a twin of it into the type that it extends.
      if (field.name.startsWith('.')) continue
      const descriptor = this.#field(field, inside, [...path, 2, message.field.length])
      const { partOf } = field
      if (partOf !== null && partOf !== undefined) {
        const at = oneofs.indexOf(partOf)
        if (at >= 0) descriptor.oneofIndex = at
      }
      if (field instanceof this.#parser.MapField) this.#mapEntry(field, descriptor, message)
      const group = type.get(field.type) as { group?: boolean } | null
      if (group?.group === true) descriptor.type = FieldDescriptorProto_Type.GROUP
      message.field.push(descriptor)
    }
  }

  /** `map<K, V> ids = 1` is `repeated IdsEntry ids = 1`, with a message of its own. */
  #mapEntry(
    field: protobufjs.MapField,
    descriptor: FieldDescriptorProto,
    message: DescriptorProto,
  ): void {
    const camel = jsonName(field.name)
    const name = `${camel.charAt(0).toUpperCase()}${camel.slice(1)}Entry`
    message.nestedType.push(
      create(DescriptorProtoSchema, {
        name,
        options: create(MessageOptionsSchema, { mapEntry: true }),
        field: [entryField('key', 1, field.keyType), entryField('value', 2, field.type)],
      }),
    )
    descriptor.label = FieldDescriptorProto_Label.REPEATED
    descriptor.type = FieldDescriptorProto_Type.MESSAGE
    descriptor.typeName = name
  }

  #field(field: protobufjs.Field, scope: string, path: number[]): FieldDescriptorProto {
    const { name, id: number } = field
    const descriptor = create(FieldDescriptorProtoSchema, {
      name,
      number,
      label: labelOf(field),
    })
    setType(descriptor, field.type)
    if (field.extend !== undefined) descriptor.extendee = field.extend
    const given = field.options ?? {}
    if (given['proto3_optional'] === true) descriptor.proto3Optional = true
    if (given['default'] !== undefined) descriptor.defaultValue = String(given['default'])
    const json = given['json_name']
    descriptor.jsonName = typeof json === 'string' ? json : jsonName(name)
    const options = this.#options(FieldOptionsSchema, field, scope)
    if (options !== undefined) descriptor.options = options
    this.#comment(field, path)
    return descriptor
  }

  #ranges(type: protobufjs.Type, message: DescriptorProto): void {
    for (const range of type.extensions ?? []) {
      message.extensionRange.push({
        $typeName: 'google.protobuf.DescriptorProto.ExtensionRange',
        start: range[0] as number,
        end: (range[1] as number) + 1,
      })
    }
    for (const range of type.reserved ?? []) {
      if (typeof range === 'string') message.reservedName.push(range)
      else {
        message.reservedRange.push({
          $typeName: 'google.protobuf.DescriptorProto.ReservedRange',
          start: range[0] as number,
          end: (range[1] as number) + 1,
        })
      }
    }
  }

  #enum(type: protobufjs.Enum, scope: string, path: number[]): EnumDescriptorProto {
    const inside = scope === '' ? type.name : `${scope}.${type.name}`
    const descriptor = create(EnumDescriptorProtoSchema, { name: type.name })
    this.#comment(type, path)
    for (const [name, number] of Object.entries(type.values)) {
      const value = create(EnumValueDescriptorProtoSchema, { name, number })
      const given = type.valuesOptions?.[name]
      if (given !== undefined) {
        const holder = { parsedOptions: [given] }
        const options = this.#options(EnumValueOptionsSchema, holder, inside)
        if (options !== undefined) value.options = options
      }
      const at = [...path, 2, descriptor.value.length]
      this.#comment({ comment: type.comments[name] ?? null }, at)
      descriptor.value.push(value)
    }
    const options = this.#options(EnumOptionsSchema, type, inside)
    if (options !== undefined) descriptor.options = options
    return descriptor
  }

  #service(service: protobufjs.Service, path: number[]): ServiceDescriptorProto {
    const { name } = service
    const inside = this.#file.package === '' ? name : `${this.#file.package}.${name}`
    const descriptor = create(ServiceDescriptorProtoSchema, { name })
    this.#comment(service, path)
    for (const method of service.methodsArray) {
      const made = create(MethodDescriptorProtoSchema, {
        name: method.name,
        inputType: method.requestType,
        outputType: method.responseType,
        clientStreaming: method.requestStream === true,
        serverStreaming: method.responseStream === true,
      })
      const options = this.#options(MethodOptionsSchema, method, `${inside}.${method.name}`)
      if (options !== undefined) made.options = options
      this.#comment(method, [...path, 2, descriptor.method.length])
      descriptor.method.push(made)
    }
    const options = this.#options(ServiceOptionsSchema, service, inside)
    if (options !== undefined) descriptor.options = options
    return descriptor
  }

  #options<Desc extends DescMessage>(
    schema: Desc,
    holder: unknown,
    scope: string,
  ): OptionTarget<Desc> | undefined {
    const parsed = (holder as { parsedOptions?: unknown }).parsedOptions
    const written = Array.isArray(parsed) ? parsed : []
    if (written.length === 0) return undefined
    return setStandardOptions(schema, written, this.#file.name, (name, value, options) => {
      this.#custom.push({ name, value, schema, options, scope, file: this.#file.name })
    })
  }

  #comment(holder: { readonly comment: string | null }, path: number[]): void {
    const text = holder.comment
    if (text === null || text === undefined || text === '') return
    this.#file.sourceCodeInfo?.location.push({
      $typeName: 'google.protobuf.SourceCodeInfo.Location',
      path,
      span: [0, 0, 0],
      leadingComments: text,
      trailingComments: '',
      leadingDetachedComments: [],
    })
  }
}

function isProto3(oneof: protobufjs.OneOf): boolean {
  return oneof.fieldsArray.some((field) => field.options?.['proto3_optional'] === true)
}

function labelOf(field: protobufjs.Field): FieldDescriptorProto_Label {
  if (field.repeated) return FieldDescriptorProto_Label.REPEATED
  // The getter asks for features that are known only once all is resolved.
  if ((field as { rule?: string }).rule === 'required') return FieldDescriptorProto_Label.REQUIRED
  return FieldDescriptorProto_Label.OPTIONAL
}

function entryField(name: string, number: number, type: string): FieldDescriptorProto {
  const field = create(FieldDescriptorProtoSchema, {
    name,
    number,
    jsonName: name,
    label: FieldDescriptorProto_Label.OPTIONAL,
  })
  setType(field, type)
  return field
}

function setType(field: FieldDescriptorProto, type: string): void {
  const scalar = SCALARS.get(type)
  if (scalar !== undefined) field.type = scalar
  else field.typeName = type
}

/** Comments may stand in front of it, nothing else. */
function syntaxOf(text: string): string {
  const match =
    /^(?:\s|\/\/[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/)*(?:syntax|edition)\s*=\s*(["'])([\w.]+)\1/.exec(
      text.charCodeAt(0) === 0xfeff ? text.slice(1) : text,
    )
  return match?.[2] ?? 'proto2'
}

function editionOf(file: string, edition: string): Edition {
  const known = Edition[`EDITION_${edition}` as keyof typeof Edition]
  if (typeof known === 'number') return known
  throw new UsageError('ERR_SCHEMA', `${file} has edition ${edition}, which is not known`)
}

const SCALARS: ReadonlyMap<string, FieldDescriptorProto_Type> = new Map([
  ['double', FieldDescriptorProto_Type.DOUBLE],
  ['float', FieldDescriptorProto_Type.FLOAT],
  ['int64', FieldDescriptorProto_Type.INT64],
  ['uint64', FieldDescriptorProto_Type.UINT64],
  ['int32', FieldDescriptorProto_Type.INT32],
  ['fixed64', FieldDescriptorProto_Type.FIXED64],
  ['fixed32', FieldDescriptorProto_Type.FIXED32],
  ['bool', FieldDescriptorProto_Type.BOOL],
  ['string', FieldDescriptorProto_Type.STRING],
  ['bytes', FieldDescriptorProto_Type.BYTES],
  ['uint32', FieldDescriptorProto_Type.UINT32],
  ['sfixed32', FieldDescriptorProto_Type.SFIXED32],
  ['sfixed64', FieldDescriptorProto_Type.SFIXED64],
  ['sint32', FieldDescriptorProto_Type.SINT32],
  ['sint64', FieldDescriptorProto_Type.SINT64],
])
