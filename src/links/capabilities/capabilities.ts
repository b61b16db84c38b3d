/**
 * What this machine can do, found out by doing it: each transport is used once on loopback, within a
 * time limit, and what does not work says why. `heddle transports` prints it.
 *
 *     for (const { name, available, reason } of await transportCapabilities()) …
 *
 * What a platform never has is known without trying: `platformReason`.
 */
import type { Clock } from '../../core/clock.ts'
import { toError } from '../../core/errors.ts'
import { operatingSystem, processor } from '../../platform/process-access.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { type PlatformFacts, platformReason } from './platform-reasons.ts'
import { type CapabilityProbe, capabilityProbes } from './probes.ts'

export interface TransportCapability {
  /** `tcp`, `tls`, `unix`, `udp`, `udp-multicast`, `quic`, `zstd`, … */
  readonly name: string
  /** A transport that a URL can name, or something that some of them can do. */
  readonly kind: 'transport' | 'feature'
  readonly available: boolean
  /** In words; undefined when it is available. */
  readonly reason: string | undefined
  /** Versions, sizes, what carries it. */
  readonly details: Readonly<Record<string, string>>
}

export interface CapabilityOptions {
  /** Time that one probe may take, in milliseconds. @default 3_000: they take some 50 */
  timeoutMs?: number
  /** Only these, by name. @default all */
  only?: readonly string[]
  /** For tests: another platform than this one. Nothing is tried then that it does not have. */
  platform?: PlatformFacts
  clock?: Clock
}

export const capabilityDefaults: Readonly<{ timeoutMs: number }> = Object.freeze({
  timeoutMs: 3_000,
})

/** Names that `only` can have, in the order of the result. */
export const capabilityNames: readonly string[] = capabilityProbes.map((probe) => probe.name)

/** Never rejects: what cannot be found out is not available, with that reason. */
export async function transportCapabilities(
  options: CapabilityOptions = {},
): Promise<readonly TransportCapability[]> {
  const {
    timeoutMs = capabilityDefaults.timeoutMs,
    only,
    clock = systemClock,
    platform = { system: operatingSystem, processor },
  } = options
  const wanted = capabilityProbes.filter((probe) => only === undefined || only.includes(probe.name))
  // One after the other: a machine that is slow would fail all of them at once.
  const found: TransportCapability[] = []
  for (const probe of wanted) found.push(await examine(probe, platform, timeoutMs, clock))
  return found
}

/** Why transports are not available here, by name: for `selectTransport`. */
export async function unavailableTransports(
  options: CapabilityOptions = {},
): Promise<Readonly<Record<string, string>>> {
  const missing: Record<string, string> = {}
  for (const { name, kind, reason } of await transportCapabilities(options)) {
    if (kind !== 'transport' || reason === undefined) continue
    missing[name] = reason
    // The secure form of what is not there is not there either.
    if (name === 'ws') missing['wss'] = reason
  }
  if (missing['tls'] !== undefined) missing['wss'] ??= missing['tls']
  return missing
}

async function examine(
  probe: CapabilityProbe,
  platform: PlatformFacts,
  timeoutMs: number,
  clock: Clock,
): Promise<TransportCapability> {
  const { name, kind } = probe
  const never = platformReason(name, platform)
  if (never !== undefined) return { name, kind, available: false, reason: never, details: {} }
  try {
    const details = await withinTime(probe, timeoutMs, clock)
    return { name, kind, available: true, reason: undefined, details }
  } catch (thrown) {
    const reason = toError(thrown).message
    return { name, kind, available: false, reason, details: {} }
  }
}

/** A probe hears that its time is over, and is not waited for. */
function withinTime(
  probe: CapabilityProbe,
  timeoutMs: number,
  clock: Clock,
): Promise<Readonly<Record<string, string>>> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController()
    const timer = clock.setTimer(clock.now() + timeoutMs, () => {
      const error = new Error(`no result within ${timeoutMs} ms`)
      controller.abort(error)
      reject(error)
    })
    probe
      .run(controller.signal)
      .then((details) => resolve(details ?? {}), reject)
      .finally(() => timer.cancel())
  })
}
