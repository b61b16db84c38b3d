import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../core/address.ts'
import { Channel } from '../../core/channel.ts'
import type { Connection } from '../../core/connection.ts'
import { Call } from '../../core/context.ts'
import { AccessError, OverloadError, TimeoutError, TransportError } from '../../core/errors.ts'
import type { MaybePromise } from '../../core/service.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import {
  HttpRequest,
  type HttpRequestInit,
  HttpResponse,
  type HttpService,
} from '../../protocols/http/messages.ts'
import { splice } from '../../runtime/splice.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { memoryPair } from '../../transports/memory/memory-transport.ts'
import { route as routeSchema } from '../config/schema/route.ts'
import { pathDefaults } from '../routing/path.ts'
import { Forwarder } from './forwarding.ts'
import { HttpProxy, type ProxiedRequest } from './http-proxy.ts'
import { compileRoutes } from './http-route.ts'
import { RequestTracing } from './request-tracing.ts'

interface Gateway {
  readonly clock: ManualClock
  readonly failures: { request: ProxiedRequest; error: Error | undefined }[]
  readonly proxy: HttpProxy
  readonly seen: Record<string, HttpRequest[]>
  send(init: HttpRequestInit, call?: Call): MaybePromise<HttpResponse>
  inFlight: number
}

function gatewayOf(
  routes: object[],
  upstreams: Record<string, HttpService>,
  random: () => number = () => 0.5,
): Gateway {
  const clock = new ManualClock()
  const seen: Record<string, HttpRequest[]> = {}
  const failures: Gateway['failures'] = []
  const router = compileRoutes(
    routes.map((one) => routeSchema.parse(one)),
    {
      upstream: (name) => ({
        name,
        call: (request, context) => {
          seen[name] = [...(seen[name] ?? []), request]
          return (upstreams[name] as HttpService)(request, context)
        },
      }),
      fileText: (name) => `text of ${name}\n`,
    },
  )
  const forwarder = new Forwarder(
    {
      trustedHops: 0,
      xForwarded: false,
      forwarded: false,
      via: 'gw',
      requestIdHeader: 'x-request-id',
      trustRequestId: false,
    },
    () => 'id',
  )
  const gateway: Gateway = {
    clock,
    failures,
    seen,
    inFlight: 1,
    proxy: new HttpProxy(
      {
        router,
        forwarder,
        paths: pathDefaults,
        maxRequestBytes: 1_000,
        maxInFlight: 10,
        tracing: new RequestTracing({
          trustDeadline: false,
          config: undefined,
          listener: 'http',
          sdk: { wants: () => false, startSpan: () => undefined },
          random,
        }),
        principalHeaders: [],
        admission: undefined,
        clientPriority: 'lower',
      },
      {
        clock,
        random,
        inFlight: () => gateway.inFlight,
        accepting: () => true,
        onUpgrade: (downstream, upstream) => void splice(downstream, upstream),
        onFailure: (request, error) => void failures.push({ request, error }),
      },
    ),
    send(init, call = new Call()) {
      const request = new HttpRequest({ authority: 'a.example', ...init })
      request.connection = { facts: { remote: ip('192.0.2.7', 1) } } as unknown as Connection
      return gateway.proxy.service(request, call)
    },
  }
  return gateway
}

const ok: HttpService = () => HttpResponse.text('ok')

test('HttpProxy sends a request upstream and hands the answer through', async () => {
  const gateway = gatewayOf([{ name: 'api', match: { prefix: '/api' }, cluster: 'a' }], {
    a: () => new HttpResponse({ status: 201, reason: 'Made', fields: { 'x-up': '1' }, body: 'hi' }),
  })
  const response = await gateway.send({ method: 'PUT', target: '/api/x?q', fields: { a: 'b' } })
  assert.equal(response.status, 201)
  assert.equal(response.reason, 'Made')
  assert.equal(await response.body.text(), 'hi')
  assert.equal(response.fields.get('x-up'), '1')
  assert.equal(response.fields.get('x-request-id'), 'id')
  const [sent] = gateway.seen['a'] ?? []
  assert.equal(sent?.method, 'PUT')
  assert.equal(sent?.target, '/api/x?q')
  assert.equal(sent?.authority, 'a.example')
  assert.deepEqual(sent?.fields.toFlat(), ['a', 'b', 'x-request-id', 'id', 'via', '1.1 gw'])
})

