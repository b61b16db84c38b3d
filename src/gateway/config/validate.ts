/**
 * Checks a document against the schema and says what is wrong in words that help.
 *
 * zod finds the issues; here they get a place in the file, a message that names the value, and,
 * for a word that nobody knows, the known word that was probably meant.
 */
import type { z } from 'zod'
import type { ConfigPath, ConfigProblem } from './problem.ts'
import { type GatewayConfig, gatewayConfig } from './schema/gateway.ts'
import { show } from './schema/primitives.ts'
import { nearest } from './suggestion.ts'
import type { YamlSource } from './yaml-source.ts'

export type Validated =
  | { readonly config: GatewayConfig; readonly problems: readonly [] }
  | { readonly config: undefined; readonly problems: readonly ConfigProblem[] }

export function validate(source: YamlSource, file: string): Validated {
  const outcome = gatewayConfig.safeParse(source.value)
  if (outcome.success) return { config: outcome.data, problems: [] }
  const problems: ConfigProblem[] = []
  for (const issue of outcome.error.issues) {
    for (const finding of explain(issue, source.value)) {
      const place = finding.onKey ? source.locateKey(finding.path) : source.locate(finding.path)
      problems.push({
        file,
        line: place?.line,
        column: place?.column,
        path: finding.path,
        message: finding.message,
        suggestion: finding.suggestion,
      })
    }
  }
  return { config: undefined, problems: tidy(problems) }
}

interface Finding {
  readonly path: ConfigPath
  readonly message: string
  readonly suggestion?: string | undefined
  /** The key is wrong, not its value. */
  readonly onKey?: boolean
}

type Issue = z.core.$ZodIssue

function explain(issue: Issue, root: unknown, base: ConfigPath = []): Finding[] {
  const path = [...base, ...(issue.path as (string | number)[])]
  const input = valueAt(root, path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: 'unknown key',
        suggestion: suggestKey(key, path, input),
        onKey: true,
      }))
    case 'invalid_type':
      if (!issue.message.startsWith('Invalid input')) return [{ path, message: issue.message }]
      if (input === undefined)
        return [{ path, message: `missing: expected ${noun(issue.expected)}` }]
      return [{ path, message: `expected ${noun(issue.expected)}, not ${describe(input)}` }]
    case 'invalid_value': {
      const known = issue.values.map(String)
      const message = `${show(input)} is not one of ${known.join(', ')}`
      const suggestion = typeof input === 'string' ? nearest(input, known) : undefined
      return [{ path, message, suggestion }]
    }
    case 'invalid_union':
      return explainUnion(issue, root, path, input)
    case 'invalid_key':
      return [{ path, message: issue.issues[0]?.message ?? issue.message, onKey: true }]
    default:
      return [{ path, message: issue.message }]
  }
}

/** Of several possible shapes, tells about the one that was probably meant: it fits furthest. */
function explainUnion(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  root: unknown,
  path: ConfigPath,
  input: unknown,
): Finding[] {
  if (!issue.message.startsWith('Invalid input')) return [{ path, message: issue.message }]
  const fitting = issue.errors.find(
    (errors) => !errors.some((one) => one.path.length === 0 && one.code === 'invalid_type'),
  )
  if (fitting === undefined) {
    const wanted = issue.errors.flatMap((errors) =>
      errors.map((one) => ('expected' in one ? noun(String(one.expected)) : one.message)),
    )
    const text = [...new Set(wanted)].join(' or ')
    return [{ path, message: `expected ${text}, not ${describe(input)}` }]
  }
  return fitting.flatMap((one) => explain(one, root, path))
}

/** One problem per place: the first says it best; a missing key beside a misspelt one says nothing. */
function tidy(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const seen = new Set<string>()
  const meant = new Set<string>()
  for (const { path, suggestion, message } of problems) {
    if (message === 'unknown key' && suggestion !== undefined) {
      meant.add([...path.slice(0, -1), suggestion].join('\n'))
    }
  }
  const kept = problems.filter((problem) => {
    const key = problem.path.join('\n')
    if (seen.has(key)) return false
    seen.add(key)
    return !(problem.message.startsWith('missing') && meant.has(key))
  })
  return kept.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
}

function suggestKey(key: string, path: ConfigPath, input: unknown): string | undefined {
  const present = input !== null && typeof input === 'object' ? Object.keys(input) : []
  const candidates = knownKeys(path).filter((known) => !present.includes(known))
  return nearest(key, candidates)
}

/** The keys that the schema allows at a path, all alternatives together. */
export function knownKeys(path: ConfigPath): string[] {
  let schemas: AnySchema[] = [gatewayConfig as unknown as AnySchema]
  for (const part of path) schemas = schemas.flatMap((schema) => step(schema, part))
  return schemas
    .flatMap((schema) => unwrap(schema))
    .flatMap((schema) => {
      const { def } = schema._zod
      return def.type === 'object' ? Object.keys(def.shape ?? {}) : []
    })
}

/** What is read of a zod schema: the part of its definition that is documented for libraries. */
interface AnySchema {
  readonly _zod: {
    readonly def: {
      readonly type: string
      readonly shape?: Readonly<Record<string, AnySchema>>
      readonly element?: AnySchema
      readonly innerType?: AnySchema
      readonly valueType?: AnySchema
      readonly options?: readonly AnySchema[]
    }
  }
}

function step(schema: AnySchema, part: string | number): AnySchema[] {
  return unwrap(schema).flatMap((one) => {
    const { def } = one._zod
    if (def.type === 'object') {
      const next = def.shape?.[String(part)]
      return next === undefined ? [] : [next]
    }
    if (def.type === 'array' && def.element !== undefined) return [def.element]
    if (def.type === 'record' && def.valueType !== undefined) return [def.valueType]
    return []
  })
}

function unwrap(schema: AnySchema): AnySchema[] {
  const { def } = schema._zod
  if (def.innerType !== undefined) return unwrap(def.innerType)
  if (def.type === 'union') return (def.options ?? []).flatMap((option) => unwrap(option))
  return [schema]
}

function valueAt(root: unknown, path: ConfigPath): unknown {
  let value = root
  for (const part of path) {
    if (value === null || typeof value !== 'object') return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}

function noun(expected: string): string {
  return NOUNS[expected] ?? expected
}

function describe(value: unknown): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  return show(value)
}

const NOUNS: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
}
