/** Each planted bug has its place in the source, once; `npm run sim -- --planted` hunts them all. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withBug } from '../../scripts/sim-plant.ts'
import { PLANTED_BUGS } from './planted-bugs.ts'

for (const bug of PLANTED_BUGS) {
  test(`planted bug ${bug.name} has its place in ${bug.file}`, () => {
    assert.notEqual(bug.right, bug.wrong)
    assert.ok(withBug(bug).includes(bug.wrong))
  })
}

test('there are at least fifteen planted bugs, in different policies', () => {
  assert.ok(PLANTED_BUGS.length >= 15)
  assert.ok(new Set(PLANTED_BUGS.map(({ file }) => file)).size >= 12)
})
