/** An example of several files as one that runs: the package's own name is replaced by its sources. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { TestContext } from 'node:test'
import { build } from 'esbuild'
import { fromRoot } from '../../scripts/repository.ts'

/** @returns the file to run, below `node_modules`, where what it imports is found */
export async function bundleExample(t: TestContext, path: string): Promise<string> {
  const cache = fromRoot('node_modules/.cache')
  mkdirSync(cache, { recursive: true })
  const outdir = mkdtempSync(join(cache, 'example-'))
  t.after(() => rmSync(outdir, { recursive: true, force: true }))
  const outfile = join(outdir, `${basename(path, '.ts')}.mjs`)
  await build({
    entryPoints: [fromRoot(path)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    plugins: [
      {
        name: 'heddle',
        setup({ onResolve }) {
          onResolve({ filter: /^heddle\// }, ({ path: name }) => ({
            path: fromRoot('src/doors', `${name.slice('heddle/'.length)}.ts`),
          }))
        },
      },
    ],
    target: 'node22.20',
    logLevel: 'error',
  })
  return outfile
}
