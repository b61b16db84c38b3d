/**
 * The library examples run as they are, from the sources: only the package's own name is replaced
 * by the door that it stands for. The README shows the first of them, to the letter.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { fromRoot } from '../../scripts/repository.ts'

const run = promisify(execFile)

async function runExample(name: string): Promise<string> {
  const source = await readFile(fromRoot(`examples/library/${name}`), 'utf8')
  const directory = await mkdtemp(join(tmpdir(), 'heddle-example-'))
  try {
    const file = join(directory, name)
    await writeFile(
      file,
      source.replaceAll(/(?<=from ')heddle\/([^']+)(?=')/g, (_, door: string) =>
        fromRoot(`src/doors/${door}.ts`),
      ),
    )
    const { stdout } = await run(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', file],
      {
        timeout: 20_000,
      },
    )
    return stdout
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('examples/library/hello.ts answers as it says, and ends', async () => {
  const source = await readFile(fromRoot('examples/library/hello.ts'), 'utf8')
  // Each `console.log` has its output behind it.
  const promised = [...source.matchAll(/^console\.log\(.*\/\/ (.*)$/gm)].map(([, text]) => text)
  assert.ok(promised.length > 0)
  assert.deepEqual((await runExample('hello.ts')).trimEnd().split('\n'), promised)
})

test('README shows examples/library/hello.ts', async () => {
  const [readme, example] = await Promise.all([
    readFile(fromRoot('README.md'), 'utf8'),
    readFile(fromRoot('examples/library/hello.ts'), 'utf8'),
  ])
  assert.ok(readme.includes(`\`\`\`ts\n${example}\`\`\``))
})
