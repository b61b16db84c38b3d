import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { Call } from '../../core/context.ts'
import { HeddleError } from '../../core/errors.ts'
import type { Flow, Sink, Source } from '../../core/flow.ts'
import { Body } from '../../protocols/http/body.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import { HttpRequest } from '../../protocols/http/messages.ts'
import { LeakCheck } from '../../testing/leak-check.ts'
import { type HttpClient, type HttpClientOptions, httpClient } from './http-client.ts'

/** A server that says exactly what a test tells it to, so that nothing of ours is on both sides. */
class Peer implements AsyncDisposable {
  readonly port: number
  readonly connections: PeerConnection[] = []
  readonly #server
  #waiting: ((connection: PeerConnection) => void) | undefined
  #taken = 0

  private constructor(server: ReturnType<typeof createServer>, port: number) {
    this.#server = server
    this.port = port
    server.on('connection', (socket) => {
      this.connections.push(new PeerConnection(socket))
      this.#waiting?.(this.connections.at(-1) as PeerConnection)
    })
  }

  static async start(): Promise<Peer> {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Peer(server, (server.address() as { port: number }).port)
  }

  async accept(): Promise<PeerConnection> {
    const known = this.connections[this.#taken]
    if (known === undefined) {
      await new Promise<PeerConnection>((resolve) => {
        this.#waiting = resolve
      })
    }
    return this.connections[this.#taken++] as PeerConnection
  }

  client(options: HttpClientOptions = {}): HttpClient {
    return httpClient(`http://127.0.0.1:${this.port}`, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.connections) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

class PeerConnection {
  readonly socket: Socket
  text = ''
  ended = false
  #changed = Promise.withResolvers<void>()

  constructor(socket: Socket) {
    this.socket = socket
    const changed = (): void => {
      this.#changed.resolve()
      this.#changed = Promise.withResolvers()
    }
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1')
      changed()
    })
    socket.on('end', () => {
      this.ended = true
      changed()
    })
    socket.on('close', () => {
      this.ended = true
      changed()
    })
    socket.on('error', () => {})
  }

  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text)) {
      if (this.ended) assert.fail(`ended before ${pattern}: ${this.text}`)
      await this.#changed.promise
    }
    const { text } = this
    this.text = ''
    return text
  }

  async end(): Promise<void> {
    while (!this.ended) await this.#changed.promise
  }

  send(text: string): this {
    this.socket.write(text, 'latin1')
    return this
  }
}

/** A body written by hand. */
class HandBody implements Source<Uint8Array>, Flow {
  sink: Sink<Uint8Array> | undefined
  cancelled: Error | undefined
  readonly #wanted = Promise.withResolvers<void>()
  readonly #over = Promise.withResolvers<void>()

  open(sink: Sink<Uint8Array>): Flow {
    this.sink = sink
    return this
  }
  resume(): void {
    this.#wanted.resolve()
  }
  cancel(reason?: Error): void {
    this.cancelled = reason ?? new Error('no reason')
    this.#over.resolve()
  }
  get wanted(): Promise<void> {
    return this.#wanted.promise
  }
  get over(): Promise<void> {
    return this.#over.promise
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {}
}

const NO_RETRY = { retry: false } as const
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const HEAD_END = /\r\n\r\n/

/** Both at once, so that a call that fails early fails the test with its own reason. */
async function failure(call: PromiseLike<unknown>): Promise<HeddleError> {
  try {
    await call
  } catch (error) {
    assert.ok(error instanceof HeddleError, String(error))
    return error
  }
  assert.fail('the call did not fail')
}

test('HttpClient gives interim responses to the request that asked for them', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const request = new HttpRequest()
  const informed: [number, string | undefined][] = []
  request.inform = (status, fields) => {
    informed.push([status, new HttpFields(fields).get('link')])
  }
  const call = client.call(request)
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send(`HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 P\r\n\r\n${OK}`)
  assert.equal(await (await call).body.text(), 'ok')
  assert.deepEqual(informed, [
    [103, '</a.css>'],
    [102, undefined],
  ])
})

