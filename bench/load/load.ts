/**
 * Drives load from the bench: wrk where it is installed (it costs about a third of the CPU time of
 * a generator over sockets of Node, so it saturates more servers), our own generator for everything else.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type {
  DatagramJob,
  EchoJob,
  HttpJob,
  IdleJob,
  Job,
  JobAnswer,
  LoadResult,
  StreamsJob,
  WebSocketJob,
} from './jobs.ts'

export interface LoadOptions {
  /** Use our own generator for everything. */
  readonly own: boolean
}

export class Load {
  readonly usesWrk: boolean
  readonly #child: ChildProcess

  constructor(options: LoadOptions) {
    this.usesWrk = !options.own && spawnSync('wrk', ['-v'], { stdio: 'ignore' }).error === undefined
    const path = fileURLToPath(new URL('./generator.ts', import.meta.url))
    this.#child = fork(path, [], { execArgv: ['--disable-warning=ExperimentalWarning'] })
  }

  http(job: HttpJob): Promise<LoadResult> {
    // wrk takes whole seconds; anything shorter is a warm-up, and nobody reads its figures.
    const whole = job.milliseconds >= 1000 && job.milliseconds % 1000 === 0
    return this.usesWrk && whole ? runWrk(job) : this.#run(job)
  }

  echo(job: EchoJob): Promise<LoadResult> {
    return this.#run(job)
  }

  webSocket(job: WebSocketJob): Promise<LoadResult> {
    return this.#run(job)
  }

  datagrams(job: DatagramJob): Promise<LoadResult> {
    return this.#run(job)
  }

  openIdle(job: IdleJob | StreamsJob): Promise<LoadResult> {
    return this.#run(job)
  }

  /** Closes idle connections and open streams; `requests` of the result is how many were still open. */
  releaseIdle(): Promise<LoadResult> {
    return this.#run({ type: 'release' })
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }

  async #run(job: Job): Promise<LoadResult> {
    this.#child.send(job)
    const [answer] = (await once(this.#child, 'message')) as [JobAnswer]
    if (answer.type === 'failed') throw new Error(`load generator: ${answer.message}`)
    return answer.result
  }
}

async function runWrk(job: HttpJob): Promise<LoadResult> {
  const { request, milliseconds, connections, depth, tls, port } = job
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}${request.path}`
  const parameters = ['-t1', `-c${connections}`, `-d${milliseconds / 1000}s`, '-s', LUA, url, '--']
  parameters.push(request.method, request.path, String(request.bodyBytes), String(depth))
  const child = spawn('wrk', parameters, { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text))
  await once(child, 'close')
  return parseWrk(output)
}

/** Reads the line that wrk.lua writes: counts, then times in microseconds. */
export function parseWrk(output: string): LoadResult {
  const found = /^totals (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$/m.exec(output)
  if (found === null) throw new Error(`wrk gave no totals: ${output}`)
  const [requests, micros, socketErrors, statusErrors, p50, p99] = found.slice(1).map(Number)
  return {
    requests: requests as number,
    errors: (socketErrors as number) + (statusErrors as number),
    seconds: (micros as number) / 1e6,
    p50Ms: (p50 as number) / 1000,
    p99Ms: (p99 as number) / 1000,
  }
}

const LUA = fileURLToPath(new URL('./wrk.lua', import.meta.url))
