/**
 * The long truths: a client that tags every request and checks every answer while an upstream is
 * killed and restarted; a thousand reloads; ten thousand idle connections from another process.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  freePort,
  type RunningGateway,
  start,
  startGateway,
  temporaryFolder,
  untilListening,
} from './support/processes.ts'
import { ask, serve } from './support/raw-http.ts'

/** Echoes the tag in head and body, so that an answer given to the wrong request is seen. */
const TAG_SERVER = `
import http from 'node:http'
http.createServer((request, response) => {
  const tag = request.headers['x-tag']
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    response.setHeader('x-tag', tag)
    response.end(tag + ':' + Buffer.concat(chunks).toString())
  })
}).listen(Number(process.argv[2]), '127.0.0.1')
`

/** The tagged client's time, in seconds. The issue says 60; a hurried developer may say less. */
const SECONDS = Number(process.env['HEDDLE_TRUTH_SECONDS'] ?? 60)

test(`${SECONDS} s of tagged requests with an upstream killed and restarted`, async (t) => {
  await using folder = await temporaryFolder()
  const program = join(folder.path, 'tag.mjs')
  await writeFile(program, TAG_SERVER)
  const ports = [await freePort(), await freePort()]
  const upstream = (port: number) => start(process.execPath, [program, String(port)])
  let victim = upstream(ports[0] as number)
  await using _steady = upstream(ports[1] as number)
  for (const port of ports) await untilListening(port)
  await using gateway = await startGateway(
    folder.path,
    `
admin: { address: '127.0.0.1:0' }
routes: [{ name: all, match: {}, cluster: tags }]
clusters: [{ name: tags, endpoints: [${ports.map((port) => `'127.0.0.1:${port}'`).join(', ')}] }]
listeners: [{ name: http, address: '127.0.0.1:0' }]
`,
  )
  const outcome = { ok: 0, failed: 0, wrong: 0, statuses: new Map<number, number>() }
  const reasons = new Map<string, number>()
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
  const until = Date.now() + SECONDS * 1_000
  let next = 0
  const worker = async (): Promise<void> => {
    while (Date.now() < until) {
      const tag = `t${next++}`
      const body = tag.repeat(1 + (next % 50))
      const answer = await ask(
        agent,
        gateway.address('http'),
        { method: 'PUT', path: `/${tag}`, headers: { 'x-tag': tag } },
        body,
      )
      outcome.statuses.set(answer.status, (outcome.statuses.get(answer.status) ?? 0) + 1)
      if (answer.status !== 200) {
        outcome.failed++
        const reason = `${answer.status} ${answer.headers['x-heddle-error']}`
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      } else if (answer.body !== `${tag}:${body}` || answer.headers['x-tag'] !== tag)
        outcome.wrong++
      else outcome.ok++
    }
  }
  const killing = (async () => {
    while (Date.now() < until - 2_000) {
      await sleep(2_000)
      await victim.stop('SIGKILL')
      await sleep(1_000)
      victim = upstream(ports[0] as number)
    }
  })()
  await Promise.all([...Array.from({ length: 64 }, worker), killing])
  agent.destroy()
  await victim.stop('SIGKILL')
  const total = outcome.ok + outcome.failed + outcome.wrong
  const why = JSON.stringify(Object.fromEntries(reasons))
  t.diagnostic(`${total} requests, ${outcome.failed} failed ${why}, ${outcome.wrong} wrong`)
  assert.equal(outcome.wrong, 0)
  assert.ok(outcome.ok / total >= 0.999, `${outcome.failed} of ${total} failed`)
  const counted = await countedByStatus(gateway)
  for (const [status, count] of outcome.statuses) assert.equal(counted.get(status), count)
})

/** Requests by status as the gateway's metrics have them. */
async function countedByStatus(gateway: RunningGateway): Promise<Map<number, number>> {
  const agent = new http.Agent()
  const { body } = await ask(agent, gateway.address('dashboard'), { path: '/metrics' })
  const counts = new Map<number, number>()
  for (const line of body.split('\n')) {
    const match = /^http_server_request_duration_seconds_count\{([^}]*)\} (\d+)/.exec(line)
    const status = /http_response_status_code="(\d+)"/.exec(match?.[1] ?? '')?.[1]
    if (match === null || status === undefined) continue
    counts.set(Number(status), (counts.get(Number(status)) ?? 0) + Number(match[2]))
  }
  return counts
}

