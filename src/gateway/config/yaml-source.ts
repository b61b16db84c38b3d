/**
 * A YAML (or JSON) document as plain values, with the place of every value remembered.
 *
 * Anchors, aliases and merge keys work; their expansion is bounded, so that a small file cannot
 * become a large configuration ("billion laughs"). `${NAME}` is replaced in scalars while the tree
 * is walked; a plain scalar is read again after that, so `port: ${PORT}` is a number.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  Scalar,
  type YAMLMap,
} from 'yaml'
import { type Environment, interpolate } from './interpolation.ts'
import type { ConfigPath, ConfigProblem } from './problem.ts'
import { formatPath } from './problem.ts'

export interface YamlSourceOptions {
  /** Name for messages. */
  file: string
  environment: Environment
  /**
   * Longest document, in bytes of text. A configuration of thousands of routes fits ten times.
   *
   * @default 4_194_304
   */
  maxBytes?: number
  /**
   * Most values after aliases are expanded.
   *
   * @default 200_000
   */
  maxValues?: number
}

export const yamlSourceDefaults: Readonly<{ maxBytes: number; maxValues: number }> = Object.freeze({
  maxBytes: 4 * 1024 * 1024,
  maxValues: 200_000,
})

export interface YamlSource {
  /** Undefined when the text could not be understood at all. */
  readonly value: unknown
  readonly problems: readonly ConfigProblem[]
  /** Paths whose value came, whole or in part, from a variable with a secret's name. */
  readonly secretPaths: ReadonlySet<string>
  /** Line and column of a value, or of the nearest part of its path that is in the document. */
  locate(path: ConfigPath): Place | undefined
  /** Line and column of a key. */
  locateKey(path: ConfigPath): Place | undefined
}

export interface Place {
  readonly line: number
  readonly column: number
}

export function readYaml(text: string, options: YamlSourceOptions): YamlSource {
  const { maxBytes = yamlSourceDefaults.maxBytes } = options
  const reader = new YamlReader(options)
  if (text.length > maxBytes) {
    reader.report([], undefined, `${text.length} bytes of text are over the limit of ${maxBytes}`)
    return reader
  }
  reader.read(text)
  return reader
}

class YamlReader implements YamlSource {
  value: unknown
  readonly problems: ConfigProblem[] = []
  readonly secretPaths = new Set<string>()
  readonly #options: YamlSourceOptions
  readonly #maxValues: number
  readonly #lines = new LineCounter()
  readonly #values = new Map<string, number>()
  readonly #keys = new Map<string, number>()
  readonly #open = new Set<Node>()
  #document: Document | undefined
  #count = 0

  constructor(options: YamlSourceOptions) {
    this.#options = options
    this.#maxValues = options.maxValues ?? yamlSourceDefaults.maxValues
  }

