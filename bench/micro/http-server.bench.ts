/**
 * The whole HTTP server without a socket: connection, driver, session, exchange, service, writer.
 * What is left between this and `npm run bench -- server` is the transport and the kernel.
 */
import { memory } from '../../src/core/address.ts'
import { HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { httpServer } from '../../src/servers/http/http-server.ts'
import type { Benchmark, Variant } from '../benchmark.ts'
import { NullConnection, nullTransport } from './null-transport.ts'

async function connectTo(service: HttpService): Promise<NullConnection> {
  const transport = nullTransport(() => new NullConnection())
  await httpServer(service).listen(transport, memory('server'))
  const connection = new NullConnection()
  transport.accept?.(connection)
  return connection
}

const PIPELINED = 16
const GET = 'GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n'
const POST = `POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 1024\r\n\r\n${'x'.repeat(1024)}`

const hello: HttpService = () => HttpResponse.text('Hello, world!')
const asyncHello: HttpService = async () => HttpResponse.text('Hello, world!')
const echo: HttpService = async (request) => new HttpResponse({ body: await request.body.bytes() })

/** What is answered in the same turn. */
async function inOneTurn(service: HttpService, input: string, perChunk: number): Promise<Variant> {
  const connection = await connectTo(service)
  const chunk = Buffer.from(input.repeat(perChunk))
  return {
    run(count) {
      for (let done = 0; done < count; done += perChunk) connection.handler?.onData(chunk)
    },
  }
}

/** What needs a promise or two: the next chunk comes when the answer has left. */
async function inTurns(service: HttpService, input: string, perChunk: number): Promise<Variant> {
  const connection = await connectTo(service)
  const chunk = Buffer.from(input.repeat(perChunk))
  return {
    async run(count) {
      for (let done = 0; done < count; done += perChunk) {
        const before = connection.writes
        connection.handler?.onData(chunk)
        while (connection.writes === before) await nextTick()
      }
    },
  }
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}

export const benchmark: Benchmark = {
  about: 'answers a request through the whole server, without a socket',
  async counters() {
    const connection = await connectTo(hello)
    const chunk = Buffer.from(GET.repeat(PIPELINED))
    for (let done = 0; done < 100; done++) connection.handler?.onData(chunk)
    const requests = 100 * PIPELINED
    return {
      'writes per request': connection.writes / requests,
      'bytes per response': connection.bytes / requests,
    }
  },
  variants: {
    'hello, one by one': () => inOneTurn(hello, GET, 1),
    'hello, 16 pipelined': () => inOneTurn(hello, GET, PIPELINED),
    'async hello, one by one': () => inTurns(asyncHello, GET, 1),
    'async hello, 16 pipelined': () => inTurns(asyncHello, GET, PIPELINED),
    'POST of 1 KB, echoed': () => inTurns(echo, POST, 1),
  },
}
