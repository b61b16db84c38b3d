/** coturn as STUN and TURN server over UDP, without a configuration file. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const TURN_USERNAME = 'heddle'
export const TURN_CREDENTIAL = 'not a secret'

export interface Coturn extends AsyncDisposable {
  readonly port: number
  /** What it has written so far. */
  log(): string
}

/** Listens, and relays, on this address. */
export async function startCoturn(path: string, address: string, port: number): Promise<Coturn> {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-turn-'))
  const child = spawn(
    path,
    [
      ['-n', '--no-cli', '--no-tls', '--no-dtls', '--verbose', '--log-file=stdout'],
      [`--listening-ip=${address}`, `--relay-ip=${address}`, `--listening-port=${port}`],
      // Otherwise it relays to nobody on loopback, as it should anywhere else.
      ['--allow-loopback-peers', '--lt-cred-mech', '--realm=heddle.test'],
      [`--user=${TURN_USERNAME}:${TURN_CREDENTIAL}`],
      [`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'users')}`],
    ].flat(),
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let text = ''
  const ready = Promise.withResolvers<void>()
  const onText = (chunk: Buffer): void => {
    text += chunk.toString()
    if (/Total General servers|UDP listener opened on/.test(text)) ready.resolve()
  }
  child.stdout.on('data', onText)
  child.stderr.on('data', onText)
  const exited = once(child, 'exit')
  void exited.then(() => ready.reject(new Error(`coturn ended: ${text}`)))
  await ready.promise
  return {
    port,
    log: () => text,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
