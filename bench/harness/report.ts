/**
 * Tables: for the terminal while the bench runs, and for RESULTS.md.
 *
 * RESULTS.md has one part per suite between a pair of marks; a run replaces the parts of the suites
 * that it measured and leaves the rest, above all what people wrote, as it is.
 */
import type { AnyResult, Suite } from '../suites/suite.ts'
import type { Contestant } from './contestant.ts'
import type { MachineFacts } from './machine.ts'
import type { ScenarioResult } from './measure.ts'
import type { MemoryResult } from './memory.ts'

export interface SuiteReport {
  readonly suite: Suite
  readonly results: readonly AnyResult[]
  /** The command that was run. */
  readonly command: string
  /** How the figures came about: rounds, seconds, load generator. */
  readonly conditions: string
  readonly machine: MachineFacts
}

export function suiteMarkdown(report: SuiteReport): string {
  const { suite, results, machine } = report
  const versions = [...machine.versions].map(([name, version]) => `${name} ${version}`).join(', ')
  const lines = [
    `## ${suite.title}`,
    '',
    suite.about,
    '',
    `\`${report.command}\` on ${machine.date}, commit ${machine.commit}; ${report.conditions}.`,
    `${machine.processor}, ${machine.memoryGiB} GiB, ${machine.kernel}; ${versions}.`,
    '',
  ]
  for (const result of results) {
    lines.push(`### ${suite.name}: ${result.name}`, '', `${sentence(result.description)}`, '')
    lines.push(...resultTable(result), '')
    for (const reason of result.absent) lines.push(`Not measured: ${reason}.`, '')
  }
  const aims = aimsTable(suite, results)
  if (aims.length > 0) lines.push(`### ${suite.name}: aims`, '', ...aims, '')
  lines.push(`### ${suite.name}: set-up`, '', ...setups(suite), '')
  return lines.join('\n')
}

export function resultTable(result: AnyResult): string[] {
  return result.kind === 'memory' ? memoryTable(result) : loadTable(result)
}

function loadTable({ results, baseline }: ScenarioResult): string[] {
  const rows = results.map((one) => [
    one.name === baseline ? `**${one.name}**` : one.name,
    count(one.perSecond.median),
    `${count(one.perSecond.min)}–${count(one.perSecond.max)}`,
    times(one.speedRatio),
    one.cpuMicros.median.toFixed(2),
    `${one.cpuMicros.min.toFixed(2)}–${one.cpuMicros.max.toFixed(2)}`,
    times(one.cpuRatio),
    milliseconds(one.p50Ms),
    milliseconds(one.p99Ms),
    one.busy.toFixed(2),
    (one.rssBytes / MIB).toFixed(0),
  ])
  const header = [
    ...['', 'per second', 'min–max', 'ratio', 'CPU µs each', 'min–max', 'times less'],
    ...['p50 ms', 'p99 ms', 'cores busy', 'RSS MiB'],
  ]
  return table(header, rows)
}

function memoryTable({ results, baseline, connections }: MemoryResult): string[] {
  const rows = results.map((one) => [
    one.name === baseline ? `**${one.name}**` : one.name,
    kibibytes(one.bytesPerConnection.median),
    `${kibibytes(one.bytesPerConnection.min)}–${kibibytes(one.bytesPerConnection.max)}`,
    times(one.memoryRatio),
    (one.startBytes / MIB).toFixed(0),
  ])
  const header = [
    '',
    `KiB each of ${count(connections)}`,
    'min–max',
    'times less',
    'RSS before, MiB',
  ]
  return table(header, rows)
}

/** Empty when heddle took no part. */
export function aimsTable(suite: Suite, results: readonly AnyResult[]): string[] {
  const rows: string[][] = []
  for (const aim of suite.aims) {
    const outcome = aim.evaluate(results)
    if (outcome === undefined) continue
    rows.push([aim.text, outcome.measured, outcome.reached ? 'reached' : '**short**'])
  }
  return rows.length === 0 ? [] : table(['aim', 'measured', ''], rows)
}

function setups(suite: Suite): string[] {
  const known = new Map<string, Contestant>()
  for (const scenario of suite.scenarios) {
    for (const contestant of scenario.contestants) known.set(contestant.name, contestant)
  }
  return [...known.values()].map(({ name, setup }) => `- ${name}: ${setup}`)
}

/** Puts a part in its place in the file, or at the end of the generated ones when it is new. */
export function replacePart(file: string, name: string, content: string): string {
  const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const part = `${open}\n${content.trim()}\n${close}`
  const start = file.indexOf(open)
  const end = file.indexOf(close)
  if (start >= 0 && end > start) return file.slice(0, start) + part + file.slice(end + close.length)
  const last = file.lastIndexOf('<!-- /bench:')
  if (last < 0) return `${file.trimEnd()}\n\n${part}\n`
  const after = file.indexOf('-->', last) + 3
  return `${file.slice(0, after)}\n\n${part}${file.slice(after)}`
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => (row[column] as string).length)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => (at === 0 ? pad(cell, at) : padStart(cell, at))).join(' | ')} |`
  const pad = (cell: string, at: number): string => cell.padEnd(widths[at] as number)
  const padStart = (cell: string, at: number): string => cell.padStart(widths[at] as number)
  const rule = widths.map((width, at) =>
    at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  )
  return [line(header), `| ${rule.join(' | ')} |`, ...rows.map(line)]
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function times(ratio: number): string {
  return Number.isNaN(ratio) ? '–' : `${ratio.toFixed(2)}×`
}

function milliseconds(value: number): string {
  // wrk gives 0 when answers came faster than it could tell apart, h2load has none.
  if (value === 0) return '–'
  return value < 10 ? value.toFixed(2) : value.toFixed(1)
}

function kibibytes(bytes: number): string {
  return (bytes / 1024).toFixed(1)
}

const MIB = 1024 * 1024
