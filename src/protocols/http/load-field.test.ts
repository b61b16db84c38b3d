import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OverloadError } from '../../core/errors.ts'
import { errorResponse } from './classifier.ts'
import { HttpFields } from './fields.ts'
import { loadReportOf, setLoadField } from './load-field.ts'

test('Heddle-Load says what it is told, in place of what was there, and is read again', () => {
  const fields = new HttpFields()
  setLoadField(fields, { depth: 199, limit: 200 })
  setLoadField(fields, { depth: 12, limit: 200 })
  assert.equal(fields.get('heddle-load'), 'depth=12, limit=200')
  assert.deepEqual(loadReportOf(fields), { depth: 12, limit: 200 })
})

test('loadReportOf reads a dictionary in any order, and nothing that it does not understand', () => {
  const table: readonly (readonly [string, readonly [number, number] | undefined])[] = [
    ['limit=5,depth=0', [0, 5]],
    ['depth=1;fresh, other="a,b", limit=2', [1, 2]],
    ['depth=1', undefined],
    ['limit=1', undefined],
    ['depth=-1, limit=5', undefined],
    ['depth=1.5, limit=5', undefined],
    ['mydepth=1, limit=5', undefined],
    [`depth=${'9'.repeat(16)}, limit=5`, undefined],
    [`depth=1, limit=2${' '.repeat(256)}`, undefined],
    ['', undefined],
  ]
  for (const [text, expected] of table) {
    const report = loadReportOf(HttpFields.fromTrusted(['heddle-load', text]))
    assert.deepEqual(report && [report.depth, report.limit], expected, text)
  }
  assert.equal(loadReportOf(new HttpFields()), undefined)
})

test('a refusal tells depth and limit only where its limit was set to', () => {
  const refusal = (told?: true) =>
    errorResponse(
      new OverloadError('ERR_SHED', 'full', {
        detail: { retryAfterMs: 1_500, depth: 7, limit: 7, ...(told && { told }) },
      }),
    ).fields
  assert.equal(refusal().get('heddle-load'), undefined)
  assert.equal(refusal().get('retry-after'), '2')
  assert.deepEqual(loadReportOf(refusal(true)), { depth: 7, limit: 7 })
})
