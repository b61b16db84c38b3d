/**
 * The command line in this process, with a process of its own made up: arguments in, text and exit
 * codes out.
 */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TransportError, UsageError } from '../core/errors.ts'
import { DEFAULT_CONFIG } from '../gateway/config/default-config.ts'
import { systemClock } from '../platform/system-clock.ts'
import { AuditLog } from '../security/audit/audit-log.ts'
import { DevAuthority } from '../security/dev-certificate.ts'
import { readArguments, toAddress } from './arguments.ts'
import { ConfigWatch } from './config-watch.ts'
import { ExitCode } from './exit-code.ts'
import { failureOf } from './failure.ts'
import { run } from './run.ts'
import { descriptorOf, listenDescriptors } from './systemd.ts'
import { terminalOf } from './terminal.ts'

class FakeProcess extends EventEmitter {
  readonly pid = 42
  readonly env: Record<string, string | undefined>
  out = ''
  err = ''
  readonly stdout = { write: (text: string) => void this.#said('out', text) }
  readonly stderr = { write: (text: string) => void this.#said('err', text) }

  constructor(env: Record<string, string | undefined> = {}) {
    super()
    this.env = env
  }

  #said(stream: 'out' | 'err', text: string): void {
    this[stream] += text
    this.emit('said')
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.out) ?? pattern.exec(this.err)
      if (found !== null) return found
      await once(this, 'said')
    }
  }
}

