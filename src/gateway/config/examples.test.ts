import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { effectiveConfig } from './effective.ts'
import { loadConfig } from './load.ts'
import { formatProblem } from './problem.ts'

const FOLDER = new URL('../../../examples/gateway/', import.meta.url)

for (const name of (await readdir(FOLDER)).filter((file) => file.endsWith('.yaml'))) {
  test(`examples/gateway/${name} is a good configuration, and its effective form means the same`, async () => {
    const text = await readFile(new URL(name, FOLDER), 'utf8')
    const load = (source: string) =>
      loadConfig(source, { file: name, environment: () => undefined })
    const outcome = load(text)
    assert.ok(outcome.ok, outcome.ok ? '' : outcome.problems.map(formatProblem).join('\n'))
    const again = load(effectiveConfig(outcome.config))
    assert.ok(again.ok, again.ok ? '' : again.problems.map(formatProblem).join('\n'))
    assert.deepEqual(again.config, outcome.config)
  })
}

test('every YAML block of docs/gateway.md is a good configuration', async () => {
  const page = await readFile(new URL('../../../docs/gateway.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)].map((match) => match[1] as string)
  assert.ok(blocks.length > 0)
  for (const block of blocks) {
    const outcome = loadConfig(block, { file: 'docs/gateway.md', environment: () => '127.0.0.1:1' })
    assert.ok(
      outcome.ok,
      outcome.ok ? '' : `${block}\n${outcome.problems.map(formatProblem).join('\n')}`,
    )
  }
})
