/**
 * The schema of files on a disk: `.proto` files, and sets of descriptors whatever they are called.
 *
 *     await schemaFromFiles(['proto/acme/users.proto'], { importPaths: ['proto'] })
 *     await schemaFromFiles(['schema.binpb'])
 */
import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { protoDirectories } from '../../platform/proto-directories.ts'
import { loadSchema, type SchemaSource } from '../../protocols/protobuf/load-schema.ts'
import { pickServices, type Schema } from '../../protocols/protobuf/schema.ts'
import type { SchemaLimits } from '../../protocols/protobuf/schema-limits.ts'

export interface SchemaFilesOptions extends SchemaLimits {
  /**
   * Directories where imports are looked for. Those of the `.proto` files come after them.
   *
   * @default none
   */
  importPaths?: readonly string[]
  /** Fully qualified names of the services that are wanted. @default all */
  services?: readonly string[] | undefined
  /** Is told of each file that was read, imports too. */
  onRead?: (file: string, bytes: Uint8Array) => void
}

/** @throws UsageError ERR_SCHEMA; whatever reading a file throws */
export async function schemaFromFiles(
  files: readonly string[],
  options: SchemaFilesOptions = {},
): Promise<Schema> {
  const { importPaths = [], services, onRead, ...limits } = options
  const protos = files.filter(isProto)
  const find = protoDirectories([
    ...new Set([...importPaths, ...protos.map((one) => dirname(one))]),
  ])
  const read = async (name: string): Promise<Uint8Array | undefined> => {
    const bytes = await find(name)
    if (bytes !== undefined) onRead?.(name, bytes)
    return bytes
  }
  const sources: SchemaSource[] = []
  for (const file of files) {
    const bytes = new Uint8Array(await readFile(file))
    onRead?.(file, bytes)
    if (!isProto(file)) sources.push({ descriptorSet: bytes })
    else sources.push({ proto: importName(file, importPaths), text: UTF8.decode(bytes) })
  }
  const schema = await loadSchema(sources, { ...limits, read })
  return services === undefined ? schema : pickServices(schema, services)
}

function isProto(file: string): boolean {
  return file.endsWith('.proto')
}

/** As an import of it would be written: below one of the import paths, or by itself. */
function importName(file: string, importPaths: readonly string[]): string {
  const normal = plain(file)
  for (const path of importPaths) {
    const prefix = `${plain(path)}/`
    if (normal.startsWith(prefix)) return normal.slice(prefix.length)
  }
  return basename(file)
}

function plain(path: string): string {
  return path.replace(/^(\.\/)+/, '').replace(/\/+$/, '')
}

const UTF8 = new TextDecoder()
