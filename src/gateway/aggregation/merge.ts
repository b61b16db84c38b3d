/**
 * The answers of several parts as one JSON document.
 *
 *     by_name   {"user":{…},"orders":null,"errors":{"orders":{"status":503,…}}}
 *     object    {"name":"Ann","total":7,"errors":{…}}
 *     array     [{"name":"user","status":200,"body":{…}},{"name":"orders","status":503,"error":{…}}]
 *
 * The text of a part goes into the document as it came, once it is known to be JSON: numbers keep
 * their digits, and nothing is written anew.
 */

export interface PartFailure {
  /** That of the upstream, or that the gateway would answer. */
  readonly status: number
  readonly code: string
  readonly message: string
}

export type PartResult =
  | { readonly name: string; readonly status: number; readonly json: string }
  | { readonly name: string; readonly failure: PartFailure }

export type MergeMode = 'by_name' | 'object' | 'array'

export function mergeParts(mode: MergeMode, results: readonly PartResult[]): string {
  if (mode === 'array') return `[${results.map(elementOf).join(',')}]\n`
  const members = new Map<string, string>()
  for (const result of results) {
    if (mode === 'by_name') {
      const value = 'json' in result ? result.json.trim() : 'null'
      members.set(JSON.stringify(result.name), value)
    } else if ('json' in result) {
      for (const [key, value] of membersOf(result.json)) members.set(key, value)
    }
  }
  const failures = results.filter((one) => 'failure' in one)
  if (failures.length > 0) {
    const each = failures.map(({ name, failure }) => [name, failure] as const)
    // After an answer's own member of that name, which would hide what went wrong.
    members.delete('"errors"')
    members.set('"errors"', JSON.stringify(Object.fromEntries(each)))
  }
  return `{${[...members].map(([key, value]) => `${key}:${value}`).join(',')}}\n`
}

/** Whether text is a JSON object: what `object` can merge. `text` is JSON. */
export function isJsonObject(text: string): boolean {
  return /^[ \t\r\n]*\{/.test(text)
}

/**
 * The members of an object, key and value as they are written; keys in one spelling, so that `"a"`
 * and `"\u0061"` are the same. `text` is JSON: only strings and nesting need to be told apart.
 */
export function membersOf(text: string): [key: string, value: string][] {
  const members: [string, string][] = []
  let depth = 0
  let start = 0
  let key: string | undefined
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case OPEN_BRACE:
      case OPEN_BRACKET:
        if (++depth === 1) start = at + 1
        break
      case COLON:
        if (depth !== 1) break
        key = JSON.stringify(JSON.parse(text.slice(start, at)))
        start = at + 1
        break
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth--
        if (depth > 0) break
        if (key !== undefined) members.push([key, text.slice(start, at).trim()])
        return members
      case COMMA:
        if (depth !== 1 || key === undefined) break
        members.push([key, text.slice(start, at).trim()])
        start = at + 1
        break
    }
  }
  return members
}

function elementOf(result: PartResult): string {
  const name = JSON.stringify(result.name)
  if ('json' in result) {
    return `{"name":${name},"status":${result.status},"body":${result.json.trim()}}`
  }
  const { status } = result.failure
  return `{"name":${name},"status":${status},"error":${JSON.stringify(result.failure)}}`
}

/** Index of the quote that ends a string. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1
  return at
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
