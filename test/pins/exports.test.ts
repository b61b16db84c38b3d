/**
 * The subpaths that users import. An entry must point to a file that exists after a build, and a
 * file in `src/doors` must have its entry.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
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
