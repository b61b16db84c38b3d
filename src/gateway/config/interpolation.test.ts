import assert from 'node:assert/strict'
import { test } from 'node:test'
import { interpolate } from './interpolation.ts'

const VARIABLES: Record<string, string> = { HOST: 'a.example', EMPTY: '', DOLLAR: '$' + '{HOST}' }
const read = (text: string) => interpolate(text, (name) => VARIABLES[name])

test('interpolate replaces variables and defaults, once', () => {
  const cases: [string, string][] = [
    ['${HOST}:80', 'a.example:80'],
    ['${HOST}${HOST}', 'a.examplea.example'],
    ['${PORT:-8080}', '8080'],
    ['${EMPTY:-full}', 'full'],
    ['${EMPTY}', ''],
    ['${PORT:-}', ''],
    ['cost $5', 'cost $5'],
    ['$${HOST}', '${HOST}'],
    // What a variable holds is a value: it is not read again.
    ['${DOLLAR}', '${HOST}'],
  ]
  for (const [text, expected] of cases) {
    const outcome = read(text)
    assert.ok('text' in outcome, text)
    assert.equal(outcome.text, expected, text)
  }
})

test('interpolate says what is wrong', () => {
  const cases: [string, RegExp][] = [
    ['${PORT}', /variable PORT is not set/],
    ['${PORT', /without a closing/],
    ['${1X}', /is not \$\{NAME\}/],
    ['${A-b}', /is not \$\{NAME\}/],
    ['${}', /is not \$\{NAME\}/],
  ]
  for (const [text, expected] of cases) {
    const outcome = read(text)
    assert.ok('problem' in outcome, text)
    assert.match(outcome.problem, expected)
  }
})
