/** From the words of the command line to `heddle top`. */
import { readFile } from 'node:fs/promises'
import { errorCodeOf } from '../../gateway/config/file-error.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { TopCommand } from '../arguments.ts'
import { ExitCode } from '../exit-code.ts'
import type { Terminal } from '../terminal.ts'
import { type TopProcess, top } from './top.ts'

export async function runTop(
  command: TopCommand,
  host: TopProcess,
  terminal: Terminal,
): Promise<ExitCode> {
  const { admin = host.env['HEDDLE_ADMIN'] || DEFAULT_ADMIN, tokenFile, once, json } = command
  let token = host.env['HEDDLE_ADMIN_TOKEN'] || undefined
  if (tokenFile !== undefined) {
    try {
      token = (await readFile(tokenFile, 'utf8')).trim()
    } catch (error) {
      const { text } = errorCodeOf(error)
      terminal.err(`${terminal.errStyle.red('heddle:')} ${tokenFile} cannot be read: ${text}\n`)
      return ExitCode.NO_INPUT
    }
  }
  const { random } = nodeHost
  return top({ admin, token, once, json, host, terminal, clock: systemClock, random })
}

const DEFAULT_ADMIN = '127.0.0.1:9901'
