/**
 * The adapter for users of grpc-js: their definitions, stubs and handlers over heddle. Definitions are
 * as generated code has them; messages are JSON, which is all the same to the adapter.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type {
  ClientDuplexStream,
  ClientReadableStream,
  ClientUnaryCall,
  ClientWritableStream,
} from '../../src/clients/grpc-js/client-calls.ts'
import { type ChannelCredentials, credentials } from '../../src/clients/grpc-js/credentials.ts'
import {
  type ChannelOptions,
  loadPackageDefinition,
  makeGenericClientConstructor,
  type ServiceClientConstructor,
} from '../../src/clients/grpc-js/grpc-js-client.ts'
import type { ServiceError, StatusObject } from '../../src/clients/grpc-js/service-error.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import type { ServiceDefinition } from '../../src/protocols/grpc/grpc-js-definition.ts'
import { Metadata } from '../../src/protocols/grpc/grpc-js-metadata.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { Server, ServerCredentials } from '../../src/servers/grpc-js/grpc-js-server.ts'
import type {
  SendUnaryData,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '../../src/servers/grpc-js/server-calls.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import { memory } from '../../src/transports/memory/memory-transport.ts'

interface Message {
  readonly text?: string
  readonly n?: number
}

const serialize = (value: Message): Buffer => Buffer.from(JSON.stringify(value))
const deserialize = (bytes: Buffer): Message => {
  assert.ok(Buffer.isBuffer(bytes), 'generated code expects a Buffer')
  return JSON.parse(bytes.toString()) as Message
}
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Orders/${name}`,
  requestStream,
  responseStream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
  originalName: name[0]?.toLowerCase() + name.slice(1),
})

const ORDERS = {
  Get: method('Get', false, false),
  List: method('List', false, true),
  Add: method('Add', true, false),
  Chat: method('Chat', true, true),
} as unknown as ServiceDefinition

interface Stub {
  get(request: Message, ...rest: unknown[]): ClientUnaryCall
  list(request: Message, ...rest: unknown[]): ClientReadableStream<Message>
  add(...rest: unknown[]): ClientWritableStream<Message>
  chat(...rest: unknown[]): ClientDuplexStream<Message, Message>
  close(): void
}

const HANDLERS = {
  get(call: ServerUnaryCall<Message>, callback: SendUnaryData<Message>) {
    const { text } = call.request
    if (text === 'missing') {
      const metadata = new Metadata()
      metadata.set('x-reason-bin', Buffer.from([1, 2]))
      return callback({ code: 5, details: 'no such order', metadata })
    }
    if (text === 'thrown') return callback(new Error('broken'))
    if (text === 'silent') return undefined
    const head = new Metadata()
    head.set('x-head', String(call.metadata.get('x-echo')[0] ?? ''))
    call.sendMetadata(head)
    const trailer = new Metadata()
    trailer.add('x-trailer', 'a')
    trailer.add('x-trailer', 'b')
    return callback(null, { text: `${text} ${call.getPath()}` }, trailer)
  },
  list(call: ServerWritableStream<Message, Message>) {
    const { n = 0, text } = call.request
    for (let at = 0; at < n; at++) call.write({ n: at })
    if (text === 'fail') return call.emit('error', { code: 9, details: 'not now' })
    const trailer = new Metadata()
    trailer.set('x-trailer', 'list')
    return call.end(trailer)
  },
  add(call: ServerReadableStream<Message>, callback: SendUnaryData<Message>) {
    let sum = 0
    call.on('data', ({ n = 0 }: Message) => {
      sum += n
    })
    call.on('end', () => callback(null, { n: sum }))
  },
  chat(call: ServerDuplexStream<Message, Message>) {
    call.on('data', (message: Message) => call.write({ text: `re: ${message.text}` }))
    call.on('end', () => call.end())
  },
}

async function pair(
  t: TestContext,
  handlers: Record<string, unknown> = HANDLERS,
  options: ChannelOptions = {},
  serverOptions = {},
): Promise<Stub> {
  const server = new Server(serverOptions)
  server.addService(ORDERS, handlers)
  const transport = memory({ clock: systemClock })
  const http = httpServer(server.service())
  const { address } = await http.listen(transport, 'mem:orders')
  const Orders = makeGenericClientConstructor(ORDERS, 'test.Orders')
  const heddle = { transport, endpoints: [{ address }], version: '1.1', retry: false } as const
  const client = new Orders('orders.test', credentials.createInsecure(), { heddle, ...options })
  t.after(async () => {
    client.close()
    await http.close({ signal: AbortSignal.abort(new Error('over')) })
  })
  return client as unknown as Stub
}

/** Error, value and status of a call with a callback. */
function answered(
  call: (callback: (error: ServiceError | null, value?: Message) => void) => NodeJS.EventEmitter,
): Promise<{ error: ServiceError | null; value: Message | undefined; status: StatusObject }> {
  return new Promise((resolve) => {
    let got: { error: ServiceError | null; value: Message | undefined } | undefined
    const emitter = call((error, value) => {
      got = { error, value }
    })
    emitter.on('status', (status: StatusObject) => {
      assert.ok(got, 'the callback comes first')
      resolve({ ...got, status })
    })
  })
}

