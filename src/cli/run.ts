/**
 * The commands: each returns its exit code; only `main.ts` ends the process.
 */

import { checkFiles } from '../gateway/certificates.ts'
import { DEFAULT_CONFIG } from '../gateway/config/default-config.ts'
import { effectiveConfig } from '../gateway/config/effective.ts'
import {
  type LoadOutcome,
  loadConfig,
  loadConfigFile,
  type RejectedConfig,
} from '../gateway/config/load.ts'
import { formatProblem } from '../gateway/config/problem.ts'
import { systemClock } from '../platform/system-clock.ts'
import {
  AUDIT_HELP,
  type CheckCommand,
  HELP,
  readArguments,
  toAddress,
  type UpCommand,
} from './arguments.ts'
import { auditVerify } from './audit-verify.ts'
import { block } from './block.ts'
import { callCommand } from './call/call.ts'
import { chaosCommand } from './chaos.ts'
import type { CliProcess } from './cli-process.ts'
import { ExitCode } from './exit-code.ts'
import { importAll } from './imports.ts'
import { openapi } from './openapi.ts'
import { type Terminal, terminalOf } from './terminal.ts'
import { runTop } from './top/run-top.ts'
import { transports } from './transports.ts'
import { up } from './up.ts'
import { version } from './version.ts'

export async function run(args: readonly string[], host: CliProcess): Promise<ExitCode> {
  const terminal = terminalOf(host)
  const command = readArguments(args)
  switch (command.name) {
    case 'help':
      terminal.out(HELP)
      return ExitCode.OK
    case 'version':
      terminal.out(`heddle ${version()}\n`)
      return ExitCode.OK
    case 'usage':
      terminal.err(`${terminal.errStyle.red('heddle:')} ${command.message}\n`)
      terminal.err('heddle --help lists commands and options\n')
      return ExitCode.USAGE
    case 'check':
      return check(command, host, terminal)
    case 'top':
      return runTop(command, host, terminal)
    case 'audit-help':
      terminal.out(AUDIT_HELP)
      return ExitCode.OK
    case 'block':
      return await block(command.args, host, terminal)
    case 'openapi':
      return await openapi(command.args, terminal)
    case 'transports':
      return transports(command, terminal)
    case 'call':
      return await callCommand(command.args, host, terminal)
    case 'chaos':
      return chaosCommand(command.args, host, terminal)
    case 'audit':
      return auditVerify(command, terminal)
    case 'up':
      return command.print
        ? printEffective(command, host, terminal)
        : runUp(command, host, terminal)
  }
}

async function check(
  command: CheckCommand,
  host: CliProcess,
  terminal: Terminal,
): Promise<ExitCode> {
  const outcome = await loadConfigFile({
    file: command.file,
    environment: (name) => host.env[name],
  })
  if (!outcome.ok) return report(outcome, terminal)
  if (command.print) {
    terminal.out(effectiveConfig(outcome.config, outcome.secretPaths))
    return ExitCode.OK
  }
  if (command.files) {
    const found = await checkFiles(outcome.config, systemClock.wallNow())
    for (const problem of found.problems) {
      terminal.err(`${terminal.errStyle.red('error')} ${problem}\n`)
    }
    for (const warning of found.warnings) terminal.err(`warning ${warning}\n`)
    if (found.problems.length > 0) return found.denied ? ExitCode.NO_PERMISSION : ExitCode.CONFIG
  }
  const { listeners, routes, clusters } = outcome.config
  const counts = [
    count(listeners, 'listener'),
    count(routes, 'shared route'),
    count(clusters, 'cluster'),
  ].join(', ')
  terminal.out(`${command.file}: ${terminal.outStyle.green('ok')} (${counts})\n`)
  return ExitCode.OK
}

async function printEffective(
  command: UpCommand,
  host: CliProcess,
  terminal: Terminal,
): Promise<ExitCode> {
  const outcome = await loader(command, host)()
  if (!outcome.ok) return report(outcome, terminal)
  terminal.out(effectiveConfig(outcome.config, outcome.secretPaths))
  return ExitCode.OK
}

async function runUp(command: UpCommand, host: CliProcess, terminal: Terminal): Promise<ExitCode> {
  const load = loader(command, host)
  const outcome = await load()
  if (!outcome.ok) return report(outcome, terminal)
  const imported = await importAll(command.imports, terminal)
  if (imported === undefined) return ExitCode.CONFIG
  try {
    return await up(outcome, { file: command.file, quiet: command.quiet, load, host, terminal })
  } finally {
    await imported.shutdown()
  }
}

/** Reads the configuration as the command says; called again for each reload. */
function loader(command: UpCommand, host: CliProcess): () => Promise<LoadOutcome> {
  const { file } = command
  const environment = (name: string): string | undefined => {
    const override = command.overrides[name] ?? host.env[name]
    // The habit of platforms that give one port.
    if (override === undefined && name === 'HEDDLE_HTTP') return portOf(host.env['PORT'])
    return override !== undefined && name.startsWith('HEDDLE_') ? toAddress(override) : override
  }
  if (file !== undefined) return () => loadConfigFile({ file, environment })
  return async () => loadConfig(DEFAULT_CONFIG, { file: '(built-in)', environment })
}

function count(list: readonly unknown[], name: string): string {
  return `${list.length} ${name}${list.length === 1 ? '' : 's'}`
}

function portOf(text: string | undefined): string | undefined {
  return text !== undefined && /^\d{1,5}$/.test(text) ? `0.0.0.0:${text}` : undefined
}

/** Every problem on a line of its own, then the exit code of the worst. */
function report(outcome: RejectedConfig, terminal: Terminal): ExitCode {
  for (const problem of outcome.problems) {
    terminal.err(`${terminal.errStyle.red('error')} ${formatProblem(problem)}\n`)
  }
  if (outcome.unreadable === 'denied') return ExitCode.NO_PERMISSION
  if (outcome.unreadable !== undefined) return ExitCode.NO_INPUT
  return ExitCode.CONFIG
}
