/**
 * What the process itself costs, read when somebody collects.
 */
import type { ProcessFacts } from '../core/process-facts.ts'
import type { ObserverGroup } from './observer-group.ts'

export function observeProcess(group: ObserverGroup, facts: ProcessFacts): void {
  group.counter(
    'process.cpu.time',
    { unit: 's', description: 'CPU time of the process.' },
    (report) => {
      const { user, system } = facts.cpuSeconds()
      report(user, { 'cpu.mode': 'user' })
      report(system, { 'cpu.mode': 'system' })
    },
  )
  group.gauge(
    'process.memory.usage',
    { unit: 'By', description: 'Resident memory of the process.' },
    (report) => report(facts.memory().residentBytes),
  )
  group.gauge(
    'heddle.process.memory',
    { unit: 'By', description: 'Memory by kind: JavaScript heap and what lies outside it.' },
    (report) => {
      const { heapUsedBytes, heapTotalBytes, externalBytes } = facts.memory()
      report(heapUsedBytes, { kind: 'heap_used' })
      report(heapTotalBytes, { kind: 'heap_total' })
      report(externalBytes, { kind: 'external' })
    },
  )
  group.counter(
    'nodejs.eventloop.time',
    { unit: 's', description: 'Time the event loop worked (active) and waited (idle).' },
    (report) => {
      const { activeMs, idleMs } = facts.eventLoop()
      report(activeMs / 1_000, { 'nodejs.eventloop.state': 'active' })
      report(idleMs / 1_000, { 'nodejs.eventloop.state': 'idle' })
    },
  )
}