test('grpc-js adapter: a unary call with metadata both ways, by both names', async (t) => {
  const client = await pair(t)
  const metadata = new Metadata()
  metadata.set('X-Echo', 'hello')
  let head: Metadata | undefined
  const { error, value, status } = await answered((callback) =>
    client.get({ text: 'one' }, metadata, callback).on('metadata', (given: Metadata) => {
      head = given
    }),
  )
  assert.equal(error, null)
  assert.deepEqual(value, { text: 'one /test.Orders/Get' })
  assert.deepEqual(head?.get('x-head'), ['hello'])
  assert.equal(status.code, 0)
  assert.deepEqual(status.metadata.get('x-trailer'), ['a', 'b'])
  const capital = (client as unknown as { Get: Stub['get'] }).Get
  assert.ok((await answered((callback) => capital.call(client, { text: 'x' }, callback))).value)
})

test('grpc-js adapter: an error has code, details and metadata, as grpc-js words it', async (t) => {
  const client = await pair(t)
  const { error, status } = await answered((callback) => client.get({ text: 'missing' }, callback))
  assert.ok(error instanceof Error)
  assert.deepEqual(
    [error.code, error.details, error.message],
    [5, 'no such order', '5 NOT_FOUND: no such order'],
  )
  const [reason] = error.metadata.get('x-reason-bin')
  assert.ok(Buffer.isBuffer(reason))
  assert.deepEqual([...reason], [1, 2])
  assert.equal(status.code, 5)
  const thrown = await answered((callback) => client.get({ text: 'thrown' }, callback))
  assert.deepEqual([thrown.error?.code, thrown.error?.details], [2, 'broken'])
})

test('grpc-js adapter: streams from the server, with flow control and trailers', async (t) => {
  const client = await pair(t)
  const call = client.list({ n: 300 })
  const seen: number[] = []
  call.on('data', ({ n = -1 }: Message) => void seen.push(n))
  const [status] = (await once(call, 'status')) as [StatusObject]
  assert.deepEqual(
    seen,
    Array.from({ length: 300 }, (_, at) => at),
  )
  assert.deepEqual([status.code, status.metadata.get('x-trailer')], [0, ['list']])
  const numbers: unknown[] = []
  for await (const { n } of client.list({ n: 3 }) as AsyncIterable<Message>) numbers.push(n)
  assert.deepEqual(numbers, [0, 1, 2])
})

