/**
 * Values of options as they stand in a `.proto` file, `{ get: "/v1/{name=books/*}" }`, as messages.
 */
import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf'
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect'
import { toError, UsageError } from '../../core/errors.ts'

export interface CustomOption {
  /** As written, without parentheses; whole, or as seen from `scope`. */
  readonly name: string
  readonly value: unknown
  /** Of the options that it is set in. */
  readonly schema: DescMessage
  readonly options: Message
  /** Where it stands: `acme.v1.Users.Get`. */
  readonly scope: string
  readonly file: string
}

export type OptionTarget<Desc extends DescMessage> = MessageShape<Desc>

/**
 * Sets the options that Protobuf itself has.
 *
 * @param written one object for each, as protobufjs gives them: `{ deprecated: true }`
 * @param onCustom called for each of one's own, whose name is in parentheses
 */
export function setStandardOptions<Desc extends DescMessage>(
  schema: Desc,
  written: readonly unknown[],
  file: string,
  onCustom: (name: string, value: unknown, options: MessageShape<Desc>) => void,
): MessageShape<Desc> {
  const options = create(schema)
  const reflected = reflect(schema, options)
  for (const [name, value] of written.flatMap((one) => Object.entries(one as object))) {
    if (name.startsWith('(')) {
      onCustom(name.replace(/^\(|\)$/g, ''), value, options)
      continue
    }
    // These are written as options and are none in a descriptor.
    if (name === 'default' || name === 'json_name') continue
    try {
      setField(reflected, name, value)
    } catch (cause) {
      throw new UsageError('ERR_SCHEMA', `${file}: option ${name}: ${toError(cause).message}`, {
        cause,
      })
    }
  }
  return options
}

/** The value of an extension, or of a field of one. @throws Error for what does not fit */
export function optionValue(field: ValueKind, value: unknown): unknown {
  if (field.message !== undefined) return messageValue(field.message, value).message
  if (field.enum !== undefined) return enumValue(field.enum, value)
  return scalarValue(field.scalar as ScalarType, value)
}

export interface ValueKind {
  readonly message?: DescMessage | undefined
  readonly enum?: DescEnum | undefined
  readonly scalar?: ScalarType | undefined
}

function messageValue(schema: DescMessage, value: unknown): ReflectMessage {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${shown(value)} is no ${schema.typeName}`)
  }
  const message = reflect(schema)
  for (const [name, one] of Object.entries(value)) setField(message, name, one)
  return message
}

function setField(message: ReflectMessage, name: string, value: unknown): void {
  const field = message.desc.fields.find((one) => one.name === name)
  if (field === undefined) throw new Error(`${message.desc.typeName} has no field ${shown(name)}`)
  if (field.fieldKind === 'list') {
    for (const item of Array.isArray(value) ? value : [value]) {
      message.get(field).add(itemValue(field, item) as never)
    }
  } else if (field.fieldKind === 'map') {
    for (const entry of Array.isArray(value) ? value : [value]) {
      const { key, value: of } = entry as { key?: unknown; value?: unknown }
      const at = scalarValue(field.mapKey, key) as string
      message.get(field).set(at, itemValue(field, of) as never)
    }
  } else message.set(field, itemValue(field, value) as never)
}

/** As reflection takes it: messages stay wrapped. */
function itemValue(field: DescField, value: unknown): unknown {
  if (field.message !== undefined) return messageValue(field.message, value)
  return optionValue(field, value)
}

function enumValue(desc: DescEnum, value: unknown): number {
  if (typeof value === 'number') return value
  const found = desc.values.find(({ name }) => name === value)
  if (found === undefined) throw new Error(`${desc.typeName} has no value ${shown(value)}`)
  return found.number
}

function scalarValue(type: ScalarType, value: unknown): unknown {
  if (type === ScalarType.STRING) {
    if (typeof value === 'string') return value
  } else if (type === ScalarType.BYTES) {
    // Escapes of a string are bytes here.
    if (typeof value === 'string') return Uint8Array.from(value, (char) => char.charCodeAt(0))
  } else if (type === ScalarType.BOOL) {
    if (typeof value === 'boolean') return value
  } else if (typeof value === 'number') {
    return LONG.has(type) ? BigInt(value) : value
  }
  throw new Error(`${shown(value)} is no ${ScalarType[type].toLowerCase()}`)
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 64)
}

const LONG: ReadonlySet<ScalarType> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
  ScalarType.SINT64,
])
