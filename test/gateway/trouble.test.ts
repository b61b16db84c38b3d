/**
 * Upstreams and clients that misbehave: nobody gets a wrong answer, nobody else notices.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Clock } from '../../src/core/clock.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { type LogFields, type Logger, silentLogger } from '../../src/telemetry/log.ts'
import { collect, HTTP, named, rawUpstream, start, upstream } from './running-gateway.ts'

test('Gateway cuts an answer that its upstream cut, so that nobody takes the half for the whole', async (t) => {
  const half = await rawUpstream(t, (socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', () => socket.destroy())
    })
  })
  const chunked = await rawUpstream(t, (socket) => {
    socket.on('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n', () =>
        socket.destroy(),
      )
    })
  })
  const { at, gateway } = await start(t, {
    listeners: [HTTP],
    routes: [
      { match: { path: '/length' }, cluster: 'half' },
      { match: { path: '/chunked' }, cluster: 'chunked' },
    ],
    clusters: [
      { name: 'half', endpoints: [half] },
      { name: 'chunked', endpoints: [chunked] },
    ],
  })
  for (const path of ['/length', '/chunked']) {
    const socket = connect(at())
    socket.on('error', () => {})
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const text = await collect(socket).catch(() => 'cut')
    assert.match(text, /^(HTTP\/1\.1 200|cut)/)
    assert.doesNotMatch(text, /0\r\n\r\n$/)
  }
  assert.equal(gateway.totals.activeRequests, 0)
})

test('Gateway passes trailers both ways', async (t) => {
  const trailing = await rawUpstream(t, (socket) => {
    let seen = ''
    socket.on('data', (chunk) => {
      seen += String(chunk)
      if (!/0\r\nsum: 3\r\n\r\n$/i.test(seen)) return
      socket.write(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n',
      )
    })
  })
  const { at } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'trailing' }],
    clusters: [{ name: 'trailing', endpoints: [trailing] }],
  })
  const request = httpRequest({ ...at(), method: 'POST', headers: { te: 'trailers' } })
  request.write('abc')
  request.addTrailers({ sum: '3' })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'end')
  assert.equal(response.trailers['x-sum'], '2')
})

test('Gateway does not read from an upstream faster than its client reads', async (t) => {
  let written = 0
  const endless = await rawUpstream(t, (socket) => {
    const chunk = Buffer.alloc(65_536)
    const more = (): void => {
      while (socket.writable && written < 200_000_000) {
        written += chunk.length
        if (!socket.write(chunk)) return void socket.once('drain', more)
      }
    }
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n')
      more()
    })
  })
  const { at } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'endless' }],
    clusters: [{ name: 'endless', endpoints: [endless] }],
  })
  const socket = connect(at())
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'readable') // and then nothing more is read
  let last = -1
  while (last !== written) {
    last = written
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.ok(written < 50_000_000, `${written} bytes were taken for a client that does not read`)
  socket.destroy()
})

test('Gateway answers 408 to half a head and goes on serving others', async (t) => {
  const one = await upstream(t, named('one'))
  const { at, url } = await start(t, {
    listeners: [{ ...HTTP, request_header_timeout: '100ms' }],
    routes: [{ cluster: 'one' }],
    clusters: [{ name: 'one', endpoints: [one] }],
  })
  const socket = connect(at())
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ')
  const answered = collect(socket)
  assert.equal((await fetch(url('/'))).status, 200)
  assert.match(await answered, /^HTTP\/1\.1 408 /)
})

test('Gateway survives an upstream that is killed and comes back, without one wrong answer', async (t) => {
  const steady = await upstream(t, ({ target }) => HttpResponse.text(`answer to ${target}`))
  // Accepts, and dies in the middle of an answer every so often.
  let count = 0
  const dying = await rawUpstream(t, (socket) => {
    socket.on('data', (chunk) => {
      for (const [, target] of String(chunk).matchAll(/^GET (\S+) /gm)) {
        const body = `answer to ${target}`
        const whole = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
        if (++count % 7 === 0) return void socket.destroy()
        if (count % 11 === 0) return void socket.end('HTTP/1.1 200 OK\r\nContent-Le')
        socket.write(whole)
      }
    })
  })
  const { url, gateway } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'both' }],
    clusters: [
      {
        name: 'both',
        endpoints: [steady, dying],
        lb_policy: 'round_robin',
        retry_policy: { retry_budget: { budget_percent: 100, min_retries_per_second: 1_000 } },
      },
    ],
  })
  let good = 0
  const worker = async (name: number): Promise<void> => {
    for (let index = 0; index < 50; index++) {
      const target = `/${name}/${index}`
      const response = await fetch(url(target))
      const text = await response.text()
      if (response.status === 200) {
        assert.equal(text, `answer to ${target}`)
        good++
      }
    }
  }
  await Promise.all([0, 1, 2, 3].map(worker))
  assert.ok(good >= 199, `${good} of 200 were answered`)
  assert.equal(gateway.totals.requests, 200)
  assert.ok(gateway.totals.retries > 0)
})

test('Gateway does not blame an upstream for clients that go away or send nonsense', async (t) => {
  const waiting = await upstream(t, async (request) => {
    await request.body.bytes()
    await new Promise(() => {})
    return HttpResponse.text('')
  })
  const { at, gateway } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'waiting', max_request_body: 100 }],
    clusters: [
      {
        name: 'waiting',
        endpoints: [waiting],
        outlier_detection: { consecutive_failures: 1 },
        circuit_breakers: { consecutive_failures: 1 },
      },
    ],
  })
  const post = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
  const chunk = `64\r\n${'x'.repeat(100)}\r\n`
  const requests = [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    `${post}5\r\nab`,
    `${post}zz\r\n`,
    post + chunk + chunk,
  ]
  for (const bytes of requests) {
    const socket = connect(at())
    socket.on('error', () => {})
    socket.write(bytes)
    // As soon as the upstream has it, or at once where it never will.
    while (gateway.clusters()[0]?.inFlight === 0 && gateway.totals.activeRequests > 0) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
    socket.destroy()
    await once(socket, 'close')
  }
  while (gateway.totals.activeRequests > 0) await new Promise((resolve) => setImmediate(resolve))
  const [endpoint] = gateway.clusters()[0]?.endpoints ?? []
  assert.deepEqual([endpoint?.breaker, endpoint?.failures], ['closed', 0])
  assert.ok(gateway.totals.clientAborts >= 2)
})

test('Gateway lets no trailer say where a request came from', async (t) => {
  const api = await upstream(t, async (request) => {
    await request.body.text()
    return HttpResponse.text(JSON.stringify([...(request.body.trailers ?? [])]))
  })
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'api' }],
    clusters: [{ name: 'api', endpoints: [api] }],
  })
  const request = httpRequest(url('/'), { method: 'POST', agent: false })
  request.write('x')
  request.addTrailers({
    'X-Forwarded-For': '127.0.0.1',
    x_forwarded_for: '127.0.0.1',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': 'evil.example',
    Forwarded: 'for=127.0.0.1',
    Via: '1.1 evil',
    'X-Request-Id': 'evil',
    'X-Sum': '1',
  })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  assert.deepEqual(JSON.parse(text), [['X-Sum', '1']])
})

test('Gateway says in its log that the clock jumped, and what that made suspect', async (t) => {
  const api = await upstream(t, named('api'))
  const lines: [string, LogFields | undefined][] = []
  const log: Logger = { ...silentLogger, warn: (msg, fields) => void lines.push([msg, fields]) }
  let offsetMs = 0
  const clock: Clock = {
    now: () => systemClock.now(),
    wallNow: () => systemClock.wallNow() + offsetMs,
    setTimer: (at, callback) => systemClock.setTimer(at, callback),
    defer: (callback) => systemClock.defer(callback),
  }
  const config = {
    listeners: [HTTP],
    routes: [{ cluster: 'api' }],
    clusters: [{ name: 'api', endpoints: [api] }],
  }
  const { url } = await start(t, config, log, undefined, { clock })
  await (await fetch(url('/'))).text()
  assert.deepEqual(lines, [])
  // A minute asleep: the wall clock went on, the monotonic one did not.
  offsetMs = 60_000
  await (await fetch(url('/'))).text()
  const reason = 'the process stood still: 1 idle connections are suspect'
  assert.deepEqual(lines, [['clock jumped', { cluster: 'api', endpoint: api, reason }]])
})

test('Gateway listens on a Unix socket', async (t) => {
  const path = join(tmpdir(), `heddle-gateway-${process.pid}.sock`)
  const { gateway } = await start(t, {
    listeners: [{ name: 'http', address: `unix:${path}` }],
    routes: [{ fixed_response: { body: 'local' } }],
  })
  const request = httpRequest({ socketPath: path, path: '/' }).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.setEncoding('utf8')
  const [text] = await once(response, 'data')
  assert.equal(text, 'local')
  assert.equal(gateway.listeners()[0]?.transport, 'unix')
})