test('HttpClient sends the body of an Expect: 100-continue after the 100', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const call = client.post('/', 'body', { fields: { expect: '100-continue' } })
  const connection = await peer.accept()
  const head = await connection.until(HEAD_END)
  assert.doesNotMatch(head, /body/)
  connection.send('HTTP/1.1 100 Continue\r\n\r\n')
  await connection.until(/body/)
  connection.send(OK)
  assert.equal((await call).status, 200)
})

test('HttpClient sends no body when the answer to Expect: 100-continue is final', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const call = client.post('/', 'secret', { fields: { expect: '100-continue' } })
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
  const response = await call
  assert.equal(response.status, 403)
  assert.equal(await response.body.text(), 'no')
  await connection.end()
  assert.doesNotMatch(connection.text, /secret/)
})

test('HttpClient sends the body without a 100 once continueTimeoutMs is over', async () => {
  await using peer = await Peer.start()
  await using client = peer.client({ http1: { continueTimeoutMs: 10 } })
  const call = client.post('/', 'body', { fields: { expect: '100-continue' } })
  const connection = await peer.accept()
  await connection.until(/body/)
  connection.send(OK)
  assert.equal((await call).status, 200)
})

test('HttpClient cuts a request whose answer came early, and the next gets a new connection', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const body = new HandBody()
  const call = client.post('/', body)
  await body.wanted
  body.sink?.write(Buffer.from('first'))
  const connection = await peer.accept()
  await connection.until(/5\r\nfirst\r\n/)
  connection.send('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig')
  const response = await call
  assert.equal(response.status, 413)
  assert.equal(await response.body.text(), 'big')
  await body.over
  assert.ok(body.cancelled instanceof Error)
  await connection.end()
  assert.doesNotMatch(connection.text, /0\r\n\r\n/)
  const next = client.get('/')
  const second = await peer.accept()
  await second.until(HEAD_END)
  second.send(OK)
  assert.equal((await next).status, 200)
})

test('HttpClient keeps the connection when the answer came after the last announced byte', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const body = new HandBody()
  const call = client.post('/', Body.from(body, 4))
  await body.wanted
  body.sink?.write(Buffer.from('four'))
  const connection = await peer.accept()
  await connection.until(/four/)
  connection.send(OK)
  assert.equal(await (await call).body.text(), 'ok')
  body.sink?.end()
  const next = client.get('/again')
  await connection.until(/GET \/again/)
  connection.send(OK)
  assert.equal((await next).status, 200)
})

test('HttpClient fails a request whose body is longer or shorter than announced', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  for (const written of ['12345', '123']) {
    const body = new HandBody()
    const call = client.post('/', Body.from(body, 4))
    await body.wanted
    body.sink?.write(Buffer.from(written))
    body.sink?.end()
    assert.equal((await failure(call)).code, 'ERR_STATE')
    const connection = await peer.accept()
    await connection.end()
  }
})

test('HttpClient cuts a request whose body fails, and gives that reason', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const body = new HandBody()
  const call = client.post('/', body)
  await body.wanted
  body.sink?.write(Buffer.from('half'))
  const connection = await peer.accept()
  await connection.until(/half/)
  const reason = new Error('disk')
  body.sink?.fail(reason)
  await assert.rejects(call, (error) => error === reason)
  await connection.end()
  assert.doesNotMatch(connection.text, /0\r\n\r\n/)
})

