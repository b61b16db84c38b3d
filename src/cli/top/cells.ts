/**
 * Text in cells of a terminal: how wide it is, cut and padded to a width, and rid of everything that
 * a terminal would obey. Names and messages come from servers: an escape sequence in one of them
 * must not reach the screen.
 */

export type Align = 'left' | 'right'

/** Control characters (escape sequences begin with one) become a space, and bidi marks go. */
export function clean(text: string): string {
  return text.replace(CONTROLS, ' ').replace(INVISIBLE, '')
}

/** Cells that the text takes. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += cellsOf(character)
  return width
}

/** Exactly `width` cells: cut with an ellipsis, or padded. */
export function fit(text: string, width: number, align: Align = 'left', ellipsis = '…'): string {
  if (width <= 0) return ''
  const has = widthOf(text)
  if (has > width) return cut(text, width, ellipsis)
  const space = ' '.repeat(width - has)
  return align === 'left' ? text + space : space + text
}

function cut(text: string, width: number, ellipsis: string): string {
  const room = width - widthOf(ellipsis)
  if (room < 0) return ellipsis.slice(0, width)
  let kept = ''
  let used = 0
  for (const character of text) {
    const cells = cellsOf(character)
    if (used + cells > room) break
    kept += character
    used += cells
  }
  return kept + ' '.repeat(room - used) + ellipsis
}

/** East Asian wide characters and emoji take two cells, combining marks none. */
function cellsOf(character: string): number {
  const code = character.codePointAt(0) as number
  if (code < 0x300) return 1
  if (COMBINING.test(character)) return 0
  return WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]/g
const INVISIBLE = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g
const COMBINING = /^[\p{Mn}\p{Me}]$/u
const WIDE = [
  [0x1100, 0x115f],
  [0x2e80, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1faff],
  [0x20000, 0x3fffd],
] as const
