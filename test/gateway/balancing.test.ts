/** Balancing as the configuration says it, over real sockets. */
import assert from 'node:assert/strict'
import { createConnection } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Random } from '../../src/core/clock.ts'
import { loadConfig } from '../../src/gateway/config/load.ts'
import { formatProblem } from '../../src/gateway/config/problem.ts'
import { nodeHost } from '../../src/platform/node-host.ts'
import { HttpResponse, type HttpService } from '../../src/protocols/http/messages.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { collect, HTTP, named, rawUpstream, start, upstream } from './running-gateway.ts'

/** So many upstreams that say their name, and a gateway before them. */
async function cluster(
  t: TestContext,
  count: number,
  config: object,
  endpoint: object[] = [],
  random: Random = nodeHost.random,
) {
  const addresses: string[] = []
  for (let at = 0; at < count; at++) {
    addresses.push(await upstream(t, () => HttpResponse.text(`${at}`)))
  }
  const whole = {
    listeners: [HTTP],
    routes: [{ cluster: 'c' }],
    clusters: [
      {
        name: 'c',
        endpoints: addresses.map((address, at) => ({ address, ...endpoint[at] })),
        ...config,
      },
    ],
  }
  const { url, gateway } = await start(t, whole, undefined, undefined, { random })
  const ask = async (path = '/', headers: Record<string, string> = {}): Promise<string> =>
    (await fetch(url(path), { headers })).text()
  return { ask, gateway, addresses }
}

for (const lb_policy of ['ring_hash', 'maglev']) {
  test(`Gateway sends the same key to the same endpoint with ${lb_policy}`, async (t) => {
    const { ask } = await cluster(t, 4, {
      lb_policy,
      hash_policy: [{ header: 'x-user' }, { cookie: 'session' }, { query_parameter: 'q' }],
    })
    const homes = new Set<string>()
    for (let user = 0; user < 24; user++) {
      const by = { 'x-user': `user-${user}` }
      const home = await ask('/', by)
      homes.add(home)
      assert.equal(await ask('/other', by), home)
      // The first part that a request has counts.
      assert.equal(await ask('/?q=9', { ...by, cookie: 'a=1; session=z' }), home)
      const cookie = { cookie: `session=user-${user}` }
      assert.equal(await ask('/', cookie), home)
      assert.equal(await ask(`/x?p=1&q=user-${user}`), home)
    }
    assert.ok(homes.size >= 3, `${homes.size} of 4 endpoints are used`)
  })
}

test('Gateway hashes the client’s address, for layer 4 as well', async (t) => {
  const names = ['a', 'b', 'c']
  const endpoints = await Promise.all(
    names.map((name) => rawUpstream(t, (socket) => void socket.end(name))),
  )
  const { at } = await start(t, {
    listeners: [{ ...HTTP, protocol: 'raw', raw_routes: [{ cluster: 'c' }] }],
    clusters: [
      {
        name: 'c',
        endpoints,
        lb_policy: 'maglev',
        hash_policy: [{ path: true }, { source_ip: true }],
      },
    ],
  })
  const seen = new Set<string>()
  for (let round = 0; round < 8; round++) {
    seen.add(await collect(createConnection(at())))
  }
  assert.equal(seen.size, 1)
})

test('Gateway prefers endpoints of its own zone, and spills over when they are out', async (t) => {
  const { ask, gateway } = await cluster(
    t,
    3,
    {
      lb_policy: 'round_robin',
      locality: { zone: 'a' },
      health_checks: [{ path: '/up', interval: '10ms', unhealthy_threshold: 1 }],
    },
    [{ zone: 'a' }, { zone: 'a' }, { zone: 'b' }],
  )
  const answers = new Set<string>()
  for (let round = 0; round < 10; round++) answers.add(await ask())
  assert.deepEqual([...answers].sort(), ['0', '1'])
  assert.match(gateway.explain(), /zone a, available/)
  assert.match(gateway.explain(), /100 % in the own zone/)
})

test('Gateway takes out an endpoint that fails in a row, and says so', async (t) => {
  const bad = await upstream(t, () => new HttpResponse({ status: 500 }))
  const good = await upstream(t, named('good'))
  const { url, gateway } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'c' }],
    clusters: [
      {
        name: 'c',
        endpoints: [bad, good],
        lb_policy: 'round_robin',
        outlier_detection: { consecutive_failures: 2 },
        circuit_breakers: { consecutive_failures: 1_000, failure_percent: 100, min_calls: 10_000 },
      },
    ],
  })
  const statuses: number[] = []
  for (let round = 0; round < 8; round++) {
    const response = await fetch(url('/'))
    await response.arrayBuffer()
    statuses.push(response.status)
  }
  assert.equal(statuses.filter((status) => status === 500).length, 2)
  const [endpoint] = gateway.clusters()[0]?.endpoints ?? []
  assert.equal(endpoint?.ejected, true)
  assert.match(gateway.explain(), /ejected for another \d+ ms/)
})

