/** Each timeout of listeners, routes and clusters through a running gateway, on the test's own time. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Transport } from '../../src/core/transport.ts'
import { nodeTransports } from '../../src/gateway/node-transports.ts'
import type { GatewayTransports } from '../../src/gateway/transports.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { collect, HTTP, rawUpstream, SocketClock, start, upstream } from './running-gateway.ts'

async function onOwnTime(t: TestContext, config: object, plain?: (real: Transport) => Transport) {
  const clock = new SocketClock()
  const real = nodeTransports(clock)
  const transports: GatewayTransports = {
    plain: (...given) => (plain ?? ((each) => each))(real.plain(...given)),
    serverTls: (...given) => real.serverTls(...given),
    clientTls: (...given) => real.clientTls(...given),
  }
  const running = await start(t, config, silentLogger, transports, { clock })
  return { ...running, clock }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A client that says something and keeps its connection; what it hears, and whether it is closed. */
function speak(t: TestContext, port: number, text: string) {
  const socket: Socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  const heard = { text: '', closed: false, socket, end: once(socket, 'close') }
  socket.on('data', (chunk) => {
    heard.text += String(chunk)
  })
  socket.on('close', () => {
    heard.closed = true
  })
  socket.write(text)
  return heard
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

test('Gateway listener closes a connection that is unused for keepalive_timeout', async (t) => {
  const { at, clock } = await onOwnTime(t, {
    listeners: [{ ...HTTP, keepalive_timeout: '10s', request_header_timeout: '60s' }],
    routes: [{ fixed_response: { body: 'fixed' } }],
  })
  const heard = speak(t, at().port, GET)
  while (!heard.text.endsWith('fixed')) await turn()
  // A second request within the time begins it anew.
  clock.advance(9_000)
  heard.socket.write(GET)
  while (heard.text.split('fixed').length < 3) await turn()
  clock.advance(9_000)
  for (let round = 0; round < 20; round++) await turn()
  assert.equal(heard.closed, false)
  clock.advance(1_500)
  await heard.end
})

test('Gateway listener gives up on a body that pauses for request_body_timeout', async (t) => {
  const begun = Promise.withResolvers<void>()
  const api = await upstream(t, async (request) => {
    begun.resolve()
    return HttpResponse.text(String((await request.body.bytes()).length))
  })
  const { at, clock } = await onOwnTime(t, {
    listeners: [{ ...HTTP, request_body_timeout: '5s' }],
    routes: [{ cluster: 'api', timeout: '60s' }],
    clusters: [{ name: 'api', endpoints: [api] }],
  })
  const heard = speak(t, at().port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
  await begun.promise
  clock.advance(4_000)
  heard.socket.write('def')
  for (let round = 0; round < 20; round++) await turn()
  clock.advance(2_000)
  for (let round = 0; round < 20; round++) await turn()
  assert.equal(heard.text, '', 'something came within the time')
  clock.advance(10_000)
  while (!heard.text.startsWith('HTTP/1.1 408 ')) await turn()
})

test('Gateway cluster gives up on a connection that is not made within connect_timeout', async (t) => {
  let dials = 0
  const { url, clock } = await onOwnTime(
    t,
    {
      listeners: [HTTP],
      routes: [{ cluster: 'c', timeout: '60s' }],
      clusters: [
        {
          name: 'c',
          endpoints: ['192.0.2.1:80'],
          connect_timeout: '2s',
          retry_policy: { num_retries: 0 },
        },
      ],
    },
    // An address that nobody answers for.
    (real) => ({
      name: real.name,
      traits: real.traits,
      listen: (address, options) => real.listen(address, options),
      connect: (_address, options) => {
        dials++
        return new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => reject(options.signal?.reason))
        })
      },
    }),
  )
  let status: number | undefined
  const asked = fetch(url('/')).then((response) => {
    status = response.status
  })
  while (dials === 0) await turn()
  clock.advance(1_900)
  for (let round = 0; round < 20; round++) await turn()
  assert.equal(status, undefined)
  clock.advance(200)
  await asked
  assert.deepEqual([status, dials], [502, 1])
})

test('Gateway cluster closes a pooled connection that is unused for idle_timeout', async (t) => {
  const sockets: Socket[] = []
  const endpoint = await rawUpstream(t, (socket) => {
    sockets.push(socket)
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  })
  const { url, clock } = await onOwnTime(t, {
    listeners: [{ ...HTTP, keepalive_timeout: '60s' }],
    routes: [{ cluster: 'c' }],
    clusters: [{ name: 'c', endpoints: [endpoint], idle_timeout: '2s' }],
  })
  const ask = async (): Promise<void> => void (await (await fetch(url('/'))).arrayBuffer())
  await ask()
  clock.advance(1_000)
  await ask()
  assert.equal(sockets.length, 1, 'the same connection within the time')
  const [first] = sockets as [Socket]
  const ended = once(first, 'end')
  clock.advance(2_500)
  await ended
  await ask()
  assert.equal(sockets.length, 2)
})

