import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { effectiveConfig } from './effective.ts'
import { type LoadOutcome, loadConfig, loadConfigFile } from './load.ts'
import { formatProblem } from './problem.ts'
import type { GatewayConfig } from './schema/gateway.ts'

const ENVIRONMENT: Record<string, string> = { PORT: '8080', API_TOKEN: 'hunter2', N: '7' }

function load(text: string): LoadOutcome {
  return loadConfig(text, { file: 'g.yaml', environment: (name) => ENVIRONMENT[name] })
}

function accepted(text: string): GatewayConfig {
  const outcome = load(text)
  assert.ok(outcome.ok, outcome.ok ? '' : outcome.problems.map(formatProblem).join('\n'))
  return outcome.config
}

function problems(text: string): string[] {
  const outcome = load(text)
  assert.equal(outcome.ok, false)
  return outcome.ok ? [] : outcome.problems.map(formatProblem)
}

const MINIMAL = `
listeners:
  - {name: http, address: "127.0.0.1:\${PORT}"}
routes:
  - {cluster: a}
clusters:
  - {name: a, endpoints: ["127.0.0.1:9000"]}
`

test('loadConfig accepts a minimal configuration and fills in the defaults', () => {
  const config = accepted(MINIMAL)
  assert.equal(config.listeners[0]?.address, '127.0.0.1:8080')
  assert.equal(config.listeners[0]?.protocol, 'http')
  assert.equal(config.listeners[0]?.forwarding.trusted_hops, 0)
  assert.equal(config.routes[0]?.timeout, '15s')
  assert.equal(config.clusters[0]?.retry_policy.num_retries, 2)
  assert.equal(config.admin.address, '127.0.0.1:9901')
})

test('loadConfig accepts JSON, which is YAML', () => {
  const config = accepted(
    JSON.stringify({
      listeners: [{ name: 'http', address: ':8080' }],
      routes: [{ fixed_response: { body: 'hi' } }],
    }),
  )
  assert.equal(config.routes[0]?.fixed_response?.body, 'hi')
})

test('loadConfig reads a plain scalar again after interpolation, a quoted one stays text', () => {
  const config = accepted(`
listeners:
  - name: http
    address: :1
    max_connections: \${N}
routes:
  - match: {prefix: /x}
    fixed_response: {body: "\${N}"}
`)
  assert.equal(config.listeners[0]?.max_connections, 7)
  assert.equal(config.routes[0]?.fixed_response?.body, '7')
})

test('loadConfig understands anchors, aliases and merge keys', () => {
  const config = accepted(`
listeners:
  - {name: http, address: ":1"}
routes:
  - {cluster: a}
clusters:
  - &base
    name: a
    endpoints: &ends ["10.0.0.1:80"]
    connect_timeout: 2s
  - <<: *base
    name: b
    lb_policy: random
`)
  assert.equal(config.clusters[1]?.name, 'b')
  assert.equal(config.clusters[1]?.connect_timeout, '2s')
  assert.deepEqual(config.clusters[1]?.endpoints, ['10.0.0.1:80'])
})

test('loadConfig names file, line, column, path and what was meant', () => {
  const found = problems(`listeners:
  - name: http
    address: 127.0.0.1:80
    protcol: http
    keepalive_timeout: 75
    max_header_bytes: lots
routes:
  - match: {prefix: /api, methds: [GET]}
    cluster: users
clusters:
  - name: users
    lb_policy: least_requests
    endpoints:
      - {adress: "b:1"}
      - 5
`)
  assert.deepEqual(found, [
    "g.yaml:4:5 listeners[0].protcol: unknown key (did you mean 'protocol'?)",
    'g.yaml:5:24 listeners[0].keepalive_timeout: 75: a duration is a number and a unit: 250ms, 0.25s, 5m, 1h',
    "g.yaml:6:23 listeners[0].max_header_bytes: 'lots': a size is a number of bytes or has a unit: 512B, 16KiB, 1MiB, 10MB",
    "g.yaml:8:27 routes[0].match.methds: unknown key (did you mean 'methods'?)",
    "g.yaml:12:16 clusters[0].lb_policy: 'least_requests' is not one of p2c, least_request, round_robin, random, ring_hash, maglev (did you mean 'least_request'?)",
    "g.yaml:14:10 clusters[0].endpoints[0].adress: unknown key (did you mean 'address'?)",
    'g.yaml:15:9 clusters[0].endpoints[1]: expected text or a map, not 5',
  ])
})

