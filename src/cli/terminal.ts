/**
 * Where the command line writes, with colours only for a terminal that wants them
 * (https://no-color.org).
 */

export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** Colours for standard output, and for standard error. */
  readonly outStyle: Style
  readonly errStyle: Style
}

export interface Style {
  bold(text: string): string
  dim(text: string): string
  red(text: string): string
  green(text: string): string
  cyan(text: string): string
  yellow(text: string): string
  inverse(text: string): string
}

/** What is needed of `process`. */
export interface TerminalStreams {
  readonly stdout: { write(text: string | Uint8Array): unknown; readonly isTTY?: boolean }
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
}

export function terminalOf({ stdout, stderr, env }: TerminalStreams): Terminal {
  // An empty NO_COLOR counts as not set.
  const wanted = (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outStyle: styleOf(wanted && stdout.isTTY === true),
    errStyle: styleOf(wanted && stderr.isTTY === true),
  }
}

function styleOf(coloured: boolean): Style {
  const wrap = (start: number, end: number) => (text: string) =>
    coloured ? `\u001b[${start}m${text}\u001b[${end}m` : text
  return {
    bold: wrap(1, 22),
    dim: wrap(2, 22),
    red: wrap(31, 39),
    green: wrap(32, 39),
    cyan: wrap(36, 39),
    yellow: wrap(33, 39),
    inverse: wrap(7, 27),
  }
}
