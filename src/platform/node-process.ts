/**
 * `ProcessFacts` of this Node process.
 */
import { performance } from 'node:perf_hooks'
import type { ProcessFacts } from '../core/process-facts.ts'

export const nodeProcess: ProcessFacts = Object.freeze({
  cpuSeconds() {
    const { user, system } = process.cpuUsage()
    return { user: user / 1e6, system: system / 1e6 }
  },
  memory() {
    const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage()
    return {
      residentBytes: rss,
      heapUsedBytes: heapUsed,
      heapTotalBytes: heapTotal,
      externalBytes: external + arrayBuffers,
    }
  },
  eventLoop() {
    const { active, idle } = performance.eventLoopUtilization()
    return { activeMs: active, idleMs: idle }
  },
})
