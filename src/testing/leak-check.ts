/**
 * What a test leaves behind: timers that still wait, handles that are still open, leases that were
 * never released. Every kit makes one in its setup and asks it in its teardown.
 *
 *     const leaks = new LeakCheck({
 *       timers: () => clock.pendingTimers,
 *       leases: () => network.leaseCount,
 *       handles: () => process.getActiveResourcesInfo().filter((name) => name !== 'Timeout').length,
 *     })
 */

/** Counts of what must be given back. Taken at the start, and compared at the end. */
export interface LeakProbes {
  readonly [what: string]: () => number
}

export class LeakCheck {
  readonly #probes: readonly (readonly [what: string, probe: () => number, before: number])[]

  constructor(probes: LeakProbes) {
    this.#probes = Object.entries(probes).map(([what, probe]) => [what, probe, probe()] as const)
  }

  /** One line for each kind of thing that there is more of than at the start. */
  leaks(): readonly string[] {
    const lines: string[] = []
    for (const [what, probe, before] of this.#probes) {
      const now = probe()
      if (now > before) lines.push(`${now - before} ${what} left (${before} before, ${now} now)`)
    }
    return lines
  }

  /** As `leaks`, after giving what closes asynchronously up to `maxTurns` turns to do so. */
  async leaksAfter(turn: () => Promise<void>, maxTurns: number): Promise<readonly string[]> {
    let lines = this.leaks()
    for (let turns = 0; lines.length > 0 && turns < maxTurns; turns++) {
      await turn()
      lines = this.leaks()
    }
    return lines
  }
}
