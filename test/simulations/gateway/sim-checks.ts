/** What must hold in every run, whatever goes wrong. */
import { HeddleError, TimeoutError } from '../../../src/core/errors.ts'
import { CallLog, type CallRecord, GivenUp, WrongAnswer } from './sim-calls.ts'
import { BUDGET_RATIO, MIN_RETRIES_PER_SECOND } from './sim-config.ts'
import { FAULT_PHASE_MS } from './sim-faults.ts'
import type { SimUpstream } from './sim-upstream.ts'
import type { World } from './sim-world.ts'

/** Resolution of timers, and a stall that is just ending. */
const LATE_MS = 20
/** Open breakers and ejections end, connections that fell silent are found out. */
const RECOVERY_MS = 20_000
/** With these pauses remembered latencies of seconds fade as well. */
const BUDGET_WINDOW_MS = 10_000
const RECOVERY_CALLS = 45
const RECOVERY_PAUSE_MS = 2_000
/** More than `successesToClose`. */
const ENOUGH_TO_CLOSE = 5

export function checkCalls(world: World, calls: CallLog): void {
  const { simulation, wrongs } = world
  simulation.check(wrongs.length === 0, wrongs.slice(0, 5).join('; '))
  for (const record of calls.records) checkCall(world, record)
  checkAmplification(world, calls.records.length)
  checkBudget(world, calls.records)
  const { tooMany } = world.network
  simulation.check(tooMany.length === 0, tooMany.slice(0, 5).join('; '))
}

function checkCall(world: World, record: CallRecord): void {
  const { simulation, executions, frozenMs } = world
  checkRefusal(world, record)
  const { id, method, idempotent, ends, error, abortAfterMs, timeoutMs } = record
  const name = `call ${id} (${method})`
  simulation.check(ends === 1, `${name} ended ${ends} times`)
  if (error instanceof WrongAnswer) throw new Error(`${name}: ${error.message}`)
  if (error !== undefined && !(error instanceof HeddleError)) {
    const own = error instanceof GivenUp && abortAfterMs !== undefined
    simulation.check(own, `${name} failed with ${String(error)}`)
  }
  const took = record.endedAt - record.startedAt
  simulation.check(
    took <= timeoutMs + frozenMs + LATE_MS,
    `${name} took ${took} ms of ${timeoutMs}`,
  )
  if (error instanceof TimeoutError && error.code === 'ERR_DEADLINE') {
    simulation.check(took >= timeoutMs - 1, `${name} timed out after ${took} ms of ${timeoutMs}`)
  }
  if (error instanceof GivenUp) {
    const late = took - (abortAfterMs ?? 0)
    simulation.check(late <= frozenMs + LATE_MS, `${name} went on for ${late} ms when given up`)
  }
  const times = executions.get(id)?.length ?? 0
  simulation.check(idempotent || times <= 1, `${name} was executed ${times} times`)
}

/** Of limits of the listener: nothing else of the configuration answers with them. */
const POLICY_CODES: ReadonlySet<string> = new Set(['ERR_RATE_LIMITED', 'ERR_SHED', 'ERR_LIMITED'])

/** Who is refused by a policy is told so, and what was refused has reached nobody. */
function checkRefusal({ simulation, limits, admitted }: World, record: CallRecord): void {
  const { id, method, denied, status, refusedBy, refusedRequest } = record
  if (denied && limits.denies && status !== undefined) {
    const told = status === 403 || POLICY_CODES.has(refusedBy ?? '')
    simulation.check(told, `call ${id} (${method}) may not be, and was answered ${status}`)
  }
  if (!denied) simulation.check(status !== 403, `call ${id} (${method}) was denied`)
  const policy = status === 403 || POLICY_CODES.has(refusedBy ?? '')
  if (!policy || refusedRequest === undefined) return
  const reached = admitted.has(refusedRequest)
  simulation.check(!reached, `call ${id}: ${refusedBy} for ${refusedRequest}, which was sent on`)
}

