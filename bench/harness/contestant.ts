/**
 * What is measured: a program of its own, started afresh for every scenario.
 *
 * A *script* contestant is a file in `bench/peers` run by the Node that runs the bench, so that all
 * of them run on the same one; a *program* contestant (nginx, haproxy) is in `program.ts`. Both
 * give their ports and the processes whose CPU time and memory count as theirs.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FromPeer, PeerRun, PeerSettings, RunResult, ToPeer } from './peer.ts'

export interface Contestant {
  readonly kind: 'script' | 'program'
  readonly name: string
  /** How it is set up, for the report: the setting its own documentation recommends. */
  readonly setup: string
  /** Reason why it cannot take part on this machine; undefined when it can. */
  unavailable(): string | undefined
  start(settings: PeerSettings): Promise<RunningContestant>
}

export interface RunningContestant {
  readonly port: number
  /** Where it serves the same over TLS; 0 when it does not. */
  readonly tlsPort: number
  /** Processes that do its work. */
  readonly pids: readonly number[]
  /** Asks a client contestant to work; undefined for servers. */
  run(work: PeerRun): Promise<RunResult>
  /** Frees what is garbage, where that can be asked for. */
  collectGarbage(): Promise<void>
  /** Idempotent. Resolves when the process is gone. */
  stop(): Promise<void>
}

export interface ScriptOptions {
  readonly name: string
  readonly setup: string
  /** File in `bench/peers`. */
  readonly file: string
  readonly variant?: string
}

export function script(options: ScriptOptions): Contestant {
  return {
    kind: 'script',
    name: options.name,
    setup: options.setup,
    unavailable: () => undefined,
    start: (settings) => RunningScript.start(options, settings),
  }
}

class RunningScript implements RunningContestant {
  readonly pids: readonly number[]
  #port = 0
  #tlsPort = 0
  readonly #name: string
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  private constructor(options: ScriptOptions, settings: PeerSettings) {
    this.#name = options.name
    const path = fileURLToPath(new URL(`../peers/${options.file}`, import.meta.url))
    const { variant } = options
    const given = variant === undefined ? settings : { ...settings, variant }
    this.#child = fork(path, [JSON.stringify(given)], {
      execArgv: NODE_FLAGS,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: {
        ...process.env,
        // Libraries switch on checks and pretty output outside production.
        NODE_ENV: 'production',
        NODE_COMPILE_CACHE: join(settings.directory, 'compile-cache'),
      },
    })
    this.#exited = once(this.#child, 'exit')
    this.pids = [this.#child.pid ?? 0]
  }

  /**
   * The very first start of a file strips its types, which takes memory that stays with the process
   * and that no user of a built package sees; what counts is a second one, from the compile cache.
   */
  static async start(options: ScriptOptions, settings: PeerSettings): Promise<RunningScript> {
    if (!compiled.has(options.file)) {
      compiled.add(options.file)
      await (await RunningScript.start(options, settings)).stop()
    }
    const running = new RunningScript(options, settings)
    const ready = await running.#expect('ready')
    running.#port = ready.port
    running.#tlsPort = ready.tlsPort
    return running
  }

  get port(): number {
    return this.#port
  }

  get tlsPort(): number {
    return this.#tlsPort
  }

  async run(work: PeerRun): Promise<RunResult> {
    this.#tell({ type: 'run', work })
    return (await this.#expect('result')).result
  }

  async collectGarbage(): Promise<void> {
    this.#tell({ type: 'gc' })
    await this.#expect('collected')
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  #tell(message: ToPeer): void {
    this.#child.send(message)
  }

  /** The next message, which must be of that type: a contestant only ever answers. */
  async #expect<Type extends FromPeer['type']>(
    type: Type,
  ): Promise<Extract<FromPeer, { type: Type }>> {
    const answer = await Promise.race([
      once(this.#child, 'message').then(([message]) => message as FromPeer),
      this.#exited.then(() => undefined),
    ])
    if (answer === undefined) throw new Error(`${this.#name} ended instead of saying ${type}`)
    if (answer.type === 'failed') throw new Error(`${this.#name}: ${answer.message}`)
    if (answer.type !== type) throw new Error(`${this.#name} said ${answer.type}, not ${type}`)
    return answer as Extract<FromPeer, { type: Type }>
  }
}

const compiled = new Set<string>()
/** `--expose-gc` changes nothing but that memory can be read without garbage in it. */
const NODE_FLAGS = ['--expose-gc', '--disable-warning=ExperimentalWarning']
