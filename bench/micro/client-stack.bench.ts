/**
 * What the client stack costs over the connection it ends at: deadline, retry with budget, p2c over
 * three endpoints, breaker, pool. The exchanger is a fake that answers a batch of calls at once, so
 * that everything measured beside the first variant is the stack.
 */
import v8 from 'node:v8'
import { ip } from '../../src/core/address.ts'
import type { ConnectionState } from '../../src/core/connection-state.ts'
import { Call } from '../../src/core/context.ts'
import type { Classifier } from '../../src/core/policy.ts'
import { SUCCEEDED, verdictOfError } from '../../src/core/verdicts.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { type ClientCore, createClient } from '../../src/runtime/client.ts'
import type { ClientOptions } from '../../src/runtime/client-options.ts'
import type { Exchanger } from '../../src/runtime/exchanger.ts'
import type { Benchmark, Counters, Variant } from '../benchmark.ts'

export const benchmark: Benchmark = {
  about: 'one call, 64 in flight, of a connection that answers a batch at a time',
  counters,
  variants: {
    'bare exchanger': () => bare(),
    'client stack': () => stacked({}),
    'client stack, attempt timeout': () => stacked({ attemptTimeoutMs: 1_000 }),
    'client stack, one endpoint': () => stacked({ endpoints: [{ address: ip('10.0.0.1', 80) }] }),
    'bare exchanger, synchronous': () => bare(true),
    'client stack, synchronous': () => stacked({}, true),
  },
}

const IN_FLIGHT = 64
const HELD = 1_000

export interface Request {
  readonly id: number
}
export interface Response {
  readonly status: number
}

const OK: Response = { status: 200 }

/** Answers when told to; the callbacks of all exchangers wait in one list. */
class BatchExchanger implements Exchanger<Request, Response> {
  state: ConnectionState = 'ready'
  idleTimeoutMs = undefined
  onChange: (() => void) | undefined = undefined
  inFlight = 0
  readonly #waiting: (() => void)[]
  readonly #synchronous: boolean

  constructor(waiting: (() => void)[], synchronous: boolean) {
    this.#waiting = waiting
    this.#synchronous = synchronous
  }

  get available(): number {
    return this.state === 'ready' ? 1 - this.inFlight : 0
  }

  call(): Response | Promise<Response> {
    if (this.#synchronous) return OK
    this.inFlight++
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        this.inFlight--
        this.onChange?.()
        resolve(OK)
      })
    })
  }

  close(): void {
    this.state = 'closed'
  }

  destroy(): void {
    this.state = 'closed'
  }

  ref(): void {}
  unref(): void {}
}

const classifier: Classifier<Request, Response> = {
  protocol: 'bench',
  isIdempotent: () => true,
  isReplayable: () => true,
  classifyResponse: () => SUCCEEDED,
  classifyError: (_request, error, context) => verdictOfError(error, context),
  errorResponse: () => ({ status: 500 }),
  operation: () => 'call',
}

export interface Held extends Variant {
  /** Calls that stay under way. */
  begin(count: number): Promise<readonly unknown[]>
  /** Answers them. */
  end(): void
}

function bare(synchronous = false): Held {
  const waiting: (() => void)[] = []
  const exchangers = Array.from(
    { length: IN_FLIGHT },
    () => new BatchExchanger(waiting, synchronous),
  )
  let next = 0
  return {
    run: (count) =>
      run(count, waiting, synchronous, () =>
        (exchangers[next++ % IN_FLIGHT] as BatchExchanger).call(),
      ),
    begin: async (count) =>
      Array.from({ length: count }, () => (exchangers[0] as BatchExchanger).call()),
    end: () => answerAll(waiting),
  }
}

function answerAll(waiting: (() => void)[]): void {
  for (const answer of waiting.splice(0)) answer()
}

