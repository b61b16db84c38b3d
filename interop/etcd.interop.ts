/** A real etcd: what changes below a prefix is what the resolver tells. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { httpClient } from '../src/clients/http/http-client.ts'
import { formatAddress } from '../src/core/address.ts'
import { etcd } from '../src/discovery/etcd.ts'
import { HttpResponse } from '../src/protocols/http/messages.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { requirePeer } from './peers.ts'
import {
  freePort,
  type Running,
  start,
  startGateway,
  temporaryFolder,
  untilListening,
} from './support/processes.ts'
import { Watched } from './support/watched.ts'

const peer = requirePeer('etcd')
const base64 = (text: string): string => Buffer.from(text).toString('base64')

test('etcd: puts, JSON values, deletes and transactions are told at once', {
  skip: peer.skip,
}, async () => {
  await using server = await EtcdServer.start()
  await server.put('users/a', '10.0.0.1:80')
  await server.put('others/x', '10.9.9.9:80')
  using watch = new Watched(etcd({ url: server.url }), 'users')
  await watch.until('10.0.0.1:80')
  await server.put('users/b', '{"address":"10.0.0.2:80","weight":2}')
  await watch.until('10.0.0.1:80 10.0.0.2:80')
  await server.delete('users/a')
  await watch.until('10.0.0.2:80')
  const before = watch.heard.length
  const puts = Array.from({ length: 100 }, (_, at) => ({
    request_put: { key: base64(`users/t${at}`), value: base64(`10.1.0.1:${at + 1}`) },
  }))
  await server.call('/v3/kv/txn', { success: puts })
  const all = await watch.untilSize(101)
  // One revision, one set.
  assert.deepEqual([watch.heard.length, all.split(' ').length], [before + 1, 101])
})

test('etcd: a key vanishes with its lease', { skip: peer.skip }, async () => {
  await using server = await EtcdServer.start()
  const { ID: lease } = (await server.call('/v3/lease/grant', { TTL: 1 })) as { ID: string }
  await server.call('/v3/kv/put', { key: base64('users/a'), value: base64('10.0.0.1:80'), lease })
  using watch = new Watched(etcd({ url: server.url }), 'users')
  await watch.until('10.0.0.1:80')
  await watch.until('')
  assert.deepEqual(watch.errors, [])
})

test('etcd: a watch that broke goes on at its revision, and from the range after compaction', {
  skip: peer.skip,
}, async () => {
  await using server = await EtcdServer.start()
  await server.put('users/a', '10.0.0.1:80')
  const client = httpClient(server.url, { timeoutMs: Number.POSITIVE_INFINITY })
  const asked: string[] = []
  let cut = (): void => {}
  let gate = Promise.resolve()
  using watch = new Watched(
    etcd({
      http: async (request, context) => {
        await gate
        asked.push(request.target)
        const response = await client.call(request, context)
        cut = () => response.exchange?.abort(new Error('cut'))
        return response
      },
      minBackoffMs: 50,
      minIntervalMs: 50,
    }),
    'users',
  )
  await watch.until('10.0.0.1:80')
  while (asked.length < 2) await server.put('others/x', 'tick')
  await server.put('users/b', '10.0.0.2:80')
  await watch.until('10.0.0.1:80 10.0.0.2:80')
  cut()
  await server.put('users/c', '10.0.0.3:80')
  await watch.until('10.0.0.1:80 10.0.0.2:80 10.0.0.3:80')
  assert.deepEqual(asked, ['/v3/kv/range', '/v3/watch', '/v3/watch'])
  // The watch comes back when its revision is gone.
  const { promise, resolve: open } = Promise.withResolvers<void>()
  gate = promise
  cut()
  await server.put('users/d', '10.0.0.4:80')
  await server.put('users/e', '10.0.0.5:80')
  const revision = await server.put('users/f', '10.0.0.6:80')
  await server.call('/v3/kv/compaction', { revision, physical: true })
  open()
  await watch.untilSize(6)
  assert.ok(watch.errors.some((message) => message.includes('compacted to')))
  await client.close({ signal: AbortSignal.abort(new Error('over')) })
})

test('etcd: a server that restarts is followed again, the set kept meanwhile', {
  skip: peer.skip,
}, async () => {
  await using folder = await temporaryFolder()
  const ports = [await freePort(), await freePort()] as const
  const first = await EtcdServer.start(folder.path, ports)
  await first.put('users/a', '10.0.0.1:80')
  using watch = new Watched(etcd({ url: first.url, minBackoffMs: 100, maxBackoffMs: 200 }), 'users')
  await watch.until('10.0.0.1:80')
  await first[Symbol.asyncDispose]()
  await watch.untilError(/./)
  assert.equal(watch.heard.at(-1), '10.0.0.1:80')
  await using second = await EtcdServer.start(folder.path, ports)
  await second.put('users/b', '10.0.0.2:80')
  await watch.until('10.0.0.1:80 10.0.0.2:80')
})

test('etcd: a user with a password gets a token; a wrong one is told and not shown', {
  skip: peer.skip,
}, async () => {
  await using server = await EtcdServer.start()
  await server.put('users/a', '10.0.0.1:80')
  await server.call('/v3/auth/user/add', { name: 'root', password: 'hunter2' })
  await server.call('/v3/auth/user/grant', { user: 'root', role: 'root' })
  await server.call('/v3/auth/enable', {})
  const { url } = server
  using right = new Watched(etcd({ url, user: { name: 'root', password: 'hunter2' } }), 'users')
  await right.until('10.0.0.1:80')
  using wrong = new Watched(etcd({ url, user: { name: 'root', password: 'wr0ng-pass' } }), 'users')
  await wrong.untilError(/etcd answered 400: .*authentication failed/)
  using nobody = new Watched(etcd({ url }), 'users')
  await nobody.untilError(/etcd answered 4\d\d: .*user name is empty/)
  assert.ok(wrong.errors.every((message) => !message.includes('wr0ng-pass')))
})

test('etcd: a client follows it to servers that come and go', { skip: peer.skip }, async () => {
  await using server = await EtcdServer.start()
  const where: string[] = []
  await using one = httpServer(() => HttpResponse.text('one'))
  await using two = httpServer(() => HttpResponse.text('two'))
  for (const each of [one, two]) {
    where.push(formatAddress((await each.listen(tcp(), '127.0.0.1:0')).address))
  }
  await server.put('users/only', where[0] as string)
  let changes = 0
  await using client = httpClient('http://users', {
    resolver: etcd({ url: server.url, prefix: 'users/' }),
    observer: { onEndpoints: () => void changes++ },
  })
  assert.equal(await (await client.get('/')).body.text(), 'one')
  await server.put('users/only', where[1] as string)
  while (changes < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(await (await client.get('/')).body.text(), 'two')
})

test('etcd: a gateway follows it, by its configuration', { skip: peer.skip }, async () => {
  await using server = await EtcdServer.start()
  await using folder = await temporaryFolder()
  await using one = httpServer(() => HttpResponse.text('one'))
  await using two = httpServer(() => HttpResponse.text('two'))
  const addressOf = async (each: typeof one): Promise<string> =>
    formatAddress((await each.listen(tcp(), '127.0.0.1:0')).address)
  await server.put('services/users/a', await addressOf(one))
  await using gateway = await startGateway(
    folder.path,
    `admin: { address: 127.0.0.1:0 }
listeners: [{ name: http, address: 127.0.0.1:0 }]
routes: [{ cluster: users }]
clusters:
  - name: users
    discovery: { type: etcd, prefix: services/users/, urls: [${server.url}] }
`,
  )
  const ask = async () => (await fetch(`http://${gateway.address('http')}/`)).text()
  assert.equal(await ask(), 'one')
  await server.put('services/users/a', await addressOf(two))
  while ((await ask()) !== 'two') await new Promise((resolve) => setTimeout(resolve, 20))
  const status = await fetch(`http://${gateway.address('dashboard')}/clusters`)
  const [cluster] = (await status.json()) as { source: string; sourceError: string | null }[]
  assert.deepEqual([cluster?.source, cluster?.sourceError], ['etcd services/users/', null])
})

class EtcdServer implements AsyncDisposable {
  readonly url: string
  readonly #running: Running
  readonly #folder: AsyncDisposable | undefined

  constructor(url: string, running: Running, folder: AsyncDisposable | undefined) {
    this.url = url
    this.#running = running
    this.#folder = folder
  }

  static async start(
    path?: string,
    ports?: readonly [client: number, peer: number],
  ): Promise<EtcdServer> {
    const folder = path === undefined ? await temporaryFolder() : undefined
    const [port, peerPort] = ports ?? [await freePort(), await freePort()]
    const url = `http://127.0.0.1:${port}`
    const peerUrl = `http://127.0.0.1:${peerPort}`
    const running = start(peer.path, [
      ...['--data-dir', join(path ?? (folder?.path as string), 'data')],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', `default=${peerUrl}`],
    ])
    await untilListening(port, running)
    const server = new EtcdServer(url, running, folder)
    await server.#untilReady()
    return server
  }

  async call(path: string, body: object): Promise<unknown> {
    const response = await fetch(this.url + path, { method: 'POST', body: JSON.stringify(body) })
    const answer = await response.text()
    assert.equal(response.status, 200, answer)
    return JSON.parse(answer)
  }

  /** @returns the revision */
  async put(key: string, value: string): Promise<string> {
    const body = { key: base64(key), value: base64(value) }
    const { header } = (await this.call('/v3/kv/put', body)) as { header: { revision: string } }
    return header.revision
  }

  delete(key: string): Promise<unknown> {
    return this.call('/v3/kv/deleterange', { key: base64(key) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running.stop()
    await this.#folder?.[Symbol.asyncDispose]()
  }

  /** It listens before it has a leader. */
  async #untilReady(): Promise<void> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const response = await fetch(`${this.url}/health`).catch(() => undefined)
      if (response?.ok === true && (await response.text()).includes('"true"')) return
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    throw new Error(`etcd does not become healthy: ${this.#running.output()}`)
  }
}
