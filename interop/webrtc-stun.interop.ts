/**
 * WebRTC between two peers that are each behind a NAT, in network namespaces: the kernel's own NAT,
 * coturn as STUN server, signalling over WebSocket, every peer a process.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { requirePeer } from './peers.ts'
import type { NatPeerLine } from './support/nat-peer.ts'
import type { NatWorldOrder, NatWorldReport } from './support/nat-world.ts'

const coturn = requirePeer('coturn')
const iproute = requirePeer('iproute2')
const nftables = requirePeer('nftables')
const unshare = requirePeer('unshare')
const skip = coturn.skip || iproute.skip || nftables.skip || unshare.skip
const WORLD = join(import.meta.dirname, 'support/nat-world.ts')
/** Everything in the world is gone when this kills its first process. */
const WORLD_TIMEOUT_MS = 60_000
/** A connection takes about 300 ms here, where there is a way at all. */
const HOPELESS_MS = 4_000
const ECHOED = { told: 'echoed', bytes: [1, 1_000, 16_384, 200_000] }
const run = promisify(execFile)

/** What both peers told, or nothing where the machine has no namespaces or no NAT. */
async function meet(
  t: TestContext,
  words: Pick<NatWorldOrder, 'nat' | 'servers' | 'timeoutMs'>,
): Promise<NatWorldReport | undefined> {
  const programs = { ip: iproute.path, nft: nftables.path, coturn: coturn.path }
  const namespaces = ['--user', '--map-root-user', '--net', '--mount', '--pid', '--mount-proc']
  const first = [
    '--fork',
    '--kill-child',
    process.execPath,
    '--disable-warning=ExperimentalWarning',
  ]
  const order: NatWorldOrder = { ...programs, ...words }
  try {
    const { stdout } = await run(
      unshare.path,
      [...namespaces, ...first, WORLD, JSON.stringify(order)],
      { timeout: WORLD_TIMEOUT_MS, killSignal: 'SIGKILL' },
    )
    const report = JSON.parse(stdout) as NatWorldReport
    if (report.unavailable === undefined) return report
    t.skip(`no NAT here: ${report.unavailable}`)
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    if (!/^unshare: /m.test(stderr)) throw error
    t.skip(`no namespaces here: ${stderr.trim().split('\n')[0]}`)
  }
  return undefined
}

function only<Told extends NatPeerLine['told']>(lines: readonly NatPeerLine[], told: Told) {
  const found = lines.filter((line) => line.told === told)
  assert.equal(found.length, 1, `${told}: ${JSON.stringify(lines)}`)
  return found[0] as Extract<NatPeerLine, { told: Told }>
}

const kinds = (lines: readonly NatPeerLine[]): string[] =>
  only(lines, 'done')
    .announced.map(({ type }) => type)
    .sort()

/** The two pairs are one, seen from both ends, between the addresses that the NATs gave. */
function assertServerReflexive({ asks, listens }: NatWorldReport): void {
  const [near, far] = [only(asks, 'pair'), only(listens, 'pair')]
  const place = ({ address, port }: { address: string; port: number }) => `${address}:${port}`
  for (const { local, remote } of [near, far]) {
    assert.deepEqual([local.type, remote.type], ['srflx', 'srflx'])
  }
  assert.deepEqual([near.local.address, near.remote.address], ['198.51.100.2', '203.0.113.2'])
  assert.deepEqual([far.remote, far.local].map(place), [near.local, near.remote].map(place))
  for (const [{ local }, lines] of [
    [near, asks],
    [far, listens],
  ] as const) {
    const told = only(lines, 'done').announced.filter(({ type }) => type === 'srflx')
    assert.deepEqual(told.map(place), [place(local)])
  }
}

function assertFailed({ asks, listens, exits }: NatWorldReport, missing: string): void {
  assert.deepEqual(only(asks, 'failed'), {
    told: 'failed',
    code: 'ERR_CONNECT_TIMEOUT',
    message: `connecting to webrtc://listener took too long: ${missing}`,
  })
  assert.equal(only(listens, 'failed').code, 'ERR_CONNECT_REFUSED')
  assert.deepEqual(exits, [0, 0])
}

test(`peers behind two NATs meet by what coturn ${coturn.version} tells them (STUN)`, {
  skip,
}, async (t) => {
  const report = await meet(t, { nat: 'port kept', servers: 'stun', timeoutMs: 20_000 })
  if (report === undefined) return
  assert.deepEqual(only(report.asks, 'echoed'), ECHOED)
  assertServerReflexive(report)
  assert.deepEqual(kinds(report.asks), ['host', 'srflx'])
  assert.deepEqual(report.exits, [0, 0])
})

test('without a STUN server they do not meet, and hear why', { skip }, async (t) => {
  const report = await meet(t, { nat: 'port kept', servers: 'none', timeoutMs: HOPELESS_MS })
  if (report === undefined) return
  assert.deepEqual(kinds(report.asks), ['host'])
  assertFailed(
    report,
    'no way was found from us (host) to the peer (host); iceServers names no STUN or TURN server',
  )
})

test('behind NATs with a port for each destination STUN is no help, and the error says what is', {
  skip,
}, async (t) => {
  const nat = 'port per destination'
  const report = await meet(t, { nat, servers: 'stun', timeoutMs: HOPELESS_MS })
  if (report === undefined) return
  assert.deepEqual(kinds(report.listens), ['host', 'srflx'])
  assertFailed(
    report,
    'no way was found from us (host, srflx) to the peer (host, srflx); ' +
      'neither side has a relay, which a TURN server gives',
  )
})
