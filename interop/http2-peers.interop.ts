/**
 * HTTP/2 with other people's programs: curl, nghttp and h2load as clients of our server, nginx and
 * haproxy between our client and our server with HTTP/2 on both sides, Chromium over TLS.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { httpClient } from '../src/clients/http/http-client.ts'
import { ip } from '../src/core/address.ts'
import type { Transport } from '../src/core/transport.ts'
import { webSocketUpgrade } from '../src/links/websocket/websocket-upgrade.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { HttpFields } from '../src/protocols/http/fields.ts'
import { type HttpRequest, HttpResponse } from '../src/protocols/http/messages.ts'
import { DevAuthority } from '../src/security/dev-certificate.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { tls } from '../src/transports/tls/tls.ts'
import { requirePeer } from './peers.ts'
import { freePort, start, temporaryFolder, untilListening } from './support/processes.ts'

const run = promisify(execFile)
const curl = requirePeer('curl')
const nghttp = requirePeer('nghttp')
const h2load = requirePeer('h2load')
const nginx = requirePeer('nginx')
const haproxy = requirePeer('haproxy')
const chrome = requirePeer('chromium')

const BASE = ['--silent', '--show-error', '--max-time', '20']
const WROTE = ['--write-out', '%{http_version}']

/** How each WebSocket was asked for. */
const upgraded: string[] = []
const socket = webSocketUpgrade(
  (connection, { method, version, protocol }) => {
    upgraded.push(`${method} ${version} ${protocol}`)
    connection.open({
      onText: (text) => void connection.sendText(text),
      onMessage() {},
      onDrain() {},
      onEnd() {},
      onClose() {},
    })
  },
  { subprotocols: ['echo'], compression: true },
)

/** `/echo` sends back what came; everything else says in which version it was asked. */
async function answer(request: HttpRequest): Promise<HttpResponse> {
  if (request.path === '/echo') {
    const fields = { 'content-type': 'application/octet-stream' }
    return new HttpResponse({ fields, body: await request.body.bytes() })
  }
  if (request.path === '/page') {
    const fields = { 'content-type': 'text/html; charset=utf-8' }
    return new HttpResponse({ fields, body: '<!doctype html><title>weave</title>' })
  }
  if (request.path === '/socket') return socket(request)
  if (request.path === '/favicon.ico') return new HttpResponse({ status: 204 })
  const text = `HTTP/${request.version} ${request.method} ${request.path} ${request.fields.get('x-many')?.length ?? 0}`
  return HttpResponse.text(text)
}

async function serve(transport: Transport = tcp(), http2: { maxHeaderListBytes?: number } = {}) {
  const server = httpServer(answer, { upgradeBytes: 65_536, http2 })
  const { address } = await server.listen(transport, ip('127.0.0.1', 0))
  const port = address.kind === 'ip' ? address.port : 0
  return {
    port,
    authority: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await server.close({ signal: AbortSignal.abort() })
    },
  }
}

async function secure(): Promise<{ transport: Transport; ca: string }> {
  const authority = await DevAuthority.create(systemClock)
  return { transport: tls({ credentials: await authority.issue() }), ca: authority.ca }
}

test('curl: prior knowledge, upgrade from HTTP/1.1, ALPN', { skip: curl.skip }, async () => {
  await using server = await serve()
  const url = `http://${server.authority}`
  for (const how of ['--http2-prior-knowledge', '--http2']) {
    const { stdout } = await run(curl.path, [...BASE, ...WROTE, how, `${url}/a?b`])
    // Asked once in HTTP/1.1, the upgraded request is answered in HTTP/2.
    assert.equal(stdout, 'HTTP/2 GET /a 02', how)
  }
  const head = await run(curl.path, [...BASE, '--http2-prior-knowledge', '--head', `${url}/x`])
  assert.match(head.stdout, /^HTTP\/2 200 \r\n[\s\S]*content-length: /)
  const { transport, ca } = await secure()
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'ca.pem'), ca)
  await using encrypted = await serve(transport)
  const https = `https://${encrypted.authority}/x`
  const trust = ['--cacert', join(folder.path, 'ca.pem')]
  const h2 = await run(curl.path, [...BASE, ...WROTE, ...trust, https])
  assert.equal(h2.stdout, 'HTTP/2 GET /x 02')
  const h1 = await run(curl.path, [...BASE, ...WROTE, ...trust, '--http1.1', https])
  assert.equal(h1.stdout, 'HTTP/1.1 GET /x 01.1')
})