test('HttpProxy answers synchronously when its upstream does', () => {
  const gateway = gatewayOf([{ cluster: 'a' }], { a: ok })
  assert.ok(gateway.send({}) instanceof HttpResponse)
})

test('HttpProxy rewrites path and host and normalises before it routes', async () => {
  const gateway = gatewayOf(
    [
      {
        match: { prefix: '/admin' },
        fixed_response: { status: 403, body: 'no' },
      },
      {
        match: { pattern: '/u/:id/*' },
        cluster: 'a',
        rewrite: { path: '/users/:id/:id/*', host: 'users.internal' },
      },
      { cluster: 'a', rewrite: { prefix: '/v1' } },
    ],
    { a: ok },
  )
  assert.equal((await gateway.send({ target: '/x/..//%61dmin/z' })).status, 403)
  await gateway.send({ target: '/u/4%2f2/a/b?c' })
  await gateway.send({ target: '/other' })
  const [user, other] = gateway.seen['a'] ?? []
  assert.equal(user?.target, '/users/4%2F2/4%2F2/a/b?c')
  assert.equal(user?.authority, 'users.internal')
  assert.equal(other?.target, '/v1/other')
})

test('HttpProxy answers redirects and fixed responses itself', async () => {
  const gateway = gatewayOf(
    [
      { match: { prefix: '/old' }, redirect: { prefix_rewrite: '/new', status: 301 } },
      {
        match: { path: '/robots.txt' },
        fixed_response: { body_file: 'robots', content_type: 'text/plain' },
        response_headers: { set: { 'cache-control': 'max-age=60' } },
      },
      { match: { path: '/gone' }, fixed_response: { status: 410 } },
    ],
    {},
  )
  const redirect = await gateway.send({ target: '/old/x?y' })
  assert.equal(redirect.status, 301)
  assert.equal(redirect.fields.get('location'), 'http://a.example/new/x?y')
  const robots = await gateway.send({ target: '/robots.txt' })
  assert.equal(await robots.body.text(), 'text of robots\n')
  assert.equal(robots.fields.get('cache-control'), 'max-age=60')
  assert.equal(robots.fields.get('content-type'), 'text/plain')
  const gone = await gateway.send({ target: '/gone' })
  assert.equal(gone.status, 410)
  assert.ok(gone.body.isEmpty)
})

test('HttpProxy splits by weight', async () => {
  let drawn = 0
  const gateway = gatewayOf(
    [
      {
        weighted_clusters: [
          { name: 'a', weight: 3 },
          { name: 'none', weight: 0 },
          { name: 'b', weight: 1 },
        ],
      },
    ],
    { a: ok, b: ok },
    () => drawn,
  )
  for (let step = 0; step < 100; step++) {
    drawn = step / 100
    await gateway.send({})
  }
  assert.equal(gateway.seen['a']?.length, 75)
  assert.equal(gateway.seen['b']?.length, 25)
})

test('HttpProxy refuses what it must not pass on', async () => {
  const gateway = gatewayOf([{ match: { prefix: '/a' }, cluster: 'a' }], { a: ok })
  const cases: [HttpRequestInit, number, string][] = [
    [{ target: '/b' }, 404, 'no_route'],
    [{ target: '/a/%zz' }, 400, 'bad_path'],
    [{ target: '/a', fields: { via: '1.1 gw' } }, 508, 'loop'],
    [{ target: '/a', method: 'POST', body: new Uint8Array(1_001) }, 413, 'body_too_large'],
  ]
  for (const [init, status, code] of cases) {
    const response = await gateway.send(init)
    assert.equal(response.status, status)
    assert.equal(response.fields.get('x-heddle-error'), code)
    assert.match(
      await response.body.text(),
      new RegExp(`^${status} .*\\(${code}, request id\\)\n$`),
    )
    assert.equal(gateway.failures.at(-1)?.request.errorCode, code)
  }
  assert.equal(gateway.seen['a'], undefined)
  assert.equal((await gateway.send({ target: '/a', body: new Uint8Array(1_000) })).status, 200)
})

