/**
 * One thread of shared-breakers.test.ts: a breaker on the table it is given, and what it is told to
 * do with it. Times are said by the test, so that nothing depends on the machine.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Permit } from '../../src/core/policy.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { threadClockOffsetMs } from '../../src/platform/thread-clock.ts'
import { CircuitBreaker } from '../../src/runtime/breaker.ts'
import { SharedBreakers } from '../../src/runtime/shared-breakers.ts'

export type WorkerCommand =
  | { do: 'fail' | 'succeed' | 'try'; now: number; times: number }
  | { do: 'race'; now: number; start: SharedArrayBuffer }
  | { do: 'settle'; now: number }
  | { do: 'clock' }

const port = parentPort as MessagePort
const breakers = SharedBreakers.from(workerData as SharedArrayBuffer)
const changes: string[] = []
const breaker = new CircuitBreaker(
  () => 0.5,
  { consecutiveFailures: 3 },
  (next, previous) => void changes.push(`${previous}>${next}`),
  breakers.cellFor('http 10.0.0.1:80'),
)
const held: Permit[] = []

port.on('message', (command: WorkerCommand) => {
  port.postMessage({ result: perform(command), state: breaker.state, changes: changes.splice(0) })
})

function perform(command: WorkerCommand): number {
  switch (command.do) {
    case 'race': {
      // All threads together: none has seen the others' turn.
      const start = new Int32Array(command.start)
      Atomics.add(start, 0, 1)
      while (Atomics.load(start, 0) < (start[1] as number));
      return acquire(command.now, 50)
    }
    case 'try':
      return acquire(command.now, command.times)
    case 'settle': {
      for (const permit of held.splice(0)) permit.success(command.now)
      return 0
    }
    case 'clock':
      return systemClock.now() + threadClockOffsetMs()
    default: {
      const permits = Array.from({ length: command.times }, () => breaker.tryAcquire(command.now))
      for (const permit of permits) {
        if (command.do === 'fail') permit?.failure(command.now, new Error('x'))
        else permit?.success(command.now)
      }
      return permits.filter((permit) => permit !== undefined).length
    }
  }
}

function acquire(now: number, times: number): number {
  let granted = 0
  for (let count = 0; count < times; count++) {
    const permit = breaker.tryAcquire(now)
    if (permit === undefined) continue
    granted++
    held.push(permit)
  }
  return granted
}
