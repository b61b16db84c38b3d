/** `heddle block` in this process: arguments in, text, files and exit codes out. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../platform/system-clock.ts'
import { DevAuthority } from '../security/dev-certificate.ts'
import { quicAvailability } from '../transports/quic/quic-availability.ts'
import { ExitCode } from './exit-code.ts'
import { run } from './run.ts'

class FakeProcess extends EventEmitter {
  readonly pid = 42
  readonly env = {}
  out = ''
  err = ''
  readonly bytes: Uint8Array[] = []
  stdin: AsyncIterable<unknown> | undefined
  readonly stdout = {
    write: (text: string | Uint8Array) => {
      if (typeof text === 'string') this.out += text
      else this.bytes.push(text)
      this.emit('said')
    },
  }
  readonly stderr = {
    write: (text: string | Uint8Array) => {
      this.err += String(text)
      this.emit('said')
    },
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.err) ?? pattern.exec(this.out)
      if (found !== null) return found
      await once(this, 'said')
    }
  }
}

async function block(...args: string[]) {
  const host = new FakeProcess()
  const code = await run(['block', ...args], host as never)
  return { code, out: host.out, err: host.err, host }
}

async function folder(t: TestContext): Promise<(name: string) => string> {
  const path = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(path, { recursive: true }))
  return (name) => join(path, name)
}

/** A key, and a chain of two blocks. */
async function chain(t: TestContext) {
  const at = await folder(t)
  await block('keygen', '--out', at('key'))
  await block('create', '--key', at('key'), '--payload', '{"n":0}', '--out', at('0'))
  const previous = ['--previous', at('0'), '--payload', '{"n":1}', '--out', at('1')]
  await block('create', '--key', at('key'), ...previous)
  return at
}

test('heddle block --help lists commands, formats and exit codes', async () => {
  for (const args of [[], ['--help'], ['create', '-h'], ['help']]) {
    const { code, out } = await block(...args)
    assert.equal(code, ExitCode.OK)
    assert.match(out, /heddle block keygen --out[\s\S]*Exit codes: 0; 1/)
  }
})

test('heddle block refuses wrong arguments with 64 and a hint', async (t) => {
  const at = await chain(t)
  const cases: [string[], RegExp][] = [
    [['creat'], /no command 'creat'; did you mean 'create'\?/],
    [['create'], /needs --key/],
    [['create', '--kee', 'x'], /unknown option '--kee'; did you mean '--key'\?/],
    [['keygen'], /needs --out/],
    [['verify'], /at least one file/],
    [['send', 'tcp://127.0.0.1:1'], /a URL and at least one file/],
    [['listen'], /takes one URL/],
    [['create', '--key', at('key'), '--format', 'cbor'], /no format cbor/],
    [['create', '--key', at('key'), '--type', 'x'], /--type is 'x'/],
    [['create', '--key', at('key'), '--timestamp', '1700000000000'], /seconds are meant/],
    [['create', '--key', at('key'), '--payload', 'a', '--payload-file', 'b'], /exclude each other/],
    [['send', 'nowhere://x', at('0')], /no transport that has connections/],
    [['listen', '127.0.0.1:0', '--cert', at('0')], /--cert and --key belong together/],
  ]
  for (const [args, expected] of cases) {
    const { code, err, out } = await block(...args)
    assert.equal(code, ExitCode.USAGE, args.join(' ') + err)
    assert.match(err, expected)
    assert.equal(out, '')
  }
})

test('heddle block keygen makes a file for its owner, and never over another', async (t) => {
  const at = await folder(t)
  const made = await block('keygen', '--out', at('key'))
  assert.match(made.out, /public key [0-9a-f]{64}\n$/)
  const secret = await readFile(at('key'), 'utf8')
  assert.match(secret, /^-----BEGIN PRIVATE KEY-----/)
  assert.ok(!made.out.includes(secret.split('\n')[1] as string))
  assert.equal((await stat(at('key'))).mode & 0o777, 0o600)
  assert.equal((await block('keygen', '--out', at('key'))).code, ExitCode.FAILURE)
  assert.equal(await readFile(at('key'), 'utf8'), secret)
  await chmod(at('key'), 0o644)
  const open = await block('create', '--key', at('key'))
  assert.equal(open.code, ExitCode.NO_PERMISSION)
  assert.match(open.err, /may be read by others: chmod 600/)
})

test('heddle block create writes any format, and verify reads it', async (t) => {
  const at = await chain(t)
  for (const format of [
    'binary',
    'json',
    'messagepack',
    'protobuf',
    'ssz',
    'json+gzip',
    'ssz+lz4',
  ]) {
    const path = at(format)
    await block('create', '--key', at('key'), '--payload', 'x', '--format', format, '--out', path)
    const told = format.startsWith('ssz') ? ['--format', format] : []
    const { code, out } = await block('verify', path, ...told)
    assert.equal(code, ExitCode.OK, format)
    assert.match(out, /: ok block 0 [0-9a-f]{64} by [0-9a-f]{64}, 1 bytes\n$/)
  }
  const json = await block('create', '--key', at('key'), '--format', 'json')
  assert.equal(JSON.parse(json.out).header.version, 261)
  const { host } = await block('create', '--key', at('key'))
  assert.equal(host.bytes[0]?.length, 186)
})

