/**
 * `npm run check`: everything that must hold before a change is pushed, in the order of what
 * fails fastest. Every part also runs alone: `npm run check:types`, `:lint`, `:layers`.
 */
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { fromRoot, runProgram, runTool } from './repository.ts'

const BIOME = '@biomejs/biome/bin/biome'
const TSC = 'typescript/bin/tsc'

const PARTS: Readonly<Record<string, () => number>> = {
  layers: () => runProgram(process.execPath, [fromRoot('scripts/layers.ts')]),
  lint: () => runTool(BIOME, ['check', '--error-on-warnings', '.']),
  types: () => runTool(TSC, ['-b', 'tsconfig.json']),
  tests: () => runProgram(process.execPath, [fromRoot('scripts/test.ts')]),
  format: () => runTool(BIOME, ['check', '--write', '.']),
}
const DEFAULT_PARTS = ['layers', 'lint', 'types', 'tests']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'no-tests': { type: 'boolean', default: false } },
})
const chosen = positionals.length > 0 ? positionals : DEFAULT_PARTS
const failures: string[] = []
for (const name of chosen) {
  if (values['no-tests'] && name === 'tests') continue
  const part = PARTS[name]
  if (part === undefined) {
    console.error(`unknown part ${name}; known: ${Object.keys(PARTS).join(', ')}`)
    process.exit(2)
  }
  const started = performance.now()
  const status = part()
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${status === 0 ? '✔' : '✖'} ${name} (${seconds} s)`)
  if (status !== 0) failures.push(name)
}
if (failures.length > 0) {
  console.error(`failed: ${failures.join(', ')}`)
  process.exitCode = 1
}
