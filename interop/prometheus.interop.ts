/** A real Prometheus scrapes us in OpenMetrics, and its own checker reads the text format. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { TraceContext } from '../src/core/context.ts'
import { nodeProcess } from '../src/platform/node-process.ts'
import { HttpResponse, type HttpService } from '../src/protocols/http/messages.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { HttpServerMetrics } from '../src/telemetry/call-metrics.ts'
import { ObserverGroup } from '../src/telemetry/observer-group.ts'
import { observeProcess } from '../src/telemetry/process-metrics.ts'
import {
  EXPOSITION_TYPES,
  negotiateExposition,
  renderPrometheus,
} from '../src/telemetry/prometheus.ts'
import { Registry } from '../src/telemetry/registry.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { requirePeer } from './peers.ts'

const prometheus = requirePeer('prometheus')
const promtool = requirePeer('promtool')
const TRACE: TraceContext = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  flags: 1,
  state: undefined,
  baggage: undefined,
}

test('promtool finds nothing to say about the text format', { skip: promtool.skip }, () => {
  const input = renderPrometheus(filledRegistry(), 'prometheus')
  const { status, stdout, stderr } = spawnSync(promtool.path, ['check', 'metrics'], {
    input,
    encoding: 'utf8',
  })
  assert.equal(`${stdout}${stderr}`, '')
  assert.equal(status, 0)
})

test('promtool accepts the example of a configuration with its alert rules', {
  skip: promtool.skip,
}, () => {
  const config = new URL('../examples/monitoring/prometheus.yml', import.meta.url).pathname
  const { status, stdout, stderr } = spawnSync(promtool.path, ['check', 'config', config], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /SUCCESS: \d+ rules found/)
})

test('prometheus scrapes OpenMetrics with values, units and exemplars', {
  skip: prometheus.skip,
}, async () => {
  const registry = filledRegistry()
  const formats = new Set<string>()
  await using server = httpServer(metricsService(registry, formats))
  const listener = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  assert.ok(listener.address.kind === 'ip')
  await using scraper = await startPrometheus(listener.address.port)

  const up = await scraper.untilResult('query', 'up == 1')
  assert.equal(up.length, 1)
  const orders = await scraper.untilResult('query', 'heddle_interop_orders_total')
  assert.deepEqual(orders[0]?.['metric'], {
    __name__: 'heddle_interop_orders_total',
    instance: `127.0.0.1:${listener.address.port}`,
    job: 'heddle',
    path: 'a"b\\c\nd',
  })
  assert.equal(sampleOf(orders), '3')
  const bucket = 'heddle_interop_wait_seconds_bucket{le="1.0"}'
  const buckets = await scraper.untilResult('query', bucket)
  assert.equal(sampleOf(buckets), '2')
  const exemplars = await scraper.untilResult(
    'query_exemplars',
    'heddle_interop_wait_seconds_bucket',
  )
  assert.match(JSON.stringify(exemplars), new RegExp(TRACE.traceId))
  const metadata = await scraper.get('metadata?metric=heddle_interop_wait_seconds')
  assert.match(JSON.stringify(metadata), /"type":"histogram".*"unit":"seconds"/)
  assert.deepEqual([...formats], ['openmetrics'])
})

function filledRegistry(): Registry {
  const registry = new Registry({ resource: { 'service.name': 'interop' }, wallNow: Date.now })
  const options = { unit: '{order}', description: 'Orders of "us",\nwith \\.' }
  registry.counter('heddle.interop.orders', options, { path: 'a"b\\c\nd' }).add(3)
  const wait = registry.histogram('heddle.interop.wait', {
    unit: 's',
    description: 'Waits.',
    buckets: [0.1, 1, 10],
  })
  wait.record(0.05)
  wait.record(0.5, TRACE)
  wait.record(50)
  const observer = new HttpServerMetrics(registry, { 'url.scheme': 'http' })
  observer.onRequest()
  observer.onExchange({ request: { method: 'GET' }, status: 200, durationMs: 2, error: undefined })
  observeProcess(new ObserverGroup(registry), nodeProcess)
  return registry
}

function metricsService(registry: Registry, formats: Set<string>): HttpService {
  return (request) => {
    const format = negotiateExposition(request.fields.get('accept'))
    formats.add(format)
    const body = renderPrometheus(registry, format)
    return new HttpResponse({ fields: { 'content-type': EXPOSITION_TYPES[format] }, body })
  }
}

interface Scraper extends AsyncDisposable {
  get(path: string): Promise<unknown>
  /** What a query finds once it finds something. */
  untilResult(kind: string, query: string): Promise<Record<string, unknown>[]>
}

async function startPrometheus(targetPort: number): Promise<Scraper> {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-prometheus-'))
  const file = join(folder, 'prometheus.yml')
  const target = `  - job_name: heddle\n    static_configs: [{ targets: ['127.0.0.1:${targetPort}'] }]`
  await writeFile(file, `global: { scrape_interval: 1s }\nscrape_configs:\n${target}\n`)
  const api = `127.0.0.1:${await freePort()}`
  const child = spawn(
    prometheus.path,
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${api}`,
      '--enable-feature=exemplar-storage',
      '--log.level=error',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://${api}/api/v1/${path}`)
    return ((await response.json()) as { data: unknown }).data
  }
  return {
    get,
    async untilResult(kind, query) {
      const range =
        kind === 'query' ? '' : `&start=${Date.now() / 1_000 - 600}&end=${Date.now() / 1_000 + 60}`
      for (let attempt = 0; attempt < 300; attempt++) {
        // Until it listens, and has scraped once, there is nothing.
        const data = await get(`${kind}?query=${encodeURIComponent(query)}${range}`).catch(() => [])
        const found = Array.isArray(data) ? data : (data as { result: unknown[] }).result
        if (found.length > 0) return found as Record<string, unknown>[]
        await delay(100)
      }
      assert.fail(`nothing for ${query}`)
    },
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Of the first series of an instant query: `[seconds, text]`. */
function sampleOf(series: Record<string, unknown>[]): unknown {
  return (series[0]?.['value'] as unknown[] | undefined)?.[1]
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}