test('Gateway gives an endpoint that returns a growing share', async (t) => {
  let well = true
  const address = await upstream(t, ({ target }) =>
    target === '/up' && !well ? new HttpResponse({ status: 503 }) : HttpResponse.text(''),
  )
  const { gateway } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'c' }],
    clusters: [
      {
        name: 'c',
        endpoints: [address],
        health_checks: [
          { path: '/up', interval: '10ms', healthy_threshold: 1, unhealthy_threshold: 1 },
        ],
        slow_start: { window: '1h' },
      },
    ],
  })
  const until = async (health: string): Promise<void> => {
    while (gateway.clusters()[0]?.endpoints[0]?.health !== health) {
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }
  await until('healthy')
  assert.doesNotMatch(gateway.explain(), /slow start/) // it was there from the beginning
  well = false
  await until('unhealthy')
  assert.match(gateway.explain(), /available, unhealthy/)
  well = true
  await until('healthy')
  assert.match(gateway.explain(), /slow start at 10 %/)
})

test('Gateway uses all endpoints in a panic, the unhealthy as well', async (t) => {
  const { ask, gateway } = await cluster(
    t,
    3,
    {
      lb_policy: 'round_robin',
      panic_threshold: 50,
      // Nobody answers these: two of three are called unhealthy.
      health_checks: [{ type: 'tcp', interval: '10ms', unhealthy_threshold: 1 }],
    },
    [{ address: '127.0.0.1:1' }, { address: '127.0.0.1:2' }],
  )
  const unhealthy = (): number =>
    gateway.clusters()[0]?.endpoints.filter(({ health }) => health === 'unhealthy').length ?? 0
  while (unhealthy() < 2) await new Promise((resolve) => setTimeout(resolve, 2))
  // Retries find the one that answers.
  for (let round = 0; round < 4; round++) assert.equal(await ask(), '2')
  assert.match(gateway.explain(), /33 % healthy, panic: all are used/)
  assert.ok((gateway.clusters()[0]?.retries ?? 0) > 0)
})

test('Gateway uses the endpoints of its subset only', async (t) => {
  const { ask, gateway } = await cluster(t, 8, {
    lb_policy: 'random',
    subset: { client: 1, clients: 4, size: 2 },
  })
  const answers = new Set<string>()
  for (let round = 0; round < 60; round++) answers.add(await ask())
  assert.equal(answers.size, 2)
  assert.match(gateway.explain(), /2 of 2 available, a subset of 8/)
})

test('Gateway follows weights with round_robin, smoothly', async (t) => {
  const { ask } = await cluster(t, 2, { lb_policy: 'round_robin' }, [{ weight: 2 }, { weight: 1 }])
  let order = ''
  for (let round = 0; round < 12; round++) order += await ask()
  assert.deepEqual(shares(order), { 0: 8, 1: 4 })
  // Never twice the light one, never three times the heavy one.
  assert.doesNotMatch(order, /11|000/)
})

test('Gateway follows weights with random, by chance', async (t) => {
  const { next } = new SeededRandom(1)
  const { ask } = await cluster(t, 2, { lb_policy: 'random' }, [{ weight: 1 }, { weight: 3 }], next)
  let order = ''
  for (let round = 0; round < 80; round++) order += await ask()
  const light = shares(order)[0] ?? 0
  assert.ok(light >= 10 && light <= 30, `${light} of 80, where 20 are the share`)
  // A turn would never give the light one two in a row.
  assert.match(order, /00/)
})

test('Gateway with p2c turns from an endpoint that holds its requests', async (t) => {
  const answers = await whileOneHolds(t, 'p2c', 20)
  // Of two that are drawn it takes the one with less to do.
  assert.deepEqual(shares(answers), { 1: 20 })
})

test('Gateway with least_request takes the endpoint with the fewest requests of all', async (t) => {
  const answers = await whileOneHolds(t, 'least_request', 20)
  assert.deepEqual(shares(answers), { 1: 20 })
})

test('Gateway with least_request counts weights, and looks at every endpoint', async (t) => {
  const held = Promise.withResolvers<void>()
  const arrived = new Map<string, number>()
  const addresses: string[] = []
  for (const name of ['a', 'b', 'c']) {
    const address = await upstream(t, async () => {
      arrived.set(name, (arrived.get(name) ?? 0) + 1)
      await held.promise
      return HttpResponse.text(name)
    })
    addresses.push(address)
  }
  const [a, b, c] = addresses
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'c' }],
    clusters: [
      { name: 'c', lb_policy: 'least_request', endpoints: [{ address: a, weight: 2 }, b, c] },
    ],
  })
  const asked: Promise<Response>[] = []
  for (let count = 1; count <= 8; count++) {
    asked.push(fetch(url('/')))
    while ([...arrived.values()].reduce((sum, each) => sum + each, 0) < count) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  assert.deepEqual([...arrived].sort(), [
    ['a', 4],
    ['b', 2],
    ['c', 2],
  ])
  held.resolve()
  await Promise.all(asked)
})