async function runWith(
  args: readonly string[],
  env?: Record<string, string>,
): Promise<{ code: number; out: string; err: string }> {
  const host = new FakeProcess(env)
  const code = await run(args, host)
  return { code, out: host.out, err: host.err }
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

const LOOPBACK = ['--http', '127.0.0.1:0', '--https', '127.0.0.1:0', '--admin', '127.0.0.1:0']

test('heddle --help and --version answer on standard output', async () => {
  const help = await runWith(['--help'])
  assert.equal(help.code, ExitCode.OK)
  assert.match(help.out, /heddle up \[config\.yaml\]/)
  assert.equal((await runWith([])).out, help.out)
  assert.equal((await runWith(['up', '-h'])).out, help.out)
  assert.match((await runWith(['--version'])).out, /^heddle \d+\.\d+\.\d+\n$/)
})

test('heddle refuses wrong arguments with 64 and a hint', async () => {
  const cases: [string[], RegExp][] = [
    [['chek', 'a.yaml'], /unknown command 'chek'; did you mean 'check'\?/],
    [['--hepl'], /unknown option '--hepl'/],
    [['up', '--htttp', '80'], /unknown option '--htttp'; did you mean '--http'\?/],
    [['up', '--http'], /--http/],
    [['up', 'a', 'b'], /one configuration file, not 2/],
    [['check'], /check takes one configuration file/],
  ]
  for (const [args, expected] of cases) {
    const { code, err, out } = await runWith(args)
    assert.equal(code, ExitCode.USAGE, args.join(' '))
    assert.match(err, expected)
    assert.equal(out, '')
  }
})

test('heddle check tells a good file from a bad one by its exit code', async (t) => {
  const path = await folder(t)
  const good = join(path, 'good.yaml')
  await writeFile(good, 'listeners: [{name: a, address: ":1"}]\nroutes: [{fixed_response: {}}]\n')
  const bad = join(path, 'bad.yaml')
  await writeFile(bad, 'listners: []\n')
  const ok = await runWith(['check', good])
  assert.equal(ok.code, ExitCode.OK)
  assert.match(ok.out, /good\.yaml: ok \(1 listener, 1 shared route, 0 clusters\)/)
  const printed = await runWith(['check', good, '--print-effective'])
  assert.match(printed.out, /keepalive_timeout: 75s/)
  const wrong = await runWith(['check', bad])
  assert.equal(wrong.code, ExitCode.CONFIG)
  assert.match(wrong.err, /bad\.yaml:1:1 listners: unknown key \(did you mean 'listeners'\?\)/)
  const missing = await runWith(['check', join(path, 'no.yaml')])
  assert.equal(missing.code, ExitCode.NO_INPUT)
  assert.match(missing.err, /there is no such file/)
})

test('heddle check opens certificates and keys, and warns of what ends', async (t) => {
  const path = await folder(t)
  const authority = await DevAuthority.create(systemClock)
  const [one, two] = [await authority.issue({ validDays: 10 }), await authority.issue()]
  const config = join(path, 'g.yaml')
  const [cert_file, key_file] = [join(path, 'a.crt'), join(path, 'a.key')]
  const tls = { certificates: [{ cert_file, key_file }] }
  const listeners = [{ name: 'a', address: ':1', tls }]
  await writeFile(config, JSON.stringify({ listeners, routes: [{ fixed_response: {} }] }))
  const missing = await runWith(['check', config])
  assert.equal(missing.code, ExitCode.CONFIG)
  assert.match(missing.err, /error .*a\.crt cannot be read: .*\nerror .*a\.key cannot be read: /)
  assert.equal((await runWith(['check', config, '--no-files'])).code, ExitCode.OK)
  await writeFile(cert_file, one.certificate)
  await writeFile(key_file, two.key)
  const wrong = await runWith(['check', config])
  assert.equal(wrong.code, ExitCode.CONFIG)
  assert.match(wrong.err, /a\.crt and .*a\.key: the key does not belong to the certificate of CN=/)
  await writeFile(key_file, one.key)
  const good = await runWith(['check', config])
  assert.equal(good.code, ExitCode.OK)
  assert.match(good.err, /^warning the certificate of CN=localhost ends in (9|10) days, \d{4}-/)
  assert.match(good.out, /g\.yaml: ok/)
})

test('heddle audit verify says where a log was touched, by its exit code too', async (t) => {
  const path = await folder(t)
  const log = join(path, 'audit.log')
  const keyFile = join(path, 'key')
  await writeFile(keyFile, `${'k'.repeat(40)}\n`)
  const audit = await AuditLog.open({ path: log, clock: systemClock, key: 'k'.repeat(40) })
  for (const principal of ['ada', 'bob', 'eve']) audit.append({ type: 'login', principal })
  await audit.close()
  const verify = (...more: string[]) => {
    return runWith(['audit', 'verify', log, '--key-file', keyFile, ...more])
  }
  const good = await verify('--checkpoint', `${log}.checkpoint`)
  assert.equal(good.code, ExitCode.OK, good.err)
  assert.match(good.out, /^ok: records 1 to 3, last hash [0-9a-f]{64}; .*vouches for .* up to 3\n$/)
  assert.match((await verify()).out, /without a checkpoint nobody knows whether more was there/)
  const text = await readFile(log, 'utf8')
  await writeFile(log, text.replace('"bob"', '"mal"'))
  const touched = await verify()
  assert.equal(touched.code, ExitCode.FAILURE)
  assert.match(touched.out, /audit\.log:2: edited record 2: its hash is .* \(1 records before it/)
  const json = JSON.parse((await verify('--json')).out)
  assert.deepEqual([json.ok, json.records, json.broken.kind], [false, 1, 'edited'])
  await writeFile(log, text.split('\n').slice(0, 2).join('\n').concat('\n'))
  const cut = await verify('--checkpoint', `${log}.checkpoint`)
  assert.equal(cut.code, ExitCode.FAILURE)
  assert.match(cut.out, /audit\.log: truncated record 2: it ends with record 2, the checkpoint kn/)
  const cases: [string[], ExitCode, RegExp][] = [
    [['audit', 'verify', join(path, 'no')], ExitCode.NO_INPUT, /ENOENT/],
    [['audit', 'verify'], ExitCode.USAGE, /takes at least one file/],
    [['audit', 'vrify', log], ExitCode.USAGE, /one command, verify, not 'vrify'/],
    [['audit', 'verify', log, '--jsn'], ExitCode.USAGE, /did you mean '--json'/],
    [
      ['audit', 'verify', log, '--key-file', `${log}.checkpoint`, '--public-key-file', log],
      ExitCode.CONFIG,
      /is no public key in PEM/,
    ],
  ]
  for (const [args, code, message] of cases) {
    const refused = await runWith(args)
    assert.equal(refused.code, code, args.join(' '))
    assert.match(refused.err, message)
  }
  assert.match((await runWith(['audit', '--help'])).out, /Exit codes: 0 untouched, 1 touched/)
})

test('heddle up --print-effective takes flags, then the environment, then defaults', async () => {
  const env = { HEDDLE_HTTP: '9001', HEDDLE_HTTPS: '[::1]:9002', PORT: '9009' }
  const { out, code } = await runWith(['up', '--print-effective', '--http', '9000'], env)
  assert.equal(code, ExitCode.OK)
  assert.match(out, /address: 127\.0\.0\.1:9000/)
  assert.match(out, /address: "?\[::1\]:9002/)
  assert.match(out, /address: 127\.0\.0\.1:9901/)
  const port = await runWith(['up', '--print-effective'], { PORT: '9009' })
  assert.match(port.out, /address: 0\.0\.0\.0:9009/)
})

test('the built-in configuration is the example, word for word', async () => {
  const example = new URL('../../examples/gateway/default.yaml', import.meta.url)
  assert.equal(DEFAULT_CONFIG, await readFile(example, 'utf8'))
})

test('heddle up runs the demo until SIGTERM and exits 0', async () => {
  const host = new FakeProcess()
  const running = run(['up', ...LOOPBACK], host)
  const [, http] = await host.until(/http +(http:\S+)/)
  const [, https] = await host.until(/https +(https:\S+)/)
  const [, dashboard] = await host.until(/dashboard +(\S+)/)
  await host.until(/try:/)
  const hello = await fetch(`${http}/api/hello`)
  assert.equal(((await hello.json()) as { hello: string }).hello, 'world')
  assert.equal(await (await fetch(`${http}/echo`, { method: 'POST', body: 'x' })).text(), 'x')
  const redirect = await fetch(`${http}/old/hello?q`, { redirect: 'manual' })
  assert.equal(redirect.headers.get('location'), `${http}/api/hello?q`)
  assert.match(https ?? '', /^https:\/\/127\.0\.0\.1:\d+$/)
  assert.equal((await fetch(`${dashboard}readyz`)).status, 200)
  assert.match(await (await fetch(`${dashboard}metrics`)).text(), /heddle_cluster_requests_total/)
  host.emit('SIGTERM')
  assert.equal(await running, ExitCode.OK)
  await assert.rejects(fetch(`${http}/api/hello`))
  assert.equal(host.listenerCount('SIGTERM'), 0)
})

test('heddle up says that an import cannot be loaded with 78', async () => {
  const { code, err } = await runWith(['up', ...LOOPBACK, '--import', './not-there.mjs'])
  assert.equal(code, ExitCode.CONFIG)
  assert.match(err, /--import \.\/not-there\.mjs: Cannot find module/)
})

test('heddle up says that an address is in use with 69', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const { code, err } = await runWith(['up', ...LOOPBACK, '--http', String(port)])
  assert.equal(code, ExitCode.UNAVAILABLE)
  assert.match(err, new RegExp(`127\\.0\\.0\\.1:${port} is in use`))
  assert.match(err, /--http, --https and --admin choose other addresses/)
})

test('heddle up says that a key is no key, and which, with 78', async (t) => {
  const path = await folder(t)
  const key = join(path, 'key.pem')
  await writeFile(key, 'garbage')
  const file = join(path, 'g.yaml')
  await writeFile(
    file,
    `admin: {enabled: false}
listeners:
  - name: a
    address: 127.0.0.1:0
    tls: {certificates: [{cert_file: ${key}, key_file: ${key}}]}
routes: [{fixed_response: {}}]
`,
  )
  const { code, err } = await runWith(['up', file])
  assert.equal(code, ExitCode.CONFIG)
  assert.match(err, /key\.pem and \S+key\.pem: the certificate cannot be read: no PEM/)
})

test('heddle up reloads a changed file and on SIGHUP, and says what is wrong with a broken one', async (t) => {
  const path = await folder(t)
  const file = join(path, 'g.yaml')
  const config = (body: string): string => `
admin: {enabled: false}
listeners: [{name: a, address: "127.0.0.1:0"}]
routes: [{fixed_response: {body: ${body}}}]
`
  await writeFile(file, config('one'))
  const host = new FakeProcess()
  const running = run(['up', file], host)
  const [, url] = await host.until(/a +(http:\S+)/)
  const answer = async () => (await fetch(`${url}/`)).text()
  assert.equal(await answer(), 'one')
  await writeFile(`${file}.new`, config('two'))
  await rename(`${file}.new`, file)
  await host.until(/configuration reloaded","version":2/)
  assert.equal(await answer(), 'two')
  await writeFile(file, 'routes: 5')
  await host.until(/reload rejected, the old configuration goes on/)
  assert.match(host.err, /g\.yaml:1:9 routes: expected a list, not 5/)
  assert.equal(await answer(), 'two')
  await writeFile(file, config('three'))
  host.emit('SIGHUP')
  await host.until(/configuration reloaded","version":3/)
  assert.equal(await answer(), 'three')
  host.emit('SIGINT')
  assert.equal(await running, ExitCode.OK)
})

test('ConfigWatch tells about content, not about events', async (t) => {
  const path = await folder(t)
  const file = join(path, 'c.yaml')
  await writeFile(file, 'a')
  let changes = 0
  const changed = new EventEmitter()
  using _watch = await ConfigWatch.start({
    file,
    clock: systemClock,
    settleMs: 10,
    onChange: () => {
      changes++
      changed.emit('change')
    },
    onError: (error) => assert.fail(error),
  })
  const heard = once(changed, 'change')
  await writeFile(file, 'a') // an event, but nothing new
  await writeFile(join(path, 'other'), 'x')
  await writeFile(file, 'b')
  // The watch does not keep a process alive; this one has nothing else to do.
  const alive = setInterval(() => {}, 1_000)
  await heard
  clearInterval(alive)
  assert.equal(changes, 1)
})

test('toAddress takes a bare number for a port on loopback', () => {
  assert.equal(toAddress('8080'), '127.0.0.1:8080')
  assert.equal(toAddress(':8080'), ':8080')
  assert.equal(toAddress('unix:/x'), 'unix:/x')
  const command = readArguments(['up', '--admin=1'])
  assert.deepEqual(command.name === 'up' && command.overrides, { HEDDLE_ADMIN: '1' })
})

test('listenDescriptors reads what systemd passed, and only what was meant for us', () => {
  const env = { LISTEN_PID: '42', LISTEN_FDS: '2', LISTEN_FDNAMES: 'web:' }
  const passed = listenDescriptors({ env, pid: 42 })
  assert.equal(descriptorOf('systemd:web', passed), 3)
  assert.equal(descriptorOf('systemd:other', passed), undefined)
  assert.equal(descriptorOf('fd:4', passed), 4)
  assert.equal(descriptorOf('127.0.0.1:80', passed), undefined)
  assert.equal(listenDescriptors({ env, pid: 43 }).size, 0)
})

test('failureOf has an exit code for each kind of failure', () => {
  const denied = Object.assign(new Error('bind EACCES'), { code: 'EACCES' })
  const cases: [unknown, number][] = [
    [new UsageError('ERR_CONFIG', 'x'), ExitCode.CONFIG],
    [new UsageError('ERR_CONFIG', 'x', { detail: { denied: true } }), ExitCode.NO_PERMISSION],
    [new TransportError('ERR_ADDRESS_IN_USE', 'x'), ExitCode.UNAVAILABLE],
    [new TransportError('ERR_LISTEN', 'x', { cause: denied }), ExitCode.NO_PERMISSION],
    [new TransportError('ERR_LISTEN', 'x'), ExitCode.UNAVAILABLE],
    [new TransportError('ERR_RESOLVE', 'x'), ExitCode.UNAVAILABLE],
    [new TypeError('a bug'), ExitCode.SOFTWARE],
  ]
  for (const [error, code] of cases) assert.equal(failureOf(error).exitCode, code)
})

test('terminalOf colours a terminal only, and honours NO_COLOR', () => {
  const stream = (isTTY: boolean) => ({ write() {}, isTTY })
  const red = (isTTY: boolean, env: Record<string, string>): string =>
    terminalOf({ stdout: stream(isTTY), stderr: stream(false), env }).outStyle.red('x')
  assert.equal(red(true, {}), '\u001b[31mx\u001b[39m')
  assert.equal(red(true, { NO_COLOR: '' }), '\u001b[31mx\u001b[39m')
  assert.equal(red(true, { NO_COLOR: '1' }), 'x')
  assert.equal(red(true, { TERM: 'dumb' }), 'x')
  assert.equal(red(false, {}), 'x')
})