test('Gateway cluster gives up on an attempt after per_try_timeout, and the route on the call', async (t) => {
  let arrived = 0
  const endpoint = await rawUpstream(t, (socket) => {
    socket.on('data', () => {
      arrived++
    })
  })
  const { url, clock } = await onOwnTime(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'c', timeout: '3s' }],
    clusters: [
      {
        name: 'c',
        endpoints: [endpoint],
        retry_policy: {
          num_retries: 5,
          per_try_timeout: '2s',
          retry_back_off: { type: 'fixed', base_interval: '10ms' },
        },
      },
    ],
  })
  const asked = fetch(url('/'))
  while (arrived < 1) await turn()
  clock.advance(2_100)
  // The wait before the second attempt is over as well.
  while (arrived < 2) {
    clock.advance(10)
    await turn()
  }
  clock.advance(1_000)
  const response = await asked
  assert.equal(response.status, 504)
  assert.equal(arrived, 2)
})

test('Gateway closes a raw connection on which nobody speaks for idle_timeout', async (t) => {
  const endpoint = await rawUpstream(t, (socket) => void socket.pipe(socket))
  const { at, clock } = await onOwnTime(t, {
    listeners: [{ ...HTTP, protocol: 'raw', raw_routes: [{ cluster: 'c', idle_timeout: '10s' }] }],
    clusters: [{ name: 'c', endpoints: [endpoint] }],
  })
  const heard = speak(t, at().port, 'one')
  while (!heard.text.endsWith('one')) await turn()
  clock.advance(9_000)
  heard.socket.write('two')
  while (!heard.text.endsWith('two')) await turn()
  clock.advance(9_000)
  for (let round = 0; round < 20; round++) await turn()
  assert.equal(heard.closed, false)
  clock.advance(2_000)
  await heard.end
})

const BACK_OFFS = [
  ['exponential', { jitter: 'none' }, [100, 200, 250]],
  ['exponential', { jitter: 'equal' }, [75, 150, 187.5]],
  ['fixed', {}, [100, 100, 100]],
  // Half of the way from base to three times the last, which max cuts.
  ['decorrelated', {}, [175, 175, 175]],
  // Nothing was measured yet: as exponential.
  ['adaptive', { jitter: 'none' }, [100, 200, 250]],
] as const

for (const [type, more, waits] of BACK_OFFS) {
  test(`Gateway waits as retry_back_off ${JSON.stringify({ type, ...more })} says`, async (t) => {
    const clock = new SocketClock()
    const at: number[] = []
    const endpoint = await upstream(t, () => {
      at.push(clock.now())
      return HttpResponse.text('', { status: 503 })
    })
    const config = {
      listeners: [HTTP],
      routes: [{ cluster: 'c' }],
      clusters: [
        {
          name: 'c',
          endpoints: [endpoint],
          circuit_breakers: { consecutive_failures: 100 },
          retry_policy: {
            num_retries: 3,
            retry_back_off: { type, base_interval: '100ms', max_interval: '250ms', ...more },
          },
        },
      ],
    }
    const transports = nodeTransports(clock)
    const { url } = await start(t, config, silentLogger, transports, { clock, random: () => 0.5 })
    let done = false
    const asked = fetch(url('/')).then((response) => {
      done = true
      assert.equal(response.status, 503)
    })
    while (!done) {
      const before = at.length
      // Steps small enough to tell the waits apart, each with time for an attempt to arrive.
      for (let round = 0; round < 8 && at.length === before && !done; round++) await turn()
      if (!done && at.length > 0) clock.advance(5)
    }
    await asked
    assert.equal(at.length, 4)
    for (const [index, wait] of waits.entries()) {
      const waited = (at[index + 1] as number) - (at[index] as number)
      assert.ok(Math.abs(waited - wait) <= 45, `wait ${index}: ${waited} ms, not ${wait}`)
    }
  })
}

test('Gateway with sliding_window takes no more than its share in any period', async (t) => {
  const answers = async (algorithm: string): Promise<string> => {
    const { url, clock } = await onOwnTime(t, {
      listeners: [HTTP],
      routes: [
        {
          rate_limits: [{ key: 'all', requests: 4, per: '10s', algorithm }],
          fixed_response: { body: '' },
        },
      ],
    })
    let statuses = ''
    for (const waitMs of [0, 0, 0, 0, 0, 2_600, 0, 20_000, 0, 0, 0, 0]) {
      clock.advance(waitMs)
      statuses += (await fetch(url('/'))).status === 200 ? '+' : '-'
    }
    return statuses
  }
  // A bucket refills one by one; a window waits until the four are ten seconds old.
  assert.equal(await answers('token_bucket'), '++++-+-++++-')
  assert.equal(await answers('sliding_window'), '++++---++++-')
})

test('Gateway counts each connection by itself with key: connection', async (t) => {
  const limit = { key: 'connection', requests: 2, per: '1h' }
  for (const [where, listener, route] of [
    ['listener', { rate_limits: [limit] }, {}],
    ['route', {}, { rate_limits: [limit] }],
  ] as const) {
    const { at } = await start(t, {
      listeners: [{ ...HTTP, ...listener }],
      routes: [{ ...route, fixed_response: { body: 'x' } }],
    })
    const last = GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')
    const statuses = async (): Promise<string[]> => {
      const socket = connect(at().port, '127.0.0.1')
      socket.write(GET + GET + last)
      return [...(await collect(socket)).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code = '']) => code)
    }
    assert.deepEqual(await statuses(), ['200', '200', '429'], where)
    assert.deepEqual(await statuses(), ['200', '200', '429'], `${where}, another connection`)
  }
})
