import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatAddress } from '../core/address.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import { type DnsResolverOptions, dns, parseDnsTarget } from './dns.ts'
import { addressesInHosts, type DnsAddress, type DnsService, nodeDnsLookup } from './dns-lookup.ts'

type Records = Record<string, readonly DnsAddress[] | Error>

/** `addresses` and `services` may be changed between lookups; `asked` lists the questions. */
function fixture(options: DnsResolverOptions = {}) {
  const clock = new ManualClock()
  const asked: string[] = []
  const hosts: Records = {}
  const services: Record<string, readonly DnsService[] | Error> = {}
  const resolver = dns({
    clock,
    random: () => 0,
    lookup: {
      async addresses(host) {
        asked.push(host)
        const answer = hosts[host]
        if (answer === undefined || answer instanceof Error) throw answer ?? new Error('ENOTFOUND')
        return answer
      },
      async services(name) {
        asked.push(name)
        const answer = services[name]
        if (answer === undefined || answer instanceof Error) throw answer ?? new Error('ENOTFOUND')
        return answer
      },
    },
    ...options,
  })
  const watch = (target: string) => {
    const heard: string[] = []
    const watching = resolver.watch(target, {
      onEndpoints: (endpoints) => {
        heard.push(endpoints.map(({ address }) => formatAddress(address)).join(' '))
      },
      onError: (error) => void heard.push(error.message),
    })
    return { heard, stop: () => watching[Symbol.dispose]() }
  }
  return { clock, asked, hosts, services, resolver, watch }
}

const a = (address: string, ttlMs?: number): DnsAddress => ({ address, ttlMs })

test('dns reports every address and asks again when the shortest TTL is over', async () => {
  const { clock, asked, hosts, watch } = fixture()
  hosts['a.example'] = [a('10.0.0.1', 60_000), a('10.0.0.2', 20_000), a('2001:db8::1', 60_000)]
  const { heard, stop } = watch('a.example:80')
  await clock.advanceAsync(19_999)
  assert.deepEqual(heard, ['10.0.0.1:80 10.0.0.2:80 [2001:db8::1]:80'])
  hosts['a.example'] = [a('10.0.0.3', 60_000)]
  await clock.advanceAsync(1)
  assert.deepEqual(heard.slice(1), ['10.0.0.3:80'])
  stop()
  assert.equal(clock.pendingTimers, 0)
  await clock.advanceAsync(1_000_000)
  assert.equal(asked.length, 2)
})

test('dns keeps answers within minTtlMs and maxTtlMs, and those without TTL for the default', async () => {
  for (const [ttlMs, expected] of [
    [0, 5_000],
    [4_999, 5_000],
    [5_001, 5_001],
    [86_400_000, 300_000],
    [undefined, 30_000],
  ] as const) {
    const { clock, asked, hosts, watch } = fixture()
    hosts['a.example'] = [a('10.0.0.1', ttlMs)]
    watch('a.example:80')
    await clock.advanceAsync(expected - 1)
    assert.equal(asked.length, 1, `${ttlMs}`)
    await clock.advanceAsync(1)
    assert.equal(asked.length, 2, `${ttlMs}`)
  }
})

test('dns asks up to a tenth later by chance', async () => {
  const { clock, asked, hosts, watch } = fixture({ random: () => 0.999 })
  hosts['a.example'] = [a('10.0.0.1', 10_000)]
  watch('a.example:80')
  await clock.advanceAsync(10_900)
  assert.equal(asked.length, 1)
  await clock.advanceAsync(100)
  assert.equal(asked.length, 2)
})

test('dns never empties a known set for an error, and waits longer after each', async () => {
  const { clock, asked, hosts, watch } = fixture()
  hosts['a.example'] = [a('10.0.0.1', 10_000)]
  const { heard } = watch('a.example:80')
  await clock.settle()
  hosts['a.example'] = new Error('SERVFAIL')
  await clock.advanceAsync(10_000)
  assert.deepEqual(heard, ['10.0.0.1:80', 'SERVFAIL'])
  const before = asked.length
  await clock.advanceAsync(1_000 + 2_000 + 4_000)
  assert.equal(asked.length, before + 3)
  hosts['a.example'] = [a('10.0.0.2', 10_000)]
  await clock.advanceAsync(8_000)
  assert.equal(heard.at(-1), '10.0.0.2:80')
  assert.equal(heard.filter((each) => each === '').length, 0)
  // After a success the waits begin anew.
  hosts['a.example'] = new Error('SERVFAIL')
  await clock.advanceAsync(10_000)
  const again = asked.length
  await clock.advanceAsync(1_000)
  assert.equal(asked.length, again + 1)
})

