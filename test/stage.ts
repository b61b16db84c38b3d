/** A copy of part of the repository in a temporary folder, for tests that build or write sources. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { fromRoot } from '../scripts/repository.ts'

export interface Stage extends AsyncDisposable {
  /** Holds `sources` and whatever else a test puts there. */
  readonly folder: string
  readonly sources: string
}

/** Copies the paths and links the installed packages. */
export async function stageRepository(paths: readonly string[]): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-stage-'))
  const sources = join(folder, 'sources')
  for (const path of paths) {
    await cp(fromRoot(path), join(sources, path), { recursive: true })
  }
  await symlink(fromRoot('node_modules'), join(sources, 'node_modules'), 'junction')
  return {
    folder,
    sources,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Runs a program to its end. When it fails, the error holds what it printed. */
export async function runCommand(
  program: string,
  parameters: readonly string[],
  cwd: string,
): Promise<string> {
  // The Node of this run comes first, so that the floor run uses the floor.
  const path = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter)
  const env = { ...process.env, PATH: path, npm_config_loglevel: 'error' }
  // A test runner inside a test would report to the outer one instead of to us.
  delete (env as NodeJS.ProcessEnv)['NODE_TEST_CONTEXT']
  const shell = program.endsWith('.cmd')
  try {
    const { stdout } = await promisify(execFile)(program, [...parameters], { cwd, shell, env })
    return stdout
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${program} ${parameters.join(' ')}\n${stdout}\n${stderr}`, { cause: error })
  }
}
