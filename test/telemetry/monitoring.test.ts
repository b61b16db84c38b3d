/**
 * Alert rules and dashboard ask for what a gateway exposes: every metric, every label, every fixed
 * value of a label, against the exposition of one that has served traffic.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { parse } from 'yaml'
import { HttpResponse } from '../../src/protocols/http/messages.ts'
import { parseExposition } from '../../src/telemetry/exposition-parser.ts'
import { HTTP, start, upstream } from '../gateway/running-gateway.ts'
import { certificates } from '../gateway/test-certificates.ts'
import { readQuery } from './promql.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string }
}
interface Dashboard {
  readonly panels: readonly {
    readonly title: string
    readonly gridPos: { x: number; y: number; w: number; h: number }
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
  }[]
  readonly templating: {
    readonly list: readonly { name: string; query: string | { query: string } }[]
  }
}

const file = (name: string) =>
  readFile(new URL(`../../examples/monitoring/${name}`, import.meta.url), 'utf8')

/** Label → its values, of each metric. */
type Exposed = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>

/** What Prometheus itself adds to every series. */
const ADDED = new Set(['instance', 'job'])

test('every alert asks for metrics and labels that a gateway exposes', async (t) => {
  const exposed = await exposition(t)
  const { groups } = parse(await file('alerts.yaml')) as { groups: { rules: Rule[] }[] }
  const rules = groups.flatMap((group) => group.rules)
  assert.ok(rules.length >= 15)
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, expr, annotations, labels } of rules) {
    checkQuery(alert, expr, exposed)
    assert.ok(['critical', 'warning', 'info'].includes(labels.severity), alert)
    const kept = labelsAfter(expr, exposed)
    for (const [, label = ''] of annotations.summary.matchAll(/\$labels\.(\w+)/g)) {
      assert.ok(kept.has(label), `${alert}: {{ $labels.${label} }} is not among ${[...kept]}`)
    }
  }
})

test('every panel of the dashboard asks for metrics and labels that a gateway exposes', async (t) => {
  const exposed = await exposition(t)
  const { panels, templating } = JSON.parse(await file('grafana-dashboard.json')) as Dashboard
  const targets = panels.flatMap(({ title, targets: some = [] }) => {
    return some.map((target) => ({ title, ...target }))
  })
  assert.ok(targets.length >= 25)
  for (const { title, expr, legendFormat } of targets) {
    checkQuery(title, expr, exposed)
    const kept = labelsAfter(expr, exposed)
    for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      assert.ok(kept.has(label), `${title}: {{${label}}} is not among ${[...kept]}`)
    }
  }
  const variables = new Set(templating.list.map(({ name }) => name))
  for (const [, name = ''] of JSON.stringify(panels).matchAll(/\$\{?([a-z]+)\b/g)) {
    assert.ok(variables.has(name), `variable ${name}`)
  }
  for (const { query } of templating.list) {
    const [, metric, label] =
      /label_values\((\w+), (\w+)\)/.exec(typeof query === 'string' ? query : query.query) ?? []
    if (metric === undefined || label === undefined) continue
    const labels = exposed.get(metric)
    assert.ok(labels !== undefined && (ADDED.has(label) || labels.has(label)), `${metric} ${label}`)
  }
})

test('panels of the dashboard do not lie over one another', async () => {
  const { panels } = JSON.parse(await file('grafana-dashboard.json')) as Dashboard
  const taken = new Set<string>()
  for (const { title, gridPos } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x} ${y}`), `${title} at ${x} ${y}`)
        taken.add(`${x} ${y}`)
      }
    }
  }
})

test('readQuery refuses what it does not understand', () => {
  assert.throws(() => readQuery('sum(rate([5m]))'), /no metric/)
  assert.throws(() => readQuery('a{b~"c"}'), /not understood/)
  const { selectors, groupings } = readQuery('sum by (a, b) (rate(x_total{c=~"d"}[5m])) > y')
  assert.deepEqual(
    selectors.map(({ metric, matchers }) => [metric, ...matchers]),
    [['x_total', ['c', 'd']], ['y']],
  )
  assert.deepEqual(groupings, ['a', 'b'])
})

function checkQuery(what: string, expr: string, exposed: Exposed): void {
  const { selectors, groupings } = readQuery(expr)
  const known = new Set(ADDED)
  for (const { metric, matchers } of selectors) {
    // Prometheus' own word on whether a scrape succeeded.
    if (metric === 'up') continue
    const labels = exposed.get(metric)
    assert.ok(labels !== undefined, `${what}: nothing exposes ${metric}`)
    for (const label of labels.keys()) known.add(label)
    for (const [label, value] of matchers) {
      const values = labels.get(label)
      assert.ok(ADDED.has(label) || values !== undefined, `${what}: ${metric} has no ${label}`)
      if (values === undefined || value.startsWith('$')) continue
      const pattern = new RegExp(`^(?:${value})$`)
      const found = [...values].some((one) => pattern.test(one))
      assert.ok(found, `${what}: no ${label} of ${metric} is ${value}, but ${[...values]}`)
    }
  }
  for (const label of groupings) assert.ok(known.has(label), `${what}: grouped by ${label}`)
}

/** The labels that a result may have: those grouped by, or all when nothing is aggregated. */
function labelsAfter(expr: string, exposed: Exposed): ReadonlySet<string> {
  const { selectors, groupings } = readQuery(expr)
  if (groupings.length > 0) return new Set(groupings)
  const all = new Set(ADDED)
  for (const { metric } of selectors)
    for (const label of exposed.get(metric)?.keys() ?? []) all.add(label)
  return all
}

/** Of a gateway with a good, a failing and a checked upstream, after some requests. */
async function exposition(t: TestContext): Promise<Exposed> {
  const good = await upstream(t, () => HttpResponse.text('ok'))
  const bad = await upstream(t, () => HttpResponse.text('', { status: 503 }))
  const { cert_file, key_file } = await (await certificates(t)).issue('a.example')
  const { gateway, url } = await start(t, {
    admin: { enabled: true, address: '127.0.0.1:0' },
    listeners: [HTTP, { ...HTTP, name: 'https', tls: { certificates: [{ cert_file, key_file }] } }],
    routes: [
      { name: 'bad', match: { prefix: '/bad' }, cluster: 'bad' },
      { name: 'good', cluster: 'good' },
    ],
    clusters: [
      { name: 'good', endpoints: [good], health_checks: [{ path: '/', interval: '50ms' }] },
      {
        name: 'bad',
        endpoints: [bad],
        retry_policy: { retry_back_off: { base_interval: '1ms' } },
        circuit_breakers: { consecutive_failures: 2 },
      },
    ],
  })
  await (await fetch(url('/good'))).text()
  await (await fetch(url('/bad'))).text()
  const read = async (): Promise<Map<string, number>> => {
    const response = await fetch(`http://${gateway.adminAddress}/metrics`)
    return parseExposition(await response.text(), 'prometheus')
  }
  let samples = await read()
  // The first health check may still be under way.
  while (![...samples.keys()].some((key) => key.startsWith('heddle_endpoint_healthy'))) {
    samples = await read()
  }
  const exposed = new Map<string, Map<string, Set<string>>>()
  for (const key of samples.keys()) {
    const [, metric = '', inner = ''] = /^([^{]+)\{(.*)\}$/.exec(key) ?? []
    const labels = exposed.get(metric) ?? new Map<string, Set<string>>()
    exposed.set(metric, labels)
    for (const [, label = '', value = ''] of inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      const values = labels.get(label) ?? new Set<string>()
      labels.set(label, values.add(value))
    }
  }
  return exposed
}
