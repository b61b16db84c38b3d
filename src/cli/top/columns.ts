/**
 * Tables whose columns give way on a narrow terminal: the least important go first, and one takes
 * what is left.
 */
import { type Align, fit, widthOf } from './cells.ts'

export interface Column<Row> {
  readonly title: string
  readonly align?: Align
  /** Cells; of the one that is flexible, the least. */
  readonly width: number
  /** Takes what is left; of several, the last one that is shown. */
  readonly flexible?: boolean
  /** Higher ones go first. 0: always there. */
  readonly order: number
  readonly text: (row: Row) => string
  /** Colours for the cell, once it is cut and padded. */
  readonly style?: (row: Row) => (text: string) => string
}

/** What of a table is shown at one width. */
export class Columns<Row> {
  readonly #columns: readonly (readonly [column: Column<Row>, width: number])[]

  constructor(columns: readonly Column<Row>[], width: number) {
    let shown = [...columns]
    const need = (): number => shown.reduce((sum, one) => sum + one.width + GAP, -GAP)
    while (need() > width) {
      const least = shown.reduce((a, b) => (b.order > a.order ? b : a))
      if (least.order === 0) break
      shown = shown.filter((one) => one !== least)
    }
    const spare = Math.max(0, width - need())
    const flexible = shown.findLast((one) => one.flexible)
    this.#columns = shown.map((one) => [one, one === flexible ? one.width + spare : one.width])
  }

  head(): string {
    return this.#columns.map(([one, width]) => fit(one.title, width, one.align)).join(SPACE)
  }

  row(row: Row): string {
    return this.#columns
      .map(([one, width]) => {
        const cell = fit(one.text(row), width, one.align)
        return one.style === undefined ? cell : one.style(row)(cell)
      })
      .join(SPACE)
  }
}

/** As wide as the longest entry, within bounds. */
export function widest(texts: Iterable<string>, min: number, max: number): number {
  let width = min
  for (const text of texts) width = Math.max(width, widthOf(text))
  return Math.min(width, max)
}

const GAP = 2
const SPACE = ' '.repeat(GAP)
