/** `heddle top` against gateways that run, on a terminal that is a stand-in. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { ExitCode } from '../../src/cli/exit-code.ts'
import { run } from '../../src/cli/run.ts'
import { widthOf } from '../../src/cli/top/cells.ts'
import { TopModel } from '../../src/cli/top/model.ts'
import { plainLines, screenLines } from '../../src/cli/top/view.ts'
import type { AdminSnapshot, JsonCluster } from '../../src/gateway/admin/snapshot.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { HTTP, named, type Running, start, upstream } from '../gateway/running-gateway.ts'
import { TerminalEmulator } from '../support/terminal-emulator.ts'

class Keyboard extends EventEmitter {
  readonly isTTY = true
  raw = false
  setRawMode(raw: boolean): void {
    this.raw = raw
  }
  setEncoding(): void {}
  resume(): void {}
  pause(): void {}
  press(text: string): void {
    this.emit('data', text)
  }
}

class Person extends EventEmitter {
  readonly pid = 1
  readonly env: Record<string, string | undefined> = { LANG: 'C.UTF-8' }
  readonly stdin = new Keyboard()
  readonly stdout: TerminalEmulator
  err = ''
  readonly stderr = { write: (text: string) => void (this.err += text) }

  constructor(columns = 100, rows = 30) {
    super()
    this.stdout = new TerminalEmulator(columns, rows)
  }
}

/** Not at a terminal. */
class Pipe extends EventEmitter {
  readonly pid = 1
  readonly env: Record<string, string | undefined> = {}
  out = ''
  err = ''
  readonly stdout = { write: (text: string) => void (this.out += text) }
  readonly stderr = { write: (text: string) => void (this.err += text) }
}

async function gatewayWithAdmin(t: TestContext, address = '127.0.0.1:0'): Promise<Running> {
  const one = await upstream(t, named('one'))
  return start(t, {
    admin: { address },
    listeners: [HTTP],
    routes: [{ cluster: 'users' }],
    clusters: [{ name: 'users', endpoints: [one] }],
  })
}

test('heddle top --once prints a table, --json the status, without colours in a pipe', async (t) => {
  const { gateway, url } = await gatewayWithAdmin(t)
  assert.equal((await fetch(url('/'))).status, 200)
  const admin = gateway.adminAddress as string
  const once = new Pipe()
  assert.equal(await run(['top', '--admin', admin, '--once'], once), ExitCode.OK)
  assert.equal(once.out, stripVTControlCharacters(once.out))
  assert.match(once.out, /^heddle test +\S? ?ready {3}up /m)
  assert.match(once.out, /^LISTENER +ADDRESS.*ERRORS$/m)
  assert.match(once.out, /^http +127\.0\.0\.1:\d+ +http +listening .* 1 +0$/m)
  assert.match(once.out, /^users +1\/1 up .* 1 configured . p2c . budget 100%$/m)
  // Piped without --once: the same.
  const piped = new Pipe()
  assert.equal(await run(['top', '--admin', admin], piped), ExitCode.OK)
  assert.match(piped.out, /^UPSTREAM/m)
  const json = new Pipe()
  assert.equal(await run(['top', '--admin', admin, '--json'], json), ExitCode.OK)
  assert.equal((JSON.parse(json.out) as AdminSnapshot).clusters[0]?.name, 'users')
})

test('heddle top says that there is no gateway, or that it is something else', async (t) => {
  const gone = new Pipe()
  assert.equal(await run(['top', '--admin', '127.0.0.1:1', '--once'], gone), ExitCode.UNAVAILABLE)
  assert.match(gone.err, /no gateway at 127\.0\.0\.1:1: .*127\.0\.0\.1:1/)
  const other = await upstream(t, () => HttpResponse.json({ hello: 1 }))
  const wrong = new Pipe()
  assert.equal(await run(['top', '--admin', other, '--json'], wrong), ExitCode.UNAVAILABLE)
  assert.match(wrong.err, /not the admin service of heddle/)
  const typo = new Pipe()
  assert.equal(await run(['top', '--admin', 'a b'], typo), ExitCode.USAGE)
  assert.equal(await run(['top', '--onec'], typo), ExitCode.USAGE)
  assert.match(typo.err, /did you mean '--once'\?/)
  assert.equal(await run(['top', 'now'], typo), ExitCode.USAGE)
})

