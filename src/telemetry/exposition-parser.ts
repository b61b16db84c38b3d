/**
 * A strict reader of what a scraper gets, for tests and for comparing runs with their metrics: text exposition 0.0.4 and OpenMetrics 1.0.
 *
 * It refuses more than Prometheus does: a sample without a TYPE, a family whose lines are not
 * together, a sample twice, buckets that fall or lack +Inf, a counter without `_total`, a unit that
 * is not the end of the name, an OpenMetrics text without its end.
 */
import type { ExpositionFormat } from './prometheus.ts'

/** Samples by `name{label="value",…}` with labels sorted and values unescaped. */
export function parseExposition(text: string, format: ExpositionFormat): Map<string, number> {
  return new ExpositionParser(format).parse(text)
}

class ExpositionParser {
  readonly #isOpen: boolean
  readonly #samples = new Map<string, number>()
  readonly #finished = new Set<string>()
  #family = ''
  #type = ''
  #buckets: { labels: string; bound: number; count: number } | undefined

  constructor(format: ExpositionFormat) {
    this.#isOpen = format === 'openmetrics'
  }

  parse(text: string): Map<string, number> {
    if (!text.endsWith('\n')) throw new Error('the last line has no end')
    const lines = text.slice(0, -1).split('\n')
    if (this.#isOpen && lines.pop() !== '# EOF') throw new Error('no # EOF at the end')
    for (const line of lines) {
      if (line.startsWith('#')) this.#comment(line)
      else this.#sample(line)
    }
    this.#endBuckets()
    return this.#samples
  }

  #comment(line: string): void {
    const match = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line)
    if (match === null) throw new Error(`not a comment line: ${line}`)
    const [, keyword, name, rest] = match as unknown as [string, string, string, string]
    if (name !== this.#family) {
      this.#endBuckets()
      if (this.#finished.has(name)) throw new Error(`the lines of ${name} are not together`)
      this.#finished.add(name)
      this.#family = name
      this.#type = ''
    }
    if (keyword === 'TYPE') {
      const types = this.#isOpen
        ? /^(counter|gauge|histogram|info)$/
        : /^(counter|gauge|histogram)$/
      if (!types.test(rest)) throw new Error(`type of ${name}: ${rest}`)
      if (this.#type !== '') throw new Error(`second type of ${name}`)
      this.#type = rest
    } else if (keyword === 'UNIT') {
      if (!this.#isOpen) throw new Error('UNIT is OpenMetrics only')
      if (!name.endsWith(`_${rest}`)) throw new Error(`unit ${rest} is not the end of ${name}`)
    } else if (!/^(?:[^\\]|\\[\\n"])*$/.test(rest))
      throw new Error(`bad escape in the help of ${name}`)
  }

  #sample(line: string): void {
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*?)\})? (\S+)( # .*)?$/.exec(line)
    if (match === null) throw new Error(`not a sample line: ${line}`)
    const [, name, labelText = '', valueText, exemplar] = match as unknown as string[]
    const labels = parseLabels(labelText)
    const value = parseNumber(valueText as string)
    this.#checkName(name as string)
    if (exemplar !== undefined) this.#checkExemplar(name as string, exemplar)
    if (this.#type === 'histogram') this.#checkBucket(name as string, labels, value)
    const key = `${name}{${formatLabels(labels)}}`
    if (this.#samples.has(key)) throw new Error(`sample twice: ${key}`)
    this.#samples.set(key, value)
  }

  #checkName(name: string): void {
    const suffixes: Record<string, readonly string[]> = {
      counter: [this.#isOpen ? '_total' : ''],
      gauge: [''],
      info: ['_info'],
      histogram: ['_bucket', '_sum', '_count'],
    }
    const allowed = suffixes[this.#type]
    if (allowed === undefined) throw new Error(`sample ${name} has no type`)
    if (!allowed.some((suffix) => name === this.#family + suffix)) {
      throw new Error(`sample ${name} does not belong to ${this.#type} ${this.#family}`)
    }
    if (this.#type === 'counter' && !name.endsWith('_total')) throw new Error(`counter ${name}`)
  }

  #checkExemplar(name: string, text: string): void {
    if (!this.#isOpen || !name.endsWith('_bucket')) throw new Error(`exemplar on ${name}`)
    const match = /^ # \{(.*)\} (\S+)(?: (\d+\.\d{3}))?$/.exec(text)
    if (match === null) throw new Error(`not an exemplar: ${text}`)
    const labels = parseLabels(match[1] as string)
    parseNumber(match[2] as string)
    const length = [...labels].reduce((sum, [label, value]) => sum + label.length + value.length, 0)
    if (length > 128) throw new Error(`exemplar labels of ${length} characters, over 128`)
  }

  #checkBucket(name: string, labels: Map<string, string>, value: number): void {
    if (!name.endsWith('_bucket')) {
      if (name.endsWith('_count') && this.#buckets?.count !== value) {
        throw new Error(`${name} ${value} is not the last bucket ${this.#buckets?.count}`)
      }
      return
    }
    const le = labels.get('le')
    if (le === undefined) throw new Error(`bucket of ${name} without le`)
    if (this.#isOpen && /^\d+$/.test(le)) throw new Error(`le="${le}" is not a canonical float`)
    const bound = parseNumber(le)
    const others = formatLabels(new Map([...labels].filter(([label]) => label !== 'le')))
    const before = this.#buckets
    if (before === undefined || before.labels !== others) this.#endBuckets()
    else if (bound <= before.bound || value < before.count)
      throw new Error(`${name} le=${le} falls`)
    this.#buckets = { labels: others, bound, count: value }
  }

  #endBuckets(): void {
    if (this.#buckets !== undefined && this.#buckets.bound !== Number.POSITIVE_INFINITY) {
      throw new Error(`${this.#family}{${this.#buckets.labels}} has no +Inf bucket`)
    }
    this.#buckets = undefined
  }
}

function parseLabels(text: string): Map<string, string> {
  const labels = new Map<string, string>()
  const pattern = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(,|$)/y
  let at = 0
  while (at < text.length) {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) throw new Error(`not labels: ${text.slice(at)}`)
    const [whole, name, value] = match as unknown as [string, string, string]
    if (labels.has(name)) throw new Error(`label twice: ${name}`)
    labels.set(
      name,
      value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char)),
    )
    at += whole.length
  }
  if (text.endsWith(',')) throw new Error(`comma at the end of ${text}`)
  return labels
}

function formatLabels(labels: ReadonlyMap<string, string>): string {
  const entries = [...labels].sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([name, value]) => `${name}="${value}"`).join(',')
}

function parseNumber(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  if (text === 'NaN') return Number.NaN
  if (!/^-?\d+(\.\d+)?(e[+-]\d+)?$/.test(text)) throw new Error(`not a number: ${text}`)
  return Number(text)
}