test('HttpProxy refuses more than maxInFlight requests', async () => {
  const gateway = gatewayOf([{ cluster: 'a' }], { a: ok })
  gateway.inFlight = 10
  assert.equal((await gateway.send({})).status, 200)
  gateway.inFlight = 11
  const response = await gateway.send({ fields: { accept: 'application/json' } })
  assert.equal(response.status, 503)
  assert.equal(response.fields.get('retry-after'), '1')
  const { error } = (await response.body.json()) as { error: Record<string, unknown> }
  assert.deepEqual(error, {
    status: 503,
    code: 'overloaded',
    message: 'too many requests are in flight',
    request_id: 'id',
  })
})

test('HttpProxy answers errors of the upstream by their kind, with nothing of the inside', async () => {
  const cases: [unknown, number, string][] = [
    [new TransportError('ERR_CONNECT_REFUSED', 'connect 10.0.0.1:80'), 502, 'ERR_CONNECT_REFUSED'],
    [new TransportError('ERR_RESET', 'secret'), 502, 'ERR_RESET'],
    [new TransportError('ERR_RESOLVE', 'secret'), 503, 'ERR_RESOLVE'],
    [new TimeoutError('ERR_DEADLINE', 'secret'), 504, 'ERR_DEADLINE'],
    [new TimeoutError('ERR_CONNECT_TIMEOUT', 'secret'), 504, 'ERR_CONNECT_TIMEOUT'],
    [new OverloadError('ERR_NO_ENDPOINT', 'secret'), 503, 'ERR_NO_ENDPOINT'],
    [new OverloadError('ERR_BREAKER_OPEN', 'secret'), 503, 'ERR_BREAKER_OPEN'],
    // The gateway's own credentials: nothing that the client could log in for.
    [new AccessError('ERR_UNAUTHENTICATED', 'secret'), 502, 'ERR_UNAUTHENTICATED'],
    [new TypeError('a bug'), 500, 'ERR_INVARIANT'],
  ]
  for (const [error, status, code] of cases) {
    const gateway = gatewayOf([{ cluster: 'a' }], { a: () => Promise.reject(error) })
    const response = await gateway.send({})
    assert.equal(response.status, status, code)
    assert.equal(response.fields.get('x-heddle-error'), code)
    assert.doesNotMatch(await response.body.text(), /secret|10\.0\.0\.1|bug in x/)
    assert.equal(gateway.failures[0]?.error, error)
  }
})

test('HttpProxy gives the call the route’s deadline and the client’s cancellation', async () => {
  const contexts: { deadline: number | undefined; cancelled: boolean }[] = []
  const cancelled: Error[] = []
  const gateway = gatewayOf(
    [
      { match: { path: '/none' }, cluster: 'a', timeout: '0s' },
      { cluster: 'a', timeout: '2s' },
    ],
    {
      a: (_request, context) => {
        contexts.push(context)
        context.onCancel((reason) => void cancelled.push(reason))
        return new Promise(() => {})
      },
    },
  )
  const call = new Call()
  gateway.send({}, call)
  gateway.send({ target: '/none' })
  gateway.send({}, new Call({ deadline: gateway.clock.now() + 500 }))
  const now = gateway.clock.now()
  assert.deepEqual(
    contexts.map(({ deadline }) => deadline && deadline - now),
    [2_000, undefined, 500],
  )
  const reason = new Error('client went away')
  call.cancel(reason)
  assert.deepEqual(cancelled, [reason])
  assert.equal(contexts[0]?.cancelled, true)
})

test('HttpProxy passes the request body through untouched, trailers included', async () => {
  const channel = streamOf('one', 'two')
  const gateway = gatewayOf([{ cluster: 'a', max_request_body: 1_000 }], {
    a: async (request) => {
      const text = await request.body.text()
      return HttpResponse.text(`${text} ${request.body.trailers?.get('sum')}`)
    },
  })
  const request = new HttpRequest({ method: 'POST', body: channel, authority: 'a.example' })
  request.body.trailers = new HttpFields({ sum: '6' })
  const response = await gateway.proxy.service(request, new Call())
  assert.equal(await response.body.text(), 'onetwo 6')
})

