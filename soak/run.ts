/**
 * `npm run soak`: long runs that must not leak, stall or fail.
 *
 *     npm run soak -- --list
 *     npm run soak -- echo --seconds 3600    files whose name contains the word
 *
 *     npm run soak -- cycles --whole         each as many connections as its file says
 *
 * Default: each for a minute. It fails when a run throws, makes no progress for ten seconds, keeps
 * more memory at its end than near its start, or leaves sockets and timers open.
 */
import { fork } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const FOLDER = import.meta.dirname

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    whole: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const all = globSync('**/*.soak.ts', { cwd: FOLDER }).sort()
const chosen = all.filter(
  (file) => positionals.length === 0 || positionals.some((word) => file.includes(word)),
)

if (values.help) {
  console.log('npm run soak -- [words…] [--list] [--seconds n] [--whole]')
} else if (values.list) {
  for (const file of all) console.log(file)
} else if (chosen.length === 0) {
  console.error(`no soak matches: ${positionals.join(' ')}`)
  process.exitCode = 1
} else {
  for (const file of chosen) if ((await runOne(file)) !== 0) process.exitCode = 1
}

function runOne(file: string): Promise<number> {
  const parameters = [join(FOLDER, file), values.seconds, ...(values.whole ? ['--whole'] : [])]
  const child = fork(join(FOLDER, 'run-one.ts'), parameters, {
    execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'],
  })
  return new Promise((done) => child.on('exit', (code) => done(code ?? 1)))
}
