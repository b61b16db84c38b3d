/**
 * Schemas from where they are: descriptors of generated code, sets of descriptors
 * (`buf build -o schema.binpb`, `protoc --descriptor_set_out`), and `.proto` files as they are.
 *
 *     const schema = await loadSchema([{ proto: 'acme/users.proto' }], { read })
 *     const schema = await loadSchema([{ descriptorSet: await readFile('schema.binpb') }])
 *     const schema = await loadSchema([Users])
 *
 * Reading is injected, so that nothing is looked for on a disk unless somebody says where. What most
 * schemas import (google/protobuf, google/api/annotations, google/rpc) is built in. `.proto` files are
 * parsed by protobufjs, an optional package that is loaded when the first one is.
 */
import { type DescFile, type DescService, fromBinary } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { toError, UsageError } from '../../core/errors.ts'
import { BUILT_IN_FILES } from './built-in-files.ts'
import { describe } from './describe-files.ts'
import { ProtoFiles, type ReadProto } from './proto-files.ts'
import { type Schema, schemaOf } from './schema.ts'
import { checkedLimits, type SchemaLimits, tooMany } from './schema-limits.ts'

export type SchemaSource =
  | DescFile
  | DescService
  /** A `google.protobuf.FileDescriptorSet`, imports included or among those that are built in. */
  | { readonly descriptorSet: Uint8Array }
  /** The name of a `.proto` file, as an import would say it; `text` instead of reading it. */
  | { readonly proto: string; readonly text?: string }

export interface SchemaOptions extends SchemaLimits {
  /** Reads `.proto` files, those that are asked for and those they import. @default reads none */
  read?: ReadProto
}

/** @throws UsageError ERR_SCHEMA: what is wrong, and with which file */
export async function loadSchema(
  sources: readonly SchemaSource[],
  options: SchemaOptions = {},
): Promise<Schema> {
  const limits = checkedLimits(options)
  const given: DescFile[] = []
  const services: DescService[] = []
  const protos = new Map<string, FileDescriptorProto>()
  const wanted: string[] = []
  const texts = new ProtoFiles(options.read ?? NOTHING_TO_READ, limits)
  for (const source of sources) {
    if ('kind' in source) {
      if (source.kind === 'service') services.push(source)
      else {
        given.push(source)
        services.push(...source.services)
      }
    } else if ('descriptorSet' in source) {
      for (const file of readSet(source.descriptorSet, limits)) {
        protos.set(file.name, file)
        wanted.push(file.name)
      }
    } else {
      await texts.add(source.proto, source.text)
      wanted.push(source.proto)
    }
  }
  for (const [name, file] of await texts.toDescriptors()) protos.set(name, file)
  if (protos.size > limits.maxFiles) throw tooMany(protos.size, limits.maxFiles)
  if (protos.size === 0) return schemaOf([...BUILT_IN_FILES, ...given], services)
  const files = describe(protos, limits)
  for (const name of wanted) services.push(...(files.get(name)?.services ?? []))
  return schemaOf([...BUILT_IN_FILES, ...given, ...files.values()], services)
}

function readSet(
  bytes: Uint8Array,
  { maxDescriptorSetBytes: max }: Required<SchemaLimits>,
): FileDescriptorProto[] {
  if (bytes.length > max) {
    const message = `a descriptor set of ${bytes.length} bytes is over maxDescriptorSetBytes ${max}`
    throw new UsageError('ERR_SCHEMA', message)
  }
  let files: FileDescriptorProto[]
  try {
    files = fromBinary(FileDescriptorSetSchema, bytes).file
  } catch (cause) {
    const why = toError(cause).message
    throw new UsageError('ERR_SCHEMA', `this is no descriptor set: ${why}`, { cause })
  }
  if (files.length > 0 && files.every(({ name }) => name !== '')) return files
  throw new UsageError('ERR_SCHEMA', 'this is no descriptor set: it has no files with names')
}

const NOTHING_TO_READ: ReadProto = () => undefined