  read(text: string): void {
    const documents = parseAllDocuments(text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: true,
    })
    const first = documents[0]
    if (first === undefined) return this.report([], 0, 'the file is empty')
    if (documents.length > 1) {
      const second = documents[1] as Document
      return this.report([], second.range?.[0], 'more than one YAML document in one file')
    }
    const error = first.errors[0]
    if (error !== undefined) {
      // Only the first: what follows it is mostly its consequence.
      const hint = UNQUOTED_IN_FLOW.test(text) ? '; inside { } and [ ], quote "${NAME}"' : ''
      return this.report([], error.pos[0], `not valid YAML: ${error.message}${hint}`)
    }
    if (first.contents === null) return this.report([], 0, 'the file is empty')
    this.#document = first
    this.value = this.#walk(first.contents, [])
    if (this.value === null || typeof this.value !== 'object' || Array.isArray(this.value)) {
      this.report([], 0, 'not a configuration: expected keys such as listeners, routes, clusters')
      this.value = undefined
    }
  }

  locate(path: ConfigPath): Place | undefined {
    for (let length = path.length; length >= 0; length--) {
      const at = this.#values.get(keyOf(path.slice(0, length)))
      if (at !== undefined) return this.#place(at)
    }
    return undefined
  }

  locateKey(path: ConfigPath): Place | undefined {
    const at = this.#keys.get(keyOf(path))
    return at === undefined ? this.locate(path) : this.#place(at)
  }

  report(path: ConfigPath, offset: number | undefined, message: string): void {
    if (this.problems.length >= MAX_PROBLEMS) return
    const place = offset === undefined ? undefined : this.#place(offset)
    this.problems.push({
      file: this.#options.file,
      line: place?.line,
      column: place?.column,
      path,
      message,
      suggestion: undefined,
    })
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset)
    // An empty text has no first line in the counter.
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }

  #walk(node: Node | null, path: ConfigPath): unknown {
    if (++this.#count > this.#maxValues) {
      if (this.#count === this.#maxValues + 1) {
        const message = `more than ${this.#maxValues} values after aliases are expanded`
        this.report(path, node?.range?.[0], message)
      }
      return undefined
    }
    if (node === null) return null
    if (node.range) this.#values.set(keyOf(path), node.range[0])
    if (isAlias(node)) return this.#walkAlias(node.resolve(this.#document as Document), node, path)
    if (isMap(node)) return this.#walkMap(node, path)
    if (isSeq(node)) {
      return node.items.map((item, index) => this.#walk(item as Node | null, [...path, index]))
    }
    return isScalar(node) ? this.#walkScalar(node, path) : undefined
  }

  #walkAlias(target: Node | undefined, alias: Node, path: ConfigPath): unknown {
    const offset = alias.range?.[0]
    if (target === undefined) {
      this.report(path, offset, 'alias of an anchor that is not there')
      return undefined
    }
    if (this.#open.has(target)) {
      this.report(path, offset, 'alias that contains itself')
      return undefined
    }
    this.#open.add(target)
    const value = this.#walk(target, path)
    this.#open.delete(target)
    return value
  }

  #walkMap(map: YAMLMap, path: ConfigPath): Record<string, unknown> {
    // No prototype: a key named __proto__ is just an unknown key.
    const result: Record<string, unknown> = Object.create(null)
    const own = new Set<string>()
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const key = isScalar(pair.key) ? String(pair.key.value) : undefined
      if (key === undefined) {
        this.report(path, pair.key?.range?.[0], 'a key must be a word')
        continue
      }
      if (key === '<<') {
        this.#merge(pair.value, path, result, own)
        continue
      }
      own.add(key)
      const at = [...path, key]
      if (pair.key.range) this.#keys.set(keyOf(at), pair.key.range[0])
      result[key] = this.#walk(pair.value, at)
    }
    return result
  }

  /** `<<: *defaults`: keys of the other map, where this one has not got them itself. */
  #merge(
    node: Node | null,
    path: ConfigPath,
    result: Record<string, unknown>,
    own: ReadonlySet<string>,
  ): void {
    const merged = this.#walk(node, path)
    if (Array.isArray(merged)) this.#liftSecrets(path, merged.length)
    for (const one of Array.isArray(merged) ? merged : [merged]) {
      if (one === null || typeof one !== 'object') {
        this.report(path, node?.range?.[0], "'<<' needs a map, or an alias of one")
        continue
      }
      for (const [key, value] of Object.entries(one)) if (!own.has(key)) result[key] = value
    }
  }

  /** What a list of merged maps holds becomes part of `path` itself: secrets stay secret there. */
  #liftSecrets(path: ConfigPath, count: number): void {
    const base = formatPath(path)
    for (let index = 0; index < count; index++) {
      const inside = formatPath([...path, index])
      for (const secret of [...this.secretPaths]) {
        if (!secret.startsWith(inside)) continue
        const rest = secret.slice(inside.length)
        this.secretPaths.add(base === '' ? rest.replace(/^\./, '') : base + rest)
      }
    }
  }

  #walkScalar(scalar: Scalar, path: ConfigPath): unknown {
    const { value } = scalar
    if (typeof value === 'bigint') return Number(value)
    if (typeof value !== 'string' || !value.includes('$')) return value
    const outcome = interpolate(value, this.#options.environment)
    if ('problem' in outcome) {
      this.report(path, scalar.range?.[0], outcome.problem)
      return value
    }
    if (outcome.names.some((name) => SECRET_NAME.test(name))) this.secretPaths.add(formatPath(path))
    const plain = scalar.type === Scalar.PLAIN || scalar.type === undefined
    return plain && outcome.names.length > 0 ? readPlain(outcome.text) : outcome.text
  }
}

/** A plain scalar whose text is known only now: number, boolean, null or text. */
function readPlain(text: string): unknown {
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text)) return Number(text)
  if (text === 'true') return true
  if (text === 'false') return false
  return text
}

/** One string per path; the separator cannot stand in a YAML scalar key of one line. */
function keyOf(path: ConfigPath): string {
  return path.join('\n')
}

/** `{port: ${PORT}}` is not YAML: the braces are read as a map. */
const UNQUOTED_IN_FLOW = /[{[,]\s*[^'"\n#]*:\s*\$\{/
const SECRET_NAME = /SECRET|TOKEN|PASSW|KEY|CREDENTIAL|AUTH/i
const MAX_PROBLEMS = 50
