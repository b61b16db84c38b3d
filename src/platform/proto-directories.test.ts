import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { protoDirectories } from './proto-directories.ts'

test('protoDirectories reads below its directories only, the first one that has it', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'heddle-proto-'))
  t.after(() => rm(root, { recursive: true }))
  await mkdir(join(root, 'a/acme'), { recursive: true })
  await mkdir(join(root, 'b/acme'), { recursive: true })
  await writeFile(join(root, 'a/acme/x.proto'), 'a')
  await writeFile(join(root, 'b/acme/x.proto'), 'b')
  await writeFile(join(root, 'b/acme/y.proto'), 'y')
  await writeFile(join(root, 'secret.proto'), 's')
  const read = protoDirectories([join(root, 'a'), join(root, 'b')])
  const text = async (name: string): Promise<string | undefined> =>
    new TextDecoder().decode(await read(name)) || undefined
  assert.equal(await text('acme/x.proto'), 'a')
  assert.equal(await text('acme/y.proto'), 'y')
  for (const name of ['', 'acme', 'acme/z.proto', '../secret.proto', 'acme/../../secret.proto']) {
    assert.equal(await text(name), undefined, name)
  }
  for (const name of [join(root, 'secret.proto'), 'acme/x.proto/y', 'acme\\x.proto', 'C:x.proto']) {
    assert.equal(await text(name), undefined, name)
  }
})
