/** Request and reply over a message connection; fire and forget; the call that code runs for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { Call, type CallContext } from '../../src/core/context.ts'
import { RemoteError } from '../../src/core/errors.ts'
import type { MessageConnection } from '../../src/core/message-connection.ts'
import type { Service } from '../../src/core/service.ts'
import { SUCCEEDED, verdictOfError } from '../../src/core/verdicts.ts'
import { lengthPrefixedMessages } from '../../src/links/framed/framed-connection.ts'
import { callScope, childCall, currentCall, withCall } from '../../src/platform/call-scope.ts'
import { createClient } from '../../src/runtime/client.ts'
import { encodeEnvelope } from '../../src/runtime/patterns/envelope.ts'
import { fireAndForget } from '../../src/runtime/patterns/fire-and-forget.ts'
import { type AnswerOptions, answerRequests } from '../../src/runtime/patterns/request-answers.ts'
import { RequestReply, type RequestReplyOptions } from '../../src/runtime/patterns/request-reply.ts'
import { TimerWheel } from '../../src/runtime/timer-wheel.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { memoryPair } from '../../src/transports/memory/memory-transport.ts'
import { watch } from '../runtime/pool-fixture.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const bytes = (body: string): Uint8Array => new TextEncoder().encode(body)

interface Asked {
  readonly body: string
  readonly context: CallContext
  reply(body: string): void
  fail(error: Error): void
}

function setUp(
  asking: Partial<RequestReplyOptions> = {},
  answering: Partial<AnswerOptions> & { service?: Service<Uint8Array, Uint8Array> } = {},
) {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const [a, b] = memoryPair({ clock })
  const asked: Asked[] = []
  const server = lengthPrefixedMessages(b, { clock })
  answerRequests(
    server,
    answering.service ??
      ((body, context) =>
        new Promise((resolve, reject) => {
          context.onCancel(reject)
          const reply = (answer: string): void => resolve(bytes(answer))
          asked.push({ body: text(body), context, reply, fail: reject })
        })),
    { wheel, ...answering },
  )
  const client = new RequestReply(lengthPrefixedMessages(a, { clock }), { wheel, ...asking })
  const call = (body: string, context = new Call()) =>
    watch(client.call(bytes(body), context).then(text))
  return { clock, wheel, client, server, asked, call, carrier: a }
}

test('RequestReply matches replies by id, in whatever order they come', async () => {
  const { call, asked, clock, client, wheel } = setUp()
  const outcomes = ['a', 'b', 'c'].map((body) => call(body))
  await clock.settle()
  for (const one of [...asked].reverse()) one.reply(one.body.toUpperCase())
  await clock.settle()
  assert.deepEqual(
    outcomes.map(({ value }) => value),
    ['A', 'B', 'C'],
  )
  assert.equal(wheel.size, 0)
  client.close()
  await clock.settle()
  assert.equal(client.state, 'closed')
})

test('RequestReply carries deadline, priority, correlation, trace and metadata', async () => {
  const { call, asked, clock } = setUp()
  const trace = {
    traceId: '1'.repeat(32),
    spanId: '2'.repeat(16),
    flags: 1,
    state: 'a=1',
    baggage: 'tenant=7',
  }
  const metadata = new Map([['tenant', '7']])
  const deadline = clock.now() + 500
  call('x', new Call({ deadline, priority: 1, correlationId: 'c-1', trace, metadata }))
  await clock.settle()
  const { context } = asked[0]!
  assert.equal(context.deadline, deadline)
  assert.equal(context.priority, 1)
  assert.equal(context.correlationId, 'c-1')
  assert.deepEqual({ ...context.trace }, trace)
  assert.deepEqual([...context.metadata], [['tenant', '7']])
})

test('RequestReply drops and counts a reply that comes too late, and goes on', async () => {
  const { call, asked, clock, client } = setUp(
    { timeoutMs: 100 },
    {
      // It does not listen to its cancellation.
      service: (body, context) =>
        new Promise((resolve) => {
          asked.push({
            body: text(body),
            context,
            reply: (answer) => resolve(bytes(answer)),
            fail() {},
          })
        }),
    },
  )
  const late = call('late')
  await clock.advanceAsync(110)
  assert.equal(late.error?.code, 'ERR_DEADLINE')
  assert.equal(late.error?.sent, 'all')
  asked[0]?.reply('too late')
  await clock.settle()
  const next = call('next')
  await clock.settle()
  asked[1]?.reply('in time')
  await clock.settle()
  assert.equal(next.value, 'in time')
  assert.equal(client.stats.pending, 0)
  // Sent before the other side heard that nobody waits.
  const { call: again, server, client: other, clock: time } = setUp({ timeoutMs: 100 })
  again('x')
  await time.advanceAsync(110)
  server.send(encodeEnvelope({ type: 'reply', id: 1, body: bytes('late') }))
  await time.settle()
  assert.equal(other.stats.late, 2) // the server's own word about the deadline is the other
  assert.equal(other.state, 'ready')
})

test('RequestReply breaks with a peer that answers what nobody asked', async () => {
  const { call, server, clock, client } = setUp()
  const outcome = call('x')
  await clock.settle()
  server.send(encodeEnvelope({ type: 'reply', id: 77, body: bytes('?') }))
  await clock.settle()
  assert.equal(outcome.error?.code, 'ERR_DISCONNECTED')
  assert.match(String(outcome.error?.message), /a reply to 77, which nobody asked/)
  assert.equal(client.state, 'error')
})

test('RequestReply is bounded in calls that wait, at the limit and one past', async () => {
  const { call, asked, clock, client } = setUp({ maxPending: 2 })
  const outcomes = [call('a'), call('b'), call('c')]
  await clock.settle()
  assert.equal(outcomes[2]?.error?.code, 'ERR_BUSY')
  assert.equal(client.available, 0)
  asked[0]?.reply('A')
  await clock.settle()
  assert.equal(client.available, 1)
  assert.equal(outcomes[0]?.value, 'A')
})

test('answerRequests hears cancellation and deadlines, and reads no more at maxInFlight', async () => {
  const { call, asked, clock } = setUp({}, { maxInFlight: 2 })
  const cancelled = new Call()
  call('a', cancelled)
  call('b', new Call({ deadline: clock.now() + 50 }))
  await clock.settle()
  const bodies = (): string[] => asked.map(({ body }) => body)
  cancelled.cancel(new Error('mine'))
  await clock.settle()
  assert.ok(asked[0]?.context.cancelled)
  for (const body of ['c', 'd', 'e']) call(body)
  await clock.settle()
  assert.deepEqual(bodies(), ['a', 'b', 'c'])
  await clock.advanceAsync(60) // the deadline of b
  assert.ok(asked[1]?.context.cancelled)
  assert.deepEqual(bodies(), ['a', 'b', 'c', 'd'])
  asked[2]?.reply('C')
  await clock.settle()
  assert.deepEqual(bodies(), ['a', 'b', 'c', 'd', 'e'])
})

test('answerRequests tells errors that are meant for the peer, and hides the others', async () => {
  const errors: string[] = []
  const { call, asked, clock } = setUp({}, { onError: (error) => void errors.push(error.message) })
  const [told, hidden] = [call('a'), call('b')]
  await clock.settle()
  asked[0]?.fail(new RemoteError('ERR_REMOTE', 'no such account', { status: 'not-found' }))
  asked[1]?.fail(new Error('password of the database'))
  await clock.settle()
  assert.deepEqual([told.error?.status, told.error?.message], ['not-found', 'no such account'])
  assert.deepEqual([hidden.error?.status, hidden.error?.message], ['internal', 'internal error'])
  assert.deepEqual(errors, ['password of the database'])
})

test('every call ends once when the connection goes, at both sides', async () => {
  const { call, asked, clock, carrier, wheel } = setUp()
  const outcomes = [call('a'), call('b')]
  await clock.settle()
  carrier.destroy(new Error('cut'))
  await clock.settle()
  assert.ok(outcomes.every(({ error }) => error?.code === 'ERR_DISCONNECTED'))
  assert.ok(asked.every(({ context }) => context.cancelled))
  assert.equal(wheel.size, 0)
  const after = call('c')
  await clock.settle()
  assert.equal(after.error?.sent, 'nothing')
})

test('RequestReply is an exchanger: createClient gives it pools, retries and deadlines', async () => {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const servers: MessageConnection[] = []
  const client = createClient<Uint8Array, Uint8Array>({
    endpoints: [{ address: ip('10.0.0.1', 1) }],
    connectEndpoint: async () => {
      const [a, b] = memoryPair({ clock })
      const server = lengthPrefixedMessages(b, { clock })
      servers.push(server)
      answerRequests(server, (body) => bytes(`${text(body)}!`), { wheel })
      return new RequestReply(lengthPrefixedMessages(a, { clock }), { wheel })
    },
    classifier: {
      protocol: 'messages',
      isIdempotent: () => true,
      isReplayable: () => true,
      classifyResponse: () => SUCCEEDED,
      classifyError: (_request, error, context) => verdictOfError(error, context),
      errorResponse: (error) => {
        throw error
      },
      operation: () => 'call',
    },
    clock,
    random: () => 0.5,
    wheel,
  })
  const first = watch(Promise.resolve(client.call(bytes('a'))).then(text))
  await clock.settle()
  assert.equal(first.value, 'a!')
  servers[0]?.destroy(new Error('restarted'))
  await clock.settle()
  const second = watch(Promise.resolve(client.call(bytes('b'))).then(text))
  await clock.settle()
  assert.equal(second.value, 'b!')
  assert.equal(servers.length, 2)
  client.destroy()
})

test('fireAndForget sends without waiting, within its bound, and never rejects', async () => {
  const clock = new ManualClock()
  const wheel = new TimerWheel({ clock })
  const errors: string[] = []
  const dropped: string[] = []
  const sent: { request: string; context: CallContext; reject: (error: Error) => void }[] = []
  const sender = fireAndForget<string>(
    (request, context) =>
      new Promise((_resolve, reject) => {
        sent.push({ request, context, reject })
      }),
    {
      wheel,
      maxPending: 2,
      timeoutMs: 100,
      onError: (error, request) => void errors.push(`${request}: ${error.message}`),
      onDropped: (request) => void dropped.push(request),
    },
  )
  const call = new Call({ correlationId: 'c-1', deadline: clock.now() + 5 })
  assert.deepEqual(
    ['a', 'b', 'c'].map((request) => sender.send(request, call)),
    [true, true, false],
  )
  call.cancel(new Error('the caller left'))
  assert.equal(sent[0]?.context.correlationId, 'c-1')
  assert.equal(sent[0]?.context.cancelled, false) // it outlives its caller
  assert.equal(sent[0]?.context.deadline, clock.now() + 100)
  sent[0]?.reject(new Error('refused'))
  await clock.advanceAsync(110)
  assert.deepEqual(errors, ['a: refused', 'b: the message took longer than its timeoutMs'])
  assert.deepEqual(dropped, ['c'])
  assert.deepEqual(sender.stats, { pending: 0, sent: 0, failed: 2, dropped: 1 })
  sender.send('d')
  const closing = sender.close()
  assert.equal(sender.send('e'), false)
  await clock.advanceAsync(110)
  await closing
  assert.equal(wheel.size, 0)
})

test('withCall and callScope: code below knows its call, and its calls are part of it', async () => {
  assert.equal(currentCall(), undefined)
  const call = new Call({ correlationId: 'c-1', priority: 1, deadline: 5_000 })
  const service = callScope<string, string>()(async () => {
    await undefined
    const child = childCall({ attempt: 2 })
    const { correlationId, priority, deadline, attempt } = child
    child.finish()
    return [correlationId, priority, deadline, attempt].join(' ')
  })
  assert.equal(await service('x', call), 'c-1 1 5000 2')
  assert.equal(currentCall(), undefined)
  const other = new Call()
  assert.equal(
    withCall(call, () => withCall(other, () => currentCall())),
    other,
  )
  assert.equal(childCall().correlationId, undefined)
})
