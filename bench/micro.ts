/**
 * `npm run bench -- micro`: measures benchmark files, each in its own process.
 *
 *     npm run bench -- micro --list
 *     npm run bench -- micro resp http1    files whose path contains one of the words
 *     npm run bench -- micro --rounds 15 --round-ms 1000
 *     npm run bench -- micro --json bench/raw/today.json
 *     npm run bench -- micro --smoke       each once and briefly: do they still run?
 */
import { fork } from 'node:child_process'
import { globSync, mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { BenchmarkReport } from './run-one.ts'

const FOLDER = import.meta.dirname

/** @returns the exit code */
export async function runMicro(parameters: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...parameters],
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '7' },
      'round-ms': { type: 'string', default: '500' },
      json: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    return 0
  }
  const found = globSync('{micro,wire,e2e}/**/*.bench.ts', { cwd: FOLDER })
  const all = found.map((file) => file.replaceAll('\\', '/')).sort()
  if (values.list) {
    for (const file of all) console.log(file)
    return 0
  }
  const chosen = all.filter(
    (file) => positionals.length === 0 || positionals.some((word) => file.includes(word)),
  )
  if (chosen.length === 0) {
    console.error(`no benchmark matches: ${positionals.join(' ')}`)
    return 1
  }
  return runAll(chosen, {
    rounds: values.smoke ? '1' : values.rounds,
    roundMs: values.smoke ? '20' : values['round-ms'],
    json: values.json,
  })
}

interface MicroOptions {
  readonly rounds: string
  readonly roundMs: string
  readonly json: string | undefined
}

async function runAll(chosen: readonly string[], options: MicroOptions): Promise<number> {
  const reports: Record<string, BenchmarkReport> = {}
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}`)
  let failed = 0
  for (const file of chosen) {
    const report = await runOne(file, options)
    if (report === undefined) {
      failed = 1
      continue
    }
    reports[file] = report
    print(file, report)
  }
  if (options.json !== undefined) {
    const path = resolve(options.json)
    mkdirSync(dirname(path), { recursive: true })
    const machine = { node: process.version, cpus: cpus().length, model: cpus()[0]?.model }
    writeFileSync(path, `${JSON.stringify({ machine, reports }, null, 2)}\n`)
    console.log(`\nwrote ${relative(process.cwd(), path)}`)
  }
  return failed
}

function runOne(
  file: string,
  { rounds, roundMs }: MicroOptions,
): Promise<BenchmarkReport | undefined> {
  const child = fork(
    join(FOLDER, 'run-one.ts'),
    [join(FOLDER, file), '--rounds', rounds, '--round-ms', roundMs],
    { execArgv: ['--expose-gc', '--disable-warning=ExperimentalWarning'] },
  )
  return new Promise((done) => {
    let report: BenchmarkReport | undefined
    child.on('message', (message) => {
      report = message as BenchmarkReport
    })
    child.on('exit', (code, signal) => {
      if (code !== 0 || report === undefined) {
        console.error(`\n${file} failed (${signal ?? code})`)
        done(undefined)
      } else {
        done(report)
      }
    })
  })
}

function print(file: string, { about, counters, results }: BenchmarkReport): void {
  console.log(`\n${file.replace(/\.bench\.ts$/, '')}: ${about}`)
  for (const [name, value] of Object.entries(counters)) console.log(`  ${name}: ${value}`)
  const width = Math.max(...results.map(({ variant }) => variant.length))
  for (const { variant, rate, slowest, fastest, cpuMicroseconds, ratio } of results) {
    const spread = `${compact(slowest)}–${compact(fastest)}`
    const columns = [
      variant.padEnd(width),
      `${compact(rate)}/s`.padStart(10),
      `(${spread})`.padEnd(20),
      `${cpuMicroseconds.toPrecision(3)} µs CPU`.padStart(14),
      `${ratio.toFixed(2)}×`.padStart(8),
    ]
    console.log(`  ${columns.join('  ')}`)
  }
}

function compact(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`
  if (value >= 1e3) return `${(value / 1e3).toPrecision(3)} k`
  return value.toPrecision(3)
}

const HELP =
  'npm run bench -- micro [words…] [--list] [--smoke] [--rounds n] [--round-ms n] [--json file]'
