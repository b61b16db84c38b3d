/**
 * Real programs that the interop suites talk to: how each is found, what version it has, and which
 * Debian package brings it. A suite asks for what it needs by `requirePeer('curl')`.
 */
import { spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  copyFileSync,
  globSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'

interface PeerEntry {
  /** Names of the program, the usual one first. */
  readonly commands: readonly string[]
  readonly versionArguments: readonly string[]
  readonly version: RegExp
  /** The Debian and Ubuntu package; with `goModule` the one that brings Go. */
  readonly aptPackage: string
  /**
   * A command of a Go module, with its version, where no distribution has it. It is installed under
   * the first of `commands`.
   */
  readonly goModule?: string
}

function postgresPrograms(): string[] {
  return globSync('/usr/lib/postgresql/*/bin/postgres').sort().reverse()
}

export const PEERS = {
  chromium: {
    commands: ['chromium', 'chromium-browser', 'google-chrome'],
    versionArguments: ['--version'],
    version: /(\d+\.\d+\.\d+\.\d+)/,
    aptPackage: 'chromium',
  },
  coturn: {
    commands: ['turnserver'],
    versionArguments: ['--version'],
    version: /^(\d+\.\d+\S*)/m,
    aptPackage: 'coturn',
  },
  curl: {
    commands: ['curl'],
    versionArguments: ['--version'],
    version: /^curl (\S+)/,
    aptPackage: 'curl',
  },
  etcd: {
    commands: ['etcd'],
    versionArguments: ['--version'],
    version: /etcd Version: (\S+)/,
    aptPackage: 'etcd-server',
  },
  grpcurl: {
    commands: ['grpcurl'],
    versionArguments: ['--version'],
    version: /^grpcurl (.+)/,
    aptPackage: 'golang-go',
    goModule: 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3',
  },
  gtlsclient: {
    commands: ['gtlsclient'],
    versionArguments: ['--help'],
    version: /Usage: (client)/,
    aptPackage: 'ngtcp2-client',
  },
  gtlsserver: {
    commands: ['gtlsserver'],
    versionArguments: ['--help'],
    version: /Usage: (server)/,
    aptPackage: 'ngtcp2-server',
  },
  h2load: {
    commands: ['h2load'],
    versionArguments: ['--version'],
    version: /nghttp2\/(\S+)/,
    aptPackage: 'nghttp2-client',
  },
  haproxy: {
    commands: ['haproxy'],
    versionArguments: ['-v'],
    version: /version (\S+)/,
    aptPackage: 'haproxy',
  },
  mariadbd: {
    commands: ['mariadbd'],
    versionArguments: ['--version'],
    version: /Ver (\S+)/,
    aptPackage: 'mariadb-server',
  },
  iproute2: {
    commands: ['ip'],
    versionArguments: ['-V'],
    version: /iproute2-([^\s,]+)/,
    aptPackage: 'iproute2',
  },
  lz4: {
    commands: ['lz4'],
    versionArguments: ['--version'],
    version: /v(\d+\.\d+\.\d+)/,
    aptPackage: 'lz4',
  },
  named: {
    commands: ['named'],
    versionArguments: ['-v'],
    version: /^BIND (\S+)/,
    aptPackage: 'bind9',
  },
  nftables: {
    commands: ['nft'],
    versionArguments: ['--version'],
    version: /^nftables v(\S+)/,
    aptPackage: 'nftables',
  },
  nghttp: {
    commands: ['nghttp'],
    versionArguments: ['--version'],
    version: /nghttp2\/(\S+)/,
    aptPackage: 'nghttp2-client',
  },
  nginx: {
    commands: ['nginx'],
    versionArguments: ['-v'],
    version: /nginx\/(\S+)/,
    aptPackage: 'nginx',
  },
  openssl: {
    commands: ['openssl'],
    versionArguments: ['version'],
    version: /^OpenSSL (\S+)/,
    aptPackage: 'openssl',
  },
  postgres: {
    // Debian keeps each version's programs in a folder of its own.
    commands: ['postgres', ...postgresPrograms()],
    versionArguments: ['--version'],
    version: /PostgreSQL\) (\S+)/,
    aptPackage: 'postgresql',
  },
  prometheus: {
    commands: ['prometheus'],
    versionArguments: ['--version'],
    version: /version (\S+)/,
    aptPackage: 'prometheus',
  },
  promtool: {
    commands: ['promtool'],
    versionArguments: ['--version'],
    version: /version (\S+)/,
    aptPackage: 'prometheus',
  },
  python3: {
    commands: ['python3'],
    versionArguments: ['--version'],
    version: /^Python (\S+)/,
    aptPackage: 'python3',
  },
  'redis-server': {
    commands: ['redis-server'],
    versionArguments: ['--version'],
    version: /v=(\S+)/,
    aptPackage: 'redis-server',
  },
  'python-aiortc': {
    commands: ['/usr/bin/python3', 'python3'],
    versionArguments: ['-c', 'import aiortc as a; print("aiortc", a.__version__)'],
    version: /^aiortc (\S+)/,
    aptPackage: 'python3-aiortc',
  },
  'python-venv': {
    commands: ['/usr/bin/python3', 'python3'],
    versionArguments: ['-c', 'import sys, ensurepip, venv; print("venv", sys.version.split()[0])'],
    version: /^venv (\S+)/,
    aptPackage: 'python3-venv',
  },
  'python-websockets': {
    // Debian's, before one that somebody put in front of it.
    commands: ['/usr/bin/python3', 'python3'],
    versionArguments: ['-c', 'import websockets as w; print("websockets", w.version.version)'],
    version: /^websockets (\S+)/,
    aptPackage: 'python3-websockets',
  },
  socat: {
    commands: ['socat'],
    versionArguments: ['-V'],
    version: /socat version (\S+)/,
    aptPackage: 'socat',
  },
  'toxiproxy-cli': {
    commands: ['toxiproxy-cli'],
    versionArguments: ['--version'],
    version: /^toxiproxy-cli version (\S+)/,
    aptPackage: 'golang-go',
    goModule: 'github.com/Shopify/toxiproxy/v2/cmd/cli@v2.12.0',
  },
  'toxiproxy-server': {
    commands: ['toxiproxy-server'],
    versionArguments: ['-version'],
    version: /^toxiproxy-server version (\S+)/,
    aptPackage: 'golang-go',
    goModule: 'github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0',
  },
  unshare: {
    commands: ['unshare'],
    versionArguments: ['--version'],
    version: /^unshare from util-linux (\S+)/,
    aptPackage: 'util-linux',
  },
  wrk: {
    commands: ['wrk'],
    versionArguments: ['-v'],
    version: /^wrk (\S+)/,
    aptPackage: 'wrk',
  },
} as const satisfies Readonly<Record<string, PeerEntry>>

