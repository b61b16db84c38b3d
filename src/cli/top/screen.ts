/**
 * The terminal while `heddle top` has it: its second screen, without a cursor, in raw mode. Lines that
 * did not change are not written again, and a frame is drawn at once where the terminal knows how.
 */

/** What is needed of a terminal. `process.stdin` and `process.stdout` have it. */
export interface TerminalInput {
  readonly isTTY?: boolean
  setRawMode?(raw: boolean): unknown
  setEncoding(encoding: 'utf8'): unknown
  on(event: 'data', listener: (text: string) => void): unknown
  off(event: 'data', listener: (text: string) => void): unknown
  resume(): unknown
  pause(): unknown
}

export interface TerminalOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
  on?(event: 'resize', listener: () => void): unknown
  off?(event: 'resize', listener: () => void): unknown
}

export interface ScreenHandlers {
  onInput(text: string): void
  onResize(): void
}

export class Screen implements Disposable {
  readonly #input: TerminalInput
  readonly #output: TerminalOutput
  readonly #handlers: ScreenHandlers
  readonly #onInput = (text: string): void => this.#handlers.onInput(text)
  readonly #onResize = (): void => {
    // A terminal that was made smaller has moved what it shows.
    this.#shown = []
    this.#output.write(CLEAR)
    this.#handlers.onResize()
  }
  #shown: string[] = []

  constructor(input: TerminalInput, output: TerminalOutput, handlers: ScreenHandlers) {
    this.#input = input
    this.#output = output
    this.#handlers = handlers
    output.write(ENTER)
    output.on?.('resize', this.#onResize)
    input.setRawMode?.(true)
    input.setEncoding('utf8')
    input.on('data', this.#onInput)
    input.resume()
  }

  get columns(): number {
    return Math.max(1, this.#output.columns ?? 80)
  }

  get rows(): number {
    return Math.max(1, this.#output.rows ?? 24)
  }

  /** Draws everything anew with the next frame. */
  forget(): void {
    this.#shown = []
    this.#output.write(CLEAR)
  }

  draw(lines: readonly string[]): void {
    let text = ''
    for (let row = 0; row < this.rows; row++) {
      const line = lines[row] ?? ''
      if (this.#shown[row] === line) continue
      this.#shown[row] = line
      text += `\u001b[${row + 1};1H${line}\u001b[K`
    }
    if (text !== '') this.#output.write(BEGIN + text + END)
  }

  /** Gives the terminal back as it was. */
  [Symbol.dispose](): void {
    this.#output.off?.('resize', this.#onResize)
    this.#input.off('data', this.#onInput)
    this.#input.setRawMode?.(false)
    this.#input.pause()
    this.#output.write(LEAVE)
  }
}

const CLEAR = '\u001b[2J'
/** Second screen, no cursor, no wrapping at the edge. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[2J'
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'
/** Synchronised output: terminals that do not know it ignore it. */
const BEGIN = '\u001b[?2026h'
const END = '\u001b[?2026l'