test('dns keeps a failure for negativeTtlMs and tells newcomers at once', async () => {
  const { clock, asked, watch } = fixture()
  const first = watch('a.example:80')
  await clock.settle()
  assert.deepEqual(first.heard, ['ENOTFOUND'])
  first.stop()
  await clock.advanceAsync(999)
  assert.deepEqual(watch('a.example:80').heard, ['ENOTFOUND'])
  assert.equal(asked.length, 1)
  await clock.advanceAsync(1)
  assert.equal(asked.length, 2)
})

test('dns shares one lookup and one timer among watchers of a name', async () => {
  const { clock, asked, hosts, watch } = fixture()
  hosts['a.example'] = [a('10.0.0.1', 10_000)]
  const [first, second] = [watch('a.example:80'), watch('A.example:80')]
  await clock.settle()
  const third = watch('dns:///a.example:80')
  assert.deepEqual([first.heard, second.heard, third.heard], Array(3).fill(['10.0.0.1:80']))
  assert.equal(asked.length, 1)
  assert.equal(clock.pendingTimers, 1)
  first.stop()
  second.stop()
  first.stop()
  await clock.advanceAsync(10_000)
  assert.equal(third.heard.length, 2)
  assert.equal(first.heard.length, 1)
})

test('dns asks for a host once at a time, whatever the port', async () => {
  const { clock, asked, hosts, watch } = fixture()
  hosts['a.example'] = [a('10.0.0.1', 10_000)]
  const [first, second] = [watch('a.example:80'), watch('a.example:81')]
  await clock.settle()
  assert.deepEqual([first.heard, second.heard], [['10.0.0.1:80'], ['10.0.0.1:81']])
  assert.equal(asked.length, 1)
})

test('dns reads SRV records: hosts, ports, priorities, weights', async () => {
  const { clock, hosts, services, resolver, watch } = fixture()
  services['_http._tcp.example'] = [
    { host: 'a.example', port: 8_080, priority: 0, weight: 3 },
    { host: 'b.example', port: 8_081, priority: 1, weight: 0 },
    { host: 'gone.example', port: 1, priority: 0, weight: 1 },
  ]
  hosts['a.example'] = [a('10.0.0.1'), a('10.0.0.2')]
  hosts['b.example'] = [a('10.0.1.1')]
  const { heard } = watch('_http._tcp.example')
  await clock.settle()
  assert.deepEqual(heard, ['10.0.0.1:8080 10.0.0.2:8080 10.0.1.1:8081'])
  const seen: unknown[] = []
  resolver.watch('_HTTP._tcp.example', {
    onEndpoints: (endpoints) => {
      for (const { hostname, priority, weight } of endpoints)
        seen.push([hostname, priority, weight])
    },
    onError: () => {},
  })
  assert.deepEqual(seen, [
    ['a.example', 0, 3],
    ['a.example', 0, 3],
    ['b.example', 1, 0.01],
  ])
})

test('dns asks for a service again when its records, or the addresses of its hosts, are too old', async () => {
  for (const [records, addresses, expected] of [
    [7_000, 60_000, 7_000],
    [60_000, 8_000, 8_000],
    [1_000, 60_000, 5_000],
    [undefined, 60_000, 30_000],
  ] as const) {
    const { clock, asked, hosts, services, watch } = fixture()
    services['_http._tcp.example'] = [
      { host: 'a.example', port: 80, priority: 0, weight: 1, ttlMs: records },
    ]
    hosts['a.example'] = [a('10.0.0.1', addresses)]
    watch('_http._tcp.example')
    await clock.advanceAsync(expected - 1)
    assert.equal(asked.length, 2, `${records} ${addresses}`)
    await clock.advanceAsync(1)
    assert.equal(asked.length, 4, `${records} ${addresses}`)
  }
})

