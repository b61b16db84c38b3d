/** docs/telemetry.md lists exactly what a gateway exposes: name, kind, unit and labels. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test from 'node:test'
import { AdminService } from '../../src/gateway/admin/admin-service.ts'
import { nodeProcess } from '../../src/platform/node-process.ts'
import { Registry } from '../../src/telemetry/registry.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { StubGatewayStatus, stubCluster, stubEndpoint } from '../support/stub-gateway-status.ts'

test('docs/telemetry.md lists every metric of the gateway with kind, unit and labels', async () => {
  const text = await readFile(new URL('../../docs/telemetry.md', import.meta.url), 'utf8')
  const documented = new Map<string, string>()
  const row = /^\| `([a-z_.]+)` \| (counter|gauge|histogram) \| (?:`([^`]+)`)? ?\| ([^|]*)\|/gm
  for (const [, name = '', kind, unit = '', labels = ''] of text.matchAll(row)) {
    documented.set(
      name,
      [kind, unit, ...[...labels.matchAll(/`([^`]+)`/g)].map(([, one]) => one).sort()].join(' '),
    )
  }
  const exposed = new Map<string, string>()
  for (const { name, kind, unit, series } of everyMetric()) {
    const labels = new Set(series.flatMap((one) => Object.keys(one.attributes)))
    exposed.set(name, [kind, unit, ...[...labels].sort()].join(' '))
  }
  assert.deepEqual(
    Object.fromEntries([...documented].sort()),
    Object.fromEntries([...exposed].sort()),
  )
})

function everyMetric() {
  const status = new StubGatewayStatus()
  status.clusterList = [stubCluster({ endpoints: [stubEndpoint({})] })]
  const registry = new Registry()
  const clock = new ManualClock()
  const admin = new AdminService({ status, registry, clock, process: nodeProcess })
  status.finish({})
  status.finish({ status: 500 })
  const metrics = registry.collect()
  admin.close()
  return metrics
}