/** Retries stay a share of calls: those of the client, and those of the gateway on top of them. */
function checkAmplification({ simulation, upstreams }: World, calls: number): void {
  const arrivals = upstreams.reduce((sum, upstream) => sum + upstream.arrivals, 0)
  const reserve = MIN_RETRIES_PER_SECOND * (FAULT_PHASE_MS / 1_000 + 20)
  const fromClient = calls * (1 + BUDGET_RATIO) + reserve
  const most = fromClient * (1 + BUDGET_RATIO) + reserve
  simulation.check(arrivals <= most, `${calls} calls became ${arrivals}, at most ${most}`)
}

/** In each window of the client's budget: its reserve, and a share of the calls that began in it. */
function checkBudget({ simulation, retriesAt }: World, records: readonly CallRecord[]): void {
  const reserve = MIN_RETRIES_PER_SECOND * (BUDGET_WINDOW_MS / 1_000)
  for (const end of retriesAt) {
    const within = (at: number, ms: number): boolean => at > end - ms && at <= end
    // The budget moves in tenths: a retry of the oldest tenth may have been forgotten.
    const retries = retriesAt.filter((at) => within(at, BUDGET_WINDOW_MS * 0.9)).length
    const begun = records.filter(({ startedAt }) => within(startedAt, BUDGET_WINDOW_MS)).length
    // Those that were given up while they waited gave theirs back.
    const givenBack = records.filter((record) => record.error instanceof GivenUp).length
    const most = reserve + begun * BUDGET_RATIO + givenBack + 1
    simulation.check(retries <= most, `${retries} retries for ${begun} calls in one window`)
  }
}

/** Faults are over: soon every call succeeds, and every upstream is used again. */
export async function checkRecovery(world: World): Promise<void> {
  const { simulation, upstreams } = world
  await simulation.clock.advanceAsync(RECOVERY_MS)
  const before = upstreams.map(({ arrivals }) => arrivals)
  const extra = new CallLog(world)
  for (let count = 0; count < RECOVERY_CALLS; count++) {
    let record: CallRecord | undefined
    await simulation.clock.advanceAsync(RECOVERY_PAUSE_MS)
    void extra.extra(1_000 + count).then((done) => {
      record = done
    })
    await simulation.until(() => record !== undefined, 10_000, `call ${count} after the faults`)
    const { status, error } = record as unknown as CallRecord
    simulation.check(status === 200, `call ${count} after the faults: ${status ?? String(error)}`)
  }
  await simulation.clock.advanceAsync(100)
  const inFlight = world.gateway.clusters()[0]?.endpoints.map((each) => each.inFlight) ?? []
  simulation.check(inFlight.join() === '0,0,0', `${inFlight.join()} calls in flight at the end`)
  for (const { name, inFlight = 0, queued = 0 } of world.gateway.limits()) {
    simulation.check(inFlight + queued === 0, `${name} keeps ${inFlight} places, ${queued} wait`)
  }
  const { counts } = world.client.core
  simulation.check(counts.inFlight === 0, `${counts.inFlight} calls of the client in flight`)
  upstreams.forEach(({ index, arrivals }, at) => {
    const used = arrivals - (before[at] as number)
    const breaker = world.breakerOf(upstreams[at] as SimUpstream)
    const closed = used < ENOUGH_TO_CLOSE || breaker === 'closed'
    simulation.check(closed, `the breaker of upstream ${index} is ${breaker} after ${used} answers`)
    const unused = used === 0
    simulation.check(!unused, `upstream ${index} is not used after its faults are over`)
  })
}

/** After the close nothing is left: no timer, no lease, no listener, no watch. */
export async function checkAtRest({ simulation, network, names }: World): Promise<void> {
  const { clock } = simulation
  await clock.advanceAsync(60_000)
  simulation.check(clock.pendingTimers === 0, `${clock.pendingTimers} timers left`)
  simulation.check(network.network.leaseCount === 0, `${network.network.leaseCount} leases left`)
  simulation.check(network.network.listenerCount === 0, 'listeners left')
  simulation.check(names.watches === 0, `${names.watches} watches left`)
}
