/**
 * What a figure depends on besides the code: machine, kernel, versions of everything that took
 * part.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface MachineFacts {
  readonly processor: string
  readonly kernel: string
  readonly memoryGiB: number
  readonly commit: string
  readonly date: string
  /** Name and version. */
  readonly versions: ReadonlyMap<string, string>
}

export function machineFacts(): MachineFacts {
  const processors = cpus()
  return {
    processor: `${processors.length} × ${processors[0]?.model ?? 'unknown processor'}`,
    kernel: `${process.platform} ${release()} ${process.arch}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    commit: commit(),
    date: new Date().toISOString().slice(0, 10),
    versions: versions(),
  }
}

function commit(): string {
  try {
    const git = (...parameters: string[]): string =>
      execFileSync('git', parameters, { cwd: ROOT, encoding: 'utf8' }).trim()
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'src') !== ''
    return git('rev-parse', '--short=12', 'HEAD') + (changed ? ' with changes in src' : '')
  } catch {
    return 'unknown'
  }
}

function versions(): Map<string, string> {
  const found = new Map([['node', process.version]])
  const manifest = JSON.parse(readFileSync(join(ROOT, 'bench/package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of PEERS) {
    if (name in manifest.dependencies) found.set(name, packageVersion(name))
  }
  for (const [name, flag, pattern] of PROGRAMS) {
    const { stdout, stderr, error } = spawnSync(name, [flag], { encoding: 'utf8' })
    if (error !== undefined) continue
    found.set(name, pattern.exec(stdout + stderr)?.[1] ?? 'unknown')
  }
  return found
}

/** Packages may hide their manifest behind `exports`, so it is looked for on disk. */
function packageVersion(name: string): string {
  let directory = dirname(createRequire(join(ROOT, 'bench/run.ts')).resolve(name))
  for (;;) {
    try {
      const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
        name?: string
        version?: string
      }
      if (manifest.name === name && manifest.version !== undefined) return manifest.version
    } catch {
      // Not here: one directory up.
    }
    const parent = dirname(directory)
    if (parent === directory) return 'unknown'
    directory = parent
  }
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PEERS = [
  ...['undici', 'fastify', 'hono', '@hono/node-server'],
  ...['httpxy', 'http-proxy-3', '@fastify/http-proxy'],
]
const PROGRAMS: readonly (readonly [string, string, RegExp])[] = [
  ['nginx', '-v', /nginx\/(\S+)/],
  ['haproxy', '-v', /version (\S+)/],
  ['wrk', '-v', /wrk (\S+)/],
  ['h2load', '--version', /nghttp2\/(\S+)/],
]
