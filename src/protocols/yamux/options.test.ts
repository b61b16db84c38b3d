/** docs/protocols/yamux.md says the defaults that the code has. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { yamuxDefaults } from './options.ts'

const page = readFileSync(new URL('../../../docs/protocols/yamux.md', import.meta.url), 'utf8')

test('docs/protocols/yamux.md has every default', () => {
  for (const [name, value] of Object.entries(yamuxDefaults)) {
    assert.ok(page.includes(`| \`${name}\` | ${value.toLocaleString('en-US')} |`), name)
  }
})
