/**
 * Runs an example as it is, from the sources: only the package's own name is replaced by the door
 * that it stands for.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { fromRoot } from '../../scripts/repository.ts'

const run = promisify(execFile)

/** @returns what it wrote to stdout; rejects when it fails or does not end within 60 s */
export async function runExample(path: string): Promise<string> {
  const source = await readFile(fromRoot(path), 'utf8')
  const directory = await mkdtemp(join(tmpdir(), 'heddle-example-'))
  try {
    const file = join(directory, basename(path))
    await writeFile(
      file,
      source
        .replaceAll(/(?<=from ')heddle\/([^']+)(?=')/g, (_, door: string) =>
          fromRoot(`src/doors/${door}.ts`),
        )
        // What the reader installs is installed here.
        .replaceAll(/(?<=from ')(?:@opentelemetry\/[^']+|undici)(?=')/g, (name) =>
          import.meta.resolve(name),
        ),
    )
    const { stdout } = await run(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', file],
      {
        // A busy machine starts a process slowly.
        timeout: 60_000,
        // Every example loads the same sources: they are compiled once.
        env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'heddle-example-cache') },
      },
    )
    return stdout
  } finally {
    await rm(directory, { recursive: true })
  }
}
