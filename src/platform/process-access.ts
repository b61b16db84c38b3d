/**
 * The parts of `process` that transports need. Only this layer and the command line touch it.
 */
import { readFileSync } from 'node:fs'

export const operatingSystem: NodeJS.Platform = process.platform
export const processor: NodeJS.Architecture = process.arch
export const nodeVersion: string = process.versions.node

/** False in worker threads, which can be ended at any moment without hearing of it. */
export { isMainThread } from 'node:worker_threads'

/** Just before this thread ends in order; what it does must be synchronous. Returns removal. */
export function beforeExit(callback: () => void): () => void {
  process.on('exit', callback)
  return () => void process.off('exit', callback)
}

/** Whether Node was built to use the system's OpenSSL instead of its own. */
export function usesSharedOpenssl(): boolean {
  const { variables } = process.config as { variables: Readonly<Record<string, unknown>> }
  return variables['node_shared_openssl'] === true
}

/** After this tick's work, before new input is read. */
export function defer(callback: () => void): void {
  process.nextTick(callback)
}

/** After the input that is there now has been read: in the same turn of the loop, or the next. */
export function afterInput(callback: () => void): void {
  setImmediate(callback)
}

/**
 * Node's internal bindings (DEP0111). Nobody may rely on what comes back without looking at it.
 *
 * @throws whatever Node throws for a binding that it does not give out
 */
export function nodeBinding(name: string): Record<string, unknown> {
  const { binding } = process as unknown as { binding?: (name: string) => Record<string, unknown> }
  if (typeof binding !== 'function') throw new Error('process.binding does not exist')
  return binding(name)
}

/** How many descriptors this process may have, where the system says so (Linux). */
export function openFileLimit(): number | undefined {
  try {
    const limits = readFileSync('/proc/self/limits', 'latin1')
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

/** A warning of this process, said once for each code. */
export function warn(message: string, code: string): void {
  if (warned.has(code)) return
  warned.add(code)
  process.emitWarning(message, { code, type: 'HeddleWarning' })
}

const warned = new Set<string>()

export function environmentVariable(name: string): string | undefined {
  return process.env[name]
}

/**
 * Runs `work` with a file mode mask for the whole process, so it must be synchronous.
 *
 * @returns false without running it where the mask cannot be set: in worker threads
 */
export function withUmask(mask: number, work: () => void): boolean {
  let before: number
  try {
    before = process.umask(mask)
  } catch {
    return false
  }
  try {
    work()
  } finally {
    process.umask(before)
  }
  return true
}
