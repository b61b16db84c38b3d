/**
 * Starting real programs for a suite: each with its own folder, waited for until it answers, and
 * ended with the test.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface Running extends AsyncDisposable {
  readonly child: ChildProcess
  /** Everything it wrote, both streams. */
  output(): string
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

export function start(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Running {
  const child = spawn(command, args, { env: { ...process.env, ...env } })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  child.stderr.on('data', (chunk) => {
    text += chunk
  })
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
    const exited = once(child, 'exit')
    child.kill(signal)
    const insist = setTimeout(() => child.kill('SIGKILL'), 15_000)
    await exited
    clearTimeout(insist)
    return child.exitCode
  }
  return {
    child,
    output: () => text,
    stop,
    // Not SIGKILL: nginx and haproxy would leave their workers behind.
    [Symbol.asyncDispose]: async () => void (await stop()),
  }
}

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'heddle-interop-'))
  await chmod(path, 0o755) // nginx's workers are somebody else when it is started by root
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A port that was free a moment ago, for programs that cannot choose one themselves. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export async function untilListening(port: number, running?: Running): Promise<void> {
  const deadline = Date.now() + 15_000
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (open) return
    if (Date.now() > deadline || (running && running.child.exitCode !== null)) {
      throw new Error(`nothing listens on ${port}: ${running?.output() ?? ''}`)
    }
    await sleep(50)
  }
}

export interface RunningGateway extends Running {
  /** Where the listener of that name is bound, `host:port`; `dashboard` is the admin. */
  address(name: string): string
  readonly configFile: string
}

/** Starts `heddle up` on a configuration and waits until it is ready. */
export async function startGateway(folder: string, config: string): Promise<RunningGateway> {
  const configFile = join(folder, 'gateway.yaml')
  await writeFile(configFile, config)
  const running = start(process.execPath, [CLI, 'up', configFile])
  const deadline = Date.now() + 20_000
  while (!/ is up\n[\s\S]*\n\n/.test(running.output())) {
    if (running.child.exitCode !== null || Date.now() > deadline) {
      await running.stop('SIGKILL')
      throw new Error(`the gateway did not start: ${running.output()}`)
    }
    await sleep(20)
  }
  const address = (name: string): string => {
    const match = new RegExp(`^  ${name} +(?:\\w+://)?([^/\\s]+)`, 'm').exec(running.output())
    if (match?.[1] === undefined) throw new Error(`no address of ${name}: ${running.output()}`)
    return match[1]
  }
  return { ...running, address, configFile }
}
