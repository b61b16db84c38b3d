/** How many writes an answer takes: a system call each, which is most of what a small answer costs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { memory } from '../../core/address.ts'
import type { Connection, ConnectionFacts, ConnectionHandler } from '../../core/connection.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { Http1ServerSession } from '../../protocols/http1/server-session.ts'
import { fetchHandler } from './fetch-handler.ts'
import { HttpServerConnection } from './http-server-connection.ts'

const facts: ConnectionFacts = {
  transport: 'test',
  local: memory('server'),
  remote: memory('client'),
  role: 'accepting',
  tls: undefined,
  mtu: undefined,
  receiveBufferBytes: undefined,
  sendBufferBytes: undefined,
  capabilities: 0,
  roundTripMs: () => undefined,
}

/** Takes everything at once and keeps each write as text. */
class WriteLog implements Connection {
  readonly id = 1
  readonly facts = facts
  readonly writableLength = 0
  readonly writes: string[] = []
  handler: ConnectionHandler | undefined

  open(handler: ConnectionHandler): void {
    this.handler = handler
  }
  write(chunk: Uint8Array): boolean {
    return this.writeAll([chunk])
  }
  writeAll(chunks: readonly Uint8Array[]): boolean {
    this.writes.push(Buffer.concat(chunks).toString('latin1'))
    return true
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(reason?: Error): void {
    this.handler?.onClose(reason)
  }
  leaseChunk(): never {
    throw new Error('not used')
  }
  detach(): void {}
  ref(): void {}
  unref(): void {}

  /** Delivers requests and waits until every promise that hangs on them has run. */
  async get(count: number): Promise<readonly string[]> {
    this.handler?.onData(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(count)))
    await turn()
    return this.writes
  }
}

function serve(service: HttpService): WriteLog {
  const connection = new WriteLog()
  const options = {
    service,
    scheme: 'http' as const,
    clock: systemClock,
    requestTimeoutMs: Number.POSITIVE_INFINITY,
    observer: undefined,
    errorResponse: () => new HttpResponse({ status: 500 }),
  }
  const session = new Http1ServerSession({ keepAliveTimeoutMs: 0x7fff_ffff })
  new HttpServerConnection(connection, session, options, () => {}).start()
  return connection
}

test('HttpServerConnection answers a pipeline in one write', async () => {
  const writes = await serve(() => HttpResponse.text('hello')).get(16)
  assert.equal(writes.length, 1)
  assert.equal(writes[0]?.match(/\r\n\r\nhello/g)?.length, 16)
})

test('HttpServerConnection answers a pipeline in one write when the service is async', async () => {
  const writes = await serve(async () => HttpResponse.text('hello')).get(16)
  assert.equal(writes.length, 1)
})

test('HttpServerConnection sends the head of a web Response together with its body', async () => {
  const writes = await serve(fetchHandler(async () => new Response('hello'))).get(1)
  assert.equal(writes.length, 1)
  assert.match(writes[0] ?? '', /\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/)
})

test('HttpServerConnection does not hold a head back for a stream that has nothing yet', async () => {
  let say: (text: string) => void = () => {}
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      say = (text) => controller.enqueue(new TextEncoder().encode(text))
    },
  })
  const log = serve(fetchHandler(() => new Response(stream)))
  assert.match((await log.get(1)).join('|'), /^HTTP\/1\.1 200 OK\r\n[^|]*\r\n\r\n$/)
  say('later')
  await turn()
  assert.equal(log.writes[1], '5\r\nlater\r\n')
  log.destroy()
})
