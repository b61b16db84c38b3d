/** The library examples run as they are. The README shows the first of them, to the letter. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { quicAvailability } from '../../src/transports/quic/quic-availability.ts'
import { runExample } from '../support/run-example.ts'

/** Why an example cannot run on this machine. */
const missing: Readonly<Record<string, string | undefined>> = {
  'quic.ts': quicAvailability().reason,
}

for (const name of readdirSync(fromRoot('examples/library'))) {
  const skip = missing[name] ?? false
  test(`examples/library/${name} answers as it says, and ends`, { skip }, async () => {
    const source = await readFile(fromRoot('examples/library', name), 'utf8')
    // Each `console.log` has its output behind it.
    const promised = [...source.matchAll(/^ *console\.log\(.*\/\/ (.*)$/gm)].map(([, text]) => text)
    assert.ok(promised.length > 0)
    const output = await runExample(`examples/library/${name}`)
    assert.deepEqual(output.trimEnd().split('\n'), promised)
  })
}

test('README shows examples/library/hello.ts', async () => {
  const [readme, example] = await Promise.all([
    readFile(fromRoot('README.md'), 'utf8'),
    readFile(fromRoot('examples/library/hello.ts'), 'utf8'),
  ])
  assert.ok(readme.includes(`\`\`\`ts\n${example}\`\`\``))
})