test('dns reports an error when no host of a service has an address', async () => {
  const { clock, services, watch } = fixture()
  services['_http._tcp.example'] = [{ host: 'gone.example', port: 1, priority: 0, weight: 1 }]
  const { heard } = watch('_http._tcp.example')
  await clock.settle()
  assert.deepEqual(heard, ['ENOTFOUND'])
})

test('dns has at most maxConcurrent lookups under way, and each for lookupTimeoutMs', async () => {
  const clock = new ManualClock()
  let running = 0
  let most = 0
  const resolver = dns({
    clock,
    random: () => 0,
    maxConcurrent: 2,
    lookupTimeoutMs: 1_000,
    lookup: {
      addresses: (host) => {
        running++
        most = Math.max(most, running)
        if (host === 'silent.example') return new Promise(() => {})
        return Promise.resolve([a('10.0.0.1')]).finally(() => running--)
      },
      services: () => Promise.reject(new Error('none')),
    },
  })
  const heard: string[] = []
  const listener = (name: string) => ({
    onEndpoints: () => void heard.push(name),
    onError: (error: Error) => void heard.push(error.message),
  })
  for (const name of ['silent', 'b', 'c', 'd']) resolver.watch(`${name}.example:80`, listener(name))
  await clock.settle()
  assert.equal(most, 2)
  assert.deepEqual(heard, ['b', 'c', 'd'])
  await clock.advanceAsync(1_000)
  assert.equal(heard.at(-1), 'no answer for address silent.example within 1000 ms')
})

test('dns gives the place of a lookup that ended to the next in turn, not to a newcomer', async () => {
  const clock = new ManualClock()
  const open: ((answer: DnsAddress[]) => void)[] = []
  const asked: string[] = []
  const resolver = dns({
    clock,
    maxConcurrent: 2,
    lookup: {
      addresses(host) {
        asked.push(host)
        return new Promise((resolve) => void open.push(resolve))
      },
      services: () => Promise.reject(new Error('none')),
    },
  })
  const watch = (host: string): void => {
    resolver.watch(`${host}.example:80`, { onEndpoints() {}, onError() {} })
  }
  for (const host of ['a', 'b', 'c', 'd']) watch(host)
  await clock.settle()
  open[0]?.([a('10.0.0.1')])
  await clock.settle()
  watch('e')
  await clock.settle()
  assert.deepEqual(asked, ['a.example', 'b.example', 'c.example'])
  open[1]?.([a('10.0.0.1')])
  await clock.settle()
  assert.deepEqual(asked.slice(3), ['d.example'])
})

test('dns forgets names that nobody watches, beyond maxNames', async () => {
  const { clock, asked, hosts, watch } = fixture({ maxNames: 2 })
  for (const host of ['a.example', 'b.example', 'c.example']) hosts[host] = [a('10.0.0.1', 60_000)]
  watch('a.example:80')
  for (const host of ['b.example', 'c.example', 'b.example']) {
    watch(`${host}:80`).stop()
    await clock.settle()
  }
  assert.deepEqual(asked, ['a.example', 'b.example', 'c.example', 'b.example'])
  watch('a.example:80') // watched all the time: kept
  await clock.settle()
  assert.equal(asked.length, 4)
})

test('parseDnsTarget reads its forms', () => {
  const table: [target: string, kind: string, name: string, port: number][] = [
    ['a.example:80', 'host', 'a.example', 80],
    ['A.Example', 'host', 'a.example', 443],
    ['dns:a.example:1', 'host', 'a.example', 1],
    ['dns:///a.example:1', 'host', 'a.example', 1],
    ['dns://8.8.8.8/a.example:1', 'host', 'a.example', 1],
    ['_grpc._tcp.a.example', 'service', '_grpc._tcp.a.example', 0],
    ['10.0.0.1:80', 'literal', '10.0.0.1:80', 0],
    ['[::1]:80', 'literal', '[::1]:80', 0],
  ]
  for (const [target, kind, name, port] of table) {
    const parsed = parseDnsTarget(target, 443)
    assert.equal(parsed.kind, kind, target)
    if (parsed.kind === 'literal') assert.equal(formatAddress(parsed.endpoint.address), name)
    else assert.deepEqual([parsed.name, parsed.port], [name, port], target)
  }
  for (const wrong of ['', 'a.example', 'a b:1', 'a.example:99999', 'http://a.example', '::1:80']) {
    assert.throws(() => parseDnsTarget(wrong), { code: 'ERR_ADDRESS_INVALID' }, wrong)
  }
})

