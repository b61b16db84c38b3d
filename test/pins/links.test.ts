/** Every relative link between the pages of this repository leads to a file that exists. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'

test('relative links of the pages lead somewhere', () => {
  const root = fromRoot('.')
  const pages = globSync(['*.md', 'docs/**/*.md', 'bench/*.md', 'interop/*.md'], { cwd: root })
  assert.ok(pages.includes('README.md'))
  const dead: string[] = []
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^([a-z]+:|#)/.test(target)) continue
      const file = join(root, dirname(page), target.replace(/#.*$/, ''))
      if (!existsSync(file)) dead.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(dead, [])
})
