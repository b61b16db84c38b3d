/** What the command line needs of `process`. */
import type { TerminalStreams } from './terminal.ts'

export interface CliProcess extends TerminalStreams {
  readonly pid: number
  on(signal: NodeJS.Signals, listener: () => void): unknown
  off(signal: NodeJS.Signals, listener: () => void): unknown
}
