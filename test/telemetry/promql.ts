/**
 * As much of PromQL as the monitoring examples use: which metrics a query reads, and which of their
 * labels it relies on. What it does not know is an error, so that nothing passes unseen.
 */

export interface Selector {
  readonly metric: string
  /** Label → what it is compared with. */
  readonly matchers: ReadonlyMap<string, string>
}

export interface Query {
  readonly selectors: readonly Selector[]
  /** Labels of `by (…)`. */
  readonly groupings: readonly string[]
}

export function readQuery(text: string): Query {
  const selectors: Selector[] = []
  const groupings: string[] = []
  const rest = text
    .replace(/\b(?:by|without)\s*\(([^)]*)\)/g, (_all, labels: string) => {
      groupings.push(...labels.split(',').map((label) => label.trim()))
      return ' '
    })
    .replace(/([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}/g, (_all, metric: string, inner: string) => {
      selectors.push({ metric, matchers: readMatchers(inner) })
      return ' '
    })
    .replace(/\[(?:\d+[smhd]|\$__rate_interval)\]/g, ' ')
  for (const [word] of rest.matchAll(/[a-zA-Z_:][\w:]*/g)) {
    if (!FUNCTIONS.has(word)) selectors.push({ metric: word, matchers: new Map() })
  }
  if (selectors.length === 0) throw new Error(`no metric in: ${text}`)
  return { selectors, groupings }
}

function readMatchers(text: string): Map<string, string> {
  const matchers = new Map<string, string>()
  let end = 0
  for (const match of text.matchAll(
    /\s*([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*,?/g,
  )) {
    if (match.index !== end) break
    end += match[0].length
    matchers.set(match[1] as string, match[2] as string)
  }
  if (end !== text.length) throw new Error(`matchers not understood: ${text}`)
  return matchers
}

const FUNCTIONS: ReadonlySet<string> = new Set([
  ...['sum', 'count', 'min', 'max', 'rate', 'increase', 'histogram_quantile', 'time'],
])
