/** docs/protocols/http2.md says the defaults that the code has. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { http2ClientDefaults, http2ServerDefaults } from './options.ts'

const page = readFileSync(new URL('../../../docs/protocols/http2.md', import.meta.url), 'utf8')

/** Rows of the table under a heading: option to default, as they are written. */
function documented(heading: string): Map<string, string> {
  const section = page.split(/^## /m).find((text) => text.startsWith(heading)) ?? ''
  const rows = section.matchAll(/^\| `(\w+)` \| ([^|]+) \|/gm)
  return new Map([...rows].map((row) => [row[1] as string, (row[2] as string).trim()]))
}

function check(rows: ReadonlyMap<string, string>, defaults: object): void {
  for (const [name, value] of Object.entries(defaults)) {
    const text = typeof value === 'number' ? value.toLocaleString('en-US') : String(value)
    assert.equal(rows.get(name), text === '∞' ? 'Infinity' : text, name)
  }
}

test('docs/protocols/http2.md has every default of the server', () => {
  check(documented('Server options'), http2ServerDefaults)
})

test('docs/protocols/http2.md has every default of the client', () => {
  const both = new Map([...documented('Server options'), ...documented('Client options')])
  check(both, http2ClientDefaults)
})