test('heddle top sends a token, from a file or the environment, and never shows it', async (t) => {
  const seen: (string | undefined)[] = []
  const proxy = await upstream(t, ({ fields }) => {
    seen.push(fields.get('authorization'))
    return HttpResponse.json({ error: 'who are you' }, { status: 401 })
  })
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'token'), 's3cret-1\n')
  const host = new Pipe()
  host.env['HEDDLE_ADMIN_TOKEN'] = 's3cret-2'
  host.env['HEDDLE_ADMIN'] = proxy
  const withFile = ['top', '--once', '--token-file', join(folder, 'token')]
  assert.equal(await run(withFile, host), ExitCode.UNAVAILABLE)
  assert.equal(await run(['top', '--once'], host), ExitCode.UNAVAILABLE)
  assert.deepEqual(seen, ['Bearer s3cret-1', 'Bearer s3cret-2'])
  assert.match(host.err, /admin refused: who are you/)
  assert.doesNotMatch(host.err, /s3cret/)
  const missing = ['top', '--token-file', join(folder, 'none')]
  assert.equal(await run(missing, host), ExitCode.NO_INPUT)
})

test('heddle top follows a gateway, takes keys and sizes, and gives the terminal back', async (t) => {
  const { gateway, url } = await gatewayWithAdmin(t)
  const person = new Person()
  const { stdout, stdin } = person
  const running = run(['top', '--admin', gateway.adminAddress as string], person)
  await stdout.until(/users +1\/1 up/)
  assert.equal(stdin.raw, true)
  assert.deepEqual([...stdout.modes].sort(), ['1049'])
  await fetch(url('/'))
  await stdout.until(/^ http .* 1 +0$/m)
  stdin.press('s')
  await stdout.until(/s sort: name/)
  stdin.press('r')
  await stdout.until(/s sort: name reversed/)
  stdin.press('/nobody')
  await stdout.until(/filter: nobody_/)
  assert.match(stdout.screen.join('\n'), /nothing matches/)
  stdin.press('\u001b')
  await stdout.until(/users +1\/1 up/)
  stdin.press('p')
  await stdout.until(/paused: p goes on/)
  stdin.press('p')
  stdout.resize(40, 10)
  const small = await stdout.until(/users/)
  assert.doesNotMatch(small, /paused/)
  stdin.press('q')
  assert.equal(await running, ExitCode.OK)
  assert.equal(stdin.raw, false)
  assert.deepEqual([...stdout.modes].sort(), ['25', '7'])
  assert.deepEqual([stdout.listeners, stdin.listenerCount('data')], [0, 0])
  assert.deepEqual(
    ['SIGTERM', 'SIGINT', 'SIGHUP'].map((name) => person.listenerCount(name)),
    [0, 0, 0],
  )
})

test('heddle top says that the gateway is gone, keeps the numbers, and finds it again', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(folder, { recursive: true }))
  const admin = `unix:${join(folder, 'admin.sock')}`
  const first = await gatewayWithAdmin(t, admin)
  const person = new Person()
  const { stdout } = person
  const running = run(['top', '--admin', admin], person)
  await stdout.until(/users +1\/1 up/)
  await first.gateway.destroy()
  const gone = await stdout.until(/gateway gone, numbers are old; trying again/)
  assert.match(gone, /users +1\/1 up/)
  await gatewayWithAdmin(t, admin)
  await stdout.until(/● ready(?![\s\S]*gateway gone)/)
  person.emit('SIGTERM')
  assert.equal(await running, ExitCode.OK)
})

