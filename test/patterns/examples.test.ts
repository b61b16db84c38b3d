/** Every example of a pattern prints what it says, and ends; docs/patterns.md states every default. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { batchDefaults } from '../../src/runtime/patterns/batch.ts'
import { creditDefaults } from '../../src/runtime/patterns/credit.ts'
import { fanOutDefaults } from '../../src/runtime/patterns/fan-out.ts'
import { fireAndForgetDefaults } from '../../src/runtime/patterns/fire-and-forget.ts'
import { outboxDefaults } from '../../src/runtime/patterns/outbox-options.ts'
import { answerDefaults } from '../../src/runtime/patterns/request-answers.ts'
import { requestReplyDefaults } from '../../src/runtime/patterns/request-reply.ts'
import { runExample } from '../support/run-example.ts'

for (const name of globSync('*.ts', { cwd: fromRoot('examples/patterns') }).sort()) {
  test(`examples/patterns/${name} prints what it says, and ends`, async () => {
    const file = `examples/patterns/${name}`
    const source = readFileSync(fromRoot(file), 'utf8')
    const promised = [...source.matchAll(/^\s*console\.log\(.*\)\s*\/\/ (.*)$/gm)].map(
      ([, text]) => text,
    )
    assert.ok(promised.length > 0, `${file} prints nothing that it promises`)
    assert.deepEqual((await runExample(file)).trimEnd().split('\n'), promised)
  })
}

const DEFAULTS: [heading: string, defaults: object][] = [
  ['## Request and reply over messages', { ...requestReplyDefaults, ...answerDefaults }],
  ['## Fire and forget', fireAndForgetDefaults],
  ['## Outbox', outboxDefaults],
  ['## Streams', creditDefaults],
  ['## Batches', batchDefaults],
]

for (const [heading, defaults] of DEFAULTS) {
  test(`docs/patterns.md states the defaults of "${heading}"`, () => {
    const page = readFileSync(fromRoot('docs/patterns.md'), 'utf8')
    const from = page.indexOf(`\n${heading}\n`)
    const section = page.slice(from, page.indexOf('\n## ', from + heading.length))
    assert.ok(from > 0, heading)
    for (const [name, value] of Object.entries(defaults)) {
      assert.ok(section.includes(`| \`${name}\` | ${value} |`), `${name} ${value}`)
    }
  })
}

test('docs/patterns.md states the bound of a fan-out', () => {
  const page = readFileSync(fromRoot('docs/patterns.md'), 'utf8')
  assert.ok(page.includes(`\`maxBranches\`: ${fanOutDefaults.maxBranches}`))
})
