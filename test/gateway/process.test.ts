/** `heddle up` as a process: real signals. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'

test('heddle up takes SIGUSR1 and SIGTERM of the system and exits 0', async (t) => {
  const main = new URL('../../src/cli/main.ts', import.meta.url).pathname
  const flags = ['--http', '127.0.0.1:0', '--https', '127.0.0.1:0', '--admin', '127.0.0.1:0']
  const child = spawn(process.execPath, [main, 'up', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  let out = ''
  let err = ''
  child.stderr.on('data', (chunk) => (err += String(chunk)))
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  while (!out.includes('try:')) await once(child.stdout, 'data')
  const url = /http +(http:\S+)/.exec(out)?.[1]
  assert.equal((await fetch(`${url}/api/hello`)).status, 200)
  child.kill('SIGUSR1')
  assert.equal((await fetch(`${url}/api/hello`)).status, 200)
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
  // Node's own answer to SIGUSR1 is the debugger.
  assert.doesNotMatch(err, /Debugger/)
  assert.match(err, /"msg":"drained"/)
})
