/** `npm run build`: compiles every layer into `dist/`, from nothing, so that no old file stays. */
import { cpSync, rmSync } from 'node:fs'
import { existingLayers, fromRoot, runTool } from './repository.ts'

const ASSETS = ['gateway/admin/dashboard']

rmSync(fromRoot('dist'), { recursive: true, force: true })
const projects = existingLayers().map((layer) => `src/${layer}`)
const started = performance.now()
const status = runTool('typescript/bin/tsc', ['-b', ...projects])
if (status !== 0) process.exit(status)
// Files that are served or read as they are: the compiler does not know them.
for (const path of ASSETS) {
  cpSync(fromRoot(`src/${path}`), fromRoot(`dist/${path}`), { recursive: true })
}
console.log(
  `built ${projects.length} layers in ${((performance.now() - started) / 1000).toFixed(1)} s`,
)