test('HttpProxy cuts a streamed body over the limit and answers 413', async () => {
  for (const [bytes, status] of [
    [6, 200],
    [5, 413],
  ] as const) {
    const gateway = gatewayOf([{ cluster: 'a', max_request_body: bytes }], {
      a: async (request) => HttpResponse.text(await request.body.text()),
    })
    const response = await gateway.send({ method: 'POST', body: streamOf('one', 'two') })
    assert.equal(response.status, status)
    if (status === 413) assert.equal(gateway.failures[0]?.request.errorCode, 'body_too_large')
  }
})

/** A stream of these chunks. */
function streamOf(...chunks: string[]): Channel<Uint8Array> {
  const rest = chunks.map((chunk) => new Uint8Array(Buffer.from(chunk)))
  const channel = new Channel<Uint8Array>(
    () => {
      for (let chunk = rest.shift(); chunk !== undefined; chunk = rest.shift()) {
        if (!channel.write(chunk)) return
      }
      channel.end()
    },
    () => {},
    (chunk) => chunk.slice(),
  )
  return channel
}

test('HttpProxy mirrors requests and ignores what the mirror answers', async () => {
  const mirrored: string[] = []
  const gateway = gatewayOf([{ cluster: 'a', mirror: { cluster: 'shadow', max_body: 6 } }], {
    a: async (request) => HttpResponse.text(await request.body.text()),
    shadow: async (request) => {
      mirrored.push(`${request.method} ${await request.body.text()}`)
      throw new Error('the mirror is broken')
    },
  })
  assert.equal((await gateway.send({})).status, 200)
  const streamed = await gateway.send({ method: 'POST', body: streamOf('one', 'two') })
  assert.equal(await streamed.body.text(), 'onetwo')
  const long = await gateway.send({ method: 'POST', body: streamOf('one', 'two', '!') })
  assert.equal(await long.body.text(), 'onetwo!')
  await gateway.send({ method: 'PUT', body: 'abcdefg' })
  await gateway.clock.settle()
  assert.deepEqual(mirrored, ['GET ', 'POST onetwo'])
})

test('HttpProxy mirrors the share that was asked for', async () => {
  let drawn = 0
  const gateway = gatewayOf(
    [{ cluster: 'a', mirror: { cluster: 'shadow', percent: 30 } }],
    { a: ok, shadow: ok },
    () => drawn,
  )
  for (let step = 0; step < 100; step++) {
    drawn = step / 100
    await gateway.send({})
  }
  assert.equal(gateway.seen['shadow']?.length, 30)
})

test('HttpProxy joins both connections after an upgrade', async () => {
  const clock = new ManualClock()
  const [toUpstream, upstream] = memoryPair({ clock })
  const [client, toClient] = memoryPair({ clock })
  const gateway = gatewayOf([{ cluster: 'a' }], {
    a: () => {
      const response = new HttpResponse({ status: 101, fields: { upgrade: 'echo' } })
      response.connection = toUpstream
      return response
    },
  })
  const fields = { connection: 'Upgrade', upgrade: 'echo' }
  const response = await gateway.send({ fields })
  assert.equal(gateway.seen['a']?.[0]?.fields.get('upgrade'), 'echo')
  assert.equal(response.status, 101)
  assert.equal(response.fields.get('connection'), 'upgrade')
  assert.ok(response.upgrade !== undefined)
  response.upgrade(toClient)
  const received: string[] = []
  const collect = (connection: Connection, answer?: string): void => {
    connection.open({
      onData: (chunk) => {
        received.push(Buffer.from(chunk).toString())
        if (answer !== undefined) connection.write(Buffer.from(answer))
      },
      onDrain() {},
      onEnd: () => connection.end(),
      onClose() {},
    })
  }
  collect(upstream, 'pong')
  collect(client)
  client.write(Buffer.from('ping'))
  await clock.settle()
  assert.deepEqual(received, ['ping', 'pong'])
})
