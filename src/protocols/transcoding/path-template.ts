/**
 * Templates of paths, as `google.api.http` has them.
 *
 *     Template  = "/" Segments [ Verb ]
 *     Segments  = Segment { "/" Segment }
 *     Segment   = "*" | "**" | LITERAL | Variable
 *     Variable  = "{" FieldPath [ "=" Segments ] "}"
 *     FieldPath = IDENT { "." IDENT }
 *     Verb      = ":" LITERAL
 *
 * `*` is one segment that is not empty, `**` any number of them, at the end. `{name}` is `{name=*}`.
 *
 *     /v1/{name=shelves/∗/books/∗}:archive      segments v1, shelves, ∗, books, ∗; name is 1 to 5
 */
import { UsageError } from '../../core/errors.ts'

export interface PathTemplate {
  readonly text: string
  /** `*`, `**`, or a literal as it stands in a decoded path. */
  readonly segments: readonly TemplateSegment[]
  readonly variables: readonly PathVariable[]
  readonly verb: string | undefined
}

export type TemplateSegment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'one' }
  | { readonly kind: 'rest' }

export interface PathVariable {
  /** Names of fields: `['book', 'name']`. */
  readonly fieldPath: readonly string[]
  /** Segments that it holds, from and up to. */
  readonly start: number
  readonly end: number
  /** `*` alone: its value may hold a slash, percent-encoded, and is decoded as a whole. */
  readonly single: boolean
  /** It ends with `**`: it holds whatever is left. */
  readonly open: boolean
}

/**
 * @throws UsageError ERR_SCHEMA, with the place; also for a template of over 2,048 characters or 128
 * segments, which nobody writes by hand
 */
export function parsePathTemplate(text: string): PathTemplate {
  return new TemplateParser(text).parse()
}

class TemplateParser {
  readonly #text: string
  #at = 0
  readonly #segments: TemplateSegment[] = []
  readonly #variables: PathVariable[] = []

  constructor(text: string) {
    this.#text = text
  }

  parse(): PathTemplate {
    const text = this.#text
    if (text.length > MAX_LENGTH) {
      const message = `a path template of ${text.length} characters is over ${MAX_LENGTH}`
      throw new UsageError('ERR_SCHEMA', message)
    }
    this.#expect('/')
    this.#list(false)
    const verb = this.#take(':') ? this.#literal() : undefined
    if (this.#at < text.length) throw this.#wrong('the end')
    return { text, segments: this.#segments, variables: this.#variables, verb }
  }

  #list(inVariable: boolean): void {
    do this.#segment(inVariable)
    while (this.#take('/'))
  }

  #segment(inVariable: boolean): void {
    if (this.#segments.at(-1)?.kind === 'rest') throw this.#wrong('nothing behind **')
    if (this.#segments.length === MAX_SEGMENTS) {
      throw this.#wrong(`at most ${MAX_SEGMENTS} segments`)
    }
    if (this.#take('*')) {
      this.#segments.push(this.#take('*') ? REST : ONE)
    } else if (this.#take('{')) {
      if (inVariable) throw this.#wrong('no variable inside a variable')
      this.#variable()
    } else this.#segments.push({ kind: 'literal', text: decodeLiteral(this.#literal()) })
  }

  #variable(): void {
    const fieldPath = [this.#identifier()]
    while (this.#take('.')) fieldPath.push(this.#identifier())
    const start = this.#segments.length
    if (this.#take('=')) this.#list(true)
    else this.#segments.push(ONE)
    this.#expect('}')
    const name = fieldPath.join('.')
    if (this.#variables.some((other) => other.fieldPath.join('.') === name)) {
      throw this.#wrong(`${name} once only`)
    }
    const end = this.#segments.length
    const single = end === start + 1 && this.#segments[start] === ONE
    const open = this.#segments[end - 1] === REST
    this.#variables.push({ fieldPath, start, end, single, open })
  }

  #identifier(): string {
    return this.#match(/[A-Za-z_][A-Za-z0-9_]*/y, 'the name of a field')
  }

  #literal(): string {
    const literal = this.#match(/(?:[A-Za-z0-9\-._~!$&'()+,;@]|%[0-9A-Fa-f]{2})+/y, 'a segment')
    if (literal !== '.' && literal !== '..') return literal
    throw this.#wrong('a segment that is not relative')
  }

  #match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found === undefined) throw this.#wrong(what)
    this.#at += found.length
    return found
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false
    this.#at++
    return true
  }

  #expect(char: string): void {
    if (!this.#take(char)) throw this.#wrong(`'${char}'`)
  }

  #wrong(expected: string): UsageError {
    const shown = JSON.stringify(this.#text.slice(0, 256))
    const message = `path template ${shown}: expected ${expected} at ${this.#at}`
    return new UsageError('ERR_SCHEMA', message)
  }
}

/** As a path that was decoded has it. */
function decodeLiteral(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    const message = `path template: ${JSON.stringify(text)} is not percent-encoded UTF-8`
    throw new UsageError('ERR_SCHEMA', message, { cause })
  }
}

const MAX_LENGTH = 2_048
const MAX_SEGMENTS = 128
const ONE: TemplateSegment = Object.freeze({ kind: 'one' })
const REST: TemplateSegment = Object.freeze({ kind: 'rest' })