test('grpc-js adapter: a stream that fails tells so after its messages', async (t) => {
  const client = await pair(t)
  const call = client.list({ n: 2, text: 'fail' })
  const events: unknown[] = []
  call.on('data', ({ n }: Message) => void events.push(n))
  call.on('error', ({ code, details }: ServiceError) => void events.push([code, details]))
  const ended = Promise.withResolvers<StatusObject>()
  call.on('status', ended.resolve)
  const status = await ended.promise
  assert.deepEqual(events, [0, 1, [9, 'not now']])
  assert.equal(status.code, 9)
})

test('grpc-js adapter: streams to the server and both ways', async (t) => {
  const client = await pair(t)
  const { value } = await answered((callback) => {
    const call = client.add(callback)
    for (const n of [1, 2, 3]) call.write({ n })
    call.end()
    return call
  })
  assert.deepEqual(value, { n: 6 })
  const call = client.chat()
  const texts: unknown[] = []
  call.on('data', ({ text }: Message) => {
    texts.push(text)
    if (texts.length === 2) call.end()
  })
  call.write({ text: 'a' })
  call.write({ text: 'b' })
  const [status] = (await once(call, 'status')) as [StatusObject]
  assert.deepEqual([texts, status.code], [['re: a', 're: b'], 0])
})

test('grpc-js adapter: cancel and deadlines reach the handler', async (t) => {
  const cancelled: unknown[] = []
  const client = await pair(t, {
    ...HANDLERS,
    get(call: ServerUnaryCall<Message>) {
      assert.ok(call.getDeadline() instanceof Date || call.getDeadline() === Infinity)
      call.on('cancelled', () => cancelled.push(call.cancelled))
    },
  })
  let call: ClientUnaryCall | undefined
  const given = answered((callback) => (call = client.get({ text: 'silent' }, callback)))
  await turn()
  call?.cancel()
  const { error } = await given
  assert.deepEqual([error?.code, error?.details], [1, 'Cancelled on client'])
  while (cancelled.length < 1) await turn()
  const deadline = new Date(Date.now() + 20)
  const late = await answered((callback) => client.get({ text: 'silent' }, { deadline }, callback))
  assert.equal(late.error?.code, 4)
  const past = await answered((callback) => client.get({}, { deadline: 1 }, callback))
  assert.equal(past.error?.code, 4)
})

test('grpc-js adapter: a method without a handler is UNIMPLEMENTED, limits are grpc-js’s', async (t) => {
  const client = await pair(
    t,
    { get: HANDLERS.get },
    { 'grpc.max_send_message_length': 100 },
    { 'grpc.max_receive_message_length': 50 },
  )
  const [error] = (await once(client.list({}).resume(), 'error')) as [ServiceError]
  assert.equal(error.code, 12)
  const fits = { text: 'x'.repeat(39) } // {"text":"…"} is 11 more
  assert.equal((await answered((callback) => client.get(fits, callback))).error, null)
  const refused = { text: 'x'.repeat(40) }
  assert.equal((await answered((callback) => client.get(refused, callback))).error?.code, 8)
  const unsent = { text: 'x'.repeat(90) }
  assert.equal((await answered((callback) => client.get(unsent, callback))).error?.code, 8)
})

test('grpc-js adapter: loadPackageDefinition makes nested packages, and no prototype is touched', () => {
  const loaded = loadPackageDefinition({
    'test.v1.Orders': ORDERS,
    'test.v1.Order': { format: 'Protocol Buffer 3 DescriptorProto' },
    '__proto__.polluted': ORDERS,
  }) as { test: { v1: { Orders: ServiceClientConstructor; Order: object } } }
  assert.equal(loaded.test.v1.Orders.serviceName, 'test.v1.Orders')
  assert.equal(loaded.test.v1.Orders.service, ORDERS)
  assert.ok('format' in loaded.test.v1.Order)
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
})

