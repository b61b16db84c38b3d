/** The outbox over a real file: processes that are killed, locks, permissions. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { openFileLog } from '../../src/platform/file-log.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { openOutbox } from '../../src/runtime/patterns/outbox.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'heddle-outbox-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

test('kill -9 loses nothing that enqueue had promised', async (t) => {
  const path = join(await folder(t), 'outbox.log')
  const safe = new Set<string>()
  const delivered = new Set<string>()
  for (let round = 0; round < 3; round++) {
    const writer = spawn(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      new URL('./outbox-writer.ts', import.meta.url).pathname,
      path,
    ])
    let lines = 0
    for await (const line of createInterface(writer.stdout)) {
      const [what, id = ''] = line.split(' ')
      if (what === 'safe') safe.add(id)
      else delivered.add(id)
      if (++lines === 60 + round * 17) writer.kill('SIGKILL')
    }
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit')
  }
  const waiting: string[] = []
  const outbox = await openOutbox({
    log: await openFileLog(path), // the lock of the killed process is taken over
    clock: systemClock,
    random: Math.random,
    deliver: ({ id }) => void waiting.push(id),
  })
  await outbox.drained()
  await outbox.close()
  assert.ok(safe.size > 50)
  const reached = new Set([...delivered, ...waiting])
  assert.deepEqual(
    [...safe].filter((id) => !reached.has(id)),
    [],
  )
})

test('openFileLog is for one at a time, and the file is for its owner only', async (t) => {
  const path = join(await folder(t), 'outbox.log')
  const log = await openFileLog(path)
  await assert.rejects(openFileLog(path), { code: 'ERR_STATE' })
  await log.append(new Uint8Array([1, 2, 3]))
  await log.replace(new Uint8Array([9]))
  await log.append(new Uint8Array([8, 7]))
  await log.truncate(2)
  await log.append(new Uint8Array([6]))
  await log.sync()
  assert.deepEqual([...(await log.read())], [9, 8, 6])
  if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600)
  await log.close()
  assert.deepEqual([...(await readFile(path))], [9, 8, 6])
  await (await openFileLog(path)).close()
})