test('heddle top uses no colours when NO_COLOR is set, and ASCII where the locale has no UTF-8', async (t) => {
  const { gateway } = await gatewayWithAdmin(t)
  const person = new Person()
  person.env['NO_COLOR'] = '1'
  person.env['LC_ALL'] = 'C'
  const running = run(['top', '--admin', gateway.adminAddress as string], person)
  await person.stdout.until(/users +1\/1 up/)
  person.stdin.press('\u0003')
  assert.equal(await running, ExitCode.OK)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is looked for
  assert.doesNotMatch(person.stdout.written, /\u001b\[\d+m/)
  assert.match(person.stdout.written, /\* ready/)
})

/** util-linux's, which takes a command. */
const scriptProgram =
  process.platform === 'linux' && spawnSync('script', ['--version']).status === 0

test('heddle top on a pseudo terminal leaves with q, and leaves the terminal as it was', {
  skip: scriptProgram ? false : 'there is no script(1) of util-linux',
}, async (t) => {
  const { gateway } = await gatewayWithAdmin(t)
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
  const command = `stty cols 90 rows 20; '${process.execPath}' '${main}' top --admin ${gateway.adminAddress}`
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, LANG: 'C.UTF-8', TERM: 'xterm', NO_COLOR: '' },
  })
  let text = ''
  let asked = false
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (asked || !/users +.*1\/1 up/.test(text)) return
    asked = true
    child.stdin.write('q')
  })
  const [code] = await once(child, 'exit')
  assert.equal(code, 0)
  assert.match(text, /UPSTREAM/)
  assert.ok(text.includes('\u001b[?1049h'))
  assert.ok(text.trimEnd().endsWith('\u001b[?7h\u001b[?25h\u001b[?1049l'))
})

// Views of a made-up gateway, without any I/O.

const plain = (text: string): string => text
const style = {
  bold: plain,
  dim: plain,
  red: plain,
  green: plain,
  cyan: plain,
  yellow: plain,
  inverse: plain,
}
const palette = { style, unicode: true }
const options = { where: '127.0.0.1:9901', now: 0 }

function snapshotWith(clusters: readonly JsonCluster[], message = 'nobody listens'): AdminSnapshot {
  const errors = [1, 2, 3].map((time) => ({
    time,
    where: 'cluster users',
    code: 'ERR_CONNECT',
    message,
    route: null,
    upstream: '10.0.0.1:80',
    requestId: null,
  }))
  return {
    now: 10_000,
    startedAt: 0,
    uptimeMs: 10_000,
    phase: 'ready',
    version: '1.0.0',
    totals: {
      requests: 10,
      statusClasses: [0, 0, 10, 0, 0, 0],
      activeRequests: 1,
      openConnections: 2,
      totalConnections: 3,
      rawConnections: 0,
      retries: 0,
      clientAborts: 0,
    },
    requestsPerSecond: 1,
    latency: { count: 1, mean: 1, p50: 1, p90: 2, p99: 3, p999: 4, max: 5 },
    listeners: [],
    clusters,
    limits: [],
    caches: [],
    errors,
    config: { file: 'gateway.yaml', version: 3, loadedAt: 0, lastError: null },
    process: null,
    history: {
      stepMs: 1_000,
      end: 0,
      requests: [1, 2, 4],
      clientErrors: [0, 0, 0],
      serverErrors: [0, 0, 0],
      p50: [1, 1, 1],
      p90: [1, 1, 1],
      p99: [1, 1, 1],
      connections: [0, 0, 0],
      active: [0, 0, 0],
      retries: [0, 0, 0],
    },
  }
}

function clusterOf(
  name: string,
  ports: readonly number[],
  values: Partial<JsonCluster> = {},
): JsonCluster {
  return {
    name,
    balancer: 'p2c',
    source: 'consul users',
    sourceError: null,
    requests: 1,
    failures: 0,
    retries: 0,
    retryBudget: 1,
    inFlight: 0,
    requestsPerSecond: ports.length,
    successRate: 1,
    endpoints: ports.map((port) => ({
      address: `10.0.0.1:${port}`,
      hostname: null,
      weight: 1,
      state: 'healthy',
      stateSince: null,
      health: 'healthy',
      healthReason: null,
      breaker: 'closed',
      ejected: false,
      ejectedForMs: null,
      inFlight: port,
      requests: port,
      failures: 0,
      requestsPerSecond: port,
      successRate: 1,
      connections: { idle: 0, leased: 1 },
      latency: { p50: 1, p99: port },
    })),
    ...values,
  }
}

