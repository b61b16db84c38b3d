/**
 * A page of docs run as it is printed: each ```sh block in a shell, whose output must be that of the
 * ```text block behind it. Ports of loopback are replaced by free ones.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { fromRoot } from '../../scripts/repository.ts'

const run = promisify(execFile)

export interface Block {
  readonly type: string
  readonly text: string
}

export async function blocksOf(page: string): Promise<Block[]> {
  const text = await readFile(fromRoot(page), 'utf8')
  return [...text.matchAll(/```(\w+)\n(.*?)```/gs)].map(([, type = '', block = '']) => ({
    type,
    text: block,
  }))
}

export async function hasCurl(): Promise<boolean> {
  return run('curl', ['--version']).then(
    () => true,
    () => false,
  )
}

/** Runs blocks in pairs: commands, and what they write. */
export async function runBlocks(
  blocks: readonly Block[],
  real: (text: string) => string,
): Promise<number> {
  let count = 0
  for (const [index, { type, text }] of blocks.entries()) {
    const next = blocks[index + 1]
    if (type !== 'sh' || next?.type !== 'text') continue
    const { stdout } = await run('sh', ['-c', real(text)], { cwd: fromRoot('.') })
    assert.equal(stdout.replaceAll('\r\n', '\n').trimEnd(), real(next.text).trimEnd(), text)
    count++
  }
  return count
}

/** Starts it and waits for a line of its output. */
export async function startProcess(
  t: TestContext,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  ready: RegExp,
): Promise<ChildProcess> {
  const child = spawn(process.execPath, args, {
    cwd: fromRoot('.'),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  let out = ''
  let errors = ''
  child.stderr.on('data', (chunk) => (errors += String(chunk)))
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  const ended = once(child, 'exit').then(() => assert.fail(`it has ended: ${errors}`))
  ended.catch(() => undefined)
  while (!ready.test(out)) await Promise.race([once(child.stdout, 'data'), ended])
  return child
}

export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
