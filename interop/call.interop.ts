/**
 * `heddle call` as people use it: a process of its own, against grpc-js's server by a `.proto` file, over
 * plain TCP and over TLS that is verified.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadPackageDefinition, Server, ServerCredentials, status } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { systemClock } from '../src/platform/system-clock.ts'
import { DevAuthority } from '../src/security/dev-certificate.ts'

const ROOT = join(import.meta.dirname, '..')
const FIXTURES = join(ROOT, 'test/fixtures/echo')
const SCHEMA = ['--proto', 'echo.proto', '-I', FIXTURES]
const SAY = 'heddle.echo.v1.Echo/Say'

test('heddle call calls grpc-js with all four kinds', async (t) => {
  const port = await serve(t, ServerCredentials.createInsecure())
  const where = `127.0.0.1:${port}`
  const said = await call(where, '--plaintext', SAY, ...SCHEMA, '-c', '-d', '{"text":"hällo"}')
  assert.deepEqual(said, { code: 0, out: '{"text":"hällo"}\n', err: '' })
  const expanded = await call(
    ...[`http://${where}`, 'heddle.echo.v1.Echo/Expand', ...SCHEMA, '-d', '{"count":3}'],
  )
  assert.equal(expanded.out, '{}\n{"number":1}\n{"number":2}\n')
  const chatted = await call(
    ...[`http://${where}`, 'heddle.echo.v1.Echo/Chat', ...SCHEMA, '-d', '@-'],
    { stdin: '{"text":"a"}\n{"text":"b"}\n' },
  )
  assert.equal(chatted.out, '{"text":"a"}\n{"text":"b"}\n')
  const collected = await call(
    ...[`http://${where}`, 'heddle.echo.v1.Echo/Collect', ...SCHEMA, '-c', '-d', '{}', '-d', '{}'],
  )
  assert.equal(collected.out, '{"count":2}\n')
  const failed = await call(
    ...[`http://${where}`, 'heddle.echo.v1.Echo/Fail', ...SCHEMA, '-d', '{"message":"no ü"}'],
  )
  assert.deepEqual([failed.code, failed.err], [1, 'NOT_FOUND: no ü\n'])
  const bare = await call(`http://${where}`, 'list')
  assert.equal(bare.code, 64)
  assert.match(bare.err, /no reflection/)
})

test('heddle call verifies the certificate of grpc-js', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-call-'))
  t.after(() => rm(folder, { recursive: true }))
  const { certificate, key, ca } = await DevAuthority.create(systemClock).then((authority) =>
    authority.issue().then((issued) => ({ ...issued, ca: authority.ca })),
  )
  const cacert = join(folder, 'ca.pem')
  await writeFile(cacert, ca)
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(certificate) }
  const port = await serve(t, ServerCredentials.createSsl(null, [pair]))
  const where = `localhost:${port}`
  const args = [where, SAY, ...SCHEMA, '-c', '-d', '{"text":"safe"}']
  const trusted = await call(...args, '--cacert', cacert)
  assert.deepEqual(trusted, { code: 0, out: '{"text":"safe"}\n', err: '' })
  const refused = await call(...args)
  assert.equal(refused.code, 69)
  assert.match(refused.err, /certificate/)
  const careless = await call(...args, '--insecure')
  assert.equal(careless.out, '{"text":"safe"}\n')
  const misled = await call(...args, '--cacert', cacert, '--server-name', 'other.example')
  assert.equal(misled.code, 69)
})

async function serve(t: TestContext, credentials: ServerCredentials): Promise<number> {
  const loaded = loadPackageDefinition(
    loadSync('echo.proto', { includeDirs: [FIXTURES], keepCase: true }),
  ) as unknown as { heddle: { echo: { v1: { Echo: { service: never } } } } }
  const server = new Server()
  server.addService(loaded.heddle.echo.v1.Echo.service, {
    Say: (call: Unary, reply: Reply) => reply(null, { text: call.request['text'] }),
    Look: (call: Unary, reply: Reply) => reply(null, call.request),
    Expand(call: Unary & Writable) {
      for (let number = 0; number < Number(call.request['count']); number++) call.write({ number })
      call.end()
    },
    Collect(call: Readable, reply: Reply) {
      let count = 0
      call.on('data', () => count++)
      call.on('end', () => reply(null, { count }))
    },
    Chat(call: Readable & Writable) {
      call.on('data', (message: unknown) => call.write(message))
      call.on('end', () => call.end())
    },
    Fail: (call: Unary, reply: Reply) =>
      reply({ code: status.NOT_FOUND, details: String(call.request['message']) }),
  } as never)
  t.after(() => server.forceShutdown())
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) => {
      if (error === null) resolve(port)
      else reject(error)
    })
  })
}

interface Unary {
  readonly request: Readonly<Record<string, unknown>>
}
type Reply = (error: object | null, message?: object) => void
interface Readable {
  on(event: string, listener: (message: unknown) => void): unknown
}
interface Writable {
  write(message: unknown): void
  end(): void
}

interface Said {
  code: number
  out: string
  err: string
}

function call(...words: (string | { stdin: string })[]): Promise<Said> {
  const last = words.at(-1)
  const stdin = typeof last === 'object' ? last.stdin : ''
  const args = words.filter((word) => typeof word === 'string')
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'call', ...args], {
    cwd: tmpdir(),
  })
  child.stdin.end(stdin)
  const said: Said = { code: 0, out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...said, code: code ?? -1 }))
  })
}
