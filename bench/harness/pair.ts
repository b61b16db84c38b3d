/**
 * A contestant of two processes: a client that works and a server behind it. Both count.
 */
import type { Contestant, RunningContestant } from './contestant.ts'
import { type ScriptOptions, script } from './contestant.ts'

export interface PairOptions {
  readonly name: string
  readonly setup: string
  readonly client: Omit<ScriptOptions, 'name' | 'setup'>
  readonly server: Omit<ScriptOptions, 'name' | 'setup'>
}

/** The client finds the port of its server in `settings.upstreamPort`. */
export function pair({ name, setup, client, server }: PairOptions): Contestant {
  return {
    kind: 'script',
    name,
    setup,
    unavailable: () => undefined,
    async start(settings) {
      const behind = await script({ name: `${name} (server)`, setup, ...server }).start(settings)
      try {
        const given = { ...settings, upstreamPort: behind.port }
        return both(await script({ name, setup, ...client }).start(given), behind)
      } catch (error) {
        await behind.stop()
        throw error
      }
    },
  }
}

function both(front: RunningContestant, behind: RunningContestant): RunningContestant {
  return {
    port: front.port,
    tlsPort: front.tlsPort,
    pids: [...front.pids, ...behind.pids],
    run: (work) => front.run(work),
    async collectGarbage() {
      await Promise.all([front.collectGarbage(), behind.collectGarbage()])
    },
    async stop() {
      await front.stop()
      await behind.stop()
    },
  }
}
