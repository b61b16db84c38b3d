import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MergeMode, membersOf, mergeParts, type PartResult } from './merge.ts'

const ok = (name: string, json: string): PartResult => ({ name, status: 200, json })
const bad: PartResult = { name: 'b', failure: { status: 503, code: 'ERR_X', message: 'no' } }
const BAD = '{"status":503,"code":"ERR_X","message":"no"}'

const ROWS: readonly (readonly [MergeMode, readonly PartResult[], string])[] = [
  ['by_name', [ok('a', ' {"x": 1}\n'), ok('c', '[2]')], '{"a":{"x": 1},"c":[2]}'],
  ['by_name', [ok('a', '1'), bad], `{"a":1,"b":null,"errors":{"b":${BAD}}}`],
  ['object', [ok('a', '{"x":1,"y":2}'), ok('c', '{"y":3}')], '{"x":1,"y":3}'],
  ['object', [ok('a', '{"errors":"mine","x":1}'), bad], `{"x":1,"errors":{"b":${BAD}}}`],
  ['object', [ok('a', '{"\\u0061":1}'), ok('c', '{"a":2}')], '{"a":2}'],
  ['object', [ok('a', '{}'), ok('c', ' { } ')], '{}'],
  [
    'array',
    [ok('a', '1'), bad],
    `[{"name":"a","status":200,"body":1},{"name":"b","status":503,"error":${BAD}}]`,
  ],
  // Digits that a number of JavaScript has not.
  ['object', [ok('a', '{"id":9007199254740993,"f":1.0}')], '{"id":9007199254740993,"f":1.0}'],
  ['by_name', [ok('__proto__', '{"a":1}')], '{"__proto__":{"a":1}}'],
]

for (const [mode, results, text] of ROWS) {
  test(`mergeParts ${mode} makes ${text.slice(0, 50)}`, () => {
    assert.equal(mergeParts(mode, results), `${text}\n`)
    JSON.parse(text)
  })
}

test('membersOf finds the members of an object whatever stands in their values', () => {
  const values = ['"}{,:\\"\\\\"', '{"a":[{"b":"]"}],"c":1}', '[1,[2,{"x":3}]]', 'null', '-1.5e9']
  const text = `{\n${values.map((value, index) => ` "k:${index},\\"" : ${value}`).join(' ,\n')} }`
  assert.deepEqual(Object.keys(JSON.parse(text)).length, values.length)
  assert.deepEqual(
    membersOf(text),
    values.map((value, index) => [JSON.stringify(`k:${index},"`), value]),
  )
})
