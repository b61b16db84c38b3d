/** A real BIND: addresses, services, lifetimes, failures, and answers that need TCP. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { dns } from '../src/discovery/dns.ts'
import { nodeDnsLookup } from '../src/discovery/dns-lookup.ts'
import { requirePeer } from './peers.ts'
import {
  freePort,
  type Running,
  start,
  temporaryFolder,
  untilListening,
} from './support/processes.ts'
import { Watched } from './support/watched.ts'

const peer = requirePeer('named')

const ZONE = `
a            7  IN A    192.0.2.1
a            7  IN A    192.0.2.2
a            9  IN AAAA 2001:db8::1
b           60  IN A    192.0.2.3
alias       60  IN CNAME a
_http._tcp  11  IN SRV  1 2 8080 a
_http._tcp  11  IN SRV  5 0 8081 b
_none._tcp  60  IN SRV  0 0 0 .
text        60  IN TXT  "no address"
`

test('dns: A, AAAA and CNAME with their TTL', { skip: peer.skip }, async () => {
  await using server = await NameServer.start(ZONE)
  const four = nodeDnsLookup({ servers: server.servers, family: 4 })
  const byAddress = (one: { address: string }, other: { address: string }): number =>
    one.address.localeCompare(other.address)
  const answers = [...(await four.addresses('a.heddle.test'))].sort(byAddress)
  assert.deepEqual(answers, [
    { address: '192.0.2.1', ttlMs: 7_000 },
    { address: '192.0.2.2', ttlMs: 7_000 },
  ])
  const six = nodeDnsLookup({ servers: server.servers, family: 6 })
  assert.deepEqual(await six.addresses('a.heddle.test'), [{ address: '2001:db8::1', ttlMs: 9_000 }])
  assert.equal((await four.addresses('alias.heddle.test')).length, 2)
})

test('dns: SRV with priority, weight, port and TTL', { skip: peer.skip }, async () => {
  await using server = await NameServer.start(ZONE)
  const { servers } = server
  const services = await nodeDnsLookup({ servers }).services('_http._tcp.heddle.test')
  assert.deepEqual(
    [...services].sort((one, other) => one.port - other.port),
    [
      { host: 'a.heddle.test', port: 8_080, priority: 1, weight: 2, ttlMs: 11_000 },
      { host: 'b.heddle.test', port: 8_081, priority: 5, weight: 0, ttlMs: 11_000 },
    ],
  )
  using watch = new Watched(dns({ servers, family: 4 }), '_http._tcp.heddle.test')
  await watch.until('192.0.2.1:8080 192.0.2.2:8080 192.0.2.3:8081')
  const facts = watch.endpoints.map(({ priority, weight }) => [priority, weight])
  assert.deepEqual(facts.sort(), [
    [1, 2],
    [1, 2],
    [5, 0.01],
  ])
})

test('dns: missing names and records, refusals and failures, each by its name', {
  skip: peer.skip,
}, async () => {
  await using server = await NameServer.start(ZONE)
  const lookup = nodeDnsLookup({ servers: server.servers, family: 4 })
  const cases: [ask: () => Promise<unknown>, message: RegExp][] = [
    [() => lookup.services('_x._tcp.heddle.test'), /no such name \(ENOTFOUND\)/],
    [() => lookup.services('a.heddle.test'), /no record of that kind \(ENODATA\)/],
    [() => lookup.services('_none._tcp.heddle.test'), /no record of that kind \(ENODATA\)/],
    [() => lookup.services('_x._tcp.broken.test'), /the name server failed \(ESERVFAIL\)/],
    [() => lookup.services('_x._tcp.elsewhere.example'), /the name server refused \(EREFUSED\)/],
    [() => lookup.addresses('none.heddle.test'), /no such name/],
    [() => lookup.addresses('x.broken.test'), /the name server failed/],
  ]
  for (const [ask, message] of cases) {
    await assert.rejects(ask(), { code: 'ERR_RESOLVE', message })
  }
  const silent = nodeDnsLookup({ servers: ['127.0.0.1:1'], tries: 1, family: 4 })
  await assert.rejects(silent.services('_x._tcp.heddle.test'), { code: 'ERR_RESOLVE' })
})

test('dns: an answer too long for a datagram comes over TCP', { skip: peer.skip }, async () => {
  const hosts = Array.from({ length: 100 }, (_, at) => [
    `h${at} 60 IN A 192.0.2.${at + 1}`,
    `_many._tcp 60 IN SRV 0 1 ${1_000 + at} h${at}`,
    `many 60 IN A 198.51.100.${at + 1}`,
  ])
  await using server = await NameServer.start(hosts.flat().join('\n'))
  const lookup = nodeDnsLookup({ servers: server.servers, family: 4 })
  assert.equal((await lookup.services('_many._tcp.heddle.test')).length, 100)
  assert.equal((await lookup.addresses('many.heddle.test')).length, 100)
})

test('dns: a change is seen when the TTL is over; a server that stops changes nothing', {
  skip: peer.skip,
}, async () => {
  await using server = await NameServer.start('a 1 IN A 192.0.2.1\n_x._tcp 1 IN SRV 0 1 80 a')
  const { servers } = server
  const resolver = dns({ servers, family: 4, minTtlMs: 200, negativeTtlMs: 100, tries: 1 })
  using host = new Watched(resolver, 'a.heddle.test:80')
  using service = new Watched(resolver, '_x._tcp.heddle.test')
  await host.until('192.0.2.1:80')
  await service.until('192.0.2.1:80')
  await server.change('a 1 IN A 192.0.2.9\n_x._tcp 1 IN SRV 0 1 81 a')
  await host.until('192.0.2.9:80')
  await service.until('192.0.2.9:81')
  await server.stop()
  await service.untilError(/cannot resolve _x\._tcp\.heddle\.test/)
  assert.equal(service.heard.at(-1), '192.0.2.9:81')
})

class NameServer implements AsyncDisposable {
  readonly servers: readonly string[]
  readonly #running: Running
  readonly #folder: { readonly path: string } & AsyncDisposable
  #serial = 1

  private constructor(
    port: number,
    running: Running,
    folder: { readonly path: string } & AsyncDisposable,
  ) {
    this.servers = [`127.0.0.1:${port}`]
    this.#running = running
    this.#folder = folder
  }

  /** Serves `heddle.test`, and `broken.test` whose zone cannot be loaded. */
  static async start(records: string): Promise<NameServer> {
    const folder = await temporaryFolder()
    const port = await freePort()
    const config = `options {
  directory "${folder.path}";
  pid-file none;
  session-keyfile none;
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
};
controls { };
zone "heddle.test" { type primary; file "heddle.zone"; };
zone "broken.test" { type primary; file "missing.zone"; };
`
    await writeFile(join(folder.path, 'named.conf'), config)
    await writeFile(join(folder.path, 'heddle.zone'), zoneOf(1, records))
    const running = start(peer.path, ['-g', '-c', join(folder.path, 'named.conf')])
    await untilListening(port, running)
    // It listens before its zones are there.
    while (!/ running$/m.test(running.output())) await delay(20)
    return new NameServer(port, running, folder)
  }

  async change(records: string): Promise<void> {
    await writeFile(join(this.#folder.path, 'heddle.zone'), zoneOf(++this.#serial, records))
    this.#running.child.kill('SIGHUP')
  }

  async stop(): Promise<void> {
    await this.#running.stop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#folder[Symbol.asyncDispose]()
  }
}

function zoneOf(serial: number, records: string): string {
  return `$ORIGIN heddle.test.
@ 60 IN SOA ns hostmaster ${serial} 3600 600 86400 30
@ 60 IN NS ns
ns 60 IN A 127.0.0.1
${records}
`
}