test('HttpClient says what was sent when the connection breaks', async (t) => {
  await t.test('all, before the answer', async () => {
    await using peer = await Peer.start()
    await using client = peer.client(NO_RETRY)
    const call = client.post('/', 'x')
    const connection = await peer.accept()
    await connection.until(/x$/)
    connection.socket.destroy()
    const { code, sent, retryable } = await failure(call)
    assert.deepEqual(
      { code, sent, retryable },
      {
        code: 'ERR_DISCONNECTED',
        sent: 'all',
        retryable: 'if-idempotent',
      },
    )
  })
  await t.test('some, inside the request', async () => {
    await using peer = await Peer.start()
    await using client = peer.client(NO_RETRY)
    const body = new HandBody()
    const call = client.post('/', body)
    await body.wanted
    const connection = await peer.accept()
    await connection.until(HEAD_END)
    connection.socket.resetAndDestroy()
    const { code, sent } = await failure(call)
    assert.match(code, /ERR_(RESET|DISCONNECTED)/)
    assert.equal(sent, 'some')
    assert.ok(body.cancelled instanceof Error)
  })
  await t.test('all, inside the answer: not to be asked again', async () => {
    await using peer = await Peer.start()
    await using client = peer.client()
    const call = client.get('/')
    const connection = await peer.accept()
    await connection.until(HEAD_END)
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
    const response = await call
    connection.socket.end()
    const { code, sent, retryable } = await failure(response.body.text())
    assert.deepEqual(
      { code, sent, retryable },
      {
        code: 'ERR_DISCONNECTED',
        sent: 'all',
        retryable: 'no',
      },
    )
    assert.equal(peer.connections.length, 1)
  })
  await t.test('nothing, when nobody listens', async () => {
    const peer = await Peer.start()
    const client = peer.client(NO_RETRY)
    await peer[Symbol.asyncDispose]()
    const { code, sent, cause } = await failure(client.get('/'))
    assert.deepEqual({ code, sent }, { code: 'ERR_CONNECT', sent: 'nothing' })
    assert.equal((cause as HeddleError).code, 'ERR_CONNECT_REFUSED')
    await client.close()
  })
})

test('HttpClient answers garbage with a protocol error and closes', async () => {
  await using peer = await Peer.start()
  await using client = peer.client(NO_RETRY)
  const call = client.get('/')
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send('SSH-2.0-OpenSSH_9.9\r\n')
  const error = await failure(call)
  assert.equal(error.name, 'ProtocolError')
  await connection.end()
})

test('HttpClient takes a new connection when the idle one was closed', async () => {
  await using peer = await Peer.start()
  await using client = peer.client(NO_RETRY)
  const first = client.get('/')
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send(OK)
  await (await first).body.text()
  const gone = once(connection.socket, 'close')
  connection.socket.end()
  await gone
  // Even a POST without retries: nothing was ever sent on the closed connection.
  const second = client.post('/', 'x')
  const next = await peer.accept()
  await next.until(/x$/)
  next.send(OK)
  assert.equal((await second).status, 200)
})

test('HttpClient tries a GET again whose connection was closed as it was sent', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const call = client.get('/')
  const first = await peer.accept()
  await first.until(HEAD_END)
  first.socket.destroy()
  const second = await peer.accept()
  await second.until(HEAD_END)
  second.send(OK)
  assert.equal((await call).status, 200)
  const posted = client.post('/', 'x')
  await second.until(/x$/)
  second.socket.destroy()
  assert.equal((await failure(posted)).sent, 'all')
  assert.equal(peer.connections.length, 2)
})

