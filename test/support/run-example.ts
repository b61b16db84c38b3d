/**
 * Runs an example as it is, over the sources: only the package's own name is replaced by the door
 * that it stands for.
 *
 * The doors are bundled once for all examples of a test file. A process that loads some hundred
 * modules one by one takes a second of a busy machine, and on the floor version two: there are many
 * examples, and each is a process.
 */
import { execFile } from 'node:child_process'
import { globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build, transform } from 'esbuild'
import { fromRoot } from '../../scripts/repository.ts'

const run = promisify(execFile)

/** @returns what it wrote to stdout; rejects when it fails or does not end within 60 s */
export async function runExample(path: string): Promise<string> {
  directory ??= bundleDoors()
  const doors = await directory
  const source = await readFile(fromRoot(path), 'utf8')
  const { code } = await transform(source, { loader: 'ts', format: 'esm', target: TARGET })
  const file = join(doors, `${basename(path, '.ts')}.mjs`)
  await writeFile(
    file,
    code
      .replaceAll(
        /(?<=from ")heddle\/([^"]+)(?=")/g,
        (_, door: string) => pathToFileURL(join(doors, `${door}.js`)).href,
      )
      // Generated code is types that Node strips itself.
      .replaceAll(
        /(?<=from ")\.\.\/(schemas\/[^"]+)(?=")/g,
        (_, name: string) => pathToFileURL(fromRoot('examples', name)).href,
      ),
  )
  // What a preloaded hook would do to the sources is done here: the example starts without it.
  const { NODE_OPTIONS: _, ...env } = process.env
  const { stdout } = await run(process.execPath, [file], {
    // A busy machine starts a process slowly.
    timeout: 60_000,
    env: { ...env, NODE_COMPILE_CACHE: join(doors, 'compiled') },
  })
  return stdout
}

let directory: Promise<string> | undefined

/** Below `node_modules`, where what the doors and the examples import is found. */
async function bundleDoors(): Promise<string> {
  const cache = fromRoot('node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  const outdir = mkdtempSync(join(cache, 'examples-'))
  process.once('exit', () => rmSync(outdir, { recursive: true, force: true }))
  await build({
    entryPoints: globSync('src/doors/**/*.ts', { cwd: fromRoot('.') }),
    absWorkingDir: fromRoot('.'),
    outbase: 'src/doors',
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    target: TARGET,
    logLevel: 'error',
  })
  return outdir
}

/** The oldest that heddle supports: what it cannot parse is lowered. */
const TARGET = 'node22.20'
