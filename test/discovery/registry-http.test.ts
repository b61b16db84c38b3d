/**
 * How registries are asked, over real sockets: TLS is verified, authorities are read again, members of
 * a cluster stand in for one another, and nothing stays open.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Secret } from '../../src/core/secret.ts'
import type { Transport } from '../../src/core/transport.ts'
import { type ConsulOptions, consul } from '../../src/discovery/consul.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import type { HttpService } from '../../src/protocols/http/messages.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { type HttpServer, httpServer } from '../../src/servers/http/http-server.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import { tls } from '../../src/transports/tls/tls.ts'
import { ConsulStandIn } from '../support/consul-stand-in.ts'

function registry(): ConsulStandIn {
  const standIn = new ConsulStandIn(systemClock)
  standIn.put('users', [{ id: 'a', address: '10.0.0.1', port: 80 }])
  return standIn
}

async function serve(
  t: TestContext,
  service: HttpService,
  transport: Transport = tcp(),
): Promise<{ server: HttpServer; port: number }> {
  const server = httpServer(service)
  const { address } = await server.listen(transport, '127.0.0.1:0')
  t.after(() => server.close({ signal: AbortSignal.abort(new Error('test over')) }))
  return { server, port: address.kind === 'ip' ? address.port : 0 }
}

/** The first thing that is told, and the next ones. */
function listen(options: ConsulOptions) {
  const heard: string[] = []
  let wake = (): void => {}
  const tell = (text: string): void => {
    heard.push(text)
    wake()
  }
  const watch = consul({ minBackoffMs: 20, maxBackoffMs: 20, ...options }).watch('users', {
    onEndpoints: (endpoints) => tell(`${endpoints.length} endpoints`),
    onError: (error) => tell(error.message),
  })
  const next = async (): Promise<string> => {
    while (heard.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return heard.shift() as string
  }
  return { next, stop: () => watch[Symbol.dispose]() }
}

test('registries are asked over TLS whose certificate is verified, by authorities read again', async (t) => {
  const [right, wrong] = [
    await DevAuthority.create(systemClock),
    await DevAuthority.create(systemClock),
  ]
  const credentials = await right.issue({ names: ['127.0.0.1'] })
  const { port } = await serve(t, registry().service, tls({ credentials }))
  const url = `https://127.0.0.1:${port}`
  const trusting = listen({ url })
  assert.match(await trusting.next(), /certificate|issuer|self.signed|TLS/i)
  trusting.stop()
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(folder, { recursive: true }))
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, wrong.ca)
  const { next, stop } = listen({ url, caFile })
  t.after(stop)
  assert.match(await next(), /certificate|issuer|TLS/i)
  await writeFile(caFile, right.ca)
  let told = ''
  while (told !== '1 endpoints') told = await next()
  const otherName = await serve(t, registry().service, tls({ credentials }))
  const named = listen({ url: `https://localhost:${otherName.port}`, caFile })
  t.after(named.stop)
  assert.match(await named.next(), /localhost|name/i)
})

test('registries that want a client certificate get it, and a new one once it was renewed', async (t) => {
  const authority = await DevAuthority.create(systemClock)
  const other = await DevAuthority.create(systemClock)
  const credentials = await authority.issue({ names: ['127.0.0.1'] })
  const transport = tls({ credentials, ca: authority.ca, clientCertificates: 'require' })
  const { port } = await serve(t, registry().service, transport)
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(folder, { recursive: true }))
  const files = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => join(folder, name))
  const [caFile = '', certFile = '', keyFile = ''] = files
  await writeFile(caFile, authority.ca)
  const show = async ({ certificate, key }: { certificate: string; key: string }) => {
    await writeFile(keyFile, key)
    await writeFile(certFile, certificate)
  }
  await show(await other.issue({ names: ['heddle'], usage: 'client' }))
  const { next, stop } = listen({ url: `https://127.0.0.1:${port}`, caFile, certFile, keyFile })
  t.after(stop)
  assert.notEqual(await next(), '1 endpoints')
  await show(await authority.issue({ names: ['heddle'], usage: 'client' }))
  let told = ''
  while (told !== '1 endpoints') told = await next()
  assert.throws(() => consul({ certFile }), { code: 'ERR_ARGUMENT' })
})

test('members of a cluster stand in for one that is gone', async (t) => {
  const { port } = await serve(t, registry().service)
  const { next, stop } = listen({ url: ['http://127.0.0.1:1', `http://127.0.0.1:${port}`] })
  t.after(stop)
  let told = ''
  while (told !== '1 endpoints') told = await next()
})

test('the last watcher closes the connection, a blocking query on it or not', async (t) => {
  const standIn = registry()
  const { server, port } = await serve(t, standIn.service)
  const { next, stop } = listen({ url: `http://127.0.0.1:${port}`, minIntervalMs: 1 })
  assert.equal(await next(), '1 endpoints')
  while (standIn.blocked === 0) await new Promise((resolve) => setTimeout(resolve, 2))
  assert.equal(server.stats.connections, 1)
  stop()
  while (server.stats.connections > 0) await new Promise((resolve) => setTimeout(resolve, 2))
  while (standIn.blocked > 0) await new Promise((resolve) => setTimeout(resolve, 2))
})

test('a token file that cannot be read is named, with why', async (t) => {
  const { next, stop } = listen({ url: 'http://127.0.0.1:1', tokenFile: '/nonexistent/token' })
  t.after(stop)
  assert.equal(await next(), 'the token of consul cannot be read: ENOENT /nonexistent/token')
})

test('a token may be a Secret, and is in no message', async (t) => {
  const standIn = registry()
  standIn.token = 'other'
  const { port } = await serve(t, standIn.service)
  const token = new Secret('hunter2-token')
  const { next, stop } = listen({ url: `http://127.0.0.1:${port}`, token: () => token })
  t.after(stop)
  assert.equal(await next(), 'consul answered 403: ACL not found: [redacted]')
  assert.deepEqual(standIn.tokens[0], 'hunter2-token')
})
