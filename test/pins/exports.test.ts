/**
 * The subpaths that users import. An entry must point to a file that exists after a build, and a
 * file in `src/doors` must have its entry.
 */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { exportsOfPackage } from '../../scripts/gen.ts'
import { fromRoot } from '../../scripts/repository.ts'

interface Entry {
  readonly types: string
  readonly default: string
}

const manifest: { exports: Record<string, Entry | string> } = JSON.parse(
  readFileSync(fromRoot('package.json'), 'utf8'),
)

test('exports are the files of src/doors, one subpath each', () => {
  assert.deepEqual(manifest.exports, exportsOfPackage())
})

test('every subpath of exports points to a source file that exists', () => {
  for (const [subpath, entry] of Object.entries(manifest.exports)) {
    if (typeof entry === 'string') {
      assert.ok(existsSync(fromRoot(entry)), `${subpath}: ${entry}`)
      continue
    }
    const source = entry.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')
    assert.ok(existsSync(fromRoot(source)), `${subpath}: ${source}`)
    assert.equal(entry.types, entry.default.replace(/\.js$/, '.d.ts'), subpath)
  }
})

test('no subpath of exports is a pattern: what is public is said file by file', () => {
  for (const subpath of Object.keys(manifest.exports)) assert.doesNotMatch(subpath, /\*/)
})

test('heddle/core exports every file of src/core: a shape that is not exported cannot be used', () => {
  const door = readFileSync(fromRoot('src/doors/core.ts'), 'utf8')
  const files = globSync('src/core/*.ts', { cwd: fromRoot('.') })
    .map((file) => file.replaceAll('\\', '/').replace('src/core/', ''))
    .filter((file) => !/\.(test|fuzz|d)\.ts$/.test(file))
  assert.deepEqual(
    files.filter((file) => !door.includes(`'../core/${file}'`)),
    [],
    'missing in src/doors/core.ts',
  )
})
