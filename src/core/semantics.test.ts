import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call, type TraceContext } from './context.ts'
import { RemoteError, TransportError } from './errors.ts'
import { databaseSemantics, messagingSemantics, plainSemantics, rpcSemantics } from './semantics.ts'

const first = new Call()
const third = new Call({ attempt: 3 })

test('plainSemantics names spans by the operation and counts attempts', () => {
  const semantics = plainSemantics<string, string>({
    protocol: 'lines',
    operation: (request) => request.split(' ')[0] ?? '',
  })
  assert.equal(semantics.spanName('PUT x', 'call'), 'PUT')
  assert.deepEqual(semantics.startAttributes('PUT x', 'attempt', first), {
    'network.protocol.name': 'lines',
  })
  assert.deepEqual(semantics.startAttributes('PUT x', 'attempt', third), {
    'network.protocol.name': 'lines',
    'heddle.resend_count': 2,
  })
})

interface Rpc {
  readonly method: string | undefined
}
const grpc = rpcSemantics<Rpc, { readonly status: string }>({
  system: 'grpc',
  method: ({ method }) => method,
  status: ({ status }) => status,
})

test('rpcSemantics names spans by the method, an unknown one by the system', () => {
  const call = { method: 'shop.Orders/Get' }
  assert.equal(grpc.spanName(call, 'server'), 'shop.Orders/Get')
  assert.deepEqual(grpc.startAttributes(call, 'server', first), {
    'rpc.system.name': 'grpc',
    'rpc.method': 'shop.Orders/Get',
  })
  assert.equal(grpc.spanName({ method: undefined }, 'server'), 'grpc')
  const unknown = grpc.startAttributes({ method: undefined }, 'server', first)
  assert.equal(unknown['rpc.method'], '_OTHER')
})

const rpcOutcomes: readonly (readonly [
  string,
  client: string | undefined,
  server: string | undefined,
])[] = [
  ['OK', undefined, undefined],
  ['NOT_FOUND', 'NOT_FOUND', undefined],
  ['INVALID_ARGUMENT', 'INVALID_ARGUMENT', undefined],
  ['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'],
  ['DATA_LOSS', 'DATA_LOSS', 'DATA_LOSS'],
]
for (const [status, client, server] of rpcOutcomes) {
  test(`rpcSemantics: ${status} is an error for the client: ${client}, for the server: ${server}`, () => {
    const call = { method: 'a/b' }
    assert.deepEqual(grpc.replyAttributes?.({ status }, call, 'attempt'), {
      'rpc.response.status_code': status,
    })
    assert.equal(grpc.replyErrorType?.({ status }, call, 'attempt'), client)
    assert.equal(grpc.replyErrorType?.({ status }, call, 'server'), server)
  })
}

test('rpcSemantics takes the status of an error as its type', () => {
  const refused = new RemoteError('ERR_REMOTE', 'no', { status: 'PERMISSION_DENIED' })
  assert.deepEqual(grpc.errorAttributes?.(refused, 'attempt'), {
    'rpc.response.status_code': 'PERMISSION_DENIED',
    'error.type': 'PERMISSION_DENIED',
  })
  assert.equal(
    grpc.errorAttributes?.(new TransportError('ERR_RESET', 'reset'), 'attempt'),
    undefined,
  )
})

interface Query {
  readonly operation?: string
  readonly table?: string
  readonly size?: number
}
const postgres = databaseSemantics<Query, { readonly sqlstate?: string }>({
  system: 'postgresql',
  operation: ({ operation }) => operation,
  collection: ({ table }) => table,
  namespace: () => 'shop',
  batchSize: ({ size }) => size,
  failure: ({ sqlstate }) => sqlstate,
})

const databaseNames: readonly (readonly [Query, string])[] = [
  [{ operation: 'SELECT', table: 'orders' }, 'SELECT orders'],
  [{ operation: 'BEGIN' }, 'BEGIN shop'],
  [{}, 'shop'],
]
for (const [query, name] of databaseNames) {
  test(`databaseSemantics names ${JSON.stringify(query)} ${name}`, () => {
    assert.equal(postgres.spanName(query, 'call'), name)
  })
}

test('databaseSemantics tells a batch from one operation, and writes no query text by itself', () => {
  const attributes = { 'db.system.name': 'postgresql', 'db.namespace': 'shop' }
  assert.deepEqual(postgres.startAttributes({ size: 1 }, 'call', first), attributes)
  assert.deepEqual(postgres.startAttributes({ size: 2 }, 'call', first), {
    ...attributes,
    'db.operation.batch.size': 2,
  })
})

test('databaseSemantics takes SQLSTATE as the error’s type', () => {
  assert.equal(postgres.replyErrorType?.({ sqlstate: '42P01' }, {}, 'attempt'), '42P01')
  assert.deepEqual(postgres.replyAttributes?.({ sqlstate: '42P01' }, {}, 'attempt'), {
    'db.response.status_code': '42P01',
  })
  assert.equal(postgres.replyErrorType?.({}, {}, 'attempt'), undefined)
})

test('messagingSemantics links the traces of a batch, whose parent is none of them', () => {
  const trace = (id: string): TraceContext => ({
    traceId: id.repeat(32),
    spanId: id.repeat(16),
    flags: 1,
    state: undefined,
    baggage: undefined,
  })
  const kafka = messagingSemantics<{ readonly traces: TraceContext[] }, void>({
    system: 'kafka',
    type: () => 'process',
    destination: () => 'orders',
    consumerGroup: () => 'billing',
    batchSize: ({ traces }) => traces.length,
    traces: ({ traces }) => traces,
  })
  const batch = { traces: [trace('a'), trace('b')] }
  assert.equal(kafka.spanName(batch, 'server'), 'process orders')
  assert.deepEqual(kafka.links?.(batch), batch.traces)
  assert.equal(kafka.kind?.(batch, 'server'), 'consumer')
  assert.equal(kafka.kind?.(batch, 'call'), 'internal')
  assert.deepEqual(kafka.startAttributes(batch, 'server', first), {
    'messaging.system': 'kafka',
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
    'messaging.destination.name': 'orders',
    'messaging.consumer.group.name': 'billing',
    'messaging.batch.message_count': 2,
  })
  assert.equal(
    messagingSemantics({ system: 'nats', type: () => 'send', destination: () => 'a' }).kind?.(
      {},
      'attempt',
    ),
    'producer',
  )
})
