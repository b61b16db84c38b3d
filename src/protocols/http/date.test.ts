import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatHttpDate, parseHttpDate } from './date.ts'

const NOW = Date.UTC(2026, 10, 24)
const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37)

test('formatHttpDate writes an IMF-fixdate', () => {
  assert.equal(formatHttpDate(EXAMPLE), 'Sun, 06 Nov 1994 08:49:37 GMT')
})

test('parseHttpDate reads the three formats of RFC 9110 5.6.7', () => {
  for (const text of [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ]) {
    assert.equal(parseHttpDate(text, NOW), EXAMPLE, text)
  }
})

test('parseHttpDate takes a two-digit year over 50 years ahead as past', () => {
  assert.equal(parseHttpDate('Friday, 01-Jan-77 00:00:00 GMT', NOW), Date.UTC(1977, 0, 1))
  assert.equal(parseHttpDate('Wednesday, 01-Jan-76 00:00:00 GMT', NOW), Date.UTC(2076, 0, 1))
})

test('parseHttpDate refuses what is no date', () => {
  for (const text of [
    '',
    '0',
    '2026-11-24T00:00:00Z',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 31 Feb 2026 00:00:00 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 6 Nov 1994 08:49:37 GMT',
  ]) {
    assert.equal(parseHttpDate(text, NOW), undefined, text)
  }
})
