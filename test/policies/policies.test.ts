/** Every mark of docs/policies.md has a test and an example; every policy example runs. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { GATEWAY_EXAMPLES } from '../gateway/gateway-examples.ts'
import { runExample } from '../support/run-example.ts'
import { PLACES, POLICIES } from './policies.ts'

const examplesIn = (folder: string): string[] =>
  globSync(`${folder}/*.ts`, { cwd: fromRoot('examples') }).map((name) =>
    name.replaceAll('\\', '/'),
  )

/** Below `examples/`: those here run below, patterns in test/patterns, the gateway's in test/gateway. */
const RUN: ReadonlySet<string> = new Set([
  ...examplesIn('policies'),
  ...examplesIn('patterns'),
  ...GATEWAY_EXAMPLES.map((name) => `gateway/${name}`),
])

for (const { policy, marks } of POLICIES) {
  for (const place of PLACES) {
    const mark = marks[place]
    if (mark === undefined) continue
    test(`policy ${policy} at ${place} has a test and an example`, () => {
      const [file, name] = mark.test
      const titles = titlesOf(file).filter((title) => title.startsWith(name))
      assert.equal(titles.length, 1, `tests of ${file} that begin with '${name}': ${titles.join()}`)
      assert.ok(RUN.has(mark.example), `no test runs examples/${mark.example}`)
    })
  }
}

test('every policy example stands behind a mark', () => {
  const marked = new Set(
    POLICIES.flatMap(({ marks }) => Object.values(marks).map(({ example }) => example)),
  )
  assert.deepEqual(
    examplesIn('policies').filter((name) => !marked.has(name)),
    [],
  )
})

for (const name of globSync('*.ts', { cwd: fromRoot('examples/policies') }).sort()) {
  test(`examples/policies/${name} prints what it says, and ends`, async () => {
    const file = `examples/policies/${name}`
    const source = readFileSync(fromRoot(file), 'utf8')
    // Each `console.log` has its output behind it, or in the comment line below it.
    const promised = [...source.matchAll(/^\s*console\.log\(.*\)\s*\/\/ (.*)$/gm)].map(
      ([, text]) => text,
    )
    assert.ok(promised.length > 0, `${file} prints nothing that it promises`)
    assert.deepEqual((await runExample(file)).trimEnd().split('\n'), promised)
  })
}

/** What a test file calls its tests: the first argument of each `test`, as written. */
function titlesOf(file: string): string[] {
  const source = readFileSync(fromRoot(file), 'utf8')
  return [...source.matchAll(TITLE)].map(([, , title = '']) => title)
}

const TITLE = /\b(?:test|it)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs
