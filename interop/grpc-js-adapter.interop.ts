/**
 * The adapter `heddle/grpc-js` with definitions of `@grpc/proto-loader`: stubs made by it call a server
 * of grpc-js, handlers that were written for grpc-js serve under it, and its own ends call each other.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import grpc from '@grpc/grpc-js'
import { credentials } from '../src/clients/grpc-js/credentials.ts'
import { makeGenericClientConstructor } from '../src/clients/grpc-js/grpc-js-client.ts'
import type { ServiceDefinition } from '../src/protocols/grpc/grpc-js-definition.ts'
import { Metadata } from '../src/protocols/grpc/grpc-js-metadata.ts'
import { Server, ServerCredentials } from '../src/servers/grpc-js/grpc-js-server.ts'
import { ECHO_HANDLERS, Echo, serveGrpcJs } from './support/grpc-js-echo.ts'

type Serve = () => Promise<{ port: number } & Disposable>
// Both libraries' objects have the same shape for whoever calls: the checks are written once.
type Stub = Record<string, (...given: unknown[]) => grpc.ClientDuplexStream<unknown, unknown>> & {
  close(): void
}

const OURS = makeGenericClientConstructor(
  Echo.service as unknown as ServiceDefinition,
  'heddle.echo.v1.Echo',
)

async function serveAdapter(): Promise<{ port: number } & Disposable> {
  const server = new Server()
  server.addService(Echo.service as unknown as ServiceDefinition, ECHO_HANDLERS)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error)
      else resolve(bound)
    })
  })
  return { port, [Symbol.dispose]: () => server.forceShutdown() }
}

const PAIRS: readonly {
  readonly name: string
  readonly serve: Serve
  client(port: number): Stub
  metadata(): grpc.Metadata | Metadata
}[] = [
  {
    name: 'adapter client, grpc-js server',
    serve: serveGrpcJs,
    client: (port) =>
      new OURS(`127.0.0.1:${port}`, credentials.createInsecure()) as unknown as Stub,
    metadata: () => new Metadata(),
  },
  {
    name: 'grpc-js client, adapter server',
    serve: serveAdapter,
    client: (port) =>
      new Echo(`127.0.0.1:${port}`, grpc.credentials.createInsecure()) as unknown as Stub,
    metadata: () => new grpc.Metadata(),
  },
  {
    name: 'adapter both ends, metadata of grpc-js',
    serve: serveAdapter,
    client: (port) =>
      new OURS(`127.0.0.1:${port}`, credentials.createInsecure()) as unknown as Stub,
    metadata: () => new grpc.Metadata(),
  },
]

for (const { name, serve, client: connect, metadata: newMetadata } of PAIRS) {
  test(`${name}: all four kinds, metadata, errors, cancellation`, { timeout: 30_000 }, async () => {
    using server = await serve()
    const client = connect(server.port)
    const metadata = newMetadata()
    metadata.add('x-echo', 'one')
    metadata.add('x-echo-bin', Buffer.of(0, 127, 255))
    let head: grpc.Metadata | undefined
    const said = await new Promise<Record<string, unknown>>((resolve, reject) => {
      const done = (error: Error | null, value: Record<string, unknown>): void =>
        error === null ? resolve(value) : reject(error)
      client['Say']?.({ text: 'hi', number: -5, payload: Buffer.of(1) }, metadata, done).on(
        'metadata',
        (given: grpc.Metadata) => {
          head = given
        },
      )
    })
    assert.deepEqual([said['text'], said['number']], ['hi', -5])
    assert.ok(Buffer.isBuffer(said['payload']))
    assert.deepEqual(head?.get('x-echo-bin'), [Buffer.of(0, 127, 255)])
    const expand = client['Expand']?.({ count: 300, payload_bytes: 5_000 }) as AsyncIterable<{
      number: number
    }>
    let number = 0
    for await (const reply of expand) assert.equal(reply.number, number++)
    assert.equal(number, 300)
    const collected = await new Promise((resolve, reject) => {
      const call = client['Collect']?.((error: Error | null, value: unknown) =>
        error === null ? resolve(value) : reject(error),
      )
      for (let at = 0; at < 100; at++) call?.write({ payload: Buffer.alloc(1_000) })
      call?.end()
    })
    const { count, bytes } = collected as { count: number; bytes: number }
    assert.deepEqual([count, bytes], [100, 100_000])
    const chat = client['Chat']?.()
    const texts: string[] = []
    chat?.on('data', ({ text }: { text: string }) => {
      texts.push(text)
      if (texts.length === 3) chat.end()
    })
    for (const text of ['a', 'b', 'c']) chat?.write({ text })
    if (chat !== undefined) await once(chat, 'status')
    assert.deepEqual(texts, ['a', 'b', 'c'])
    const failed = await new Promise<grpc.ServiceError>((resolve) => {
      client['Fail']?.({ code: 5, message: 'ünit %' }, (error: grpc.ServiceError) => resolve(error))
    })
    assert.deepEqual([failed.code, failed.details], [5, 'ünit %'])
    const late = await new Promise<grpc.ServiceError>((resolve) => {
      const deadline = Date.now() + 100
      client['Say']?.({ delay_ms: 5_000 }, { deadline }, (error: grpc.ServiceError) =>
        resolve(error),
      )
    })
    assert.equal(late.code, 4)
    const endless = client['Expand']?.({ count: 9, delay_ms: 5_000 })
    const cancelled = new Promise<grpc.ServiceError>((resolve) => endless?.on('error', resolve))
    endless?.resume()
    setTimeout(() => endless?.cancel(), 50)
    assert.equal((await cancelled).code, 1)
    client.close()
  })
}
