/** What follows from one table must follow it: `npm run gen` writes these files. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { staleFiles } from '../../scripts/gen.ts'

test('every generated file is up to date (npm run gen writes them)', async () => {
  assert.deepEqual(await staleFiles(), [])
})
