/** Every mark of docs/policies.md has a test and an example; every policy example runs. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { runExample } from '../support/run-example.ts'
import { PLACES, POLICIES } from './policies.ts'

for (const { policy, marks } of POLICIES) {
  for (const place of PLACES) {
    const mark = marks[place]
    if (mark === undefined) continue
    test(`policy ${policy} at ${place} has a test and an example`, () => {
      const [file, name] = mark.test
      const source = readFileSync(fromRoot(file), 'utf8')
      const quoted = ["'", '"', '`'].some((quote) => source.includes(`${quote}${name}`))
      assert.ok(quoted, `${file} has no test that begins with: ${name}`)
      assert.ok(existsSync(fromRoot(`examples/${mark.example}`)), mark.example)
    })
  }
}

test('every policy example stands behind a mark', () => {
  const marked = new Set(
    POLICIES.flatMap(({ marks }) => Object.values(marks).map(({ example }) => example)),
  )
  const examples = globSync('policies/*.ts', { cwd: fromRoot('examples') })
  assert.deepEqual(
    examples.map((name) => name.replaceAll('\\', '/')).filter((name) => !marked.has(name)),
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