test('curl: megabytes both ways, many fields, several requests at once', {
  skip: curl.skip,
}, async () => {
  await using server = await serve()
  await using folder = await temporaryFolder()
  const url = `http://${server.authority}`
  const [file, copy] = [join(folder.path, 'big'), join(folder.path, 'copy')]
  const big = randomBytes(3_000_000)
  await writeFile(file, big)
  for (const extra of [[], ['--header', 'Expect: 100-continue']]) {
    const data = ['--data-binary', `@${file}`, '-o', copy]
    await run(curl.path, [...BASE, '--http2-prior-knowledge', ...extra, ...data, `${url}/echo`])
    assert.ok(big.equals(await readFile(copy)))
  }
  const long = ['--header', `x-many: ${'m'.repeat(30_000)}`]
  const many = await run(curl.path, [...BASE, '--http2-prior-knowledge', ...long, `${url}/m`])
  assert.equal(many.stdout, 'HTTP/2 GET /m 30000', 'CONTINUATION frames')
  // More than nghttp2 sends at all is not asked for: the limit is lower instead.
  await using strict = await serve(tcp(), { maxHeaderListBytes: 20_000 })
  const code = ['--write-out', '%{http_code}']
  const large = await run(curl.path, [
    ...[...BASE, '--http2-prior-knowledge', ...long, ...code, `http://${strict.authority}/m`],
  ])
  assert.equal(large.stdout, '431')
  // Over TLS: with prior knowledge this curl cannot use a connection twice, node:http2's neither.
  await using encrypted = await serve((await secure()).transport)
  const paths = Array.from({ length: 20 }, (_, at) => `https://${encrypted.authority}/p${at}`)
  const parallel = ['--insecure', '--parallel', '--parallel-max', '20']
  const { stdout } = await run(curl.path, [...BASE, ...parallel, ...paths])
  assert.equal(stdout.match(/HTTP\/2 GET \/p\d+ 0/g)?.length, 20)
})

test('nghttp: prior knowledge, upgrade, bodies, priorities, padding', {
  skip: nghttp.skip,
}, async () => {
  await using server = await serve()
  await using folder = await temporaryFolder()
  const url = `http://${server.authority}`
  const plain = await run(nghttp.path, ['--timeout', '20', `${url}/n`])
  assert.equal(plain.stdout, 'HTTP/2 GET /n 0')
  const upgraded = await run(nghttp.path, ['--timeout', '20', '--upgrade', `${url}/u`])
  assert.equal(upgraded.stdout, 'HTTP/2 GET /u 0')
  const file = join(folder.path, 'big')
  const big = randomBytes(500_000)
  await writeFile(file, big)
  const posted = await run(
    nghttp.path,
    ['--timeout', '20', '--padding', '100', '--data', file, '--continuation', `${url}/echo`],
    { encoding: 'buffer', maxBuffer: 1_000_000 },
  )
  assert.ok(big.equals(posted.stdout))
  const windows = ['--window-bits', '10', '--connection-window-bits', '12', '--multiply', '50']
  const many = await run(nghttp.path, ['--timeout', '20', '--stat', ...windows, `${url}/many`])
  assert.equal(many.stdout.match(/HTTP\/2 GET \/many/g)?.length, 50)
})

test('h2load: every request of three shapes succeeds', { skip: h2load.skip }, async () => {
  await using server = await serve()
  for (const [clients, streams] of [
    ['1', '100'],
    ['10', '10'],
    ['32', '1'],
  ] as const) {
    const { stdout } = await run(h2load.path, [
      ...['-n', '3000', '-c', clients, '-m', streams, `http://${server.authority}/load`],
    ])
    const counts = /requests: 3000 total, .* 3000 succeeded, 0 failed, 0 errored, 0 timeout/
    assert.match(stdout, counts, `${clients} × ${streams}`)
    assert.match(stdout, /Application protocol: h2c/)
  }
})

test('nginx with HTTP/2 on both sides of it', { skip: nginx.skip }, async () => {
  await using server = await serve()
  await using folder = await temporaryFolder()
  const port = await freePort()
  // grpc_pass is how nginx speaks HTTP/2 to what is behind it, whatever is asked.
  const conf = `
daemon off; pid ${folder.path}/pid; error_log stderr; worker_processes 1;
events { worker_connections 256; }
http {
  access_log off; client_max_body_size 10m; client_body_temp_path ${folder.path}/body;
  proxy_temp_path ${folder.path}/proxy; fastcgi_temp_path ${folder.path}/f;
  uwsgi_temp_path ${folder.path}/u; scgi_temp_path ${folder.path}/s;
  server { listen 127.0.0.1:${port} http2; location / { grpc_pass grpc://${server.authority}; } }
}`
  await writeFile(join(folder.path, 'nginx.conf'), conf)
  await using proxy = start(nginx.path, ['-p', folder.path, '-c', join(folder.path, 'nginx.conf')])
  await untilListening(port, proxy)
  await throughProxy(port)
})

