/** grpcurl against our server, by our reflection: names, schemas, calls, statuses, health. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { ip } from '../src/core/address.ts'
import { GrpcError } from '../src/protocols/grpc/grpc-error.ts'
import {
  ErrorInfoSchema,
  file_google_rpc_error_details,
} from '../src/protocols/protobuf/proto/google/rpc/error_details_pb.ts'
import { rpcServer } from '../src/servers/connect/rpc-server.ts'
import { grpcChannelz } from '../src/servers/grpc/channelz/grpc-channelz.ts'
import { type GrpcService, grpcService } from '../src/servers/grpc/grpc-service.ts'
import { grpcHealth } from '../src/servers/grpc/health/grpc-health.ts'
import { grpcReflection } from '../src/servers/grpc/reflection/grpc-reflection.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { Echo } from '../test/fixtures/echo/echo_pb.ts'
import { requirePeer } from './peers.ts'

const grpcurl = requirePeer('grpcurl')
const options = { skip: grpcurl.skip }

const services = [echo()]
const health = grpcHealth({ services })
const channelz = grpcChannelz()
const all = [...services, health.service, channelz.service]
// Details of errors are messages that no service names.
const reflection = grpcReflection(all, { files: [file_google_rpc_error_details] })
const server = httpServer(channelz.counted('api', rpcServer([...all, ...reflection])))
channelz.server('api', server)
const { address } = await server.listen(tcp(), ip('127.0.0.1', 0))
const authority = `127.0.0.1:${address.kind === 'ip' ? address.port : 0}`
test.after(() => server.close())

test(`${grpcurl.version} lists services and methods by our reflection`, options, async () => {
  const { out } = await run('list')
  assert.deepEqual(out.trim().split('\n'), [
    'grpc.channelz.v1.Channelz',
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
    'heddle.echo.v1.Echo',
  ])
  const methods = await run('list', 'heddle.echo.v1.Echo')
  assert.match(methods.out, /^heddle\.echo\.v1\.Echo\.Chat\n/)
  const described = await run('describe', 'heddle.echo.v1.EchoRequest')
  assert.match(described.out, /message EchoRequest \{\n {2}string text = 1;/)
})

test('grpcurl calls all four kinds', options, async () => {
  const said = await call('Say', '{"text":"hällo","payload":"AAH/","number":-3}')
  assert.deepEqual(JSON.parse(said.out), { text: 'hällo', payload: 'AAH/', number: -3 })
  const expanded = await call('Expand', '{"count":3}')
  assert.deepEqual(documents(expanded.out), [{}, { number: 1 }, { number: 2 }])
  const collected = await call('Collect', '{"text":"a"}{"text":"b"}')
  assert.deepEqual(JSON.parse(collected.out), { count: 2, texts: ['a', 'b'] })
  const chatted = await call('Chat', '{"text":"a"}{"text":"b"}')
  assert.deepEqual(documents(chatted.out), [{ text: 'a' }, { text: 'b' }])
})

test('grpcurl shows our errors with their details', options, async () => {
  const { code, err } = await call('Fail', '{"code":5,"message":"no ü","withDetails":true}')
  assert.equal(code, 64 + 5)
  assert.match(err, /Code: NotFound\n\s+Message: no ü\n/)
  assert.match(err, /because/)
  const unknown = await run('-d', '{}', 'heddle.echo.v1.Echo/Nothing')
  assert.notEqual(unknown.code, 0)
})

test('grpcurl asks for health and channelz', options, async () => {
  const well = await run('grpc.health.v1.Health/Check')
  assert.deepEqual(JSON.parse(well.out), { status: 'SERVING' })
  const listed = await run('grpc.health.v1.Health/List')
  assert.deepEqual(Object.keys(JSON.parse(listed.out).statuses).sort(), ['', 'heddle.echo.v1.Echo'])
  const nobody = await run('-d', '{"service":"none"}', 'grpc.health.v1.Health/Check')
  assert.equal(nobody.code, 64 + 5)
  const { out } = await run('grpc.channelz.v1.Channelz/GetServers')
  const [shown] = JSON.parse(out).server
  assert.equal(shown.ref.name, 'api')
  assert.ok(Number(shown.data.callsSucceeded) > 5)
  const sockets = await run(
    ...['-d', JSON.stringify({ serverId: shown.ref.serverId })],
    'grpc.channelz.v1.Channelz/GetServerSockets',
  )
  assert.equal(JSON.parse(sockets.out).socketRef.length, 1)
})

interface Said {
  code: number
  out: string
  err: string
}

function call(method: string, data: string): Promise<Said> {
  return run('-d', data, `heddle.echo.v1.Echo/${method}`)
}

/** Flags stand before the address, a verb or a method behind it. */
function run(...words: string[]): Promise<Said> {
  const flags = words[0] === '-d' ? words.splice(0, 2) : []
  const args = ['-plaintext', '-max-time', '10', ...flags, authority, ...words]
  return new Promise((resolve) => {
    execFile(grpcurl.path, args, { timeout: 20_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err })
    })
  })
}

function documents(text: string): unknown[] {
  return text
    .trim()
    .split(/\n(?=\{)/)
    .map((one) => JSON.parse(one))
}

function echo(): GrpcService {
  return grpcService(Echo, {
    say: ({ text, payload, number }) => ({ text, payload, number }),
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
