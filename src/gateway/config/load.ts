/**
 * From the text of a configuration to a checked one, or to the list of everything wrong with it.
 *
 * A result instead of an exception: `heddle check` prints all problems, a reload keeps the old
 * configuration, and only `heddle up` turns them into an exit code.
 */
import { readFile } from 'node:fs/promises'
import { errorCodeOf } from './file-error.ts'
import type { Environment } from './interpolation.ts'
import { type ConfigProblem, formatPath } from './problem.ts'
import { checkReferences } from './references.ts'
import type { GatewayConfig } from './schema/gateway.ts'
import { validate } from './validate.ts'
import { readYaml, type YamlSource } from './yaml-source.ts'

export interface LoadOptions {
  /** Name for messages; for `loadConfigFile` the file that is read. */
  file: string
  environment: Environment
}

export type LoadOutcome = LoadedConfig | RejectedConfig

export interface LoadedConfig {
  readonly ok: true
  readonly config: GatewayConfig
  /** Paths whose values must not be printed. */
  readonly secretPaths: ReadonlySet<string>
}

export interface RejectedConfig {
  readonly ok: false
  /** In the order of the file; at least one. */
  readonly problems: readonly ConfigProblem[]
  /** The file itself could not be read: exit codes 66 and 77 instead of 78. */
  readonly unreadable?: 'missing' | 'denied' | 'other'
}

/** Checks a text. Never throws for what is in it. */
export function loadConfig(text: string, options: LoadOptions): LoadOutcome {
  const { file, environment } = options
  const source = readYaml(text, { file, environment })
  // With a document that is not YAML, or values that are missing, later messages would mislead.
  if (source.problems.length > 0) return { ok: false, problems: source.problems }
  const { config, problems } = validate(source, file)
  if (config === undefined) return { ok: false, problems: withoutSecrets(problems, source) }
  const found = checkReferences(config)
  if (found.length === 0) return { ok: true, config, secretPaths: source.secretPaths }
  const located = found.map(({ path, message, suggestion }): ConfigProblem => {
    const place = source.locate(path)
    return { file, line: place?.line, column: place?.column, path, message, suggestion }
  })
  located.sort((a, b) => (a.line ?? 0) - (b.line ?? 0))
  return { ok: false, problems: withoutSecrets(located, source) }
}

/** Messages quote the value that is wrong; that of a secret goes to no terminal, log or page. */
function withoutSecrets(
  problems: readonly ConfigProblem[],
  { value, secretPaths }: YamlSource,
): ConfigProblem[] {
  return problems.map((problem) => {
    if (!secretPaths.has(formatPath(problem.path))) return problem
    let at = value
    for (const part of problem.path) at = (at as Record<string | number, unknown> | null)?.[part]
    const message = problem.message.replaceAll(String(at), '[redacted]')
    return { ...problem, message, suggestion: undefined }
  })
}

export async function loadConfigFile(options: LoadOptions): Promise<LoadOutcome> {
  const { file } = options
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    return unreadable(file, error)
  }
  return loadConfig(text, options)
}

function unreadable(file: string, error: unknown): RejectedConfig {
  const { code, text } = errorCodeOf(error)
  const problem = {
    file,
    line: undefined,
    column: undefined,
    path: [],
    message: `cannot be read: ${text}`,
    suggestion: undefined,
  }
  const kind = code === 'ENOENT' ? 'missing' : code === 'EACCES' ? 'denied' : 'other'
  return { ok: false, problems: [problem], unreadable: kind }
}
