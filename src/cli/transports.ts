/**
 * `heddle transports`: what this machine can do, and for everything else why not.
 */
import {
  type TransportCapability,
  transportCapabilities,
} from '../links/capabilities/capabilities.ts'
import type { TransportsCommand } from './arguments.ts'
import { ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'

export async function transports(
  command: TransportsCommand,
  terminal: Terminal,
  find: typeof transportCapabilities = transportCapabilities,
): Promise<ExitCode> {
  const found = await find({ timeoutMs: command.timeoutMs })
  if (command.json) terminal.out(`${JSON.stringify(found)}\n`)
  else terminal.out(formatCapabilities(found, terminal))
  return ExitCode.OK
}

export function formatCapabilities(
  found: readonly TransportCapability[],
  terminal: Pick<Terminal, 'outStyle'>,
): string {
  const { bold, dim, green, red } = terminal.outStyle
  const width = Math.max(...found.map(({ name }) => name.length))
  const lines: string[] = []
  for (const kind of ['transport', 'feature'] as const) {
    lines.push(bold(kind === 'transport' ? 'Transports' : 'Features'))
    for (const { name, available, reason, details } of found.filter((one) => one.kind === kind)) {
      const said = Object.entries(details).map(([what, value]) => `${what} ${value}`)
      const mark = available ? green('yes') : red('no ')
      const text = available ? dim(said.join(', ')) : reason
      lines.push(`  ${name.padEnd(width)}  ${mark}  ${text}`.trimEnd())
    }
  }
  return `${lines.join('\n')}\n`
}
