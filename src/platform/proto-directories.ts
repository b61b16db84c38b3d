/**
 * `.proto` files on a disk, as `loadSchema` asks for them: an import is looked for in each directory in
 * turn, as protoc does with `-I`.
 *
 *     loadSchema([{ proto: 'acme/users.proto' }], { read: protoDirectories(['proto', 'third_party']) })
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** @param directories relative ones are below the current directory */
export function protoDirectories(
  directories: readonly string[],
): (name: string) => Promise<Uint8Array | undefined> {
  return async (name) => {
    // An import is a path below one of the directories, never one that leads out of them.
    if (!/^[^/\\:\0][^\\:\0]*$/.test(name) || name.split('/').includes('..')) return undefined
    for (const directory of directories) {
      const bytes = await readIfThere(join(directory, name))
      if (bytes !== undefined) return bytes
    }
    return undefined
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  const found = await stat(path).catch((error: unknown) => {
    if (ABSENT.has((error as { code?: string }).code ?? '')) return undefined
    throw error
  })
  return found?.isFile() === true ? await readFile(path) : undefined
}

const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR'])
