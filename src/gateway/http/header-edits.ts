/**
 * Changes to fields that a route asks for, compiled once: `remove`, then `set`, then `add`.
 */
import type { HeaderEditsConfig } from '../config/schema/route.ts'

export interface HeaderEdits {
  /** Lower-case names whose fields are left out: removed ones and those that are set. */
  readonly dropped: ReadonlySet<string>
  /** name, value, name, value …; what is set and added. */
  readonly appended: readonly string[]
}

/**
 * @param readValue gives the content of a file for `set_from_file`, already read
 * @returns undefined when there is nothing to do
 */
export function compileHeaderEdits(
  config: HeaderEditsConfig | undefined,
  readValue: (file: string) => string,
): HeaderEdits | undefined {
  if (config === undefined) return undefined
  const dropped = new Set<string>()
  const appended: string[] = []
  for (const name of config.remove ?? []) dropped.add(name.toLowerCase())
  for (const [name, value] of Object.entries(config.set ?? {})) {
    dropped.add(name.toLowerCase())
    appended.push(name.toLowerCase(), String(value))
  }
  for (const [name, file] of Object.entries(config.set_from_file ?? {})) {
    dropped.add(name.toLowerCase())
    appended.push(name.toLowerCase(), readValue(file))
  }
  for (const [name, value] of Object.entries(config.add ?? {})) {
    appended.push(name.toLowerCase(), String(value))
  }
  if (dropped.size === 0 && appended.length === 0) return undefined
  return { dropped, appended }
}
