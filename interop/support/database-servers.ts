/**
 * Real PostgreSQL, MariaDB and Redis for the driver suites: a fresh folder each, loopback only, and
 * started as somebody who is not root, because two of them refuse root.
 */
import { execFileSync } from 'node:child_process'
import { chownSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type Running, start, temporaryFolder, untilListening } from './processes.ts'

export interface DatabaseServer extends AsyncDisposable {
  readonly port: number
}

/** User `heddle`, password `weft`, database `postgres`; passwords are checked by SCRAM-SHA-256. */
export async function startPostgres(postgres: string): Promise<DatabaseServer> {
  const folder = await temporaryFolder()
  const as = unprivileged(folder.path, 'postgres')
  const data = join(folder.path, 'data')
  // Beside the server itself, wherever a link led.
  const initdb = join(dirname(realpathSync(postgres)), 'initdb')
  as.run('sh', ['-c', `umask 077 && printf weft > ${folder.path}/password`])
  as.run(initdb, [
    ...['-D', data, '-U', 'heddle', '--auth=scram-sha-256', '-N'],
    `--pwfile=${folder.path}/password`,
  ])
  const port = await freePort()
  const server = as.start(postgres, [
    ...['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder.path],
    ...['-F', '-c', 'max_connections=50'],
  ])
  await untilOutput(server, 'ready to accept connections')
  return { port, [Symbol.asyncDispose]: () => end(server, folder, 'SIGINT') }
}

/** User `heddle`, password `weft`, database `weave`. */
export async function startMariadb(mariadbd: string): Promise<DatabaseServer> {
  const folder = await temporaryFolder()
  const as = unprivileged(folder.path, 'mysql')
  const data = join(folder.path, 'data')
  as.run('mariadb-install-db', [
    ...[
      '--no-defaults',
      `--datadir=${data}`,
      '--skip-test-db',
      '--auth-root-authentication-method=normal',
    ],
  ])
  const init = join(folder.path, 'init.sql')
  const statements = [
    'create database weave;',
    "create user heddle@'127.0.0.1' identified by 'weft';",
    "grant all on weave.* to heddle@'127.0.0.1';",
  ]
  as.run('sh', ['-c', `cat > ${init} <<'END'\n${statements.join('\n')}\nEND`])
  const port = await freePort()
  const server = as.start(mariadbd, [
    ...['--no-defaults', `--datadir=${data}`, '--bind-address=127.0.0.1', `--port=${port}`],
    ...[`--socket=${folder.path}/socket`, `--init-file=${init}`, '--skip-name-resolve'],
    '--max-allowed-packet=64M',
  ])
  await untilOutput(server, 'ready for connections')
  return { port, [Symbol.asyncDispose]: () => end(server, folder, 'SIGTERM') }
}

export async function startRedis(redis: string): Promise<DatabaseServer> {
  const folder = await temporaryFolder()
  const port = await freePort()
  const server = start(redis, [
    ...['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder.path],
  ])
  await untilListening(port, server)
  return { port, [Symbol.asyncDispose]: () => end(server, folder, 'SIGTERM') }
}

/** Runs programs as `user` when this process is root, and gives that user the folder. */
function unprivileged(folder: string, user: string) {
  const isRoot = process.getuid?.() === 0
  const prefix: string[] = []
  if (isRoot) {
    const id = (flag: string) => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))
    chownSync(folder, id('-u'), id('-g'))
    prefix.push('setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups')
  }
  const command = (program: string, args: readonly string[]): [string, string[]] => {
    const [first = '', ...rest] = [...prefix, program, ...args]
    return [first, rest]
  }
  return {
    run(program: string, args: readonly string[]): void {
      const [first, rest] = command(program, args)
      execFileSync(first, rest, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    },
    start(program: string, args: readonly string[]): Running {
      const [first, rest] = command(program, args)
      return start(first, rest)
    },
  }
}

async function untilOutput(server: Running, text: string): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!server.output().includes(text)) {
    if (server.child.exitCode !== null || Date.now() > deadline) {
      await server.stop('SIGKILL')
      throw new Error(`the server did not start: ${server.output()}`)
    }
    await sleep(50)
  }
}

async function end(server: Running, folder: AsyncDisposable, signal: NodeJS.Signals) {
  await server.stop(signal)
  await folder[Symbol.asyncDispose]()
}
