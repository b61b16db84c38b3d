/**
 * Conformance kit for `MultiplexedTransport`: what core/multiplexed-connection.ts promises of
 * connections that carry many streams, as some thirty properties, each on a fresh fixture, each
 * checked for leaks. That a stream is a `Connection` in full is for `transportConformance`, run on a
 * transport whose connections are streams.
 */
import type { Harness } from './harness.ts'
import { LeakCheck } from './leak-check.ts'
import { multiplexedLifeProperties } from './multiplexed/multiplexed-life.ts'
import { multiplexedStreamProperties } from './multiplexed/multiplexed-streams.ts'
import {
  type MultiplexedFixture,
  type MultiplexedProperty,
  MultiplexedWorld,
} from './multiplexed/multiplexed-world.ts'

export type { MultiplexedFixture, MultiplexedProperty }

export interface MultiplexedSubject {
  /** Streams that only one side writes to can be had. */
  readonly unidirectional: boolean
  /** Everything new: a network, a directory, a port. */
  create(): MultiplexedFixture | Promise<MultiplexedFixture>
  /** Bytes of the bulk properties. @default 600_000, more than any window */
  readonly bulkBytes?: number
  /** Most streams the kit opens at once to find the limit. @default 300 */
  readonly maxStreams?: number
  /** Turns that something may take before it counts as never. @default 20_000 */
  readonly maxTurns?: number
  /** Turns after which something counts as not having happened. @default 20 */
  readonly quietTurns?: number
  /** Properties that cannot hold for a reason outside the transport, with that reason. */
  readonly except?: Readonly<Record<string, string>>
}

export const multiplexedProperties: readonly MultiplexedProperty[] = [
  ...multiplexedLifeProperties,
  ...multiplexedStreamProperties,
]

export function multiplexedConformance(
  name: string,
  subject: MultiplexedSubject,
  harness: Harness,
): void {
  const has = subject.unidirectional ? 'unidirectional' : 'bidirectional only'
  for (const property of multiplexedProperties) {
    const title = `${name} connections: ${property.name}`
    const lacks = property.needs !== undefined && property.needs !== has
    const reason = lacks ? `needs ${property.needs}` : subject.except?.[property.name]
    if (reason !== undefined) harness.skip?.(`${title} (${reason})`)
    else harness.test(title, () => runProperty(property, subject, harness))
  }
}

async function runProperty(
  property: MultiplexedProperty,
  subject: MultiplexedSubject,
  harness: Harness,
): Promise<void> {
  const fixture = await subject.create()
  const leaks = new LeakCheck(fixture.leaks ?? {})
  const { bulkBytes = 600_000, maxStreams = 300, maxTurns = 20_000, quietTurns = 20 } = subject
  const limits = { bulkBytes, maxStreams, maxTurns, quietTurns }
  const world = new MultiplexedWorld(fixture, harness, limits)
  try {
    await property.run(world)
  } catch (error) {
    // The first failure is the one to report, not what tearing down its remains brings.
    await world.tearDown().catch(() => {})
    throw error
  }
  await world.tearDown()
  const left = await leaks.leaksAfter(() => fixture.turn(), maxTurns)
  if (left.length > 0) harness.ok(false, left.join('; '))
}
