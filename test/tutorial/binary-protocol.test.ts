/** The code of docs/tutorial-binary-protocol.md, as it is printed there. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { fromRoot } from '../../scripts/repository.ts'

const run = promisify(execFile)
const page = await readFile(fromRoot('docs/tutorial-binary-protocol.md'), 'utf8')

/** Blocks that begin with the name of their file. */
function files(): ReadonlyMap<string, string> {
  const blocks = page.matchAll(/```ts\n(\/\/ (\S+)\n[\s\S]*?)```/g)
  return new Map([...blocks].map(([, code, name]) => [name as string, code as string]))
}

/** Writes them down; the package's own name is replaced by the door that it stands for. */
async function writeDown(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'heddle-tutorial-'))
  await writeFile(join(directory, 'package.json'), '{"type":"module"}')
  for (const [name, code] of files()) {
    const local = code.replaceAll(/(?<=from ')heddle\/([^']+)(?=')/g, (_, door: string) =>
      fromRoot(`src/doors/${door}.ts`),
    )
    await writeFile(join(directory, name), local)
  }
  return directory
}

const options = {
  timeout: 60_000,
  env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'heddle-example-cache') },
}

test('the tutorial’s client and server say what the tutorial says', async () => {
  const directory = await writeDown()
  const server = spawn(process.execPath, ['server.ts', '0'], { ...options, cwd: directory })
  try {
    const [port] = (await once(server.stdout, 'data')) as [Buffer]
    const client = ['client.ts', String(port).trim()]
    const inMemory = run(process.execPath, ['memory.ts'], { ...options, cwd: directory })
    const { stdout } = await run(process.execPath, client, { ...options, cwd: directory })
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      '{ count: 12 }',
      'bolt: 7 left',
      '{ left: 7 }',
      'sold-out no 8 of bolt',
    ])
    assert.equal((await inMemory).stdout.trimEnd(), '{ count: 3 }')
  } finally {
    server.kill()
    await once(server, 'exit')
    await rm(directory, { recursive: true })
  }
})