test('HttpClient keeps a connection busy while a body is unread, and discard frees it', async () => {
  await using peer = await Peer.start()
  await using client = peer.client({ pool: { max: 1 } })
  const call = client.get('/long')
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  const length = 200_000
  connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`)
  const response = await call
  const second = client.get('/next')
  connection.send('x'.repeat(length))
  const waiting = await Promise.race([
    Promise.resolve(second).then(() => 'answered'),
    new Promise((resolve) => setImmediate(() => setImmediate(resolve, 'waiting'))),
  ])
  assert.equal(waiting, 'waiting')
  assert.equal(client.core.counts.inFlight, 1)
  assert.equal(connection.text, '')
  response.body.discard()
  await connection.until(/GET \/next/)
  connection.send(OK)
  assert.equal(await (await second).body.text(), 'ok')
  assert.equal(peer.connections.length, 1)
})

test('HttpClient frees the connection before a short body is read', async () => {
  await using peer = await Peer.start()
  await using client = peer.client({ pool: { max: 1 } })
  const call = client.get('/')
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send(OK)
  const response = await call
  assert.equal(response.exchange, undefined)
  assert.ok(response.body.replayable)
  const second = client.get('/next')
  await connection.until(/GET \/next/)
  connection.send(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx: y\r\n\r\n',
  )
  const chunked = await second
  assert.equal(chunked.body.trailers?.get('x'), 'y')
  assert.equal(await chunked.body.text(), 'abc')
  assert.equal(await response.body.text(), 'ok')
})

test('HttpClient ends a body on its way when the caller cancels, and the wire with it', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const controller = new AbortController()
  const call = client.get('/', { signal: controller.signal })
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nstart')
  const response = await call
  const reading = response.body.text()
  const reason = new Error('enough')
  controller.abort(reason)
  await assert.rejects(reading, (error) => error === reason)
  await connection.end()
})

test('HttpClient ends a body at the deadline of the call', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const call = client.get('/', { timeoutMs: 500 })
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nstart')
  const response = await call
  assert.equal((await failure(response.body.text())).code, 'ERR_DEADLINE')
  await connection.end()
})

test('HttpClient cancels on the wire at the deadline', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const call = client.get('/', { timeoutMs: 500 })
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  assert.equal((await failure(call)).code, 'ERR_DEADLINE')
  await connection.end()
})

test('HttpClient closes an upload that is stuck when the caller cancels', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const body = new HandBody()
  const controller = new AbortController()
  const call = client.post('/', body, { signal: controller.signal })
  const connection = await peer.accept()
  await body.wanted
  await connection.until(HEAD_END)
  connection.socket.pause()
  const chunk = new Uint8Array(65_536)
  let taken = 0
  while (body.sink?.write(chunk) === true) taken++
  assert.ok(taken > 0)
  const reason = new Error('stop')
  const rejected = assert.rejects(call, (error) => error === reason)
  controller.abort(reason)
  await rejected
  connection.socket.resume()
  await connection.end()
})

test('HttpClient leaves no listener on the signal it was given', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const { signal } = new AbortController()
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = ((...rest: Parameters<typeof add>) => {
    listeners++
    add(...rest)
  }) as typeof add
  signal.removeEventListener = ((...rest: Parameters<typeof remove>) => {
    listeners--
    remove(...rest)
  }) as typeof remove
  const whole = client.get('/', { signal })
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  assert.equal(listeners, 1)
  connection.send(OK)
  await whole
  assert.equal(listeners, 0)
  const streamed = client.get('/', { signal })
  await connection.until(HEAD_END)
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha')
  const response = await streamed
  assert.equal(listeners, 1)
  connection.send('lf')
  assert.equal(await response.body.text(), 'half')
  assert.equal(listeners, 0)
  const context = new Call({ signal })
  const failing = client.call(new HttpRequest({ method: 'POST', body: 'x' }), context)
  await connection.until(/x$/)
  connection.socket.destroy()
  await failure(Promise.resolve(failing))
  context.finish()
  assert.equal(listeners, 0)
})

test('HttpClient close waits for the body in flight, then closes the connection', async () => {
  await using peer = await Peer.start()
  const client = peer.client()
  const call = client.get('/')
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha')
  const response = await call
  const closing = client.close()
  assert.throws(() => client.call(new HttpRequest()), { code: 'ERR_CLOSED' })
  connection.send('lf')
  assert.equal(await response.body.text(), 'half')
  await closing
  await connection.end()
})

test('HttpClient close with an aborted signal ends what is in flight', async () => {
  await using peer = await Peer.start()
  const client = peer.client(NO_RETRY)
  const call = client.get('/')
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  const reason = new Error('now')
  const rejected = assert.rejects(call, (error) => error === reason)
  await client.close({ signal: AbortSignal.abort(reason) })
  await rejected
  await connection.end()
})

test('HttpClient does CONNECT and hands over what came behind the head', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const call = client.call(
    new HttpRequest({ method: 'CONNECT', target: 'a.example:443', authority: 'a.example:443' }),
  )
  const raw = await peer.accept()
  assert.match(
    await raw.until(HEAD_END),
    /^CONNECT a\.example:443 HTTP\/1\.1\r\nHost: a\.example:443\r\n/i,
  )
  raw.send('HTTP/1.1 200 Connection established\r\n\r\nbanner')
  const { connection } = await call
  assert.ok(connection !== undefined)
  const got = Promise.withResolvers<string>()
  connection.open({
    onData: (chunk) => got.resolve(Buffer.from(chunk).toString()),
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
  assert.equal(await got.promise, 'banner')
  connection.destroy()
})

test('HttpClient passes a refused CONNECT on as a response', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  const call = client.call(
    new HttpRequest({ method: 'CONNECT', target: 'a.example:443', authority: 'a.example:443' }),
  )
  const raw = await peer.accept()
  await raw.until(HEAD_END)
  raw.send('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno')
  const response = await call
  assert.equal(response.status, 407)
  assert.equal(response.connection, undefined)
  assert.equal(await response.body.text(), 'no')
})

test('HttpClient refuses what cannot be sent, and the connection stays', async () => {
  await using peer = await Peer.start()
  await using client = peer.client()
  assert.equal((await failure(client.get('/a b'))).code, 'ERR_ARGUMENT')
  const call = client.get('/ab')
  const connection = await peer.accept()
  await connection.until(/GET \/ab/)
  connection.send(OK)
  assert.equal((await call).status, 200)
  assert.equal(peer.connections.length, 1)
})

test('HttpClient pipelines up to maxPipelined, in order, and nothing behind a POST', async () => {
  await using peer = await Peer.start()
  await using client = peer.client({ pool: { max: 1 }, http1: { maxPipelined: 3 } })
  const first = client.get('/1')
  const connection = await peer.accept()
  await connection.until(/GET \/1 /)
  const calls = [client.get('/2'), client.get('/3'), client.get('/4')]
  await connection.until(/GET \/2 [\s\S]*GET \/3 /)
  const answer = (text: string): string =>
    `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`
  connection.send(answer('one'))
  assert.equal(await (await first).body.text(), 'one')
  await connection.until(/GET \/4 /)
  connection.send(answer('two') + answer('three') + answer('four'))
  const texts = await Promise.all(calls.map(async (call) => (await call).body.text()))
  assert.deepEqual(texts, ['two', 'three', 'four'])
  const posted = client.post('/5', 'x')
  const behind = client.get('/6')
  const sent = await connection.until(/x$/)
  assert.doesNotMatch(sent, /GET/)
  connection.send(OK)
  await posted
  await connection.until(/GET \/6/)
  connection.send(OK)
  assert.equal((await behind).status, 200)
  assert.equal(peer.connections.length, 1)
})

test('HttpClient sends again what was behind a cancelled request', async () => {
  await using peer = await Peer.start()
  await using client = peer.client({ pool: { max: 1 }, http1: { maxPipelined: 2 } })
  const controller = new AbortController()
  const warm = client.get('/')
  const connection = await peer.accept()
  await connection.until(HEAD_END)
  connection.send(OK)
  await warm
  const cancelled = client.get('/1', { signal: controller.signal })
  const behind = client.get('/2')
  await connection.until(/GET \/1 [\s\S]*GET \/2 /)
  const reason = new Error('not any more')
  const rejected = assert.rejects(cancelled, (error) => error === reason)
  controller.abort(reason)
  await rejected
  await connection.end()
  const next = await peer.accept()
  await next.until(/GET \/2 /)
  next.send(OK)
  assert.equal((await behind).status, 200)
})

test('HttpClient leaves no timer, no socket and no unread connection behind', async () => {
  const count = (kind: RegExp): number =>
    process.getActiveResourcesInfo().filter((name) => kind.test(name)).length
  const leaks = new LeakCheck({
    timers: () => count(/Timeout/),
    sockets: () => count(/TCP|Pipe/),
  })
  {
    await using peer = await Peer.start()
    await using client = peer.client(NO_RETRY)
    const whole = client.get('/', { timeoutMs: 60_000 })
    const connection = await peer.accept()
    await connection.until(HEAD_END)
    connection.send(OK)
    await whole
    const posted = client.post('/', 'body', { fields: { expect: '100-continue' } })
    await connection.until(HEAD_END)
    connection.send(`HTTP/1.1 100 Continue\r\n\r\n`)
    await connection.until(/body/)
    connection.send(OK)
    await posted
    const half = 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf'
    const streamed = client.get('/', { timeoutMs: 60_000 })
    await connection.until(HEAD_END)
    connection.send(half)
    const response = await streamed
    response.exchange?.abort(new Error('enough'))
    await connection.end()
    const broken = client.get('/', { timeoutMs: 60_000 })
    const second = await peer.accept()
    await second.until(HEAD_END)
    second.socket.destroy()
    await failure(broken)
    assert.deepEqual(client.core.counts, { started: 4, succeeded: 3, failed: 1, inFlight: 0 })
  }
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(await leaks.leaksAfter(turn, 50), [])
})
