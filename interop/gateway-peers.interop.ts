/** The gateway between real programs: curl, wrk and openssl before it, nginx and haproxy on both sides. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { requirePeer } from './peers.ts'
import {
  freePort,
  start,
  startGateway,
  temporaryFolder,
  untilListening,
} from './support/processes.ts'
import { serve } from './support/raw-http.ts'

const run = promisify(execFile)
const curl = requirePeer('curl')
const wrk = requirePeer('wrk')
const openssl = requirePeer('openssl')
const nginx = requirePeer('nginx')
const haproxy = requirePeer('haproxy')

const DEMO = `
demo: true
admin: { address: '127.0.0.1:0' }
listeners:
  - { name: http, address: '127.0.0.1:0' }
  - { name: https, address: '127.0.0.1:0', tls: { development: true } }
routes:
  - { match: { prefix: /api }, cluster: demo-api, rewrite: { prefix: / } }
  - { match: { prefix: /echo }, cluster: demo-echo }
`

test('curl speaks to the gateway, plain and over TLS', { skip: curl.skip }, async () => {
  await using folder = await temporaryFolder()
  await using gateway = await startGateway(folder.path, DEMO)
  const base = ['--silent', '--show-error', '--max-time', '10']
  const plain = `http://${gateway.address('http')}`
  const hello = await run(curl.path, [...base, '--include', `${plain}/api/hello`])
  assert.match(hello.stdout, /^HTTP\/1\.1 200 OK\r\n[\s\S]*"hello":"world"/)
  const secure = `https://${gateway.address('https')}`
  const tls = await run(curl.path, [...base, '--insecure', `${secure}/api/hello`])
  assert.match(tls.stdout, /"hello":"world"/)
  await assert.rejects(run(curl.path, [...base, `${secure}/api/hello`]), /certificate|SSL/)

  const big = randomBytes(3_000_000)
  const file = join(folder.path, 'big')
  await writeFile(file, big)
  const copy = join(folder.path, 'copy')
  for (const extra of [
    [],
    ['--header', 'Transfer-Encoding: chunked'],
    ['--header', 'Expect: 100-continue'],
  ]) {
    await run(curl.path, [
      ...base,
      ...extra,
      '--data-binary',
      `@${file}`,
      '-o',
      copy,
      `${plain}/echo`,
    ])
    const { stdout } = await run('cmp', [file, copy])
    assert.equal(stdout, '')
  }
  const head = await run(curl.path, [...base, '--head', `${plain}/api/hello`])
  assert.match(head.stdout, /^HTTP\/1\.1 200 OK/)
  const missing = await run(curl.path, [...base, '--include', `${plain}/nowhere`])
  assert.match(missing.stdout, /^HTTP\/1\.1 404 /)
  const old = await run(curl.path, [...base, '--http1.0', '--include', `${plain}/api/hello`])
  assert.match(old.stdout, /"hello":"world"/)
})

test('wrk gets nothing but 2xx', { skip: wrk.skip }, async () => {
  await using folder = await temporaryFolder()
  await using gateway = await startGateway(folder.path, DEMO)
  const url = `http://${gateway.address('http')}/api/hello`
  const { stdout } = await run(wrk.path, ['-t1', '-c64', '-d3', '--timeout', '20s', url])
  assert.doesNotMatch(stdout, /Non-2xx|Socket errors/)
  assert.match(stdout, /\d+ requests in/)
})

test('openssl agrees with the listener on TLS 1.3 and ALPN', { skip: openssl.skip }, async () => {
  await using folder = await temporaryFolder()
  await using gateway = await startGateway(folder.path, DEMO)
  const connect = gateway.address('https')
  const client = start(openssl.path, [
    's_client',
    '-connect',
    connect,
    '-alpn',
    'http/1.1',
    '-servername',
    'localhost',
  ])
  client.child.stdin?.end('GET /api/hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await new Promise((resolve) => client.child.once('close', resolve))
  assert.match(client.output(), /ALPN protocol: http\/1\.1/)
  assert.match(client.output(), /TLSv1\.3/)
})

test('nginx as upstream and in front', { skip: nginx.skip }, async () => {
  await using folder = await temporaryFolder()
  const [back, front] = [await freePort(), await freePort()]
  await writeFile(join(folder.path, 'page'), 'from nginx')
  await using gateway = await startGateway(folder.path, cluster(back))
  const conf = `
daemon off; pid ${folder.path}/pid; error_log stderr; worker_processes 1;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path ${folder.path}/body; proxy_temp_path ${folder.path}/proxy;
  fastcgi_temp_path ${folder.path}/f; uwsgi_temp_path ${folder.path}/u; scgi_temp_path ${folder.path}/s;
  upstream heddle { server ${gateway.address('http')}; keepalive 8; }
  server { listen 127.0.0.1:${back}; root ${folder.path}; }
  server { listen 127.0.0.1:${front}; location / {
    proxy_pass http://heddle; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}`
  const file = join(folder.path, 'nginx.conf')
  await writeFile(file, conf)
  await using server = start(nginx.path, ['-c', file, '-p', folder.path])
  await untilListening(front, server)
  for (const port of [front, Number(gateway.address('http').split(':')[1])]) {
    const { stdout } = await run(curl.path, [
      '-s',
      '--max-time',
      '10',
      `http://127.0.0.1:${port}/page`,
    ])
    assert.equal(stdout, 'from nginx')
  }
})

test('haproxy as upstream and in front, with PROXY protocol', { skip: haproxy.skip }, async () => {
  await using folder = await temporaryFolder()
  await using origin = await serve((request, response) =>
    response.end(`${request.url} for ${request.headers['x-forwarded-for']}`),
  )
  const [back, front] = [await freePort(), await freePort()]
  await using gateway = await startGateway(
    folder.path,
    `${cluster(back)}  - { name: proxied, address: '127.0.0.1:0', proxy_protocol: { mode: require, trusted: ['127.0.0.0/8'] } }\n`,
  )
  const file = join(folder.path, 'haproxy.cfg')
  await writeFile(
    file,
    `
global
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend back
  bind 127.0.0.1:${back}
  default_backend origin
backend origin
  server origin 127.0.0.1:${origin.port}
frontend front
  mode tcp
  bind 127.0.0.1:${front}
  default_backend gateway
backend gateway
  mode tcp
  server gateway ${gateway.address('proxied')} send-proxy-v2
`,
  )
  await using server = start(haproxy.path, ['-f', file, '-db'])
  await untilListening(front, server)
  const { stdout } = await run(curl.path, ['-s', '--max-time', '10', `http://127.0.0.1:${front}/a`])
  assert.match(stdout, /^\/a for 127\.0\.0\.1$/)
})

function cluster(port: number): string {
  return `
admin: { address: '127.0.0.1:0' }
routes: [{ match: {}, cluster: upstream }]
clusters: [{ name: upstream, endpoints: ['127.0.0.1:${port}'] }]
listeners:
  - { name: http, address: '127.0.0.1:0' }
`
}
