/**
 * `${NAME}` and `${NAME:-default}` in scalar values; `$$` is one dollar sign.
 *
 * Only whole values after parsing are looked at, never the text of the file: what a variable holds
 * can change a value, but not the structure of the document.
 */

/** Reads one variable of the environment. */
export type Environment = (name: string) => string | undefined

export type Interpolated =
  | {
      readonly text: string
      /** Names that were read, for redaction. */
      readonly names: readonly string[]
    }
  | { readonly problem: string; readonly name?: string }

/** @returns the text with every reference replaced, or what is wrong with it */
export function interpolate(text: string, environment: Environment): Interpolated {
  const names: string[] = []
  let result = ''
  let at = 0
  for (;;) {
    const dollar = text.indexOf('$', at)
    if (dollar < 0) break
    result += text.slice(at, dollar)
    const next = text[dollar + 1]
    if (next === '$') {
      result += '$'
      at = dollar + 2
      continue
    }
    if (next !== '{') {
      result += '$'
      at = dollar + 1
      continue
    }
    const end = text.indexOf('}', dollar)
    if (end < 0) return { problem: `'\${' without a closing '}'; write '$$' for a dollar sign` }
    const inside = text.slice(dollar + 2, end)
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside)
    if (match === null) {
      return { problem: `'\${${inside}}' is not \${NAME} or \${NAME:-default}` }
    }
    const name = match[1] as string
    const value = environment(name)
    // As in a shell, `:-` also replaces an empty value.
    const used = match[2] !== undefined && (value === undefined || value === '') ? match[2] : value
    if (used === undefined) {
      return { problem: `environment variable ${name} is not set and has no default`, name }
    }
    names.push(name)
    result += used
    at = end + 1
  }
  return { text: result + text.slice(at), names }
}
