/**
 * Conformance kit for `Transport`: what core/transport.ts and core/connection.ts promise, as some
 * 180 properties, each on a fresh fixture, each checked for leaks afterwards.
 *
 * Properties that need a trait the transport does not have are skipped by its own declaration.
 */
import type { TransportTraits } from '../core/transport.ts'
import type { Harness } from './harness.ts'
import { LeakCheck } from './leak-check.ts'
import { abandoningProperties } from './transport/abandoning.ts'
import { closingProperties } from './transport/closing.ts'
import { connectingProperties } from './transport/connecting.ts'
import { dataProperties } from './transport/data.ts'
import { destroyingProperties } from './transport/destroying.ts'
import { detachingProperties } from './transport/detaching.ts'
import { knowingProperties } from './transport/knowing.ts'
import { leasingProperties } from './transport/leasing.ts'
import { listeningProperties } from './transport/listening.ts'
import { pressureProperties } from './transport/pressure.ts'
import { reenteringProperties } from './transport/reentering.ts'
import { repeatingProperties } from './transport/repeating.ts'
import { shapingProperties } from './transport/shaping.ts'
import {
  type TransportFixture,
  type TransportProperty,
  TransportWorld,
} from './transport/transport-world.ts'

export type { TransportFixture, TransportProperty }

export interface TransportSubject {
  /** As the transport's own: decides which properties are skipped. */
  readonly traits: TransportTraits
  /** Everything new: a network, a directory, a port. */
  create(): TransportFixture | Promise<TransportFixture>
  /**
   * Bytes of the bulk properties. Less where a chunk is a byte.
   *
   * @default 1_048_576
   */
  readonly bulkBytes?: number
  /** Turns that something may take before it counts as never. @default 20_000 */
  readonly maxTurns?: number
  /** Turns after which something counts as not having happened. @default 20 */
  readonly quietTurns?: number
  /** Properties that cannot hold for a reason outside the transport, with that reason. */
  readonly except?: Readonly<Record<string, string>>
}

export const transportProperties: readonly TransportProperty[] = [
  ...connectingProperties,
  ...abandoningProperties,
  ...knowingProperties,
  ...dataProperties,
  ...shapingProperties,
  ...leasingProperties,
  ...pressureProperties,
  ...closingProperties,
  ...destroyingProperties,
  ...detachingProperties,
  ...reenteringProperties,
  ...repeatingProperties,
  ...listeningProperties,
]

export function transportConformance(
  name: string,
  subject: TransportSubject,
  harness: Harness,
): void {
  for (const property of transportProperties) {
    const title = `${name} transport: ${property.name}`
    const lacks = property.needs !== undefined && !subject.traits[property.needs]
    const reason = lacks ? `needs ${property.needs}` : subject.except?.[property.name]
    if (reason !== undefined) harness.skip?.(`${title} (${reason})`)
    else harness.test(title, () => runProperty(property, subject, harness))
  }
}

async function runProperty(
  property: TransportProperty,
  subject: TransportSubject,
  harness: Harness,
): Promise<void> {
  const fixture = await subject.create()
  const leaks = new LeakCheck(fixture.leaks ?? {})
  const { bulkBytes = 1_048_576, maxTurns = 20_000, quietTurns = 20 } = subject
  const world = new TransportWorld(fixture, harness, { bulkBytes, maxTurns, quietTurns })
  try {
    checkTraits(world, subject.traits)
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

function checkTraits(world: TransportWorld, declared: TransportTraits): void {
  const { traits } = world.fixture.transport
  for (const trait of ['halfClose', 'secure', 'messageBoundaries'] as const) {
    world.equal(traits[trait], declared[trait], `trait ${trait}`)
  }
}
