/** Every default of balancing stands in docs/balancing.md, with its value. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { balancerDefaults } from '../../src/runtime/balancer/balancer.ts'
import {
  balancingDefaults,
  localityDefaults,
} from '../../src/runtime/balancer/balancing-options.ts'
import { maglevDefaults } from '../../src/runtime/balancer/maglev.ts'
import {
  outlierDefaults,
  successRateDefaults,
} from '../../src/runtime/balancer/outlier-detector.ts'
import { ringHashDefaults } from '../../src/runtime/balancer/ring-hash.ts'
import { slowStartDefaults } from '../../src/runtime/balancer/slow-start.ts'
import { subsetDefaults } from '../../src/runtime/balancer/subset.ts'

const page = readFileSync(fromRoot('docs/balancing.md'), 'utf8')

const ALL: Readonly<Record<string, object>> = {
  balancerDefaults,
  balancingDefaults,
  localityDefaults,
  outlierDefaults,
  successRateDefaults,
  slowStartDefaults,
  subsetDefaults,
}

for (const [what, defaults] of Object.entries(ALL)) {
  test(`docs/balancing.md states ${what}`, () => {
    for (const [name, value] of Object.entries(defaults)) {
      assert.ok(page.includes(`| \`${name}\` | ${value} |`), `${name} ${value}`)
    }
  })
}

test('docs/balancing.md states the defaults of consistent hashing', () => {
  for (const [name, value] of Object.entries({ ...ringHashDefaults, ...maglevDefaults })) {
    assert.match(page, new RegExp(`\\| \`${name}\` \\| \`\\w+\` \\| ${value} \\|`))
  }
})
