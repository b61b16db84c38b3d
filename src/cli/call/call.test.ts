/** `heddle call` in this process, against our own server over loopback. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { Echo, file_echo } from '../../../test/fixtures/echo/echo_pb.ts'
import { ip } from '../../core/address.ts'
import { GrpcError } from '../../protocols/grpc/grpc-error.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { ErrorInfoSchema } from '../../protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import { rpcServer } from '../../servers/connect/rpc-server.ts'
import { type GrpcService, grpcService } from '../../servers/grpc/grpc-service.ts'
import { grpcReflection } from '../../servers/grpc/reflection/grpc-reflection.ts'
import { httpServer } from '../../servers/http/http-server.ts'
import { tcp } from '../../transports/tcp/tcp.ts'
import type { CliProcess } from '../cli-process.ts'
import { ExitCode } from '../exit-code.ts'
import { terminalOf } from '../terminal.ts'
import { callCommand } from './call.ts'

const directory = await mkdtemp(join(tmpdir(), 'heddle-call-'))
const plainHttp: HttpService = async (request) =>
  request.target === '/gone'
    ? HttpResponse.json({ error: 'gone' }, { status: 410 })
    : HttpResponse.json({ method: request.method, body: await request.body.text() })
const server = httpServer(rpcServer([echo(), ...grpcReflection([echo()])], { next: plainHttp }))
const bare = httpServer(rpcServer([echo()]))
const where = await listen(server)
const whereBare = await listen(bare)
test.after(async () => {
  await Promise.all([server.close(), bare.close(), rm(directory, { recursive: true })])
})

const SAY = `${Echo.typeName}/Say`

test('heddle call calls a unary method by reflection, in every protocol', async () => {
  for (const protocol of ['grpc', 'grpc-web', 'connect']) {
    const said = await call(where, SAY, '-d', '{"text":"hi","number":7}', '--protocol', protocol)
    assert.deepEqual(said, { code: 0, out: '{\n  "text": "hi",\n  "number": 7\n}\n', err: '' })
  }
  const compact = await call(where, SAY.replace('/', '.'), '-c', '--emit-defaults')
  assert.equal(compact.out, '{"text":"","payload":"","number":0}\n')
})

test('heddle call streams both ways, one document a line', async () => {
  const expanded = await call(where, `${Echo.typeName}/Expand`, '-d', '{"count":3}')
  assert.equal(expanded.out, '{}\n{"number":1}\n{"number":2}\n')
  const file = join(directory, 'messages.ndjson')
  await writeFile(file, '{"text":"a"}\n\n{"text":"b"}')
  const chatted = await call(where, `${Echo.typeName}/Chat`, '-d', `@${file}`, '-d', '{"text":"c"}')
  assert.equal(chatted.out, '{"text":"a"}\n{"text":"b"}\n{"text":"c"}\n')
  const collected = await run([where, `${Echo.typeName}/Collect`, '-c', '-d', '@-'], {
    stdin: ['{"text":"d"}\n{"te', 'xt":"e"}\n'],
  })
  assert.equal(collected.out, '{"count":2,"texts":["d","e"]}\n')
})

test('heddle call lists and describes what a server has', async () => {
  const listed = await call(where, 'list')
  assert.match(listed.out, /^grpc\.reflection\.v1\.ServerReflection\n.*\nheddle\.echo\.v1\.Echo\n$/)
  const methods = await call(where, 'list', Echo.typeName)
  assert.match(methods.out, /^heddle\.echo\.v1\.Echo\/Say\n/)
  const service = await call(where, 'describe', Echo.typeName)
  assert.match(
    service.out,
    /^service heddle\.echo\.v1\.Echo \{\n {2}rpc Say\(heddle\.echo\.v1\.EchoRequest\) returns \(heddle\.echo\.v1\.EchoReply\);\n/,
  )
  assert.match(service.out, /rpc Chat\(stream [\w.]+\) returns \(stream [\w.]+\);/)
  assert.match(service.out, /option idempotency_level = NO_SIDE_EFFECTS;/)
  const method = await call(where, 'describe', SAY)
  assert.match(method.out, /^rpc Say\(/)
  const message = await call(where, 'describe', 'heddle.echo.v1.CollectReply')
  assert.equal(
    message.out,
    'message CollectReply {\n  uint32 count = 1;\n  uint64 bytes = 2;\n  repeated string texts = 3;\n}\n',
  )
  const all = await call(where, 'describe')
  assert.match(
    all.out,
    /service grpc\.reflection\.v1alpha\.ServerReflection \{[\s\S]*service heddle/,
  )
})

test('heddle call shows metadata, status and time when it is asked to, and no secret', async () => {
  const { err, code } = await call(
    ...[where, SAY, '-v', '-H', 'x-tenant: blue', '-H', 'authorization: Bearer s3cret'],
  )
  assert.equal(code, ExitCode.OK)
  assert.match(err, /^> \/heddle\.echo\.v1\.Echo\/Say \(grpc\)\n> x-tenant: blue\n/)
  assert.match(err, /> authorization: \[redacted\]/)
  assert.match(err, /< x-seen: blue\n/)
  assert.match(err, /= OK after \d+ ms\n$/)
  assert.ok(!err.includes('s3cret'))
})

test('heddle call prints the status of a failed call and exits with 1', async () => {
  const { code, out, err } = await call(
    ...[
      where,
      `${Echo.typeName}/Fail`,
      '-d',
      '{"code":5,"message":"no \\u001b[31msuch","withDetails":true}',
    ],
  )
  assert.deepEqual([code, out], [ExitCode.FAILURE, ''])
  assert.equal(err, 'NOT_FOUND: no \ufffd[31msuch\n  google.rpc.ErrorInfo {"reason":"because"}\n')
  const slow = await call(where, SAY, '-d', '{"delayMs":60000}', '--timeout', '20ms')
  assert.ok(slow.code === ExitCode.FAILURE || slow.code === ExitCode.UNAVAILABLE)
  assert.match(slow.err, /deadline/i)
})

test('heddle call takes its schema from files', async () => {
  const set = join(directory, 'echo.binpb')
  const file = [file_echo.proto, ...file_echo.dependencies.map(({ proto }) => proto)].reverse()
  await writeFile(set, toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file })))
  const refused = await call(whereBare, SAY)
  assert.equal(refused.code, ExitCode.USAGE)
  assert.match(refused.err, /no reflection: bring the schema by --proto or --descriptor-set/)
  const folder = join(import.meta.dirname, '../../../test/fixtures/echo')
  for (const from of [
    ['--descriptor-set', set],
    ['--proto', 'echo.proto', '-I', directory, '-I', folder],
  ]) {
    const said = await call(whereBare, SAY, '-c', '-d', '{"text":"set"}', ...from)
    assert.deepEqual([said.code, said.out, said.err], [0, '{"text":"set"}\n', ''])
    assert.equal((await call(whereBare, 'list', ...from)).out, `${Echo.typeName}\n`)
  }
})

test('heddle call sends requests of HTTP', async () => {
  const got = await call('GET', `${where}/some/path`)
  assert.equal(got.out, '{\n  "method": "GET",\n  "body": ""\n}\n')
  const posted = await run(['POST', where, '-c', '-v', '-d', '@-'], { stdin: ['[1]'] })
  assert.equal(posted.out, '{"method":"POST","body":"[1]"}\n')
  assert.match(posted.err, /^> POST \/\n> content-type: application\/json\n[\s\S]*< 200 /)
  const gone = await call('GET', `${where}/gone`)
  assert.deepEqual([gone.code, gone.out], [ExitCode.FAILURE, '{\n  "error": "gone"\n}\n'])
})

test('heddle call says what is wrong, with the exit code for it', async () => {
  const unused = await closedPort()
  for (const [args, code, message] of [
    [[where, `${Echo.typeName}/Sya`], 64, "no method 'Sya'; did you mean 'Say'"],
    [[where, 'heddle.echo.v1.Nothing/Say'], 1, 'NOT_FOUND: no symbol'],
    [[where, SAY, '-d', '{'], 64, 'the message is not JSON'],
    [[where, SAY, '-d', '{"txt":1}'], 64, 'the message is no heddle.echo.v1.EchoRequest: '],
    [[where, `${Echo.typeName}/Chat`, '-d', '{"txt":1}'], 64, 'no heddle.echo.v1.EchoRequest: '],
    [[where, SAY, '-d', '{}', '-d', '{}'], 64, 'one message, 2 were given'],
    [[where, SAY, '-d', `@${join(directory, 'none.json')}`], 66, 'no such file'],
    [[where, SAY, '--cacert', join(directory, 'none.pem')], 66, 'no such file'],
    [[where, 'describe', 'heddle.echo.v1.Nothing'], 1, 'NOT_FOUND'],
    [[unused, 'list'], 69, 'refused the connection'],
    [[where], 64, 'what to call?'],
    [['GET'], 64, 'GET needs a URL'],
    [['ftp://host', 'list'], 64, "'ftp://host' is no address"],
    [[where, 'list', 'a', 'b'], 64, "'b' is one word too many"],
    [[where, 'Say'], 64, "'Say' is no method: package.Service/Method"],
    [[where, SAY, '--timeout', 'soon'], 64, "--timeout is 'soon'"],
    [[where, SAY, '--protocol', 'soap'], 64, "--protocol is 'soap'"],
    [[where, SAY, '--http', '3'], 64, "--http is '3', must be auto, 1.1 or 2"],
    [[where, SAY, '--max-bytes', '0'], 64, "--max-bytes is '0'"],
    [[where, SAY, '--max-byte', '1'], 64, "did you mean '--max-bytes'?"],
    [[where, SAY, '-H', 's3cret'], 64, "a header is 'name: value'"],
    [[where, SAY, '--cert', 'a.pem'], 64, '--cert and --key go together'],
    [['https://localhost', 'list', '--plaintext'], 64, 'do not go together'],
  ] as const) {
    const { err, ...said } = await call(...args)
    assert.equal(said.code, code, `${args.join(' ')}: ${err}`)
    assert.ok(err.includes(message), `${args.join(' ')}: ${err}`)
    assert.ok(!err.includes('s3cret'))
  }
})

test('heddle call verifies who answers, unless it is told not to', async () => {
  const { err, code } = await call(where.replace('http:', 'https:'), 'list')
  assert.equal(code, ExitCode.UNAVAILABLE)
  assert.match(err, /--plaintext or http:/)
})

test('heddle call stops at SIGINT', async () => {
  const host = fakeProcess()
  const args = [where, SAY, '-d', '{"delayMs":60000}', '-v']
  const ended = callCommand(args, host, terminalOf(host))
  await host.until(/> \/heddle/)
  host.emit('SIGINT')
  assert.equal(await ended, ExitCode.INTERRUPTED)
  assert.equal(host.listenerCount('SIGINT'), 0)
})

test('heddle call --help helps', async () => {
  for (const args of [[], ['--help'], ['-h'], ['help']]) {
    const { code, out } = await call(...args)
    assert.equal(code, ExitCode.OK)
    assert.match(out, /^heddle call <address> <service>\/<method>/)
  }
})

interface Said {
  code: number
  out: string
  err: string
}

function call(...args: string[]): Promise<Said> {
  return run(args)
}

async function run(args: readonly string[], { stdin = [] as string[] } = {}): Promise<Said> {
  const host = fakeProcess(stdin)
  const code = await callCommand(args, host, terminalOf(host))
  return { code, out: host.out, err: host.err }
}

class FakeProcess extends EventEmitter implements CliProcess {
  readonly pid = 42
  readonly env = {}
  out = ''
  err = ''
  readonly stdin: AsyncIterable<string>
  readonly stdout = { write: (text: string | Uint8Array) => void (this.out += text) }
  readonly stderr = {
    write: (text: string) => {
      this.err += text
      this.emit('said')
    },
  }

  constructor(stdin: readonly string[]) {
    super()
    this.stdin = (async function* () {
      yield* stdin
    })()
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.err)) await once(this, 'said')
  }
}

function fakeProcess(stdin: readonly string[] = []): FakeProcess {
  return new FakeProcess(stdin)
}

async function listen(served: { listen: typeof server.listen }): Promise<string> {
  const { address } = await served.listen(tcp(), ip('127.0.0.1', 0))
  return `http://127.0.0.1:${address.kind === 'ip' ? address.port : 0}`
}

async function closedPort(): Promise<string> {
  const closed = httpServer(plainHttp)
  const url = await listen(closed)
  await closed.close()
  return url
}

function echo(): GrpcService {
  return grpcService(Echo, {
    async say({ text, payload, number, delayMs }, context) {
      if (delayMs > 0) await new Promise((resolve) => context.onCancel(resolve))
      const tenant = context.requestMetadata.get('x-tenant')
      if (tenant !== undefined) context.responseHeaders.set('x-seen', tenant)
      return { text, payload, number }
    },
    look: ({ text }) => ({ text }),
    async *expand({ count }) {
      for (let number = 0; number < count; number++) yield { number }
    },
    async collect(requests) {
      const texts: string[] = []
      for await (const { text } of requests) texts.push(text)
      return { count: texts.length, texts }
    },
    async *chat(requests) {
      for await (const { text } of requests) yield { text }
    },
    fail({ code, message, withDetails }) {
      throw new GrpcError(code as 5, message, {
        details: withDetails ? [[ErrorInfoSchema, { reason: 'because' }]] : [],
      })
    },
  })
}
