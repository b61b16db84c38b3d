/**
 * `.proto` files with what they import, parsed one by one and then joined: names of types are resolved
 * when all files are known.
 */
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt'
import { toError, UsageError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { BUILT_IN } from './built-in-files.ts'
import { setCustomOptions } from './custom-options.ts'
import { checkPath, missing } from './file-order.ts'
import { type ParsedFile, type ProtobufJs, parseProto } from './parse-proto.ts'
import type { SchemaLimits } from './schema-limits.ts'
import { TypeNames } from './type-names.ts'

/** @returns undefined: there is no such file */
export type ReadProto = (name: string) => MaybePromise<Uint8Array | string | undefined>

export class ProtoFiles {
  readonly #read: ReadProto
  readonly #limits: Required<SchemaLimits>
  readonly #files = new Map<string, ParsedFile>()
  readonly #path: string[] = []
  #parser: ProtobufJs | undefined

  constructor(read: ReadProto, limits: Required<SchemaLimits>) {
    this.#read = read
    this.#limits = limits
    this.#parser = undefined
  }

  /** @throws UsageError ERR_SCHEMA */
  async add(name: string, text?: string): Promise<void> {
    if (this.#files.has(name)) return
    if (text === undefined && BUILT_IN.has(name)) return
    const { maxImportDepth, maxFiles } = this.#limits
    checkPath(this.#path, name, maxImportDepth)
    const source = text ?? (await this.#text(name))
    if (this.#files.size >= maxFiles) {
      throw new UsageError('ERR_SCHEMA', `${maxFiles + 1} files are over maxFiles ${maxFiles}`)
    }
    this.#checkSize(name, source.length)
    this.#parser ??= await loadParser()
    const parsed = parseProto(this.#parser, name, source)
    this.#path.push(name)
    for (const imported of parsed.descriptor.dependency) {
      // A circle is found on its path: the file itself is there only once its imports are.
      await this.add(imported)
    }
    this.#path.pop()
    this.#files.set(name, parsed)
  }

  /** What was added and what that imports. */
  async toDescriptors(): Promise<Map<string, FileDescriptorProto>> {
    const descriptors = new Map<string, FileDescriptorProto>()
    if (this.#files.size === 0) return descriptors
    for (const [name, { descriptor }] of this.#files) descriptors.set(name, descriptor)
    // What is built in may be given too: then that counts.
    const builtIn = [...BUILT_IN.values()].filter(({ proto }) => !this.#files.has(proto.name))
    const names = new TypeNames(builtIn.map(({ proto }) => proto))
    for (const { descriptor } of this.#files.values()) names.add(descriptor)
    for (const { descriptor } of this.#files.values()) names.resolve(descriptor)
    const custom = [...this.#files.values()].flatMap(({ customOptions }) => customOptions)
    setCustomOptions(custom, descriptors, this.#limits)
    return descriptors
  }

  async #text(name: string): Promise<string> {
    let read: Uint8Array | string | undefined
    try {
      read = await this.#read(name)
    } catch (cause) {
      const why = toError(cause).message
      throw new UsageError('ERR_SCHEMA', `${name} cannot be read: ${why}`, { cause })
    }
    if (read === undefined) throw missing(name, this.#path.at(-1))
    if (typeof read === 'string') return read
    this.#checkSize(name, read.length)
    try {
      return UTF8.decode(read)
    } catch (cause) {
      throw new UsageError('ERR_SCHEMA', `${name} is no text in UTF-8`, { cause })
    }
  }

  #checkSize(name: string, length: number): void {
    const { maxFileBytes } = this.#limits
    if (length <= maxFileBytes) return
    const message = `${name} has ${length} bytes, maxFileBytes is ${maxFileBytes}`
    throw new UsageError('ERR_SCHEMA', message)
  }
}

async function loadParser(): Promise<ProtobufJs> {
  try {
    const loaded = await import('protobufjs')
    return loaded.default ?? loaded
  } catch (cause) {
    const message =
      'to load .proto files, install protobufjs, or load a descriptor set (buf build -o) instead'
    throw new UsageError('ERR_SCHEMA', message, { cause })
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })
