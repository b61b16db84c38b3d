/** Every default of the runtime stands in docs/runtime.md, with its value. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { backoffDefaults } from '../../src/runtime/backoff.ts'
import { breakerDefaults } from '../../src/runtime/breaker.ts'
import { clientDefaults } from '../../src/runtime/client-options.ts'
import { hedgeDefaults } from '../../src/runtime/hedge-policy.ts'
import { poolDefaults } from '../../src/runtime/pool-options.ts'
import { retryBudgetDefaults } from '../../src/runtime/retry-budget.ts'
import { retryPolicyDefaults } from '../../src/runtime/retry-policy.ts'
import { serverDefaults } from '../../src/runtime/server.ts'
import { timerWheelDefaults } from '../../src/runtime/timer-wheel.ts'

const page = readFileSync(fromRoot('docs/runtime.md'), 'utf8')

/** Text under a heading, up to the next one. */
function section(heading: string): string {
  const start = page.indexOf(`\n${heading}\n`)
  assert.ok(start >= 0, `a heading "${heading}"`)
  const end = page.indexOf('\n#', start + heading.length + 1)
  return page.slice(start, end < 0 ? undefined : end)
}

const SECTIONS: [heading: string, defaults: object][] = [
  ['### Client', clientDefaults],
  ['### Retries', { ...retryPolicyDefaults, ...backoffDefaults, ...retryBudgetDefaults }],
  ['### Hedging', hedgeDefaults],
  ['### Breaker', breakerDefaults],
  ['### Pool', poolDefaults],
  ["## The server's core", serverDefaults],
]

for (const [heading, defaults] of SECTIONS) {
  test(`docs/runtime.md states the defaults of "${heading}"`, () => {
    const text = section(heading)
    for (const [name, value] of Object.entries(defaults)) {
      assert.ok(text.includes(`| \`${name}\` | ${value} |`), `${name} ${value}`)
    }
  })
}

test('docs/runtime.md states the resolution of the timer wheel', () => {
  const { resolutionMs } = timerWheelDefaults
  assert.match(
    section('### Timer wheel'),
    new RegExp(`resolutionMs\` \\(default ${resolutionMs}\\)`),
  )
})
