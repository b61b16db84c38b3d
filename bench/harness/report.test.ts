import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Suite } from '../suites/suite.ts'
import { ratioAim } from '../suites/suite.ts'
import type { ContestantResult, ScenarioResult } from './measure.ts'
import { aimsTable, replacePart, resultTable } from './report.ts'

const file = '# Results\n\n<!-- bench:a -->\nold a\n<!-- /bench:a -->\n\n## By hand\n\nkeep me\n'

test('replacePart replaces one part and nothing else', () => {
  const changed = replacePart(file, 'a', 'new a\n')
  assert.equal(changed, file.replace('old a', 'new a'))
})

test('replacePart puts a new part behind the last one, before what people wrote', () => {
  const changed = replacePart(file, 'b', 'new b')
  assert.match(changed, /old a[\s\S]*new b[\s\S]*By hand[\s\S]*keep me/)
  assert.equal(replacePart(changed, 'b', 'new b'), changed)
})

test('replacePart begins a file that has no parts', () => {
  assert.equal(replacePart('# R\n', 'x', 'y'), '# R\n\n<!-- bench:x -->\ny\n<!-- /bench:x -->\n')
})

function contestant(name: string, speedRatio: number, cpuRatio: number): ContestantResult {
  const flat = { median: 1, min: 1, max: 1 }
  const times = { p50Ms: 1, p99Ms: 1, busy: 1, rssBytes: 1 }
  return { name, perSecond: flat, cpuMicros: flat, speedRatio, cpuRatio, ...times }
}

function scenario(name: string, ...results: ContestantResult[]): ScenarioResult {
  return { kind: 'load', name, description: '', baseline: 'base', results, absent: [] }
}

function suiteWith(atLeast: number): Suite {
  const aim = { text: 'aim', scenarios: ['one', 'two'], figure: 'speed' as const, atLeast }
  const aims = [ratioAim({ ...aim, against: ['base', 'best'] })]
  return { name: 's', title: '', about: '', scenarios: [], aims }
}

test('ratioAim compares with the best of those named, and every scenario must reach it', () => {
  const results = [
    scenario('one', contestant('base', 1, 1), contestant('best', 2, 1), contestant('heddle', 4, 1)),
    scenario('two', contestant('base', 1, 1), contestant('heddle', 1.5, 1)),
  ]
  assert.match(aimsTable(suiteWith(1.5), results)[2] ?? '', /2\.00× one, 1\.50× two.*reached/)
  assert.match(aimsTable(suiteWith(1.51), results)[2] ?? '', /short/)
})

test('ratioAim says nothing where heddle was not measured', () => {
  assert.deepEqual(aimsTable(suiteWith(1), [scenario('one', contestant('base', 1, 1))]), [])
})

test('resultTable aligns its columns', () => {
  const table = resultTable(scenario('one', contestant('base', 1, 1), contestant('x', 12.5, 1)))
  assert.equal(new Set(table.map((line) => line.length)).size, 1)
  assert.match(table[2] ?? '', /\*\*base\*\*/)
})
