/**
 * aioquic as a peer of QUIC: installed into a folder of the test's, and run with quic-peer.py.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/**
 * @param system a Python that has venv
 * @returns the Python to run, or why there is none
 */
export function installAioquic(
  system: string,
  folder: string,
): { python: string; missing?: string } {
  const python = join(folder, 'venv/bin/python')
  const made = spawnSync(system, ['-m', 'venv', join(folder, 'venv')], { encoding: 'utf8' })
  const pip = ['-m', 'pip', 'install', '-q', `aioquic==${AIOQUIC}`]
  const installed = made.status === 0 ? spawnSync(python, pip, { encoding: 'utf8' }) : made
  if (installed.status === 0) return { python }
  return { python, missing: `aioquic cannot be installed: ${installed.stderr}` }
}

export class PythonPeer {
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(python: string, parameters: readonly string[]) {
    const script = fileURLToPath(new URL('quic-peer.py', import.meta.url))
    const stdio = ['ignore', 'pipe', 'inherit'] as const
    this.#process = spawn(python, [script, ...parameters], { stdio: [...stdio] })
    const input = this.#process.stdout as NodeJS.ReadableStream
    this.#lines = createInterface({ input })[Symbol.asyncIterator]()
  }

  async next(): Promise<unknown> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('the peer has ended')
    return JSON.parse(value)
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return
    this.#process.kill()
    await once(this.#process, 'exit')
  }
}

const AIOQUIC = '1.7.2'
