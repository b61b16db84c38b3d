/**
 * Two peers, each behind a NAT, and what they can both reach. Runs as the first process of network,
 * mount and process namespaces of its own, where webrtc-stun.interop.ts starts it: when it ends, or
 * is killed, the kernel takes everything in them away.
 *
 *     STUN, signalling       192.0.2.1, which passes on between
 *             198.51.100.1 ─┐                    ┌─ 203.0.113.1
 *     NAT     198.51.100.2 ─┴─ nat-a      nat-b ─┴─ 203.0.113.2
 *                 10.1.0.1 ─┐                    ┌─ 10.2.0.1
 *                 10.1.0.2 ─┴─ asks     listens ─┴─ 10.2.0.2
 *
 * Prints one line of JSON.
 */
import { execFileSync, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseAddress } from '../../src/core/address.ts'
import { signallingServer } from '../../src/links/webrtc-signalling/signalling-server.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import type { IceServer } from '../../src/transports/webrtc/ice-servers.ts'
import { startCoturn } from './coturn.ts'
import type { NatPeerLine, NatPeerOrder } from './nat-peer.ts'

export interface NatWorldOrder {
  readonly ip: string
  readonly nft: string
  readonly coturn: string
  /**
   * `port kept`: a peer has one outer port, whomever it writes to. `port per destination`: another
   * one for each, so that what a STUN server sees is of no use to anybody else ("symmetric").
   */
  readonly nat: 'port kept' | 'port per destination'
  readonly servers: 'none' | 'stun'
  readonly timeoutMs: number
}

export interface NatWorldReport {
  /** Why there can be no such world on this machine. */
  readonly unavailable?: string
  readonly asks: readonly NatPeerLine[]
  readonly listens: readonly NatPeerLine[]
  /** Of the processes. */
  readonly exits: readonly (number | null)[]
}

const PUBLIC = '192.0.2.1'
const STUN_PORT = 3_478
/** For all but connecting. Who has not left by then is killed, and its exit is null. */
const EXTRA_MS = 15_000
const order = JSON.parse(process.argv[2]!) as NatWorldOrder

const ip = (...words: string[]): void => void execFileSync(order.ip, words, { stdio: QUIET })
const inside = (name: string, program: string, ...words: string[]): void =>
  ip('netns', 'exec', name, program, ...words)
const QUIET: StdioOptions = ['ignore', 'ignore', 'pipe']

function build(): void {
  // Names of namespaces are files there; the machine's own stay as they are.
  execFileSync('mount', ['-t', 'tmpfs', 'none', '/run'], { stdio: QUIET })
  process.env['TMPDIR'] = '/run' // coturn's files too go with this world
  ip('link', 'set', 'lo', 'up')
  ip('addr', 'add', `${PUBLIC}/32`, 'dev', 'lo')
  side('a', 'asks', '198.51.100', '10.1.0')
  side('b', 'listens', '203.0.113', '10.2.0')
  // As out there: what is nobody's goes somewhere, and is never heard of again.
  ip('route', 'add', 'default', 'via', '198.51.100.2')
  execFileSync('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1'], { stdio: QUIET })
}

function side(letter: string, peer: string, outer: string, inner: string): void {
  const nat = `nat-${letter}`
  for (const name of [nat, peer]) {
    ip('netns', 'add', name)
    ip('-n', name, 'link', 'set', 'lo', 'up')
  }
  link('', `to-${letter}`, `${outer}.1/24`, nat, 'wan', `${outer}.2/24`)
  link(nat, 'lan', `${inner}.1/24`, peer, 'eth0', `${inner}.2/24`)
  ip('-n', nat, 'route', 'add', 'default', 'via', `${outer}.1`)
  ip('-n', peer, 'route', 'add', 'default', 'via', `${inner}.1`)
  inside(nat, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1')
  inside(nat, order.nft, natRules())
}

function link(a: string, aName: string, aIp: string, b: string, bName: string, bIp: string): void {
  const at = a === '' ? [] : ['-n', a]
  ip(...at, 'link', 'add', aName, 'type', 'veth', 'peer', 'name', bName, 'netns', b)
  ip(...at, 'addr', 'add', aIp, 'dev', aName)
  ip(...at, 'link', 'set', aName, 'up')
  ip('-n', b, 'addr', 'add', bIp, 'dev', bName)
  ip('-n', b, 'link', 'set', bName, 'up')
}

/**
 * What nobody inside has asked for is dropped, as home routers do. It has to be: let in, it would be
 * a flow of the router's own, and the port that it came to would be taken when the peer inside sends
 * the other way. The router then gives the peer another port, and no two peers ever meet.
 */
function natRules(): string {
  const how = order.nat === 'port kept' ? '' : 'random, fully-random'
  return `
    add table ip nat
    add chain ip nat out { type nat hook postrouting priority 100; }
    add rule ip nat out oifname "wan" masquerade ${how}
    add table ip guard
    add chain ip guard input { type filter hook input priority 0; }
    add rule ip guard input iifname "wan" ct state new drop
    add chain ip guard forward { type filter hook forward priority 0; }
    add rule ip guard forward iifname "wan" ct state new drop
  `
}

function iceServers(): IceServer[] {
  return order.servers === 'none' ? [] : [{ urls: `stun:${PUBLIC}:${STUN_PORT}` }]
}

/** A process in its namespace, and what it says. */
function startPeer(role: NatPeerOrder['role'], signalling: string) {
  const { timeoutMs } = order
  const words: NatPeerOrder = { role, signalling, iceServers: iceServers(), timeoutMs }
  const child = spawn(
    order.ip,
    [
      ['netns', 'exec', role, process.execPath, '--disable-warning=ExperimentalWarning'],
      [join(import.meta.dirname, 'nat-peer.ts'), JSON.stringify(words)],
    ].flat(),
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const lines: NatPeerLine[] = []
  const first = Promise.withResolvers<void>()
  createInterface(child.stdout).on('line', (line) => {
    lines.push(JSON.parse(line) as NatPeerLine)
    first.resolve()
  })
  // 'close': also its last line has been read.
  const exited = once(child, 'close').then(([code]) => {
    first.resolve()
    return code as number | null
  })
  return { child, lines, first: first.promise, exited }
}

async function meet(): Promise<NatWorldReport> {
  await using _coturn = await startCoturn(order.coturn, PUBLIC, STUN_PORT)
  const url = `ws://${PUBLIC}:8080/`
  const signal = await webSocket().listen(parseAddress(url), signallingServer())
  const listens = startPeer('listens', url)
  await listens.first
  const asks = startPeer('asks', url)
  const late = setTimeout(() => {
    for (const { child } of [asks, listens]) child.kill('SIGKILL')
  }, order.timeoutMs + EXTRA_MS)
  const exits = await Promise.all([asks.exited, listens.exited])
  clearTimeout(late)
  await signal.close({ signal: AbortSignal.abort() })
  return { asks: asks.lines, listens: listens.lines, exits }
}

try {
  build()
  console.log(JSON.stringify(await meet()))
} catch (error) {
  const { stderr } = error as { stderr?: Buffer }
  const text = stderr?.toString().trim() || (error as Error).message
  if (!/Operation not (permitted|supported)|Permission denied|Unknown device type/i.test(text)) {
    throw error
  }
  const none = { asks: [], listens: [], exits: [] }
  const report: NatWorldReport = { unavailable: text.split('\n')[0]!, ...none }
  console.log(JSON.stringify(report))
}
