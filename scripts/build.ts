/** `npm run build`: compiles every layer into `dist/`, from nothing, so that no old file stays. */
import { rmSync } from 'node:fs'
import { existingLayers, fromRoot, runTool } from './repository.ts'

rmSync(fromRoot('dist'), { recursive: true, force: true })
const projects = existingLayers().map((layer) => `src/${layer}`)
const started = performance.now()
const status = runTool('typescript/bin/tsc', ['-b', ...projects])
if (status !== 0) process.exit(status)
console.log(
  `built ${projects.length} layers in ${((performance.now() - started) / 1000).toFixed(1)} s`,
)