export async function stacked(
  options: Partial<ClientOptions<Request, Response>>,
  synchronous = false,
): Promise<Held> {
  const waiting: (() => void)[] = []
  const client = createClient<Request, Response>({
    endpoints: ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((host) => ({ address: ip(host, 80) })),
    connectEndpoint: async () => new BatchExchanger(waiting, synchronous),
    classifier,
    clock: systemClock,
    random: Math.random,
    ...options,
    // A machine that is busy with other work is no clock that jumped.
    pool: { idleTimeoutMs: 60_000, clockJumpMs: Number.POSITIVE_INFINITY, max: HELD },
  })
  await warm(client, waiting)
  const request: Request = { id: 1 }
  return {
    run: (count) => run(count, waiting, synchronous, () => client.call(request, new Call())),
    async begin(count) {
      const calls = Array.from({ length: count }, () => client.call(request, new Call()))
      // The last connections that they need are made.
      while (waiting.length < count) await new Promise((resolve) => setImmediate(resolve))
      return calls
    },
    end: () => answerAll(waiting),
    close: () => client.close(),
  }
}

/** Until every endpoint has the connections that it will need. */
async function warm(client: ClientCore<Request, Response>, waiting: (() => void)[]): Promise<void> {
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: IN_FLIGHT * 2 }, () => client.call({ id: 0 }, new Call()))
    const all = Promise.all(calls)
    let done = false
    void all.then(() => (done = true))
    while (!done) {
      await new Promise((resolve) => setImmediate(resolve))
      for (const answer of waiting.splice(0)) answer()
    }
  }
}

async function run(
  count: number,
  waiting: (() => void)[],
  synchronous: boolean,
  call: () => Response | Promise<Response>,
): Promise<void> {
  const calls: (Response | Promise<Response>)[] = []
  for (let done = 0; done < count; done += IN_FLIGHT) {
    calls.length = 0
    for (let index = 0; index < IN_FLIGHT; index++) calls.push(call())
    // Those of a synchronous exchanger need no answer from here.
    let open = synchronous ? 0 : IN_FLIGHT
    for (;;) {
      open -= waiting.length
      for (let index = 0; index < waiting.length; index++) (waiting[index] as () => void)()
      waiting.length = 0
      if (open <= 0) break
      // Some wait for a connection that is being made: rare, once all are warm.
      await new Promise((resolve) => setImmediate(resolve))
    }
    await calls[IN_FLIGHT - 1]
  }
}

async function counters(): Promise<Counters> {
  const bareVariant = bare()
  const stackVariant = await stacked({})
  const result = {
    'promises per call, bare': await countPromises(bareVariant),
    'promises per call, client stack': await countPromises(stackVariant),
    'bytes allocated per call, bare': await countBytes(bareVariant),
    'bytes allocated per call, client stack': await countBytes(stackVariant),
    'bytes held by a call in flight, bare': await countHeld(bareVariant),
    'bytes held by a call in flight, client stack': await countHeld(stackVariant),
  }
  await stackVariant.close?.()
  return result
}

async function countBytes(variant: Variant): Promise<number> {
  const calls = 64_000
  await variant.run?.(calls)
  const allocated = (): number => v8.getHeapStatistics().total_allocated_bytes
  const before = allocated()
  await variant.run?.(calls)
  return Math.round((allocated() - before) / calls)
}

/** Without the connections that they are on, which are there already. */
async function countHeld(held: Held): Promise<number> {
  const heap = (): number => {
    globalThis.gc?.()
    return v8.getHeapStatistics().used_heap_size
  }
  const round = async (): Promise<number> => {
    const before = heap()
    const calls = await held.begin(HELD)
    const bytes = heap() - before
    held.end()
    await Promise.all(calls)
    return bytes
  }
  await round()
  return Math.round((await round()) / HELD)
}

async function countPromises(variant: Variant): Promise<number> {
  const calls = 6_400
  let promises = 0
  const stop = v8.promiseHooks.onInit(() => void promises++)
  await variant.run?.(calls)
  stop()
  // Without those of the loop itself.
  return Math.round((promises / calls) * 10) / 10
}
