import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../testing/manual-clock.ts'
import { tcpAbilities } from '../../transports/tcp/tcp-sockets.ts'
import { udpAbilities } from '../../transports/udp/udp.ts'
import { nodePath } from '../../transports/unix/unix.ts'
import { capabilityNames, transportCapabilities, unavailableTransports } from './capabilities.ts'
import { platformReason } from './platform-reasons.ts'
import { capabilityProbes } from './probes.ts'

test('transportCapabilities uses each transport once, and gives a reason for each that fails', async () => {
  const found = await transportCapabilities()
  assert.deepEqual(
    found.map((one) => one.name),
    capabilityNames,
  )
  for (const { name, available, reason } of found) {
    assert.equal(available, reason === undefined, name)
    assert.notEqual(reason, '', name)
  }
  const here = new Map(found.map((one) => [one.name, one]))
  for (const name of ['memory', 'tcp', 'tls', 'udp', 'ws', 'gzip']) {
    assert.equal(here.get(name)?.available, true, `${name}: ${here.get(name)?.reason}`)
  }
})

test('transportCapabilities gives macOS and Windows a clear reason for what they never have', async () => {
  const only = ['unix', 'unix-abstract', 'reuse-port', 'quic']
  const reasons = async (system: string, processor = 'x64') => {
    const found = await transportCapabilities({ only, platform: { system, processor } })
    return Object.fromEntries(found.map((one) => [one.name, one.reason]))
  }
  const windows = await reasons('win32')
  assert.match(String(windows['unix']), /named pipes on Windows/)
  assert.match(String(windows['unix-abstract']), /Linux only, and this is Windows/)
  assert.match(String(windows['reuse-port']), /Windows does not spread/)
  assert.match(String(windows['quic']), /node\.exe does not export/)
  const mac = await reasons('darwin', 'arm64')
  assert.match(String(mac['unix-abstract']), /this is macOS/)
  assert.match(String(mac['reuse-port']), /macOS does not spread/)
  assert.match(String((await reasons('linux', 'arm'))['quic']), /64-bit machines, not for arm/)
  const sun = await transportCapabilities({
    only: ['webrtc'],
    platform: { system: 'sunos', processor: 'x64' },
  })
  assert.match(String(sun[0]?.reason), /no build for sunos/)
})

test('what a platform never has is what its transports refuse, on every system', () => {
  const systems = ['linux', 'darwin', 'win32', 'freebsd', 'openbsd', 'sunos', 'aix', 'android']
  for (const system of systems) {
    const has = (name: string) => platformReason(name, { system, processor: 'x64' }) === undefined
    assert.equal(tcpAbilities(system).reusePort, has('reuse-port'), system)
    assert.equal(udpAbilities(system).reusePort, has('reuse-port'), system)
    const abstract = () => nodePath({ kind: 'unix', path: 'name', abstract: true }, system)
    if (has('unix-abstract')) assert.equal(abstract(), '\0name')
    else assert.throws(abstract, { code: 'ERR_OPTION_UNSUPPORTED' }, system)
  }
})

test('unavailableTransports is what selection wants', async () => {
  const platform = { system: 'win32', processor: 'x64' }
  const missing = await unavailableTransports({ only: ['unix', 'quic', 'unix-abstract'], platform })
  assert.deepEqual(Object.keys(missing).sort(), ['quic', 'unix'])
})

test('transportCapabilities does not wait longer than timeoutMs for a probe', async () => {
  const clock = new ManualClock()
  const probe = capabilityProbes.find((one) => one.name === 'gzip')
  assert.ok(probe !== undefined)
  const stuck = test.mock.method(probe, 'run', () => new Promise<never>(() => {}))
  const pending = transportCapabilities({ only: ['gzip'], timeoutMs: 100, clock })
  await clock.advanceAsync(100)
  const [found] = await pending
  stuck.mock.restore()
  assert.equal(found?.reason, 'no result within 100 ms')
  assert.equal(clock.pendingTimers, 0)
})