test('Gateway spills over to the next priority by what the first cannot carry', async (t) => {
  let healthy = true
  const answer =
    (name: string, always: boolean): HttpService =>
    ({ target }) =>
      target === '/up' && !always && !healthy
        ? new HttpResponse({ status: 503 })
        : HttpResponse.text(name)
  const [a, b, spare] = [
    await upstream(t, answer('a', true)),
    await upstream(t, answer('b', false)),
    await upstream(t, answer('s', true)),
  ]
  const { url, gateway } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'c' }],
    clusters: [
      {
        name: 'c',
        endpoints: [a, b, { address: spare, priority: 1 }],
        lb_policy: 'round_robin',
        overprovisioning_factor: 140,
        health_checks: [
          { path: '/up', interval: '10ms', healthy_threshold: 1, unhealthy_threshold: 1 },
        ],
      },
    ],
  })
  const answers = async (): Promise<Record<string, number>> => {
    let all = ''
    for (let round = 0; round < 60; round++) all += await (await fetch(url('/'))).text()
    return shares(all)
  }
  const health = (at: number) => gateway.clusters()[0]?.endpoints[at]?.health
  const until = async (at: number, wanted: string): Promise<void> => {
    while (health(at) !== wanted) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await until(0, 'healthy')
  await until(1, 'healthy')
  const before = await answers()
  assert.equal(before.s, undefined, 'all are well: nobody asks the spare one')
  healthy = false
  await until(1, 'unhealthy')
  // Half are well, times 1.4: seven of ten stay.
  const after = await answers()
  assert.equal(after.b, undefined)
  assert.ok((after.a ?? 0) > 25 && (after.s ?? 0) >= 6, JSON.stringify(after))
  assert.match(gateway.explain(), /70 %/)
})

test('Gateway refuses balancing that contradicts itself, with the line', async () => {
  const problems = async (cluster: string): Promise<string[]> => {
    const text = `listeners: [{ name: a, address: ':1' }]\nroutes: [{ cluster: c }]\nclusters:\n  - { name: c, endpoints: ['127.0.0.1:1'], ${cluster} }\n`
    const outcome = await loadConfig(text, { file: 'g', environment: () => undefined })
    return outcome.ok ? [] : outcome.problems.map(formatProblem)
  }
  const table: [string, RegExp][] = [
    ['lb_policy: ring_hash', /ring_hash needs a hash_policy/],
    ['hash_policy: [{ path: true }]', /no effect with lb_policy p2c/],
    ['hash_balance_factor: 125', /no effect with lb_policy p2c/],
    ['lb_policy: maglev, hash_policy: [{ path: true }], slow_start: {}', /would move keys/],
    [
      'lb_policy: maglev, hash_policy: [{ path: true }], maglev: { table_size: 100 }',
      /not a prime/,
    ],
    ['lb_policy: maglev, hash_policy: [{ path: true, header: a }]', /exactly one/],
    ['subset: { client: 3, clients: 3 }', /3 is not below clients 3/],
    ['subset: { client: 0, clients: 3 }, locality: { zone: a }', /does not go with locality/],
  ]
  for (const [cluster, expected] of table) {
    assert.match((await problems(cluster)).join('\n'), expected, cluster)
  }
  assert.deepEqual(
    await problems('lb_policy: maglev, hash_policy: [{ path: true }], hash_balance_factor: 125'),
    [],
  )
})

/** How many of each answer there are, a letter each. */
function shares(answers: string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1
  return counts
}

/** Two endpoints, of which the first has a request that it does not answer: who gets the others. */
async function whileOneHolds(t: TestContext, lb_policy: string, count: number): Promise<string> {
  const held = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  let holder: string | undefined
  const hold =
    (name: string): HttpService =>
    async () => {
      holder ??= name
      begun.resolve()
      if (holder === name) await held.promise
      return HttpResponse.text(name === holder ? '0' : '1')
    }
  const endpoints = [await upstream(t, hold('a')), await upstream(t, hold('b'))]
  const { url } = await start(t, {
    listeners: [HTTP],
    routes: [{ cluster: 'c' }],
    clusters: [{ name: 'c', endpoints, lb_policy }],
  })
  const first = fetch(url('/'))
  await begun.promise
  let answers = ''
  for (let round = 0; round < count; round++) answers += await (await fetch(url('/'))).text()
  held.resolve()
  await first
  return answers
}