test('heddle block create reads a payload from a file and from standard input', async (t) => {
  const at = await chain(t)
  await writeFile(at('payload'), 'abc')
  const make = ['create', '--key', at('key'), '--out', at('made')]
  await block(...make, '--payload-file', at('payload'), '--type', '0x0100')
  const { out } = await block('verify', '--json', at('made'))
  const { bytes, type, verdict } = JSON.parse(out)
  assert.deepEqual([bytes, type, verdict], [3, 256, 'Ok'])
  const host = new FakeProcess()
  host.stdin = (async function* () {
    yield Buffer.from('from ')
    yield Buffer.from('outside')
  })()
  await run(['block', ...make, '--payload-file', '-'], host as never)
  assert.match((await block('verify', at('made'))).out, /12 bytes/)
})

test('heddle block verify says what is wrong, by its exit code too', async (t) => {
  const at = await chain(t)
  const good = await block('verify', '--chain', at('0'), at('1'))
  assert.equal(good.code, ExitCode.OK, good.out + good.err)
  assert.match(good.out, /a chain of 2 blocks\n$/)
  const turned = await block('verify', '--chain', at('1'), at('0'))
  assert.equal(turned.code, ExitCode.FAILURE)
  assert.match(turned.out, /1: InvalidIndex/)
  const bytes = await readFile(at('1'))
  bytes[150] = (bytes[150] as number) ^ 1
  await writeFile(at('forged'), bytes)
  await writeFile(at('garbage'), 'garbage')
  const bad = await block('verify', at('forged'), at('garbage'))
  assert.equal(bad.code, ExitCode.FAILURE)
  assert.match(bad.out, /forged: InvalidSignature \(6\)[\s\S]*garbage: SerializationError \(39\)/)
  assert.equal((await block('verify', at('missing'))).code, ExitCode.NO_INPUT)
  await block('create', '--key', at('key'), '--timestamp', '1640995200', '--out', at('old'))
  assert.equal((await block('verify', at('old'))).code, ExitCode.OK)
  assert.match((await block('verify', '--live', at('old'))).out, /TimestampTooOld \(11\)/)
})

async function listen(url: string, ...more: string[]) {
  const host = new FakeProcess()
  const done = run(['block', 'listen', url, ...more], host as never)
  const failed = done.then((code) => assert.fail(`${code}: ${host.err}`))
  failed.catch(() => {})
  const [, where] = await Promise.race([host.until(/listening on (.*)\n/), failed as never])
  return { host, done, where: where as string }
}

for (const [name, url, address] of [
  ['TCP', 'tcp://127.0.0.1:0', (where: string) => where.replace(' ', '://')],
  ['UDP', 'udp://127.0.0.1:0', (where: string) => where.replace(' ', '://')],
  ['WebSocket', 'ws://127.0.0.1:0/', (where: string) => where.replace('ws ', '')],
] as const) {
  test(`heddle block send and listen over ${name}`, async (t) => {
    const at = await chain(t)
    const { host, done, where } = await listen(url, '--count', '2')
    const to = address(where)
    const sent = await block(
      'send',
      to,
      at('0'),
      at('1'),
      ...(name === 'UDP' ? ['--reliable'] : []),
    )
    assert.equal(sent.code, ExitCode.OK, sent.err)
    assert.match(sent.out, /2 blocks sent to/)
    assert.equal(await done, ExitCode.OK)
    assert.match(host.out, /block 0 [0-9a-f]{64} by [0-9a-f]{64}: \{"n":0\}\nblock 1 .*"n":1/)
    assert.equal(host.listenerCount('SIGINT'), 0)
  })
}

test('heddle block over a Unix socket, until a signal', async (t) => {
  const at = await chain(t)
  const { host, done } = await listen(`unix:${at('socket')}`, '--json', '--format', 'messagepack')
  const sent = await block('send', `unix:${at('socket')}`, at('1'), '--format', 'messagepack')
  assert.equal(sent.code, ExitCode.OK, sent.err)
  const [line] = await host.until(/\{.*\}\n/)
  assert.deepEqual(JSON.parse(line).payload, { n: 1 })
  host.emit('SIGTERM')
  assert.equal(await done, ExitCode.OK)
})

test('heddle block over QUIC', { skip: !quicAvailability().available }, async (t) => {
  const at = await chain(t)
  const authority = await DevAuthority.create(systemClock)
  const { certificate, key } = await authority.issue({ names: ['127.0.0.1', 'localhost'] })
  await writeFile(at('cert'), certificate)
  await writeFile(at('tls-key'), key)
  await writeFile(at('ca'), authority.ca)
  const tls = ['--cert', at('cert'), '--key', at('tls-key')]
  const { host, done, where } = await listen('quic://127.0.0.1:0', '--count', '1', ...tls)
  const to = where.replace(' ', '://')
  const sent = await block('send', to, at('0'), '--ca', at('ca'))
  assert.equal(sent.code, ExitCode.OK, sent.err)
  assert.equal(await done, ExitCode.OK)
  assert.match(host.out, /"n":0/)
})

test('heddle block send says that nobody is there, and that a block was refused', async (t) => {
  const at = await chain(t)
  // Of those that carry streams of bytes only WebSocket has words for why it ends.
  const { done, where, host } = await listen('ws://127.0.0.1:0/')
  await block('create', '--key', at('key'), '--timestamp', '1640995200', '--out', at('old'))
  const refused = await block('send', where.replace('ws ', ''), at('old'))
  assert.equal(refused.code, ExitCode.FAILURE, refused.out)
  assert.match(refused.err, /1008/)
  await host.until(/refused time is \d+ s ago/)
  host.emit('SIGINT')
  await done
  const nobody = await block('send', where.replace('ws ', ''), at('0'))
  assert.equal(nobody.code, ExitCode.UNAVAILABLE)
})
