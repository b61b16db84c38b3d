/**
 * Writes the files that follow from others, so that nobody keeps two lists in step by hand:
 *
 * - `src/<layer>/tsconfig.json`, `tsconfig.json` and `tsconfig.test.json` from
 *   `scripts/layers.config.ts`;
 * - `exports` of `package.json` from the files in `src/doors/`;
 * - `docs/errors.md` from `src/core/error-codes.ts`;
 * - `docs/config.schema.json` and `docs/gateway-options.md` from `src/gateway/config/schema/`;
 * - the table of README.md from `test/matrix/matrix.ts`;
 * - the table of docs/policies.md from `test/policies/policies.ts`.
 *
 * `npm run gen` writes them, `npm run gen -- --check` says which one is stale (a pin test does).
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { configJsonSchema } from '../src/gateway/config/json-schema.ts'
import { optionsPage } from '../src/gateway/config/options-page.ts'
import { matrixTable } from '../test/matrix/matrix.ts'
import { policiesTable } from '../test/policies/policies.ts'
import { errorsPage } from './gen-errors.ts'
import { LAYERS } from './layers.config.ts'
import { existingLayers, fromRoot, ROOT } from './repository.ts'

/** Every generated file by its path, with what should be in it. */
export async function generatedFiles(): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  const layers = existingLayers()
  for (const layer of layers) {
    files.set(`src/${layer}/tsconfig.json`, toJson(layerProject(layer, layers)))
  }
  files.set('tsconfig.json', toJson(rootProject(layers)))
  files.set('tsconfig.test.json', toJson(testProject(layers)))
  files.set('package.json', packageWithExports())
  files.set('docs/errors.md', await errorsPage())
  files.set('docs/config.schema.json', configJsonSchema())
  files.set('docs/gateway-options.md', optionsPage())
  files.set('README.md', withTable('README.md', 'matrix', matrixTable()))
  const policies = 'docs/policies.md'
  files.set(policies, withTable(policies, 'policies', policiesTable()))
  return files
}

/** The paths of generated files that are missing or differ. */
export async function staleFiles(): Promise<string[]> {
  const files = await generatedFiles()
  return [...files].filter(([path, text]) => read(path) !== text).map(([path]) => path)
}

/** The subpaths that users import, from the files in `src/doors`. */
export function exportsOfPackage(): Record<string, unknown> {
  const doors = globSync('**/*.ts', { cwd: fromRoot('src/doors') })
    .map((file) => file.replaceAll('\\', '/').replace(/\.ts$/, ''))
    .filter((door) => !door.endsWith('.test'))
    .sort()
  const exports: Record<string, unknown> = {}
  for (const door of doors) {
    exports[door === 'heddle' ? '.' : `./${door}`] = {
      types: `./dist/doors/${door}.d.ts`,
      default: `./dist/doors/${door}.js`,
    }
  }
  exports['./package.json'] = './package.json'
  return Object.fromEntries(
    Object.entries(exports).sort(([a], [b]) => (a === '.' ? -1 : b === '.' ? 1 : a < b ? -1 : 1)),
  )
}

/** `path` with `table` between its two marks. */
function withTable(path: string, mark: string, table: string): string {
  const [begin, end] = [`<!-- ${mark}: npm run gen -->`, `<!-- /${mark} -->`]
  const text = read(path) ?? ''
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${path} has lost its ${begin} … ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`
}

function layerProject(layer: string, layers: readonly string[]): object {
  const rules = LAYERS[layer]
  if (rules === undefined) throw new Error(`${layer} is not in layers.config.ts`)
  const imports = rules.imports.filter((name) => layers.includes(name))
  const ambient = rules.pure && layer !== 'core' ? ['../core/ambient.d.ts'] : []
  return {
    extends: '../../tsconfig.base.json',
    compilerOptions: {
      rootDir: '..',
      outDir: '../../dist',
      tsBuildInfoFile: `../../dist/${layer}/tsconfig.tsbuildinfo`,
      types: rules.pure ? [] : ['node'],
    },
    include: ['**/*.ts', ...ambient],
    exclude: ['**/*.test.ts', '**/*.fuzz.ts'],
    references: imports.map((name) => ({ path: `../${name}` })),
  }
}

function rootProject(layers: readonly string[]): object {
  const projects = [...layers.map((layer) => `src/${layer}`), 'tsconfig.test.json']
  return { files: [], references: projects.map((path) => ({ path: `./${path}` })) }
}

/** Everything that is not published: tests of every layer, scripts, benches. It may see all. */
function testProject(layers: readonly string[]): object {
  const folders = ['test', 'scripts', 'bench', 'interop', 'soak', 'examples']
  return {
    extends: './tsconfig.base.json',
    compilerOptions: {
      noEmit: true,
      rewriteRelativeImportExtensions: false,
      allowImportingTsExtensions: true,
      types: ['node'],
      rootDir: '.',
      tsBuildInfoFile: 'dist/tsconfig.test.tsbuildinfo',
    },
    include: [
      'src/**/*.test.ts',
      'src/**/*.fuzz.ts',
      ...folders.map((folder) => `${folder}/**/*.ts`),
    ],
    exclude: ['scripts/fixtures', 'scripts/templates', 'test/pack/consumer'],
    references: layers.map((layer) => ({ path: `./src/${layer}` })),
  }
}

function packageWithExports(): string {
  const manifest = JSON.parse(readFileSync(fromRoot('package.json'), 'utf8'))
  manifest.exports = exportsOfPackage()
  // npm writes this file itself, one item a line.
  return `${JSON.stringify(manifest, null, 2)}\n`
}

/** As the formatter leaves it, so that generating and formatting do not fight. */
function toJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2)
  // Short lists on one line.
  return `${text.replace(/\[\n\s+([^[\]{}]*?)\n\s+\]/g, shortList)}\n`
}

function shortList(whole: string, items: string): string {
  const line = `[${items.replace(/\n\s+/g, ' ')}]`
  return line.length <= 70 ? line : whole
}

function read(path: string): string | undefined {
  try {
    return readFileSync(fromRoot(path), 'utf8')
  } catch {
    return undefined
  }
}

if (import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const stale = await staleFiles()
  if (values.check) {
    for (const path of stale) console.error(`${path} is stale: npm run gen`)
    process.exitCode = stale.length > 0 ? 1 : 0
  } else {
    const files = await generatedFiles()
    for (const path of stale) {
      mkdirSync(dirname(`${ROOT}/${path}`), { recursive: true })
      writeFileSync(fromRoot(path), files.get(path) ?? '')
      console.log(`wrote ${path}`)
    }
    if (stale.length === 0) console.log('every generated file is up to date')
  }
}
