/** What travels with a call over HTTP, from service to service, with no tracer anywhere. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallContext } from '../../src/core/context.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { httpWorld } from './http-pair.ts'

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

test('a service that calls another passes trace, baggage and request id on', async (t) => {
  const world = httpWorld(t)
  let seen: CallContext | undefined
  await world.serve('back', (_request, context) => {
    seen = context
    return HttpResponse.text('back')
  })
  const back = world.client('back')
  await world.serve('front', (_request, context) => back.get('/', { context }))
  const front = world.client('front')
  const fields = {
    traceparent: PARENT,
    tracestate: 'vendor=1',
    baggage: 'tenant=7',
    'x-request-id': 'req-1',
  }
  const response = await front.get('/', { fields })
  assert.equal(await response.body.text(), 'back')
  assert.deepEqual(
    { ...seen?.trace },
    {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      flags: 1,
      state: 'vendor=1',
      baggage: 'tenant=7',
    },
  )
  assert.equal(seen?.correlationId, 'req-1')
})

test('a server makes the request id that nobody brought, and the next one gets the same', async (t) => {
  const world = httpWorld(t)
  const ids: (string | undefined)[] = []
  await world.serve('back', (_request, { correlationId }) => {
    ids.push(correlationId)
    return HttpResponse.text('')
  })
  const back = world.client('back')
  await world.serve('front', (_request, context) => {
    ids.push(context.correlationId)
    return back.get('/', { context })
  })
  const front = world.client('front')
  for (let call = 0; call < 2; call++) await (await front.get('/')).body.text()
  assert.match(ids[0] ?? '', /^[0-9a-f]{12}-000001$/)
  assert.deepEqual([ids[1], ids[3]], [ids[0], ids[2]])
  assert.notEqual(ids[0], ids[2])
})

test('propagation: false reads and sends nothing', async (t) => {
  const world = httpWorld(t)
  const seen: (readonly unknown[])[] = []
  await world.serve(
    'deaf',
    (request, { trace, correlationId }) => {
      seen.push([trace, correlationId, request.fields.has('x-request-id')])
      return HttpResponse.text('')
    },
    { propagation: false },
  )
  const mute = world.client('deaf', { propagation: false })
  await world.serve('front', (_request, context) => mute.get('/', { context }))
  await (await world.client('front').get('/', { fields: { traceparent: PARENT } })).body.text()
  assert.deepEqual(seen, [[undefined, undefined, false]])
})

test('a call that is part of another ends with it', async (t) => {
  const world = httpWorld(t)
  const given = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<Error>()
  await world.serve('back', (_request, context) => {
    context.onCancel((reason) => ended.resolve(reason))
    given.resolve()
    return new Promise<never>(() => {})
  })
  const back = world.client('back')
  await world.serve('front', (_request, context) => back.get('/', { context }))
  const controller = new AbortController()
  const reply = world.client('front').get('/', { signal: controller.signal })
  await given.promise
  controller.abort(new Error('enough'))
  await assert.rejects(reply, /enough/)
  assert.ok((await ended.promise) instanceof Error)
})
