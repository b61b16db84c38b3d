/** Files of a schema, each after those that it imports. */
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt'
import { UsageError } from '../../core/errors.ts'

/**
 * @param builtIn files that need not be among `files`
 * @throws UsageError ERR_SCHEMA for an import that is nowhere, one that leads back, or too deep a chain
 */
export function inOrder(
  files: ReadonlyMap<string, FileDescriptorProto>,
  builtIn: (name: string) => FileDescriptorProto | undefined,
  { maxImportDepth }: { readonly maxImportDepth: number },
): FileDescriptorProto[] {
  const order: FileDescriptorProto[] = []
  const done = new Set<string>()
  const path: string[] = []
  const visit = (name: string): void => {
    if (done.has(name)) return
    checkPath(path, name, maxImportDepth)
    const file = files.get(name) ?? builtIn(name)
    if (file === undefined) throw missing(name, path.at(-1))
    path.push(name)
    for (const imported of file.dependency) visit(imported)
    path.pop()
    done.add(name)
    order.push(file)
  }
  for (const name of files.keys()) visit(name)
  return order
}

/** @throws UsageError ERR_SCHEMA: `name` is on its own path of imports, or one too many */
export function checkPath(path: readonly string[], name: string, maxImportDepth: number): void {
  const at = path.indexOf(name)
  if (at >= 0) {
    const circle = [...path.slice(at), name].slice(0, MAX_SHOWN).join(' → ')
    throw new UsageError('ERR_SCHEMA', `imports lead back to where they began: ${circle}`)
  }
  if (path.length <= maxImportDepth) return
  const message = `${path[0]} imports over ${path.length - 1} levels deep, maxImportDepth is ${maxImportDepth}`
  throw new UsageError('ERR_SCHEMA', message)
}

export function missing(name: string, importer: string | undefined): UsageError {
  const shown = JSON.stringify(name.slice(0, 256))
  const by = importer === undefined ? 'is not there' : `imported by ${importer}, is not there`
  return new UsageError('ERR_SCHEMA', `${shown}, ${by}`.replace(', is', ' is'))
}

const MAX_SHOWN = 16
