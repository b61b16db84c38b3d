/** What a gateway takes from outside: time, randomness, transports, where its words go. */
import type { Clock, Random } from '../core/clock.ts'
import type { Host } from '../core/host.ts'
import type { Resolver } from '../core/policy.ts'
import type { ProcessFacts } from '../core/process-facts.ts'
import type { Logger } from '../telemetry/log.ts'
import type { LoadOutcome } from './config/load.ts'
import type { GatewayTransports } from './transports.ts'

export interface GatewayEnvironment {
  readonly clock: Clock
  readonly random: Random
  readonly host: Host
  readonly transports: GatewayTransports
  /** Resolves host names, again after at most so long. */
  readonly names: (maxTtlMs: number) => Resolver
  readonly log: Logger
  readonly version: string
  readonly process: ProcessFacts | undefined
  /** Where `access_log.path: stdout` and `stderr` go. */
  readonly writeOut: (line: string) => void
  readonly writeErr: (line: string) => void
  /** File name to show; undefined: the built-in configuration. */
  readonly file: string | undefined
  /** Reads the configuration again, for reloads. */
  readonly load: () => Promise<LoadOutcome>
  /** Descriptor of a socket that was passed to us, by `systemd:name` or `fd:3`. */
  readonly descriptor: (address: string) => number | undefined
}
