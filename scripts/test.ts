/**
 * Runs tests on the TypeScript sources.
 *
 *     npm test                          everything but `test/pack`, which `npm run test:pack` runs
 *     npm test -- src/core resp         files whose path contains one of the words
 *     npm test -- --name 'half-close'   tests whose name matches
 *     npm test -- --reporter spec       another reporter of node:test
 *
 * A selection that matches no file is a failure: a run that tested nothing must not look green.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { fromRoot, ROOT } from './repository.ts'

const TEST_GLOBS = [
  'src/**/*.test.ts',
  'test/**/*.test.ts',
  'scripts/**/*.test.ts',
  'bench/**/*.test.ts',
]

const PACK = 'test/pack/'

/**
 * A file that neither ends nor fails is a leak; this is how long it takes to say so. Some start fifty
 * processes, on machines that are busy.
 */
const FILE_TIMEOUT_MS = 240_000
const CONCURRENCY = 2

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', multiple: true, default: [] },
    reporter: { type: 'string', default: fromRoot('scripts/test-reporter.ts') },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log('npm test -- [words of file paths...] [--name pattern] [--reporter spec|dot|tap]')
  process.exit(0)
}

const files = findTests(positionals)
if (files.length === 0) {
  console.error(`no test file matches: ${positionals.join(' ') || TEST_GLOBS.join(' ')}`)
  process.exit(1)
}

const nodeOptions = [
  '--disable-warning=ExperimentalWarning',
  '--import',
  pathToFileURL(fromRoot('test/support/fixed-seed.ts')).href,
  '--test',
  `--test-concurrency=${CONCURRENCY}`,
  `--test-timeout=${FILE_TIMEOUT_MS}`,
  `--test-reporter=${values.reporter}`,
  '--test-reporter-destination=stdout',
  ...values.name.map((pattern) => `--test-name-pattern=${pattern}`),
]
const run = spawnSync(process.execPath, [...nodeOptions, ...files], {
  cwd: ROOT,
  stdio: 'inherit',
  // Every file is a process, and most load the same sources: they are compiled once.
  env: { ...process.env, NODE_COMPILE_CACHE: fromRoot('node_modules/.cache/tests') },
})
process.exitCode = run.status ?? 1

function findTests(words: readonly string[]): string[] {
  const found = TEST_GLOBS.flatMap((glob) => globSync(glob, { cwd: ROOT }))
  const portable = found.map((file) => file.replaceAll('\\', '/')).sort()
  // Building and installing the package takes half a minute: CI does it.
  if (words.length === 0) return portable.filter((file) => !file.startsWith(PACK))
  const wanted = words.map((word) => word.replace(/^\.\//, ''))
  return portable.filter((file) => wanted.some((word) => file.includes(word)))
}