export type PeerName = keyof typeof PEERS

export interface Peer {
  readonly name: PeerName
  readonly path: string
  readonly version: string
}

/** What a suite gets: for `test(name, { skip: peer.skip }, …)`. */
export interface RequiredPeer {
  readonly path: string
  readonly version: string
  /** False when the peer is there, else the reason. */
  readonly skip: false | string
}

/** Set by `interop/run.ts --require-all`: a missing peer is then a failure, not a skip. */
const REQUIRE_ALL = 'HEDDLE_INTEROP_REQUIRE_ALL'

/** Servers live where the path of an ordinary user does not lead. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/opt/homebrew/bin']

export function findPeer(name: PeerName): Peer | undefined {
  const { commands, versionArguments, version } = PEERS[name]
  for (const command of commands) {
    const path = findProgram(command)
    if (path === undefined) continue
    // Some print their version to stderr, and wrk exits with 1 after doing so.
    const result = spawnSync(path, [...versionArguments], { encoding: 'utf8', timeout: 20_000 })
    const found = version.exec(`${result.stdout ?? ''}${result.stderr ?? ''}`)?.[1]
    if (found !== undefined) return { name, path, version: found }
  }
  return undefined
}

export function requirePeer(name: PeerName): RequiredPeer {
  const peer = findPeer(name)
  if (peer !== undefined) return { path: peer.path, version: peer.version, skip: false }
  const { aptPackage, goModule }: PeerEntry = PEERS[name]
  const how = goModule === undefined ? `apt-get install ${aptPackage}` : `go install ${goModule}`
  const reason = `${name} is not installed (${how})`
  if (process.env[REQUIRE_ALL] === '1') throw new Error(reason)
  return { path: '', version: '', skip: reason }
}

function findProgram(command: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS]
  for (const folder of isAbsolute(command) ? [''] : folders) {
    const path = join(folder, command)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not there; the next folder.
    }
  }
  return undefined
}

/** Installs Debian packages of missing peers. Says what it does; throws when it cannot. */
export function installPeers(names: readonly PeerName[]): void {
  const modules: (readonly [module: string, command: string])[] = []
  const wanted: string[] = []
  for (const name of names) {
    const { aptPackage, goModule, commands }: PeerEntry = PEERS[name]
    if (goModule !== undefined) modules.push([goModule, commands[0] as string])
    if (goModule === undefined || findProgram('go') === undefined) wanted.push(aptPackage)
  }
  installPackages([...new Set(wanted)])
  for (const [module, command] of modules) installGoModule(module, command)
}

function installPackages(packages: readonly string[]): void {
  if (packages.length === 0) return
  const asRoot = process.getuid?.() === 0
  const prefix = asRoot ? [] : ['sudo', '-n']
  console.log(`installing ${packages.join(' ')} with apt-get`)
  runApt(prefix, ['update', '-q'])
  runApt(prefix, ['install', '-y', '-q', '--no-install-recommends', ...packages])
}

/** Compiled here, into a folder of the path; Go names a program after its folder: `cli`, `server`. */
function installGoModule(module: string, command: string): void {
  console.log(`installing ${module} with go`)
  const folder = mkdtempSync(join(tmpdir(), 'heddle-go-'))
  try {
    const env = { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' }
    const result = spawnSync(findProgram('go') ?? 'go', ['install', module], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env,
    })
    if (result.error !== undefined) throw result.error
    if (result.status !== 0) throw new Error(`go install ${module} failed (${result.status})`)
    const [built = ''] = readdirSync(folder)
    copyFileSync(join(folder, built), join('/usr/local/bin', command))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function runApt(prefix: readonly string[], parameters: readonly string[]): void {
  const [program = 'apt-get', ...rest] = [...prefix, 'apt-get', '-o', 'Acquire::Retries=3']
  const result = spawnSync(program, [...rest, ...parameters], {
    stdio: ['ignore', 'ignore', 'inherit'],
    // The suites start their own servers: those of the packages must not start.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  })
  if (result.error !== undefined) throw result.error
  if (result.status !== 0) throw new Error(`apt-get ${parameters[0]} failed (${result.status})`)
}
