/** Every default of the load policies stands in docs/load.md, with its value. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { aimdLimitDefaults } from '../../src/runtime/concurrency/aimd-limit.ts'
import { bulkheadDefaults } from '../../src/runtime/concurrency/bulkheads.ts'
import { queueDefaults } from '../../src/runtime/concurrency/concurrency-gate.ts'
import { gradientLimitDefaults } from '../../src/runtime/concurrency/gradient-limit.ts'
import { memoryRateLimitDefaults } from '../../src/runtime/rate-limit/memory-rate-limit-store.ts'
import { rateLimitDefaults } from '../../src/runtime/rate-limit/rate-limit.ts'

const page = readFileSync(fromRoot('docs/load.md'), 'utf8')

/** Text under a heading, up to the next one. */
function section(heading: string): string {
  const start = page.indexOf(`\n${heading}\n`)
  assert.ok(start >= 0, `a heading "${heading}"`)
  const end = page.indexOf('\n#', start + heading.length + 1)
  return page.slice(start, end < 0 ? undefined : end)
}

const SECTIONS: [heading: string, defaults: object][] = [
  ['## Limits on calls at a time', { ...queueDefaults, ...gradientLimitDefaults }],
  ['## Limits on calls at a time', { ...aimdLimitDefaults }],
  ['## Bulkheads', { ...bulkheadDefaults }],
  ['## Rate limits', { ...rateLimitDefaults, ...memoryRateLimitDefaults }],
]

for (const [heading, defaults] of SECTIONS) {
  test(`docs/load.md states the defaults of "${heading}"`, () => {
    const text = section(heading)
    for (const [name, value] of Object.entries(defaults)) {
      assert.ok(text.includes(`| \`${name}\` | ${value} |`), `${name} ${value}`)
    }
  })
}
