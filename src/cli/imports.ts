/**
 * Modules that the user has loaded into the process first: an OpenTelemetry SDK that registers itself.
 *
 *     heddle up --import ./otel.mjs gateway.yaml
 *
 * A function `shutdown` that such a module exports is called when the gateway has drained, so that an
 * exporter sends what it still holds.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { toError } from '../core/errors.ts'
import type { Terminal } from './terminal.ts'

export interface Imported {
  shutdown(): Promise<void>
}

/** @returns undefined: one could not be loaded, and the user was told */
export async function importAll(
  modules: readonly string[],
  terminal: Terminal,
): Promise<Imported | undefined> {
  const shutdowns: (() => unknown)[] = []
  for (const module of modules) {
    try {
      const { shutdown } = (await import(specifierOf(module))) as { shutdown?: unknown }
      if (typeof shutdown === 'function') shutdowns.push(shutdown as () => unknown)
    } catch (error) {
      terminal.err(
        `${terminal.errStyle.red('error')} --import ${module}: ${toError(error).message}\n`,
      )
      return undefined
    }
  }
  return {
    async shutdown() {
      for (const shutdown of shutdowns.reverse()) {
        try {
          await shutdown()
        } catch (error) {
          terminal.err(`warning shutdown of an import: ${toError(error).message}\n`)
        }
      }
    },
  }
}

/** A path is one of the working directory, as for `node --import`; anything else is a package. */
function specifierOf(module: string): string {
  return /^(?:\.{0,2}\/|[A-Za-z]:[\\/])/.test(module) ? pathToFileURL(resolve(module)).href : module
}
