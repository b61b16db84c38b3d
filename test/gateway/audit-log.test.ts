/**
 * The gateway's audit log: what it says, that it follows the configuration, that it fails closed.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { verifyAudit } from '../../src/security/audit/audit-verify.ts'
import { collect, HTTP, rawUpstream, start } from './running-gateway.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'heddle-audit-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const records = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

const ADMIN = { enabled: true, address: '127.0.0.1:0' }

test('Gateway records starts, refusals by address, reloads and what admin is asked for', async (t) => {
  const path = join(folder(t), 'audit.log')
  const config = (more: object = {}) => ({
    admin: ADMIN,
    audit_log: { path },
    listeners: [{ ...HTTP, deny: ['127.0.0.2'] }],
    routes: [{ fixed_response: { body: 'x' } }],
    ...more,
  })
  const { gateway, at, change } = await start(t, config())
  const refused = connect({ host: '127.0.0.1', port: at().port, localAddress: '127.0.0.2' })
  refused.on('error', () => {})
  await collect(refused).catch(() => '')
  change('listeners: [')
  assert.equal((await gateway.reload()).status, 'rejected')
  change(config({ drain: { timeout: '5s' } }))
  assert.equal((await gateway.reload()).status, 'applied')
  await fetch(`http://${gateway.adminAddress}/reload`, { method: 'POST' })
  await gateway.drain()
  const report = await verifyAudit([path], {
    checkpoint: readFileSync(`${path}.checkpoint`, 'utf8'),
  })
  assert.equal(report.ok, true, JSON.stringify(report.broken))
  const said = records(path).map(({ type, outcome, action, address, resource, detail }) => {
    const { changes } = (detail ?? {}) as { changes?: string[] }
    return [type, outcome, action, address, resource, changes?.join()]
      .filter((one) => one)
      .join(' ')
  })
  assert.deepEqual(said, [
    'start',
    'decision denied connect 127.0.0.2 http',
    'reload rejected',
    'reload applied drain changed',
    'admin reload 127.0.0.1',
    'drain',
    'stop',
  ])
})

test('Gateway goes on with its audit log elsewhere, or with the old one, after a reload', async (t) => {
  const path = folder(t)
  const config = (audit_log: object) => ({
    audit_log,
    listeners: [HTTP],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  const first = join(path, 'first.log')
  const second = join(path, 'second.log')
  const { gateway, change } = await start(t, config({ path: first }))
  change(config({ path: join(path, 'no', 'such', 'folder') }))
  const rejected = await gateway.reload()
  assert.equal(rejected.status, 'rejected')
  assert.match(JSON.stringify(rejected), /audit log .* cannot be opened/)
  change(config({ path: first, max_file: '1KiB' }))
  assert.equal((await gateway.reload()).status, 'applied')
  change(config({ path: second }))
  assert.equal((await gateway.reload()).status, 'applied')
  change(config({ path: 'off' }))
  assert.equal((await gateway.reload()).status, 'applied')
  await gateway.drain()
  const files = readdirSync(path).filter((name) => /^first\.log(\.\d+)?$/.test(name))
  const report = await verifyAudit(files.map((name) => join(path, name)))
  assert.equal(report.ok, true)
  assert.equal(report.records, 3)
  assert.equal((await verifyAudit([second])).records, 1)
})

const linux = process.platform === 'linux' ? {} : { skip: 'needs /dev/full' }

test('Gateway answers 503 while nothing can be recorded, unless it may drop', linux, async (t) => {
  const config = (when_full: string) => ({
    // A device that takes nothing, as a full disk.
    audit_log: { path: '/dev/full', when_full, max_queue: '1KiB', decisions: 'all' },
    listeners: [{ ...HTTP, deny: ['127.0.0.2'] }],
    routes: [{ fixed_response: { body: 'x' } }],
  })
  const { gateway, url, at } = await start(t, config('refuse'))
  const knock = async () => {
    const socket = connect({ host: '127.0.0.1', port: at().port, localAddress: '127.0.0.2' })
    socket.on('error', () => {})
    await collect(socket).catch(() => '')
  }
  assert.equal((await fetch(url('/'))).status, 200)
  for (let count = 0; count < 10; count++) await knock()
  assert.equal((await fetch(url('/'))).status, 200, 'strangers do not close it')
  for (let count = 0; count < 4; count++) await gateway.reload().catch(() => {})
  gateway.audit({ type: 'test', reason: 'x'.repeat(900) })
  assert.equal((await fetch(url('/'))).status, 503)
  await gateway.destroy()

  let reached = 0
  const endpoint = await rawUpstream(t, (socket) => {
    reached += 1
    socket.end('reached')
  })
  const raw = await start(t, {
    ...config('refuse'),
    listeners: [{ ...HTTP, protocol: 'raw', raw_routes: [{ cluster: 'c' }] }],
    clusters: [{ name: 'c', endpoints: [endpoint] }],
    routes: [],
  })
  const visit = () => {
    const socket = connect({ host: '127.0.0.1', port: raw.at().port })
    socket.on('error', () => {})
    return collect(socket).catch(() => '')
  }
  assert.equal(await visit(), 'reached')
  raw.gateway.audit({ type: 'test', reason: 'x'.repeat(2_000) })
  assert.equal(await visit(), '', 'bytes without a protocol are not served either')
  assert.equal(reached, 1)
  await raw.gateway.destroy()

  const dropping = await start(t, config('drop'))
  dropping.gateway.audit({ type: 'test', reason: 'x'.repeat(2_000) })
  assert.equal((await fetch(dropping.url('/'))).status, 200)
  await dropping.gateway.destroy()
})