/** One broken thing in an otherwise good configuration, and what is said of it. */
const BROKEN: [string, string, RegExp][] = [
  [
    'a dangling cluster',
    'routes: [{cluster: usrs}]\nclusters: [{name: users, endpoints: [":1"]}]',
    /^g\.yaml:2:20 routes\[0\]\.cluster: no cluster is named 'usrs' \(did you mean 'users'\?\)$/,
  ],
  [
    'a dangling weighted cluster',
    'routes: [{weighted_clusters: [{name: b, weight: 1}]}]',
    /no cluster is named 'b'/,
  ],
  [
    'a dangling mirror',
    'routes: [{cluster: a, mirror: {cluster: b}}]\nclusters: [{name: a, endpoints: [":1"]}]',
    /mirror\.cluster: no cluster is named 'b'/,
  ],
  [
    'two clusters of one name',
    'routes: [{cluster: a}]\nclusters: [{name: a, endpoints: [":1"]}, {name: a, endpoints: [":1"]}]',
    /two clusters are named 'a'/,
  ],
  [
    'a route without an action',
    'routes: [{match: {path: /}}]',
    /exactly one of cluster, weighted_clusters/,
  ],
  [
    'two path matches',
    'routes: [{match: {path: /, prefix: /}, fixed_response: {}}]',
    /at most one of path, prefix, pattern/,
  ],
  [
    'weights of zero',
    'routes: [{weighted_clusters: [{name: a, weight: 0}]}]\nclusters: [{name: a, endpoints: [":1"]}]',
    /every weight is 0/,
  ],
  [
    'a rewrite by an unknown name',
    'routes: [{match: {pattern: "/u/:id"}, cluster: a, rewrite: {path: "/x/:idd"}}]\nclusters: [{name: a, endpoints: [":1"]}]',
    /:idd is not in the pattern \(did you mean ':id'\?\)/,
  ],
  [
    'a star in the middle',
    'routes: [{match: {pattern: "/a/*/b"}, fixed_response: {}}]',
    /can only be last/,
  ],
  [
    'a rewrite beside a redirect',
    'routes: [{redirect: {path: /b}, rewrite: {path: /c}}]',
    /rewrite has no effect/,
  ],
  [
    'a redirect to the same place',
    'routes: [{redirect: {}}]',
    /changes scheme, host, port or path/,
  ],
  [
    'an empty redirect beside a status',
    'routes: [{redirect: {status: 302}}]',
    /changes scheme, host, port or path/,
  ],
  [
    'a bad address',
    'routes: [{cluster: a}]\nclusters: [{name: a, endpoints: ["a b:1"]}]',
    /expected host:port/,
  ],
  [
    'no endpoint',
    'routes: [{cluster: a}]\nclusters: [{name: a, endpoints: []}]',
    /a cluster needs an endpoint/,
  ],
  [
    'base longer than max',
    'routes: [{cluster: a}]\nclusters: [{name: a, endpoints: [":1"], retry_policy: {retry_back_off: {base_interval: 1s}}}]',
    /base_interval 1s is longer than max_interval 250ms/,
  ],
  [
    'an empty status range',
    'routes: [{cluster: a}]\nclusters: [{name: a, endpoints: [":1"], health_checks: [{expected_statuses: [299-200]}]}]',
    /299-200 is empty/,
  ],
  [
    'half a client certificate',
    'routes: [{cluster: a}]\nclusters: [{name: a, endpoints: [":1"], tls: {cert_file: x}}]',
    /cert_file and key_file go together/,
  ],
  [
    'a header name',
    'routes: [{cluster: a, request_headers: {set: {"x y": 1}}}]\nclusters: [{name: a, endpoints: [":1"]}]',
    /'x y' is not a header name/,
  ],
  ['no routes at all', 'clusters: [{name: a, endpoints: [":1"]}]', /listener 'http' has no routes/],
  [
    'a __proto__ key',
    '__proto__: {a: 1}\nroutes: [{fixed_response: {}}]',
    /__proto__: unknown key/,
  ],
]

for (const [what, text, expected] of BROKEN) {
  test(`loadConfig refuses ${what}`, () => {
    const found = problems(`listeners: [{name: http, address: ":1"}]\n${text}\n`)
    assert.match(found.join('\n'), expected)
    assert.equal(found.length, 1, found.join('\n'))
  })
}

const BROKEN_LISTENERS: [string, string, RegExp][] = [
  [
    'two listeners of one name',
    '{name: a, address: ":1"}, {name: a, address: ":2"}',
    /two listeners are named 'a'/,
  ],
  [
    'two listeners of one address',
    '{name: a, address: ":1"}, {name: b, address: "127.0.0.1:1"}',
    /127\.0\.0\.1:1 is the address of listener a as well/,
  ],
  ['the address of admin', '{name: a, address: ":9901"}', /is the address of admin/],
  [
    'raw without routes',
    '{name: a, address: ":1", protocol: raw}',
    /a raw listener needs raw_routes/,
  ],
  [
    'raw routes on http',
    '{name: a, address: ":1", raw_routes: [{cluster: a}]}',
    /raw_routes need protocol/,
  ],
  [
    'unreachable raw routes',
    '{name: a, address: ":1", protocol: raw, raw_routes: [{cluster: a}, {cluster: a}]}',
    /never reached/,
  ],
  [
    'sni behind our own TLS',
    '{name: a, address: ":1", protocol: raw, tls: {development: true}, raw_routes: [{match: {sni: [x]}, cluster: a}]}',
    /ends TLS itself/,
  ],
  ['tls without a certificate', '{name: a, address: ":1", tls: {}}', /tls needs certificates/],
  [
    'an optional PROXY header from anybody',
    '{name: a, address: ":1", proxy_protocol: {mode: optional}}',
    /any client could claim/,
  ],
  [
    'a PROXY header of whoever connects, without saying so',
    '{name: a, address: ":1", proxy_protocol: {mode: require}}',
    /needs trusted addresses, or any client could claim/,
  ],
  [
    'an optional PROXY header that trusts any',
    '{name: a, address: ":1", proxy_protocol: {mode: optional, trusted: [any]}}',
    /cannot trust any/,
  ],
  [
    'a CIDR',
    '{name: a, address: ":1", proxy_protocol: {mode: require, trusted: [10.0.0.0/33]}}',
    /10\.0\.0\.0\/33/,
  ],
]

