import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromRoot } from '../../scripts/repository.ts'
import { ExitCode } from './exit-code.ts'
import { openapi } from './openapi.ts'
import { terminalOf } from './terminal.ts'

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const stdout = { write: (text: string | Uint8Array) => void (out += text) }
  const stderr = { write: (text: string) => void (err += text) }
  const code = await openapi(args, terminalOf({ stdout, stderr, env: {} }))
  return { code, out, err }
}

const LIBRARY = fromRoot('examples/gateway/library.proto')

test('heddle openapi prints the document of a .proto file', async () => {
  const { code, out } = await run(LIBRARY, '--title', 'Library', '--server', 'http://a.example')
  assert.equal(code, ExitCode.OK)
  const document = JSON.parse(out)
  assert.equal(document.openapi, '3.1.0')
  assert.equal(document.info.title, 'Library')
  assert.deepEqual(document.servers, [{ url: 'http://a.example' }])
  assert.equal(
    document.paths['/v1/shelves/{shelvesId}/books/{booksId}'].get.summary,
    'Gives one book.',
  )
})

test('heddle openapi says what it cannot do, each with its exit code', async () => {
  assert.equal((await run()).code, ExitCode.USAGE)
  assert.equal((await run('--nope', LIBRARY)).code, ExitCode.USAGE)
  assert.equal((await run('nowhere.proto')).code, ExitCode.NO_INPUT)
  const wrong = await run(fromRoot('README.md'))
  assert.equal(wrong.code, ExitCode.CONFIG)
  assert.match(wrong.err, /no descriptor set/)
  assert.match(
    (await run(LIBRARY, '--service', 'a.B')).err,
    /there are: demo\.library\.v1\.Library/,
  )
  assert.match((await run('--help')).out, /^heddle openapi/)
})
