/**
 * docs/dependable-route.md as it is printed: `heddle up` with its example, every command, every
 * output. Ids stand for themselves: equal ones on the page must be equal, others must differ.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { fromRoot } from '../../scripts/repository.ts'

const PORTS = { HTTP: 8080, ORDERS_A: 9101, ORDERS_B: 9102, ADMIN: 9901 }

test('docs/dependable-route.md prints what it says', async (t) => {
  try {
    await promisify(execFile)('curl', ['--version'])
  } catch {
    return t.skip('there is no curl')
  }
  const page = await readFile(fromRoot('docs/dependable-route.md'), 'utf8')
  const blocks = [...page.matchAll(/```(sh|text|json)\n(.*?)```/gs)].map(([, type, text]) => ({
    type,
    text: text as string,
  }))
  const ports = new Map<string, number>()
  const environment: Record<string, string> = {}
  for (const [name, port] of Object.entries(PORTS)) {
    const free = await freePort()
    ports.set(`127.0.0.1:${port}`, free)
    environment[name] = `127.0.0.1:${free}`
  }
  const real = (text: string): string =>
    text.replaceAll(/127\.0\.0\.1:\d+/g, (address) => `127.0.0.1:${ports.get(address)}`)
  const [up, banner, ...rest] = blocks
  const example = /npx heddle up (\S+)/.exec(up?.text ?? '')?.[1] ?? ''
  const heddle = spawn(process.execPath, [fromRoot('src/cli/main.ts'), 'up', example], {
    cwd: fromRoot('.'),
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => heddle.kill('SIGKILL'))
  let errors = ''
  heddle.stderr.on('data', (chunk) => (errors += String(chunk)))
  const exited = once(heddle, 'exit')
  const more = (): Promise<unknown> =>
    Promise.race([
      once(heddle.stdout, 'data'),
      exited.then(() => assert.fail(`heddle up has ended: ${errors}`)),
    ])
  let out = ''
  heddle.stdout.on('data', (chunk) => (out += String(chunk)))
  const printed = async (lines: number): Promise<string> => {
    while (out.split('\n').length <= lines) await more()
    return out
  }
  const bannerLines = (banner?.text ?? '').split('\n').length
  const said = await printed(bannerLines)
  assert.equal(sameVersion(said).trimEnd(), sameVersion(real(banner?.text ?? '')).trimEnd())
  let actual = ''
  let expected = ''
  for (const [index, { type, text }] of rest.entries()) {
    if (type === 'sh') {
      const { stdout } = await promisify(execFile)('sh', ['-c', real(text)])
      assert.equal(rest[index + 1]?.type, 'text', `an output behind ${text}`)
      actual += stdout.replaceAll('\r\n', '\n')
      expected += real(rest[index + 1]?.text ?? '')
    } else if (type === 'json') {
      const count = text.trimEnd().split('\n').length
      // Those without a trace of a call to a server came before.
      while (withAttempts(out).length < count) await more()
      actual += withAttempts(out).slice(0, count).sort(byListener).join('\n')
      expected += real(text).trimEnd()
    }
  }
  assert.equal(comparable(actual), comparable(expected))
  heddle.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
})

/** Lines of the access log but those of requests that were refused at the door. */
function withAttempts(out: string): string[] {
  return out.split('\n').filter((line) => line.startsWith('{') && !line.includes('"error"'))
}

/** A server's line may be written before or after that of whoever asked it. */
function byListener(one: string, other: string): number {
  const listener = (line: string): string => (JSON.parse(line) as { listener: string }).listener
  return listener(one) < listener(other) ? -1 : 1
}

/** Times and ids as what they are, each id by the order in which it comes. */
function comparable(text: string): string {
  const ids = new Map<string, number>()
  const numbered = (id: string): string => {
    if (!ids.has(id)) ids.set(id, ids.size)
    return `<${ids.get(id)}>`
  }
  return (
    text
      .replaceAll(/[0-9a-f]{12}-[0-9a-z]{6}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b/g, numbered)
      .replaceAll(/"connection_id":\d+/g, numbered)
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
      .replaceAll(/^date: .*$/gm, 'date: <date>')
      .replaceAll(/"duration_ms":[\d.]+/g, '"duration_ms":0')
      // Seconds go by while the page is run.
      .replaceAll(/(;t=|retry-after: )(\d+)/g, (_, what: string, seconds: string) => {
        return `${what}${Math.ceil(Number(seconds) / 100) * 100}`
      })
      .trimEnd()
  )
}

function sameVersion(text: string): string {
  return text.replace(/^heddle \S+ is up/, 'heddle is up')
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
