/**
 * `npm run interop`: heddle against other people's programs.
 *
 *     npm run interop -- --list
 *     npm run interop -- curl nginx        suites whose name contains one of the words
 *     npm run interop -- --install         installs missing peers with apt-get first
 *     npm run interop -- --require-all     a missing peer fails instead of skipping (CI)
 *
 * A suite is a file `<name>.interop.ts` of node:test tests that asks for its peers by
 * `requirePeer('…')`; that call is also how this script knows what to install.
 */
import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findPeer, installPeers, PEERS, type PeerName } from './peers.ts'

const FOLDER = import.meta.dirname
const ROOT = join(FOLDER, '..')
const SUITE_TIMEOUT_MS = 300_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    install: { type: 'boolean', default: false },
    'require-all': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    reporter: { type: 'string', default: join(ROOT, 'scripts/test-reporter.ts') },
    help: { type: 'boolean', default: false },
  },
})

const all = globSync('**/*.interop.ts', { cwd: FOLDER, exclude: ['node_modules'] })
  .map((file) => file.replaceAll('\\', '/'))
  .sort()
const chosen = all.filter(
  (file) => positionals.length === 0 || positionals.some((word) => file.includes(word)),
)

if (values.help) {
  console.log('npm run interop -- [words…] [--list] [--install] [--require-all] [--reporter spec]')
} else if (values.list) {
  for (const file of all) console.log(`${file}: ${peersOf(file).join(', ') || 'no peers'}`)
} else if (chosen.length === 0) {
  console.error(`no interop suite matches: ${positionals.join(' ')}`)
  process.exitCode = 1
} else {
  process.exitCode = run()
}

function peersOf(file: string): PeerName[] {
  const text = readFileSync(join(FOLDER, file), 'utf8')
  const names = [...text.matchAll(/requirePeer\(\s*['"]([^'"]+)['"]/g)].map((match) => match[1])
  return [...new Set(names)].filter((name): name is PeerName => (name ?? '') in PEERS)
}

function run(): number {
  // With --require-all every peer is checked, so that a list nobody uses is noticed as well.
  const wanted = values['require-all']
    ? (Object.keys(PEERS) as PeerName[])
    : [...new Set(chosen.flatMap(peersOf))]
  let missing = wanted.filter((name) => findPeer(name) === undefined)
  if (missing.length > 0 && (values.install || process.env['CI'] === 'true')) {
    installPeers(missing)
  }
  for (const name of wanted) {
    const peer = findPeer(name)
    console.log(`${name}: ${peer === undefined ? 'missing' : `${peer.version} (${peer.path})`}`)
  }
  missing = wanted.filter((name) => findPeer(name) === undefined)
  if (missing.length > 0 && values['require-all']) {
    console.error(`missing: ${missing.join(', ')}; --install brings them`)
    return 1
  }
  if (missing.length > 0) console.log(`suites that need ${missing.join(', ')} are skipped`)

  const parameters = [
    '--disable-warning=ExperimentalWarning',
    '--test',
    '--test-concurrency=1', // real servers share ports, cores and the clock
    `--test-timeout=${SUITE_TIMEOUT_MS}`,
    `--test-reporter=${values.reporter}`,
    '--test-reporter-destination=stdout',
    ...chosen.map((file) => join(FOLDER, file)),
  ]
  const required = values['require-all'] ? '1' : '0'
  const tests = spawnSync(process.execPath, parameters, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, HEDDLE_INTEROP_REQUIRE_ALL: required },
  })
  return tests.status ?? 1
}
