/**
 * client ↔ gateway ↔ three servers for thirty seconds of faults: at least 200 calls and 5 faults a
 * seed. What must hold whatever happens is in `gateway/sim-checks.ts`.
 */
import type { Simulation } from '../../src/testing/simulation.ts'
import { CallLog } from './gateway/sim-calls.ts'
import { checkAtRest, checkCalls, checkRecovery } from './gateway/sim-checks.ts'
import { FAULT_PHASE_MS, scheduleFaults } from './gateway/sim-faults.ts'
import { World } from './gateway/sim-world.ts'

export async function simulate(simulation: Simulation): Promise<void> {
  const world = new World(simulation)
  await world.start()
  const faults = scheduleFaults(world)
  const calls = new CallLog(world)
  calls.scheduleAll(simulation.random.integer(200, 260), FAULT_PHASE_MS)
  const started = simulation.clock.now()
  await simulation.until(() => calls.settled, FAULT_PHASE_MS + 20_000, 'all calls settled')
  const rest = started + FAULT_PHASE_MS - simulation.clock.now()
  if (rest > 0) await simulation.clock.advanceAsync(rest)
  simulation.note(`${faults} faults, ${calls.summary}`)
  checkCalls(world, calls)
  await checkRecovery(world)
  await world.close()
  await checkAtRest(world)
}
