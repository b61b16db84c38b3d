/**
 * Plants a bug: a file of `src` is changed while it is loaded, in this process only. A bug whose
 * place is gone from the source is an error, so that the list cannot go stale.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'
import { PLANTED_BUGS, type PlantedBug } from '../test/simulations/planted-bugs.ts'
import { fromRoot } from './repository.ts'

export function plantedBugNames(): string[] {
  return PLANTED_BUGS.map(({ name }) => name)
}

/** Before anything of `src` that the bug is in was loaded. */
export function plantBug(name: string): void {
  const bug = PLANTED_BUGS.find((each) => each.name === name)
  if (bug === undefined) throw new Error(`no planted bug ${name}: ${plantedBugNames().join(', ')}`)
  const source = withBug(bug)
  const url = pathToFileURL(fromRoot(bug.file)).href
  registerHooks({
    load(target, context, nextLoad) {
      return target === url
        ? { format: 'module-typescript', source, shortCircuit: true }
        : nextLoad(target, context)
    },
  })
}

/** @throws Error when the place is not there exactly once */
export function withBug({ name, file, right, wrong }: PlantedBug): string {
  const parts = readFileSync(fromRoot(file), 'utf8').split(right)
  if (parts.length !== 2) {
    throw new Error(
      `planted bug ${name}: ${file} has its place ${parts.length - 1} times, not once`,
    )
  }
  return parts.join(wrong)
}
