/** Where things are in this repository, and how its scripts start other programs. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { LAYERS } from './layers.config.ts'

export const ROOT: string = resolve(import.meta.dirname, '..')

export function fromRoot(...parts: string[]): string {
  return join(ROOT, ...parts)
}

/** The layers that exist so far, lowest first. */
export function existingLayers(): string[] {
  const folders = new Set(existsSync(fromRoot('src')) ? readdirSync(fromRoot('src')) : [])
  return Object.keys(LAYERS).filter((layer) => folders.has(layer))
}

/** Runs a program with our terminal and returns its exit status. */
export function runProgram(program: string, parameters: readonly string[]): number {
  const result = spawnSync(program, [...parameters], { cwd: ROOT, stdio: 'inherit' })
  if (result.error !== undefined) throw result.error
  return result.status ?? 1
}

/** Runs a JavaScript tool of node_modules on the Node we run on. */
export function runTool(entry: string, parameters: readonly string[]): number {
  return runProgram(process.execPath, [fromRoot('node_modules', entry), ...parameters])
}
