/** Services, methods, messages and enums as text, the way a `.proto` file has them. */
import {
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  type Registry,
  ScalarType,
} from '@bufbuild/protobuf'

/** Undefined: the registry has no such symbol. */
export function describeSymbol(registry: Registry, symbol: string): string | undefined {
  const found = registry.get(symbol)
  if (found === undefined) {
    const at = symbol.lastIndexOf('.')
    const service = registry.getService(symbol.slice(0, at))
    const method = service?.methods.find(({ name }) => name === symbol.slice(at + 1))
    return method === undefined ? undefined : `${describeMethod(method, '')}\n`
  }
  switch (found.kind) {
    case 'service':
      return describeService(found)
    case 'message':
      return describeMessage(found, '')
    case 'enum':
      return describeEnum(found, '')
    default:
      return `extend ${found.extendee.typeName} {\n${describeField(found, '  ')}\n}\n`
  }
}

export function describeService(service: DescService): string {
  const methods = service.methods.map((method) => describeMethod(method, '  '))
  return `service ${service.typeName} {\n${methods.join('\n')}\n}\n`
}

function describeMethod(method: DescMethod, indent: string): string {
  const { name, input, output, methodKind, idempotency } = method
  const streamsIn = methodKind === 'client_streaming' || methodKind === 'bidi_streaming'
  const streamsOut = methodKind === 'server_streaming' || methodKind === 'bidi_streaming'
  const type = (streams: boolean, { typeName }: DescMessage): string =>
    `(${streams ? 'stream ' : ''}${typeName})`
  const head = `${indent}rpc ${name}${type(streamsIn, input)} returns ${type(streamsOut, output)}`
  if (idempotency === 0) return `${head};`
  const level = idempotency === 1 ? 'NO_SIDE_EFFECTS' : 'IDEMPOTENT'
  return `${head} {\n${indent}  option idempotency_level = ${level};\n${indent}}`
}

function describeMessage(message: DescMessage, indent: string): string {
  const inner = `${indent}  `
  const lines: string[] = []
  for (const member of message.members) {
    if (member.kind === 'field') lines.push(describeField(member, inner))
    else {
      lines.push(`${inner}oneof ${member.name} {`)
      for (const field of member.fields) lines.push(describeField(field, `${inner}  `))
      lines.push(`${inner}}`)
    }
  }
  for (const nested of message.nestedEnums) lines.push(describeEnum(nested, inner).trimEnd())
  for (const nested of message.nestedMessages) {
    // The entries of a map are no message of anybody's.
    if (nested.proto.options?.mapEntry !== true)
      lines.push(describeMessage(nested, inner).trimEnd())
  }
  return `${indent}message ${message.name} {\n${lines.map((line) => `${line}\n`).join('')}${indent}}\n`
}

function describeEnum({ name, values }: DescEnum, indent: string): string {
  const lines = values.map((value) => `${indent}  ${value.name} = ${value.number};\n`)
  return `${indent}enum ${name} {\n${lines.join('')}${indent}}\n`
}

function describeField(field: DescField | DescExtension, indent: string): string {
  const { name, number } = field
  return `${indent}${typeOf(field)} ${name} = ${number};`
}

function typeOf(field: DescField | DescExtension): string {
  switch (field.fieldKind) {
    case 'scalar':
      return `${presence(field)}${scalar(field.scalar)}`
    case 'message':
      return field.message.typeName
    case 'enum':
      return `${presence(field)}${field.enum.typeName}`
    case 'list':
      return `repeated ${element(field)}`
    default:
      return `map<${scalar(field.mapKey)}, ${mapValue(field)}>`
  }
}

/** `optional` where it was written: scalars of proto3 that tell whether they are set. */
function presence(field: { readonly proto: { readonly proto3Optional: boolean } }): string {
  return field.proto.proto3Optional ? 'optional ' : ''
}

function element(field: DescField | DescExtension): string {
  if (field.fieldKind !== 'list') return ''
  if (field.listKind === 'scalar') return scalar(field.scalar)
  return field.listKind === 'enum' ? field.enum.typeName : field.message.typeName
}

function mapValue(field: DescField): string {
  if (field.fieldKind !== 'map') return ''
  if (field.mapKind === 'scalar') return scalar(field.scalar)
  return field.mapKind === 'enum' ? field.enum.typeName : field.message.typeName
}

function scalar(type: ScalarType): string {
  return ScalarType[type].toLowerCase()
}
