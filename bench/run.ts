/**
 * `npm run bench`: measures heddle against what people use today. bench/README.md says how to read
 * the figures and how to get quiet ones.
 *
 * A complete run with its default settings writes bench/RESULTS.md; anything shorter does so only
 * when told to.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { script } from './harness/contestant.ts'
import { machineFacts } from './harness/machine.ts'
import { measure, type ScenarioContext } from './harness/measure.ts'
import { measureMemory } from './harness/memory.ts'
import { HELP, type Options, parseOptions } from './harness/options.ts'
import type { PeerSettings } from './harness/peer.ts'
import { procUnavailable } from './harness/proc.ts'
import { aimsTable, replacePart, resultTable, suiteMarkdown } from './harness/report.ts'
import { Load } from './load/load.ts'
import { runMicro } from './micro.ts'
import { clientSuite } from './suites/client.ts'
import { echoSuite } from './suites/echo.ts'
import { gatewaySuite } from './suites/gateway.ts'
import { grpcSuite } from './suites/grpc.ts'
import { http2ClientSuite } from './suites/http2-client.ts'
import { http2ServerSuite } from './suites/http2-server.ts'
import { memorySuite } from './suites/memory.ts'
import { serverSuite } from './suites/server.ts'
import type { AnyResult, Suite } from './suites/suite.ts'
import { udpSuite } from './suites/udp.ts'
import { webSocketSuite } from './suites/websocket.ts'

const SUITES: readonly Suite[] = [
  echoSuite,
  serverSuite,
  http2ServerSuite,
  clientSuite,
  http2ClientSuite,
  webSocketSuite,
  grpcSuite,
  udpSuite,
  gatewaySuite,
  memorySuite,
]

async function main(parameters: readonly string[]): Promise<void> {
  if (parameters[0] === 'micro') {
    process.exitCode = await runMicro(parameters.slice(1))
    return
  }
  const options = parseOptions(parameters)
  if (options.help) return console.log(HELP)
  const unavailable = procUnavailable()
  if (unavailable !== undefined) throw new Error(unavailable)
  const suites = select(options)
  const directory = mkdtempSync(join(tmpdir(), 'heddle-bench-'))
  const load = new Load({ own: options.ownLoad })
  try {
    const settings = { ...makeCertificate(directory), upstreamPort: 0, directory }
    for (const suite of suites) {
      const results = await runSuite(suite, { settings, load }, options)
      if (options.write) writeResults(suite, results, options, load)
    }
    // Microbenchmarks have no peers and no place in RESULTS.md: only that they run is of interest.
    if (options.smoke && options.words.length === 0) process.exitCode = await runMicro(['--smoke'])
  } finally {
    await load.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Suites, scenarios and contestants that the words and `--peers` leave. */
function select(options: Options): Suite[] {
  const chosen: Suite[] = []
  for (const suite of SUITES) {
    const scenarios = suite.scenarios
      .filter(({ name }) => wanted(options.words, suite.name, name))
      .filter(({ smoke = true }) => smoke || !options.smoke)
      .map((scenario) => ({
        ...scenario,
        contestants: scenario.contestants.filter(
          ({ name, kind }) =>
            (options.contestants.length === 0 || options.contestants.includes(name)) &&
            (options.peers !== 'node' || kind === 'script'),
        ),
      }))
    if (scenarios.length > 0) chosen.push({ ...suite, scenarios })
  }
  if (chosen.length === 0) {
    const known = SUITES.flatMap(({ name, scenarios }) => [
      name,
      ...scenarios.map((scenario) => `${name}:${scenario.name}`),
    ])
    throw new Error(`nothing is called ${options.words.join(' ')}; known: ${known.join(' ')}`)
  }
  return chosen
}

function wanted(words: readonly string[], suite: string, scenario: string): boolean {
  return words.length === 0 || words.includes(suite) || words.includes(`${suite}:${scenario}`)
}

async function runSuite(
  suite: Suite,
  base: ScenarioContext,
  options: Options,
): Promise<AnyResult[]> {
  const upstream = suite.upstream === true ? await UPSTREAM.start(base.settings) : undefined
  const settings: PeerSettings = { ...base.settings, upstreamPort: upstream?.port ?? 0 }
  const context = { ...base, ...options, settings, note: progress }
  const results: AnyResult[] = []
  try {
    for (const scenario of suite.scenarios) {
      const result =
        scenario.kind === 'memory'
          ? await measureMemory(scenario, context)
          : await measure(scenario, context)
      if (options.peers === 'all' && result.absent.length > 0) {
        throw new Error(`${suite.name}:${scenario.name}: ${result.absent.join(', ')}`)
      }
      results.push(result)
      progress('')
      const missing = result.absent.map((reason) => `Not measured: ${reason}.`)
      const table = result.results.length === 0 ? [] : resultTable(result)
      console.log([`${suite.name}: ${scenario.name}`, ...table, ...missing, ''].join('\n'))
    }
  } finally {
    await upstream?.stop()
  }
  const aims = aimsTable(suite, results)
  if (aims.length > 0) console.log([...aims, ''].join('\n'))
  return results
}

function writeResults(
  suite: Suite,
  results: readonly AnyResult[],
  options: Options,
  load: Load,
): void {
  const generator = `load by ${suite.load ?? (load.usesWrk ? 'wrk' : 'bench/load')}`
  const conditions =
    `${options.rounds} interleaved rounds of ${options.milliseconds / 1000} s, ` +
    `medians; ${generator}`
  const report = { suite, results, conditions, command: options.command, machine: machineFacts() }
  const file = readFileSync(RESULTS, 'utf8')
  writeFileSync(RESULTS, replacePart(file, suite.name, suiteMarkdown(report)))
}

/** P-256, as most servers have today. */
function makeCertificate(directory: string): { certFile: string; keyFile: string } {
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const files = ['-keyout', keyFile, '-out', certFile, '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...key, ...names, ...files], { stdio: 'pipe' })
  return { certFile, keyFile }
}

/** One line that is written over, on a terminal only. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (text !== '') process.stderr.write(`${text}\n`)
}

const UPSTREAM = script({ name: 'upstream', setup: 'canned answers', file: 'upstream.ts' })
const RESULTS = fileURLToPath(new URL('./RESULTS.md', import.meta.url))

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`\nbench: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