test('haproxy with HTTP/2 on both sides of it', { skip: haproxy.skip }, async () => {
  await using server = await serve()
  await using folder = await temporaryFolder()
  const port = await freePort()
  const conf = `
global
  maxconn 256
defaults
  mode http
  timeout connect 10s
  timeout client 20s
  timeout server 20s
frontend front
  bind 127.0.0.1:${port} proto h2
  default_backend back
backend back
  server heddle ${server.authority} proto h2
`
  await writeFile(join(folder.path, 'haproxy.cfg'), conf)
  await using proxy = start(haproxy.path, ['-db', '-f', join(folder.path, 'haproxy.cfg')])
  await untilListening(port, proxy)
  await throughProxy(port)
})

/** Our client, a proxy that speaks HTTP/2, our server behind it. */
async function throughProxy(port: number): Promise<void> {
  await using client = httpClient(`http://127.0.0.1:${port}`, { version: '2' })
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, at) => {
      const response = await client.get(`/${at}`)
      assert.equal(response.version, '2')
      return response.body.text()
    }),
  )
  assert.deepEqual(
    answers,
    answers.map((_, at) => `HTTP/2 GET /${at} 0`),
  )
  const big = randomBytes(2_000_000)
  for (let round = 0; round < 3; round++) {
    const response = await client.post('/echo', big)
    assert.ok(big.equals(await response.body.bytes()))
  }
  const fields = new HttpFields({ 'x-many': 'm'.repeat(3_000) })
  const many = await client.get('/many', { fields })
  assert.equal(await many.body.text(), 'HTTP/2 GET /many 3000')
}

test('Chromium loads a page over TLS; fetches and WebSockets go over the same connection', {
  skip: chrome.skip,
}, async () => {
  const { transport } = await secure()
  await using server = await serve(transport)
  const args = [
    '--no-sandbox',
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
  ]
  const browser = await chromium.launch({ executablePath: chrome.path, args })
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const page = await context.newPage()
    await page.goto(`https://${server.authority}/page`)
    assert.equal(await page.title(), 'weave')
    const found = await page.evaluate(async () => {
      const body = new Uint8Array(300_000).fill(7)
      const texts = await Promise.all(
        Array.from({ length: 30 }, async (_, at) => (await fetch(`/f${at}`)).text()),
      )
      const echoed = await (await fetch('/echo', { method: 'POST', body })).bytes()
      const entries = performance.getEntriesByType('resource') as PerformanceResourceTiming[]
      const navigation = performance.getEntriesByType(
        'navigation' as 'resource',
      ) as PerformanceResourceTiming[]
      const protocols = [...navigation, ...entries].map((entry) => entry.nextHopProtocol)
      const right = echoed.length === body.length && echoed.every((byte) => byte === 7)
      return { texts, right, protocols: [...new Set(protocols)] }
    })
    assert.deepEqual(found.protocols, ['h2'])
    const sockets = await page.evaluate((url) => {
      const heard = (at: number) =>
        new Promise<[string, string, number, string]>((resolve, reject) => {
          const socket = new WebSocket(url, ['other', 'echo'])
          let echoed = ''
          socket.onopen = () => socket.send(`from the page, ${at}`)
          socket.onmessage = ({ data }) => {
            echoed = data
            socket.close(4_000 + at, 'enough')
          }
          socket.onerror = () => reject(new Error('no WebSocket'))
          socket.onclose = ({ code }) => resolve([socket.protocol, echoed, code, socket.extensions])
        })
      return Promise.all(Array.from({ length: 5 }, (_, at) => heard(at)))
    }, `wss://${server.authority}/socket`)
    const deflate = 'permessage-deflate'
    for (const [at, [protocol, echoed, code, extensions]] of sockets.entries()) {
      assert.deepEqual([protocol, echoed, code], ['echo', `from the page, ${at}`, 4_000 + at])
      assert.ok(extensions.startsWith(deflate), extensions)
    }
    assert.deepEqual(
      upgraded.splice(0),
      Array.from({ length: 5 }, () => 'CONNECT 2 websocket'),
    )
    assert.ok(found.right)
    assert.deepEqual(
      found.texts,
      found.texts.map((_, at) => `HTTP/2 GET /f${at} 0`),
    )
  } finally {
    await browser.close()
  }
})
