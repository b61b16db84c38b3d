/**
 * Files of a schema by what is asked for: name, symbol, extension. Made of descriptors and everything
 * they depend on, when it is first asked.
 */
import {
  type DescEnum,
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  toBinary,
} from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'

export class DescriptorIndex {
  readonly #files = new Map<string, DescFile>()
  /** Fully qualified names, without a leading dot. */
  readonly #symbols = new Map<string, DescFile>()
  readonly #extensions = new Map<string, Map<number, DescFile>>()
  readonly #messages = new Set<string>()
  readonly #encoded = new Map<DescFile, Uint8Array>()

  /** With all files that it imports; twice is once. */
  add(file: DescFile): void {
    const pending = [file]
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const { name } = next.proto
      if (this.#files.has(name)) continue
      this.#files.set(name, next)
      for (const service of next.services) this.#addService(service)
      for (const message of next.messages) this.#addMessage(message)
      for (const each of next.enums) this.#addEnum(each)
      for (const extension of next.extensions) this.#addExtension(extension)
      pending.push(...next.dependencies)
    }
  }

  fileByName(name: string): DescFile | undefined {
    return this.#files.get(name)
  }

  /** Of a type, a service, a method, a field, an enum's value or an extension. */
  fileBySymbol(symbol: string): DescFile | undefined {
    return this.#symbols.get(symbol.startsWith('.') ? symbol.slice(1) : symbol)
  }

  fileByExtension(message: string, number: number): DescFile | undefined {
    return this.#extensions.get(message)?.get(number)
  }

  /** In ascending order; undefined: no such message. */
  extensionNumbers(message: string): number[] | undefined {
    if (!this.#messages.has(message)) return undefined
    return [...(this.#extensions.get(message)?.keys() ?? [])].sort((a, b) => a - b)
  }

  /** The file and what it depends on, itself first, as `FileDescriptorProto`; without those `sent`. */
  encoded(file: DescFile, sent: Set<string>): Uint8Array[] {
    const found: Uint8Array[] = []
    const pending = [file]
    for (let at = 0; at < pending.length; at++) {
      const next = pending[at] as DescFile
      // What was asked for is given again: only its dependencies are taken for known.
      if (at > 0 && sent.has(next.proto.name)) continue
      sent.add(next.proto.name)
      found.push(this.#encode(next))
      for (const one of next.dependencies) if (!pending.includes(one)) pending.push(one)
    }
    return found
  }

  #encode(file: DescFile): Uint8Array {
    let bytes = this.#encoded.get(file)
    if (bytes === undefined) {
      bytes = toBinary(FileDescriptorProtoSchema, file.proto)
      this.#encoded.set(file, bytes)
    }
    return bytes
  }

  #addService({ typeName, methods, file }: DescService): void {
    this.#symbols.set(typeName, file)
    for (const { name } of methods) this.#symbols.set(`${typeName}.${name}`, file)
  }

  #addMessage(message: DescMessage): void {
    const { typeName, file } = message
    this.#messages.add(typeName)
    this.#symbols.set(typeName, file)
    for (const { name } of message.fields) this.#symbols.set(`${typeName}.${name}`, file)
    for (const { name } of message.oneofs) this.#symbols.set(`${typeName}.${name}`, file)
    for (const nested of message.nestedMessages) this.#addMessage(nested)
    for (const nested of message.nestedEnums) this.#addEnum(nested)
    for (const nested of message.nestedExtensions) this.#addExtension(nested)
  }

  /** Values stand beside their enum, not inside it (descriptor.proto). */
  #addEnum({ typeName, values, file }: DescEnum): void {
    this.#symbols.set(typeName, file)
    const scope = typeName.slice(0, typeName.lastIndexOf('.') + 1)
    for (const { name } of values) this.#symbols.set(scope + name, file)
  }

  #addExtension({ typeName, extendee, number, file }: DescExtension): void {
    this.#symbols.set(typeName, file)
    let numbers = this.#extensions.get(extendee.typeName)
    if (numbers === undefined) {
      numbers = new Map()
      this.#extensions.set(extendee.typeName, numbers)
    }
    numbers.set(number, file)
  }
}
