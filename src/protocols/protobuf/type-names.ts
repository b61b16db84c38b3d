/**
 * What a name in a `.proto` file means: `Author` inside `acme.v1.Book` is `acme.v1.Book.Author`, or
 * `acme.v1.Author`, or `acme.Author`, or `Author`: the innermost scope that has it.
 *
 * Descriptors have the whole name with a dot in front, and tell messages from enums.
 */
import type {
  DescriptorProto,
  EnumDescriptorProto,
  FieldDescriptorProto,
  FileDescriptorProto,
} from '@bufbuild/protobuf/wkt'
import { FieldDescriptorProto_Type } from '@bufbuild/protobuf/wkt'
import { UsageError } from '../../core/errors.ts'

export class TypeNames {
  readonly #types = new Map<string, 'message' | 'enum'>()
  readonly #files = new Map<string, string>()

  constructor(known: readonly FileDescriptorProto[]) {
    for (const file of known) this.add(file)
  }

  /** @throws UsageError ERR_SCHEMA for a name that another file has already */
  add(file: FileDescriptorProto): void {
    const prefix = file.package === '' ? '' : `${file.package}.`
    for (const message of file.messageType) this.#addMessage(prefix, message, file.name)
    for (const one of file.enumType) this.#addEnum(prefix, one, file.name)
  }

  resolve(file: FileDescriptorProto): void {
    for (const message of file.messageType) {
      this.#resolveMessage(join(file.package, message.name), message, file.name)
    }
    for (const extension of file.extension) this.#resolveField(file.package, extension, file.name)
    for (const service of file.service) {
      const scope = join(file.package, service.name)
      for (const method of service.method) {
        method.inputType = this.#message(scope, method.inputType, file.name)
        method.outputType = this.#message(scope, method.outputType, file.name)
      }
    }
  }

  #addMessage(prefix: string, message: DescriptorProto, file: string): void {
    const name = prefix + message.name
    this.#define(name, 'message', file)
    for (const nested of message.nestedType) this.#addMessage(`${name}.`, nested, file)
    for (const one of message.enumType) this.#addEnum(`${name}.`, one, file)
  }

  #addEnum(prefix: string, one: EnumDescriptorProto, file: string): void {
    this.#define(prefix + one.name, 'enum', file)
  }

  #define(name: string, kind: 'message' | 'enum', file: string): void {
    const other = this.#files.get(name)
    if (other !== undefined) {
      throw new UsageError('ERR_SCHEMA', `${name} is defined in ${other} and in ${file}`)
    }
    this.#types.set(name, kind)
    this.#files.set(name, file)
  }

  #resolveMessage(scope: string, message: DescriptorProto, file: string): void {
    for (const field of message.field) this.#resolveField(scope, field, file)
    for (const extension of message.extension) this.#resolveField(scope, extension, file)
    for (const nested of message.nestedType) {
      this.#resolveMessage(join(scope, nested.name), nested, file)
    }
  }

  #resolveField(scope: string, field: FieldDescriptorProto, file: string): void {
    if (field.extendee !== '') field.extendee = this.#message(scope, field.extendee, file)
    if (field.typeName === '') return
    const name = this.#find(scope, field.typeName)
    if (name === undefined) throw unknown(field.typeName, `${scope}.${field.name}`, file)
    field.typeName = `.${name}`
    if (field.type === FieldDescriptorProto_Type.GROUP) return
    field.type =
      this.#types.get(name) === 'enum'
        ? FieldDescriptorProto_Type.ENUM
        : FieldDescriptorProto_Type.MESSAGE
  }

  #message(scope: string, written: string, file: string): string {
    const name = this.#find(scope, written)
    if (name === undefined) throw unknown(written, scope, file)
    if (this.#types.get(name) === 'message') return `.${name}`
    throw new UsageError('ERR_SCHEMA', `${file}: ${name} is an enum, ${scope} needs a message`)
  }

  #find(scope: string, written: string): string | undefined {
    if (written.startsWith('.')) {
      const whole = written.slice(1)
      return this.#types.has(whole) ? whole : undefined
    }
    const dot = written.indexOf('.')
    const first = dot < 0 ? written : written.slice(0, dot)
    for (let at = scope.length; ; at = scope.lastIndexOf('.', at - 1)) {
      const inside = at <= 0 ? '' : scope.slice(0, at)
      const candidate = join(inside, written)
      if (this.#types.has(candidate)) return candidate
      // A scope that has the first part hides those around it, unless it is a mere package.
      const begun = join(inside, first)
      if (dot >= 0 && this.#types.has(begun)) return undefined
      if (at <= 0) return undefined
    }
  }
}

function join(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`
}

function unknown(written: string, where: string, file: string): UsageError {
  const shown = JSON.stringify(written.slice(0, 128))
  return new UsageError('ERR_SCHEMA', `${file}: ${where} needs ${shown}, which is nowhere`)
}
