/**
 * Contestants that are programs of the machine: nginx and haproxy.
 *
 * Each gets a configuration file in a directory of its own and stays in the foreground, so that it
 * ends with the bench. Ports are chosen by asking the kernel for free ones.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Contestant, RunningContestant } from './contestant.ts'
import type { PeerSettings } from './peer.ts'
import { childrenOf } from './proc.ts'

export interface ProgramOptions {
  readonly name: string
  readonly setup: string
  readonly command: string
  /** @default 'program' */
  readonly kind?: Contestant['kind']
  /** The whole configuration. */
  configure(ports: ProgramPorts, settings: PeerSettings): string
  /** Arguments, given where the configuration was written. */
  parameters(configFile: string, directory: string): string[]
  /** Other files the configuration points to, by name. */
  files?(): Readonly<Record<string, Uint8Array | string>>
  /** True: a master process starts workers, which are what counts. */
  readonly hasWorkers: boolean
}

export interface ProgramPorts {
  readonly port: number
  readonly tlsPort: number
  readonly directory: string
}

export function program(options: ProgramOptions): Contestant {
  return {
    kind: options.kind ?? 'program',
    name: options.name,
    setup: options.setup,
    unavailable() {
      const found = spawnSync(options.command, ['-v'], { stdio: 'ignore' })
      return found.error === undefined ? undefined : `${options.command} is not installed`
    },
    async start(settings) {
      // As for scripts: what counts is a process that had no types to strip.
      if (options.kind === 'script' && !compiled.has(options.name)) {
        compiled.add(options.name)
        await (await startProgram(options, settings)).stop()
      }
      return startProgram(options, settings)
    },
  }
}

async function startProgram(
  options: ProgramOptions,
  settings: PeerSettings,
): Promise<RunningContestant> {
  const directory = mkdtempSync(join(settings.directory, `${options.name.replaceAll(/\W/g, '')}-`))
  // Workers that a root's master starts run as nobody and must get in.
  for (const path of [settings.directory, directory]) chmodSync(path, 0o755)
  for (const [name, content] of Object.entries(options.files?.() ?? {})) {
    writeFileSync(join(directory, name), content)
  }
  const [port, tlsPort] = [await freePort(), await freePort()]
  const configFile = join(directory, 'config')
  writeFileSync(configFile, options.configure({ port, tlsPort, directory }, settings))
  const child = spawn(options.command, options.parameters(configFile, directory), {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      ...process.env,
      NODE_ENV: 'production',
      NODE_COMPILE_CACHE: join(settings.directory, 'compile-cache'),
    },
  })
  const exited = once(child, 'exit')
  await waitUntilAccepting(options.name, port, child)
  const main = child.pid ?? 0
  const pids = options.hasWorkers ? await workersOf(options.name, main) : [main]
  return {
    port,
    tlsPort,
    pids,
    run: () => Promise.reject(new Error(`${options.name} is not a client`)),
    collectGarbage: async () => {},
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      await exited
    },
  }
}

async function waitUntilAccepting(name: string, port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (child.exitCode !== null) throw new Error(`${name} ended with code ${child.exitCode}`)
    if (await accepts(port)) return
    await wait(ATTEMPT_WAIT_MS)
  }
  throw new Error(`${name} does not accept connections on port ${port}`)
}

/** The kernel queues connections before the first worker is there. */
async function workersOf(name: string, pid: number): Promise<number[]> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const workers = childrenOf(pid)
    if (workers.length > 0) return workers
    await wait(ATTEMPT_WAIT_MS)
  }
  throw new Error(`${name} started no worker`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const compiled = new Set<string>()
const MAX_ATTEMPTS = 100
const ATTEMPT_WAIT_MS = 50
