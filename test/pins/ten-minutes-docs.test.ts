/** docs/grpc-in-ten-minutes.md shows the files of examples/grpc; its commands are run by interop. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'

const PAGE = 'docs/grpc-in-ten-minutes.md'

test(`${PAGE} shows the files of examples/grpc`, async () => {
  const page = await readFile(fromRoot(PAGE), 'utf8')
  for (const name of [
    'proto/library.proto',
    'buf.gen.yaml',
    'server.ts',
    'client.ts',
    'gateway.yaml',
  ]) {
    const file = await readFile(fromRoot('examples/grpc', name), 'utf8')
    assert.ok(page.includes(`\n${file}\`\`\``), name)
  }
})