for (const [what, text, expected] of BROKEN_LISTENERS) {
  test(`loadConfig refuses ${what}`, () => {
    const found = problems(
      `listeners: [${text}]\nroutes: [{cluster: a}]\nclusters: [{name: a, endpoints: [":1"]}]\n`,
    )
    assert.match(found.join('\n'), expected)
    assert.equal(found.length, 1, found.join('\n'))
  })
}

test('loadConfig says what is wrong with a file that is not YAML', () => {
  assert.match(problems('a: [1, 2')[0] ?? '', /^g\.yaml:1:\d+ not valid YAML: /)
  assert.match(problems('')[0] ?? '', /^g\.yaml:1:1 the file is empty/)
  assert.match(problems('# nothing\n')[0] ?? '', /the file is empty/)
  assert.match(problems('just text')[0] ?? '', /not a configuration/)
  assert.match(problems('- a\n- b')[0] ?? '', /not a configuration/)
  assert.match(problems('a: 1\na: 2')[0] ?? '', /^g\.yaml:2:1 not valid YAML: .*unique/)
  assert.match(problems('a: 1\n---\nb: 2')[0] ?? '', /more than one YAML document/)
  assert.match(problems('a: *b')[0] ?? '', /nresolved alias|not there/)
  assert.match(problems('\u0000\u0001\u0002')[0] ?? '', /^g\.yaml:1:/)
})

test('loadConfig says that a variable in a flow map needs quotes', () => {
  const found = problems('listeners: [{name: a, address: ${HOST}}]')
  assert.match(found.join(), /not valid YAML: .*; inside \{ \} and \[ \], quote "\$\{NAME\}"/)
})

test('loadConfig refuses an alias that contains itself', () => {
  assert.match(problems('a: &a [*a]')[0] ?? '', /contains itself|nresolved alias/)
})

test('loadConfigFile says why a file cannot be read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-'))
  try {
    const environment = () => undefined
    const missing = await loadConfigFile({ file: join(folder, 'no.yaml'), environment })
    assert.ok(!missing.ok)
    assert.equal(missing.unreadable, 'missing')
    assert.match(
      formatProblem(missing.problems[0]!),
      /no\.yaml cannot be read: there is no such file/,
    )
    const directory = await loadConfigFile({ file: folder, environment })
    assert.ok(!directory.ok)
    assert.equal(directory.unreadable, 'other')
    const file = join(folder, 'g.yaml')
    await writeFile(file, 'listeners: [{name: a, address: ":1"}]\nroutes: [{fixed_response: {}}]\n')
    assert.ok((await loadConfigFile({ file, environment })).ok)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('effectiveConfig can be loaded again and hides secrets', () => {
  const outcome = load(`
listeners: [{name: http, address: ":1"}]
routes:
  - cluster: a
    request_headers:
      set: {authorization: Bearer abc, x-plain: shown, x-from-env: "v\${API_TOKEN}"}
clusters: [{name: a, endpoints: [":1"]}]
`)
  assert.ok(outcome.ok)
  const text = effectiveConfig(outcome.config, outcome.secretPaths)
  assert.ok(!text.includes('abc') && !text.includes('hunter2'), text)
  assert.match(text, /x-plain: shown/)
  const again = accepted(text)
  assert.deepEqual(again.clusters, outcome.config.clusters)
})

test('loadConfig quotes no value of a secret in its problems', () => {
  const wrong = [
    'listeners: [{name: http, address: ":1"}]\nroutes: [{cluster: "${API_TOKEN}"}]\nclusters: [{name: hunter3, endpoints: [":1"]}]\n',
    'listeners: [{name: http, address: ":1"}]\nroutes: [{cluster: a}]\nclusters: [{name: a, endpoints: ["${API_TOKEN} x"]}]\n',
  ]
  for (const text of wrong) {
    const shown = problems(text).join('\n')
    assert.ok(!shown.includes('hunter'), shown)
    assert.match(shown, /\[redacted\]/)
  }
})