test('1,000 reloads under 64 keep-alive connections fail nothing and return the memory', async (t) => {
  await using folder = await temporaryFolder()
  await using origin = await serve((_request, response) => response.end('ok'))
  const config = (version: number): string => `
admin: { address: '127.0.0.1:0' }
watch: false
routes:
  - { match: { path: /version }, fixed_response: { body: '${version}' } }
  - { match: {}, cluster: upstream }
clusters: [{ name: upstream, endpoints: ['127.0.0.1:${origin.port}'] }]
listeners: [{ name: http, address: '127.0.0.1:0' }]
`
  await using gateway = await startGateway(folder.path, config(0))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
  let stop = false
  let answered = 0
  const worker = async (): Promise<void> => {
    while (!stop) {
      const { status } = await ask(agent, gateway.address('http'), { path: '/' })
      assert.equal(status, 200)
      answered++
      await sleep(5)
    }
  }
  const workers = Promise.all(Array.from({ length: 64 }, worker))
  const reload = async (version: number): Promise<void> => {
    await writeFile(gateway.configFile, config(version))
    const { status, body } = await ask(agent, gateway.address('dashboard'), {
      method: 'POST',
      path: '/reload',
    })
    assert.equal(status, 200, body)
  }
  // Until then V8 lets the heap grow to the size that it works with.
  for (let version = 1; version <= 400; version++) await reload(version)
  const before = residentBytes(gateway)
  for (let version = 401; version <= 1_000; version++) await reload(version)
  const shown = await ask(agent, gateway.address('http'), { path: '/version' })
  assert.equal(shown.body, '1000')
  stop = true
  await workers
  agent.destroy()
  const growth = residentBytes(gateway) - before
  t.diagnostic(`${answered} requests, resident memory grew by ${growth >> 20} MiB in 600 reloads`)
  assert.ok(growth < 64 * 1024 * 1024, `memory grew by ${growth} bytes`)
})

test('10,000 idle connections from another process: p99 of a good client below 20 ms', async (t) => {
  await using folder = await temporaryFolder()
  await using origin = await serve((_request, response) => response.end('ok'))
  await using gateway = await startGateway(
    folder.path,
    `
admin: { address: '127.0.0.1:0' }
routes: [{ match: {}, cluster: upstream }]
clusters: [{ name: upstream, endpoints: ['127.0.0.1:${origin.port}'] }]
listeners: [{ name: http, address: '127.0.0.1:0', max_connections: 20000 }]
`,
  )
  const program = join(folder.path, 'idle.mjs')
  await writeFile(
    program,
    `import { connect } from 'node:net'
     const [host, port] = process.argv[2].split(':')
     let open = 0
     const one = () => {
       const socket = connect(Number(port), host, () => {
         socket.write('GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
         socket.once('data', () => { if (++open === 10_000) console.log('open'); else if (open <= 9_900) one() })
       })
       socket.on('error', (error) => { console.log(error.message); process.exit(1) })
     }
     for (let i = 0; i < 100; i++) one()`,
  )
  const agent = new http.Agent({ keepAlive: true })
  await ask(agent, gateway.address('http'), { path: '/' })
  const before = residentBytes(gateway)
  await using idle = start(process.execPath, [program, gateway.address('http')])
  const deadline = Date.now() + 60_000
  while (!idle.output().includes('open')) {
    if (idle.child.exitCode !== null || Date.now() > deadline) assert.fail(idle.output())
    await sleep(100)
  }
  const perConnection = (residentBytes(gateway) - before) / 10_000
  // Something else on the machine may take a core for a moment: the best of three rounds counts.
  const p99s: number[] = []
  for (let round = 0; round < 3 && !(Math.min(...p99s) < 20); round++) {
    const times: number[] = []
    for (let count = 0; count < 1_000; count++) {
      const started = performance.now()
      const { status } = await ask(agent, gateway.address('http'), { path: '/' })
      times.push(performance.now() - started)
      assert.equal(status, 200)
    }
    p99s.push(times.toSorted((a, b) => a - b)[989] as number)
  }
  const p99 = Math.min(...p99s)
  agent.destroy()
  t.diagnostic(`p99 ${p99.toFixed(1)} ms, ${Math.round(perConnection)} bytes resident a connection`)
  assert.ok(p99 < 20, `p99 is ${p99} ms`)
  await idle.stop('SIGKILL')
})

function residentBytes(gateway: RunningGateway): number {
  const status = readFileSync(`/proc/${gateway.child.pid}/status`, 'latin1')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1_024
}
