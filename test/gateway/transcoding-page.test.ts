/** docs/transcoding.md as it is printed: `heddle up` with its example, every command, every output. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { blocksOf, freePort, hasCurl, runBlocks, startProcess } from '../support/printed-page.ts'

test('docs/transcoding.md prints what it says', async (t) => {
  if (!(await hasCurl())) return t.skip('there is no curl')
  const http = await freePort()
  const env = { HEDDLE_HTTP: `127.0.0.1:${http}`, HEDDLE_ADMIN: `127.0.0.1:${await freePort()}` }
  const main = fromRoot('src/cli/main.ts')
  await startProcess(t, [main, 'up', 'examples/gateway/transcoding.yaml'], env, /is up/)
  const real = (text: string): string => text.replaceAll('127.0.0.1:8080', `127.0.0.1:${http}`)
  const count = await runBlocks(await blocksOf('docs/transcoding.md'), real)
  assert.equal(count, 6)
  const document = await (await fetch(`http://127.0.0.1:${http}/v1/openapi.json`)).json()
  assert.equal((document as { openapi: string }).openapi, '3.1.0')
})

test('examples/gateway/library.proto is the schema of the demo', async () => {
  assert.equal(
    await readFile(fromRoot('examples/gateway/library.proto'), 'utf8'),
    await readFile(fromRoot('src/gateway/demo/library/library.proto'), 'utf8'),
  )
})
