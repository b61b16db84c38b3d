// Two threads, one state: what the worker's breaker opened, this thread's refuses as well.
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { CircuitBreaker, SharedBreakers, systemClock, threadClockOffsetMs } from 'heddle/runtime'

const breakers = isMainThread
  ? SharedBreakers.create({ offsetMs: threadClockOffsetMs() })
  : SharedBreakers.from(workerData, { offsetMs: threadClockOffsetMs() })
// A client does this for each of its endpoints: httpClient(origin, { breaker: { shared: breakers } })
const options = { consecutiveFailures: 2, openMs: 60_000, maxOpenMs: 60_000 }
const cell = breakers.cellFor('http 10.0.0.1:80')
const breaker = new CircuitBreaker(Math.random, options, undefined, cell)
const now = systemClock.now()

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: breakers.buffer })
  await once(worker, 'exit')
  console.log(breaker.state, breaker.tryAcquire(now) === undefined) // open true
} else {
  breaker.tryAcquire(now)?.failure(now, new Error('reset'))
  breaker.tryAcquire(now)?.failure(now, new Error('reset'))
  parentPort?.postMessage(breaker.state)
}