test('dns reports a literal address without asking', () => {
  const { asked, watch } = fixture()
  assert.deepEqual(watch('10.0.0.1:80').heard, ['10.0.0.1:80'])
  assert.deepEqual(asked, [])
})

test('dns refuses limits out of range', () => {
  for (const options of [
    { minTtlMs: 0 },
    { minTtlMs: 10, maxTtlMs: 9 },
    { maxConcurrent: 0 },
    { maxConcurrent: 1.5 },
    { negativeTtlMs: 10, maxNegativeTtlMs: 9 },
  ]) {
    assert.throws(() => fixture(options), { code: 'ERR_OPTION_RANGE' })
  }
})

test('addressesInHosts reads a hosts file', () => {
  const text = `127.0.0.1 localhost
# 10.0.0.9 commented
10.0.0.1\tdb.example db # 10.0.0.8 db.example
fd00::1  DB.example
10.0.0.1 db.example
not-an-address db.example
`
  assert.deepEqual(addressesInHosts(text, 'db.Example'), ['10.0.0.1', 'fd00::1'])
  assert.deepEqual(addressesInHosts(text, 'db'), ['10.0.0.1'])
  assert.deepEqual(addressesInHosts(text, 'other'), [])
})

test('nodeDnsLookup finds localhost and lets the hosts file override', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-hosts-'))
  try {
    const hostsFile = join(folder, 'hosts')
    await writeFile(hostsFile, '192.0.2.7 override.example\n')
    const lookup = nodeDnsLookup({ hostsFile, family: 4 })
    assert.deepEqual(await lookup.addresses('override.example'), [a('192.0.2.7')])
    const local = await lookup.addresses('localhost')
    assert.ok(local.some(({ address }) => address === '127.0.0.1'))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('nodeDnsLookup asks a name server for addresses with their TTL, and for services', async () => {
  const server = await nameServer()
  try {
    const lookup = nodeDnsLookup({
      servers: [`127.0.0.1:${server.address().port}`],
      family: 4,
      hostsFile: '/nonexistent',
    })
    const answers = await lookup.addresses('a.example')
    assert.deepEqual(answers, [a('192.0.2.1', 77_000)])
    assert.deepEqual(await lookup.services('_http._tcp.example'), [
      { host: 'a.example', port: 8_080, priority: 1, weight: 2, ttlMs: 77_000 },
    ])
    await assert.rejects(lookup.services('_none._tcp.example'), {
      code: 'ERR_RESOLVE',
      sent: 'nothing',
      message: 'cannot resolve _none._tcp.example: no such name (ENOTFOUND)',
    })
  } finally {
    server.close()
  }
})

/** Answers A questions with 192.0.2.1 and SRV questions for _http with a.example:8080. */
async function nameServer(): Promise<Socket> {
  const server = createSocket('udp4')
  server.on('message', (query, from) => {
    const question = query.subarray(12, query.indexOf(0, 12) + 5)
    const type = question.readUInt16BE(question.length - 4)
    const known = type === 1 || question.includes('_http')
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(known ? 0x8180 : 0x8183, 2) // answer, recursion; 3: no such name
    header.writeUInt16BE(known ? 1 : 0, 6) // answers
    header.writeUInt16BE(0, 10) // no additional records
    const data =
      type === 1
        ? Buffer.from([192, 0, 2, 1])
        : Buffer.concat([Buffer.from([0, 1, 0, 2, 0x1f, 0x90]), dnsName('a.example')])
    const fixed = Buffer.alloc(12)
    fixed.writeUInt16BE(0xc00c, 0) // the name of the question
    fixed.writeUInt16BE(type, 2)
    fixed.writeUInt16BE(1, 4) // IN
    fixed.writeUInt32BE(77, 6) // TTL in seconds
    fixed.writeUInt16BE(data.length, 10)
    const answer = known ? [fixed, data] : []
    server.send(Buffer.concat([header, question, ...answer]), from.port, from.address)
  })
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function dnsName(name: string): Buffer {
  const labels = name
    .split('.')
    .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`))
  return Buffer.concat([...labels, Buffer.from([0])])
}
