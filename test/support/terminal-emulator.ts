// biome-ignore-all lint/suspicious/noControlCharactersInRegex: a terminal is made of them
/**
 * As much of a terminal as `heddle top` uses: cursor places, erasing, modes, colours (forgotten, or
 * kept as they came). Anything else is an error: it would be obeyed by a real one.
 */
export class TerminalEmulator {
  readonly isTTY = true
  columns: number
  rows: number
  /** Everything that was written. */
  written = ''
  readonly modes = new Set<string>()
  #lines: string[] = []
  #row = 0
  #column = 0
  #onResize = new Set<() => void>()
  #onFrame = new Set<() => void>()

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
  }

  /** What a person reads, row by row. */
  get screen(): string[] {
    return Array.from({ length: this.rows }, (_, row) => (this.#lines[row] ?? '').trimEnd())
  }

  on(_event: 'resize', listener: () => void): void {
    this.#onResize.add(listener)
  }

  off(_event: 'resize', listener: () => void): void {
    this.#onResize.delete(listener)
  }

  get listeners(): number {
    return this.#onResize.size
  }

  resize(columns: number, rows: number): void {
    this.columns = columns
    this.rows = rows
    for (const listener of this.#onResize) listener()
  }

  /** Until the screen is as wanted. */
  async until(wanted: RegExp): Promise<string> {
    for (;;) {
      const text = this.screen.join('\n')
      if (wanted.test(text)) return text
      await new Promise<void>((resolve) => {
        const next = (): void => {
          this.#onFrame.delete(next)
          resolve()
        }
        this.#onFrame.add(next)
      })
    }
  }

  write(text: string): boolean {
    this.written += text
    for (const [token] of text.matchAll(TOKENS)) this.#obey(token)
    for (const listener of [...this.#onFrame]) listener()
    return true
  }

  #obey(token: string): void {
    if (!token.startsWith('\u001b')) return this.#print(token)
    const [, marks = '', numbers = '', letter = ''] =
      /^\u001b\[(\??)([\d;]*)(.)$/s.exec(token) ?? []
    if (marks === '?' && letter === 'h') this.modes.add(numbers)
    else if (marks === '?' && letter === 'l') this.modes.delete(numbers)
    else if (letter === 'H') {
      const [row = 1, column = 1] = numbers.split(';').map(Number)
      this.#row = row - 1
      this.#column = column - 1
    } else if (letter === 'K') {
      this.#lines[this.#row] = this.#line().slice(0, this.#column)
    } else if (letter === 'J' && numbers === '2') this.#lines = []
    else if (letter !== 'm') throw new Error(`the terminal would obey ${JSON.stringify(token)}`)
  }

  #print(text: string): void {
    if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) {
      throw new Error(`the terminal would obey ${JSON.stringify(text)}`)
    }
    const line = this.#line()
    this.#lines[this.#row] =
      line.slice(0, this.#column).padEnd(this.#column) +
      text +
      line.slice(this.#column + text.length)
    this.#column += text.length
    if (this.#column > this.columns) throw new Error(`row ${this.#row} is longer than the screen`)
  }

  #line(): string {
    return this.#lines[this.#row] ?? ''
  }
}

const TOKENS = /\u001b\[\??[\d;]*.|\u001b.?|[^\u001b]+/gs
