/**
 * What is wrong with a configuration, where, and what was probably meant.
 *
 *     gateway.yaml:12:5 clusters[0].lb_polcy: unknown key (did you mean 'lb_policy'?)
 */

/** Keys and indexes from the root of the document. */
export type ConfigPath = readonly (string | number)[]

export interface ConfigProblem {
  readonly file: string
  /** From 1; undefined when the problem has no place in the text (a file that cannot be read). */
  readonly line: number | undefined
  readonly column: number | undefined
  /** Empty: the document as a whole. */
  readonly path: ConfigPath
  readonly message: string
  readonly suggestion: string | undefined
}

export function formatProblem(problem: ConfigProblem): string {
  const { file, line, column, path, message, suggestion } = problem
  const place = line === undefined ? file : `${file}:${line}:${column}`
  const where = path.length === 0 ? '' : ` ${formatPath(path)}:`
  const hint = suggestion === undefined ? '' : ` (did you mean '${suggestion}'?)`
  return `${place}${where} ${message}${hint}`
}

/** `clusters[0].endpoints[1].address`; a key that is no plain word is quoted. */
export function formatPath(path: ConfigPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (!/^[A-Za-z_][\w-]*$/.test(part)) text += `[${JSON.stringify(part)}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}
