/**
 * h2load of nghttp2: the load of HTTP/2 servers. Unlike wrk it takes any number of milliseconds. It
 * gives no percentiles without a log of every request, which would cost it the speed it is used for.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { LoadResult } from './jobs.ts'

export interface H2loadJob {
  readonly port: number
  readonly path: string
  readonly connections: number
  /** Streams open on each connection. */
  readonly streams: number
  readonly milliseconds: number
  /** Length of every body. */
  readonly bodyBytes: number
}

/** Reason why it cannot be used on this machine; undefined when it can. */
export function h2loadUnavailable(): string | undefined {
  const found = spawnSync('h2load', ['--version'], { stdio: 'ignore' })
  return found.error === undefined ? undefined : 'h2load is not installed (nghttp2-client)'
}

/** HTTP/2 over plain TCP by prior knowledge. */
export async function runH2load(job: H2loadJob): Promise<LoadResult> {
  const { port, path, connections, streams, milliseconds } = job
  const shape = ['-t1', `-c${connections}`, `-m${streams}`, '-D', `${milliseconds}ms`]
  const child = spawn('h2load', [...shape, `http://127.0.0.1:${port}${path}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text))
  await once(child, 'close')
  return parseH2load(output, job)
}

/**
 * Counts what is not an answer of status 2xx as an error, and answers whose bodies do not add up:
 * the bytes received may differ by no more than the answers that were on their way at the end.
 */
export function parseH2load(output: string, job: H2loadJob): LoadResult {
  const counts =
    /^requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m
  const [done, failed, errored, late] = numbers(counts, output)
  const [ok] = numbers(/^status codes: (\d+) 2xx/m, output)
  const [data] = numbers(/^traffic: .* \((\d+)\) data$/m, output)
  const { bodyBytes, connections, streams, milliseconds } = job
  const bodies = (data as number) / bodyBytes
  const missing = Math.max(0, Math.abs(bodies - (done as number)) - connections * streams)
  const wrong = Math.max((failed as number) + (errored as number) + (late as number), 0)
  return {
    requests: done as number,
    errors: Math.ceil(missing) + Math.max(wrong, (done as number) - (ok as number)),
    seconds: milliseconds / 1000,
    p50Ms: 0,
    p99Ms: 0,
  }
}

function numbers(pattern: RegExp, output: string): number[] {
  const found = pattern.exec(output)
  if (found === null) throw new Error(`h2load gave no totals: ${output}`)
  return found.slice(1).map(Number)
}
