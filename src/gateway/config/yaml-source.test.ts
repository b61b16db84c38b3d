import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readYaml, type YamlSourceOptions } from './yaml-source.ts'

const read = (text: string, limits: Partial<YamlSourceOptions> = {}) =>
  readYaml(text, { file: 'x.yaml', environment: () => undefined, ...limits })

test('readYaml bounds the expansion of aliases', () => {
  const text = 'a: &a [1, 2, 3]\nb: [*a, *a]\n'
  // The map, a with 3 items, b with twice an alias that is a list of 3.
  const values = 1 + 4 + 1 + 2 * 5
  assert.deepEqual(read(text, { maxValues: values }).problems, [])
  const over = read(text, { maxValues: values - 1 })
  assert.match(over.problems[0]?.message ?? '', /more than 15 values after aliases/)
  assert.equal(over.problems.length, 1)
})

test('readYaml bounds the text', () => {
  const text = 'a: 12345678'
  assert.deepEqual(read(text, { maxBytes: text.length }).problems, [])
  const over = read(text, { maxBytes: text.length - 1 })
  assert.match(over.problems[0]?.message ?? '', /11 bytes of text are over the limit of 10/)
})

test('readYaml knows where keys and values are', () => {
  const source = read('a:\n  - b: 1\n    c: {d: 2}\n')
  assert.deepEqual(source.locateKey(['a', 0, 'c', 'd']), { line: 3, column: 9 })
  assert.deepEqual(source.locate(['a', 0, 'c', 'd']), { line: 3, column: 12 })
  // What is missing is placed where it should have been.
  assert.deepEqual(source.locate(['a', 0, 'x']), { line: 2, column: 5 })
})

test('readYaml merges maps, own keys first, wherever the merge key stands', () => {
  const text = 'base: &base {x: 1, y: 2}\nfirst: {<<: *base, x: 3}\nlast: {x: 3, <<: *base}\n'
  const { value, problems } = read(text)
  assert.deepEqual(problems, [])
  const { first, last } = value as Record<string, Record<string, number>>
  assert.deepEqual({ ...first }, { x: 3, y: 2 })
  assert.deepEqual({ ...last }, { x: 3, y: 2 })
})

test('readYaml knows secrets in maps that are merged from a list', () => {
  const source = read('a:\n  <<: [{b: "${MY_TOKEN}"}, {c: "1", d: ["${MY_TOKEN}"]}]\n', {
    environment: () => 's3cr3t',
  })
  assert.ok(source.secretPaths.has('a.b'))
  assert.ok(source.secretPaths.has('a.d[0]'))
  assert.ok(!source.secretPaths.has('a.c'))
})
