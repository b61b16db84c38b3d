/**
 * Clusters that find their endpoints: the gateway asks real sockets, behind which stand-ins of the
 * registries answer.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkFiles } from '../../src/gateway/certificates.ts'
import { effectiveConfig } from '../../src/gateway/config/effective.ts'
import { loadConfig } from '../../src/gateway/config/load.ts'
import { formatProblem } from '../../src/gateway/config/problem.ts'
import type { ClusterStatus } from '../../src/gateway/status.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { ConsulStandIn } from '../support/consul-stand-in.ts'
import { KubernetesStandIn } from '../support/kubernetes-stand-in.ts'
import { HTTP, named, type Running, start, upstream } from './running-gateway.ts'

const routes = [{ cluster: 'users' }]

function configOf(discovery: object): object {
  return { listeners: [HTTP], routes, clusters: [{ name: 'users', discovery }] }
}

/** Looks until the cluster is as wanted. */
async function untilCluster(
  { gateway }: Running,
  wanted: (cluster: ClusterStatus) => boolean,
): Promise<ClusterStatus> {
  for (;;) {
    const [cluster] = gateway.clusters()
    if (cluster !== undefined && wanted(cluster)) return cluster
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const addresses = (cluster: ClusterStatus): string[] =>
  cluster.endpoints.map(({ address }) => address)

async function answer(running: Running): Promise<string> {
  return (await fetch(running.url('/'))).text()
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'heddle-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

const portOf = (address: string): number => Number(address.split(':')[1])

test('a cluster follows a file, keeps its endpoints while it is wrong, and says the line', async (t) => {
  const [one, two] = [await upstream(t, named('one')), await upstream(t, named('two'))]
  const file = join(await folder(t), 'endpoints.yaml')
  await writeFile(file, `endpoints: [${one}]`)
  const running = await start(t, configOf({ type: 'file', file, refresh: '100ms' }))
  assert.equal(await answer(running), 'one GET /')
  await writeFile(`${file}.new`, `endpoints: [${two}]`)
  await rename(`${file}.new`, file)
  await untilCluster(running, (cluster) => addresses(cluster)[0] === two)
  assert.equal(await answer(running), 'two GET /')
  await writeFile(file, `endpoints:\n  - ${one}\n  - nowhere\n`)
  const broken = await untilCluster(running, ({ sourceError }) => sourceError !== undefined)
  assert.match(broken.sourceError ?? '', /endpoints\.yaml:3 address 'nowhere'/)
  assert.deepEqual([broken.source, addresses(broken)], [`file ${file}`, [two]])
  assert.equal(await answer(running), 'two GET /')
  const [error] = running.gateway.recentErrors()
  assert.match(error?.message ?? '', /endpoints\.yaml:3/)
})

test('a cluster resolves the host names that its source gives', async (t) => {
  const one = await upstream(t, named('one'))
  const file = join(await folder(t), 'endpoints.yaml')
  await writeFile(file, `endpoints: ["localhost:${portOf(one)}"]`)
  const running = await start(t, configOf({ type: 'file', file }))
  const cluster = await untilCluster(running, ({ endpoints }) => endpoints.length > 0)
  assert.ok(addresses(cluster).includes(one))
  assert.equal(cluster.endpoints[0]?.hostname, 'localhost')
})

test('a cluster follows Consul over real sockets, with a token that nobody sees', async (t) => {
  const [one, two] = [await upstream(t, named('one')), await upstream(t, named('two'))]
  const registry = new ConsulStandIn(systemClock)
  registry.token = 's3cret'
  const put = (...ports: number[]): void => {
    registry.put(
      'users',
      ports.map((port) => ({ id: `${port}`, address: '127.0.0.1', port })),
    )
  }
  put(portOf(one))
  const url = `http://${await upstream(t, registry.service)}`
  const discovery = { type: 'consul', service: 'users', url, token: 's3cret' }
  const running = await start(t, configOf(discovery))
  assert.equal(await answer(running), 'one GET /')
  while (registry.blocked === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  put(portOf(two))
  const cluster = await untilCluster(running, (now) => addresses(now)[0] === two)
  assert.equal(cluster.source, 'consul users')
  assert.equal(await answer(running), 'two GET /')
  assert.doesNotMatch(running.gateway.config.text, /s3cret/)
  assert.match(running.gateway.config.text, /token: .?\[redacted\]/)
})

test('a cluster follows Kubernetes over real sockets, and a reload that changes nothing keeps it', async (t) => {
  const [one, two] = [await upstream(t, named('one')), await upstream(t, named('two'))]
  const api = new KubernetesStandIn(systemClock)
  const apply = (address: string): void => {
    api.apply({
      name: 's1',
      service: 'users',
      ports: [{ name: 'http', port: portOf(address) }],
      endpoints: [{ addresses: ['127.0.0.1'] }],
    })
  }
  apply(one)
  const url = `http://${await upstream(t, api.service)}`
  const discovery = { type: 'kubernetes', service: 'users', namespace: 'shop', port: 'http', url }
  const running = await start(t, configOf(discovery))
  assert.equal(await answer(running), 'one GET /')
  while (api.watchers === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  apply(two)
  await untilCluster(running, (now) => addresses(now)[0] === two)
  assert.equal(await answer(running), 'two GET /')
  assert.equal((await running.gateway.reload()).status, 'unchanged')
  assert.equal(api.watchers, 1)
  // A cluster that goes lets go of its watch.
  running.change({ listeners: [HTTP], routes, clusters: [{ name: 'users', endpoints: [one] }] })
  assert.equal((await running.gateway.reload()).status, 'applied')
  assert.equal(await answer(running), 'one GET /')
  assert.equal(running.gateway.clusters()[0]?.source, '1 configured')
  while (api.watchers > 0) await new Promise((resolve) => setTimeout(resolve, 5))
})

test('discovery is checked: one source, targets, credentials, urls', () => {
  const problems = (cluster: object): string => {
    const config = { listeners: [HTTP], routes, clusters: [{ name: 'users', ...cluster }] }
    const outcome = loadConfig(JSON.stringify(config), { file: 'g', environment: () => undefined })
    return outcome.ok ? '' : outcome.problems.map(formatProblem).join('\n')
  }
  assert.match(problems({}), /a cluster needs an endpoint, or discovery/)
  const file = { type: 'file', file: 'x' }
  assert.equal(problems({ discovery: file }), '')
  assert.match(problems({ endpoints: ['a:1'], discovery: file }), /either endpoints or discovery/)
  assert.match(problems({ discovery: { type: 'zookeeper' } }), /discovery/)
  assert.match(problems({ discovery: { ...file, path: 'y' } }), /unknown key/)
  assert.match(problems({ discovery: { type: 'dns', target: 'users' } }), /expected host:port/)
  const dns = { type: 'dns', target: 'users:80' }
  assert.match(problems({ discovery: { ...dns, min_ttl: '9m' } }), /min_ttl 9m is longer than/)
  const consul = { type: 'consul', service: 'users' }
  const both = { ...consul, token: 'a', token_file: 'b' }
  assert.match(problems({ discovery: both }), /exclude one another/)
  const leaky = { ...consul, url: 'http://user:hunter2@consul' }
  assert.match(problems({ discovery: leaky }), /expected http:\/\/host:port/)
  const etcd = { type: 'etcd', prefix: 'users/' }
  assert.match(problems({ discovery: { ...etcd, username: 'u' } }), /username goes with/)
  assert.match(problems({ discovery: { ...etcd, cert_file: 'c' } }), /go together/)
  assert.match(problems({ discovery: { type: 'kubernetes', service: 'a.b' } }), /without namespace/)
})

test('heddle check reads endpoint files: a mistake is a problem, a missing file a warning', async (t) => {
  const path = await folder(t)
  const file = join(path, 'endpoints.yaml')
  await writeFile(file, 'endpoints:\n  - 10.0.0.1:80\n  - nowhere\n')
  const clusters = [
    { name: 'a', discovery: { type: 'file', file } },
    { name: 'b', discovery: { type: 'file', file: join(path, 'later.yaml') } },
    { name: 'c', discovery: { type: 'etcd', prefix: 'p', ca_file: join(path, 'ca.pem') } },
  ]
  const text = JSON.stringify({ listeners: [HTTP], routes: [{ cluster: 'a' }], clusters })
  const outcome = loadConfig(text, { file: 'g', environment: () => undefined })
  assert.ok(outcome.ok)
  const { problems, warnings } = await checkFiles(outcome.config, 0)
  assert.equal(problems.length, 1)
  assert.match(problems[0] ?? '', /endpoints\.yaml:3 address 'nowhere'/)
  assert.match(warnings.join('\n'), /cluster b: .*later\.yaml cannot be read now: there is no such/)
  assert.match(warnings.join('\n'), /cluster c: .*ca\.pem/)
})

test('the effective configuration hides the credentials of registries', () => {
  const clusters = [
    { name: 'a', discovery: { type: 'consul', service: 's', token: 'hunter2' } },
    { name: 'b', discovery: { type: 'etcd', prefix: 'p', username: 'u', password: 'hunter2' } },
  ]
  const text = JSON.stringify({ listeners: [HTTP], routes: [{ cluster: 'a' }], clusters })
  const outcome = loadConfig(text, { file: 'g', environment: () => undefined })
  assert.ok(outcome.ok)
  assert.doesNotMatch(effectiveConfig(outcome.config), /hunter2/)
})
