/**
 * The upstreams that `heddle up` starts when it is given nothing else to do: real servers, reached
 * through the memory transport, so that they need no port.
 *
 * | cluster    | what it does |
 * |------------|--------------|
 * | demo-api   | two endpoints, a small JSON API: `/hello`, `/time`, `/users/:id` |
 * | demo-echo  | gives back method, path, fields and body |
 * | demo-library | a gRPC service with HTTP annotations: library/library.proto |
 * | demo-flaky | two endpoints that fail on and off, in turns and now and then both: watch breaker and retries |
 */
import { type MemoryAddress, memory as memoryAddress } from '../../core/address.ts'
import type { Clock } from '../../core/clock.ts'
import type { CallContext } from '../../core/context.ts'
import type { Transport } from '../../core/transport.ts'
import { type HttpRequest, HttpResponse, type HttpService } from '../../protocols/http/messages.ts'
import { type HttpServer, httpServer } from '../../servers/http/http-server.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { demoLibrary } from './demo-library.ts'

export interface DemoUpstreams extends AsyncDisposable {
  /** How to reach the endpoints. */
  readonly transport: Transport
  readonly clusters: readonly DemoCluster[]
  close(): Promise<void>
}

export interface DemoCluster {
  readonly name: string
  readonly endpoints: readonly MemoryAddress[]
}

export async function startDemoUpstreams(clock: Clock): Promise<DemoUpstreams> {
  const transport = memory({ clock, network: new MemoryNetwork() })
  const services: Record<string, readonly HttpService[]> = {
    'demo-api': [api(clock, 'api-1'), api(clock, 'api-2')],
    'demo-echo': [echo],
    'demo-library': [demoLibrary()],
    'demo-flaky': [flaky(clock, 'flaky-1', 0), flaky(clock, 'flaky-2', FLAKY_PERIOD_MS / 2)],
  }
  const servers: HttpServer[] = []
  const clusters: DemoCluster[] = []
  for (const [name, list] of Object.entries(services)) {
    const endpoints: MemoryAddress[] = []
    for (const [index, service] of list.entries()) {
      const server = httpServer(service, { clock })
      const address = { kind: 'memory', name: `${name}-${index + 1}` } as const
      await server.listen(transport, memoryAddress(address.name))
      servers.push(server)
      endpoints.push(address)
    }
    clusters.push({ name, endpoints })
  }
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()))
  }
  return { transport, clusters, close, [Symbol.asyncDispose]: close }
}

function api(clock: Clock, server: string): HttpService {
  return (request) => {
    const [first, second] = lastSegments(request.path)
    if (first === 'users' && second !== undefined) {
      return HttpResponse.json({ id: second, name: `User ${second}`, server })
    }
    if (second === 'time') {
      return HttpResponse.json({ time: new Date(clock.wallNow()).toISOString(), server })
    }
    if (second === 'hello') return HttpResponse.json({ hello: 'world', server })
    return HttpResponse.json(
      { error: 'not found', try: ['hello', 'time', 'users/1'] },
      { status: 404 },
    )
  }
}

/** Its body is streamed: what comes in goes out. */
function echo(request: HttpRequest): HttpResponse | Promise<HttpResponse> {
  if (!request.body.isEmpty) {
    const type = request.fields.get('content-type') ?? 'application/octet-stream'
    return new HttpResponse({ fields: { 'content-type': type }, body: request.body })
  }
  const { method, target, authority } = request
  return HttpResponse.json({
    method,
    target,
    authority,
    fields: Object.fromEntries(request.fields),
  })
}

/** Well for most of its period, then answering 503, then not answering for a moment. */
function flaky(clock: Clock, server: string, phaseMs: number): HttpService {
  return (_request: HttpRequest, context: CallContext) => {
    const at = (clock.now() + phaseMs) % FLAKY_PERIOD_MS
    if (at < FLAKY_PERIOD_MS * 0.5) return HttpResponse.json({ flaky: 'well', server })
    if (at < FLAKY_PERIOD_MS * 0.9) {
      return HttpResponse.json({ flaky: 'out of order', server }, { status: 503 })
    }
    return slowly(clock, context, server)
  }
}

function slowly(clock: Clock, context: CallContext, server: string): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(clock.now() + 400, () => {
      forget()
      resolve(HttpResponse.json({ flaky: 'slow', server }))
    })
    timer.unref()
    const forget = context.onCancel((reason) => {
      timer.cancel()
      reject(reason)
    })
  })
}

function lastSegments(path: string): [string | undefined, string | undefined] {
  const segments = path.split('/')
  return [segments.at(-2), segments.at(-1)]
}

const FLAKY_PERIOD_MS = 20_000
