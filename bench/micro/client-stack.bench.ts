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

function bare(synchronous = false): Variant {
  const waiting: (() => void)[] = []
  const exchangers = Array.from(
    { length: IN_FLIGHT },
    () => new BatchExchanger(waiting, synchronous),
  )
  let next = 0
  return {
    run: (count) =>
      run(count, waiting, () => (exchangers[next++ % IN_FLIGHT] as BatchExchanger).call()),
  }
}

export async function stacked(
  options: Partial<ClientOptions<Request, Response>>,
  synchronous = false,
): Promise<Variant> {
  const waiting: (() => void)[] = []
  const client = createClient<Request, Response>({
    endpoints: ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((host) => ({ address: ip(host, 80) })),
    connectEndpoint: async () => new BatchExchanger(waiting, synchronous),
    classifier,
    clock: systemClock,
    random: Math.random,
    ...options,
    // A machine that is busy with other work is no clock that jumped.
    pool: { idleTimeoutMs: 60_000, clockJumpMs: Number.POSITIVE_INFINITY },
  })
  await warm(client, waiting)
  const request: Request = { id: 1 }
  return {
    run: (count) => run(count, waiting, () => client.call(request, new Call())),
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
  call: () => Response | Promise<Response>,
): Promise<void> {
  const calls: (Response | Promise<Response>)[] = []
  for (let done = 0; done < count; done += IN_FLIGHT) {
    calls.length = 0
    for (let index = 0; index < IN_FLIGHT; index++) calls.push(call())
    for (let index = 0; index < waiting.length; index++) (waiting[index] as () => void)()
    waiting.length = 0
    await calls[IN_FLIGHT - 1]
  }
}

async function counters(): Promise<Counters> {
  const bareVariant = bare()
  const stackVariant = await stacked({})
  const result = {
    'promises per call, bare': await countPromises(bareVariant),
    'promises per call, client stack': await countPromises(stackVariant),
  }
  await stackVariant.close?.()
  return result
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
