/**
 * CPU time and memory of other processes, from Linux's `/proc`.
 *
 * CPU time is the sum over all threads in nanoseconds (`schedstat`), so garbage collection and
 * compilation threads count. A thread that ended in between is missing; Node and nginx keep theirs.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** Nanoseconds of CPU time that the processes have used so far, in user and kernel mode. */
export function cpuTimeNs(pids: readonly number[]): number {
  let sum = 0
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const line = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1')
      sum += Number(line.slice(0, line.indexOf(' ')))
    }
  }
  return sum
}

/** Resident memory in bytes. */
export function residentBytes(pids: readonly number[]): number {
  let sum = 0
  for (const pid of pids) {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    sum += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
  }
  return sum
}

export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
  return text.split(' ').filter(Boolean).map(Number)
}

/** Reason why nothing can be measured here; undefined when it can. */
export function procUnavailable(): string | undefined {
  try {
    cpuTimeNs([process.pid])
    return undefined
  } catch {
    return 'CPU time and memory are read from /proc, so the bench runs on Linux only'
  }
}