const manyPorts = Array.from({ length: 60 }, (_, at) => at + 1)

test('the view fills every size exactly and never a row too wide', () => {
  const model = new TopModel()
  const hostile = 'x\u001b[2J\u0007日本'.repeat(20)
  const clusters = [
    clusterOf('users', manyPorts, { sourceError: hostile }),
    clusterOf(hostile, [1], { successRate: null, retryBudget: null }),
  ]
  model.take(snapshotWith(clusters, hostile), true)
  for (const columns of [1, 2, 10, 20, 33, 40, 60, 80, 120, 200, 300]) {
    for (const rows of [1, 2, 5, 10, 24, 50, 100]) {
      const lines = screenLines(model, { columns, rows }, palette, options)
      assert.equal(lines.length, rows, `${columns}x${rows}`)
      for (const line of lines) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
        assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f]/)
        // Below the width of the columns that always stay, the terminal cuts.
        if (columns >= 33) assert.ok(widthOf(line) <= columns, `${columns}x${rows}: ${line}`)
      }
    }
  }
})

test('the view says where endpoints come from, and what is wrong with the source', () => {
  const model = new TopModel()
  model.take(snapshotWith([clusterOf('users', [80], { sourceError: 'consul answered 500' })]), true)
  const text = plainLines(model, 160, palette, options).join('\n')
  assert.match(text, /^users +1\/1 up .*consul answered 500$/m)
  assert.match(text, /×3 +ERR_CONNECT +cluster users → 10\.0\.0\.1:80 +nobody listens/)
})

test('the view scrolls by keys and stops at both ends', () => {
  const model = new TopModel()
  model.take(snapshotWith([clusterOf('users', manyPorts)]), true)
  const rows = 20
  const show = (): string => screenLines(model, { columns: 120, rows }, palette, options).join('\n')
  assert.match(show(), /↑↓ 1-\d+ of 62/)
  model.key('up', rows)
  model.key('down', rows)
  assert.match(show(), /↑↓ 2-\d+ of 62/)
  model.key('pagedown', rows)
  assert.match(show(), /↑↓ 21-\d+ of 62/)
  model.key('end', rows)
  assert.match(show(), /10\.0\.0\.1:60 /)
  assert.match(show(), /-62 of 62/)
  model.key('home', rows)
  assert.match(show(), /↑↓ 1-/)
})

test('TopModel sorts clusters and endpoints, and filters them', () => {
  const model = new TopModel()
  model.take(snapshotWith([clusterOf('b', [2, 1]), clusterOf('a', [3])]), true)
  const order = (): string =>
    model
      .clusters()
      .map(({ cluster, endpoints }) => {
        return `${cluster.name}:${endpoints.map(({ requests }) => requests).join()}`
      })
      .join(' ')
  const expected = ['b:2,1 a:3', 'a:3 b:1,2', 'b:2,1 a:3', 'a:3 b:2,1']
  for (const wanted of expected) {
    assert.equal(order(), wanted, model.sort)
    model.key('s', 20)
  }
  model.key('S', 20)
  model.key('r', 20)
  assert.equal(order(), 'b:1,2 a:3')
  for (const key of ['/', '0', '.', '1', ':', '1']) model.key(key, 20)
  assert.equal(order(), 'b:1')
  model.key('backspace', 20)
  model.key('enter', 20)
  assert.equal(model.filter, '0.1:')
  assert.equal(model.key('q', 20), false)
  model.key('escape', 20)
  assert.equal(order(), 'b:1,2 a:3')
})

test('TopModel keeps what it shows while paused, and catches up', () => {
  const model = new TopModel()
  model.take(snapshotWith([clusterOf('a', [1])]), true)
  model.key('p', 20)
  model.take({ ...snapshotWith([clusterOf('b', [1])]), now: 11_000 }, false)
  assert.equal(model.snapshot?.clusters[0]?.name, 'a')
  assert.equal(model.traffic.length, 3)
  model.key('p', 20)
  assert.equal(model.snapshot?.clusters[0]?.name, 'b')
  assert.equal(model.traffic.length, 6)
})