test('grpc-js adapter: Metadata behaves as theirs', () => {
  const metadata = new Metadata({ waitForReady: true })
  metadata.set('Key', 'a')
  metadata.add('key', 'b')
  metadata.set('raw-bin', Buffer.from('x'))
  assert.deepEqual(metadata.get('KEY'), ['a', 'b'])
  assert.deepEqual(Object.keys(metadata.getMap()), ['key', 'raw-bin'])
  assert.equal(metadata.getMap()['key'], 'a')
  const copy = metadata.clone()
  copy.remove('key')
  assert.deepEqual([copy.get('key'), metadata.get('key').length], [[], 2])
  assert.equal(copy.getOptions().waitForReady, true)
  copy.merge(metadata)
  assert.deepEqual(copy.get('key'), ['a', 'b'])
  assert.throws(() => metadata.set('key-bin', 'text'), { code: 'ERR_ARGUMENT' })
  assert.throws(() => metadata.set('key', Buffer.from('x')), { code: 'ERR_ARGUMENT' })
})

test('grpc-js adapter: TLS, the server’s certificate and the client’s', async (t) => {
  const authority = await DevAuthority.create(systemClock)
  const server = await authority.issue()
  const own = await authority.issue({ usage: 'client', names: ['caller'] })
  const ca = Buffer.from(authority.ca)
  const pairs = [
    { private_key: Buffer.from(server.key), cert_chain: Buffer.from(server.certificate) },
  ]
  const Orders = makeGenericClientConstructor(ORDERS, 'test.Orders')
  const ask = async (port: number, channel: ChannelCredentials) => {
    const client = new Orders(`localhost:${port}`, channel, { heddle: { retry: false } })
    const { value, error } = await answered((callback) =>
      (client as unknown as Stub).get({ text: 'tls' }, callback),
    )
    client.close()
    return value?.text ?? error?.code
  }
  const said = 'tls /test.Orders/Get'
  const UNAVAILABLE = 14
  const open = await secure(t, ServerCredentials.createSsl(null, pairs))
  assert.equal(await ask(open, credentials.createSsl(ca)), said)
  // Nobody that Node trusts has signed it; and a plain client has no answer.
  assert.equal(await ask(open, credentials.createSsl()), UNAVAILABLE)
  assert.equal(await ask(open, credentials.createInsecure()), UNAVAILABLE)
  const withOwn = credentials.createSsl(ca, Buffer.from(own.key), Buffer.from(own.certificate))
  const mutual = await secure(t, ServerCredentials.createSsl(ca, pairs, true))
  assert.equal(await ask(mutual, withOwn), said)
  assert.equal(await ask(mutual, credentials.createSsl(ca)), UNAVAILABLE)
  assert.throws(() => ServerCredentials.createSsl(null, []), { code: 'ERR_ARGUMENT' })
})

/** @returns the port of a server with such credentials */
async function secure(t: TestContext, own: ServerCredentials): Promise<number> {
  const server = new Server()
  server.addService(ORDERS, HANDLERS)
  const bound = Promise.withResolvers<number>()
  server.bindAsync('127.0.0.1:0', own, (error, port) => {
    if (error !== null) bound.reject(error)
    else bound.resolve(port)
  })
  t.after(() => server.forceShutdown())
  return bound.promise
}

test('grpc-js adapter: bindAsync listens, tryShutdown ends', async () => {
  const server = new Server()
  server.addService(ORDERS, HANDLERS)
  assert.throws(() => server.addService(ORDERS, HANDLERS), { code: 'ERR_ARGUMENT' })
  const bound = Promise.withResolvers<number>()
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) bound.reject(error)
    else bound.resolve(port)
  })
  const port = await bound.promise
  server.start()
  const Orders = makeGenericClientConstructor(ORDERS, 'test.Orders')
  const client = new Orders(`127.0.0.1:${port}`, credentials.createInsecure(), {
    heddle: { version: '1.1' },
  }) as unknown as Stub
  const { value } = await answered((callback) => client.get({ text: 'tcp' }, callback))
  assert.deepEqual(value, { text: 'tcp /test.Orders/Get' })
  client.close()
  const down = Promise.withResolvers<Error | undefined>()
  server.tryShutdown((error) => down.resolve(error))
  assert.equal(await down.promise, undefined)
})
