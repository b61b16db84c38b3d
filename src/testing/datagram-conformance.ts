/**
 * Conformance kit for `DatagramTransport`: what core/datagram-socket.ts promises, as some forty
 * properties, each on a fresh fixture, each checked for leaks afterwards.
 *
 *     datagramConformance('udp', { create: () => ({ transport, address, clock, turn }) },
 *       { test, ok: assert.ok, skip: test.skip })
 *
 * The way between the sockets must not lose anything by itself: loopback does not, nor does memory.
 */
import { bindingProperties } from './datagram/binding.ts'
import { datagramClosingProperties } from './datagram/closing.ts'
import { connectedProperties } from './datagram/connected.ts'
import {
  type DatagramFixture,
  type DatagramProperty,
  DatagramWorld,
} from './datagram/datagram-world.ts'
import { exchangingProperties } from './datagram/exchanging.ts'
import { flowProperties } from './datagram/flow.ts'
import type { Harness } from './harness.ts'
import { LeakCheck } from './leak-check.ts'

export type { DatagramFixture, DatagramProperty }

export interface DatagramSubject {
  /** Everything new: a network, a port. */
  create(): DatagramFixture | Promise<DatagramFixture>
  /** Turns that something may take before it counts as never. @default 20_000 */
  readonly maxTurns?: number
  /** Turns after which something counts as not having happened. @default 20 */
  readonly quietTurns?: number
  /** Properties that cannot hold for a reason outside the transport, with that reason. */
  readonly except?: Readonly<Record<string, string>>
}

export const datagramProperties: readonly DatagramProperty[] = [
  ...bindingProperties,
  ...exchangingProperties,
  ...connectedProperties,
  ...flowProperties,
  ...datagramClosingProperties,
]

export function datagramConformance(
  name: string,
  subject: DatagramSubject,
  harness: Harness,
): void {
  for (const property of datagramProperties) {
    const title = `${name} datagrams: ${property.name}`
    const reason = subject.except?.[property.name]
    if (reason !== undefined) harness.skip?.(`${title} (${reason})`)
    else harness.test(title, () => runProperty(property, subject, harness))
  }
}

async function runProperty(
  property: DatagramProperty,
  subject: DatagramSubject,
  harness: Harness,
): Promise<void> {
  const fixture = await subject.create()
  const leaks = new LeakCheck(fixture.leaks ?? {})
  const { maxTurns = 20_000, quietTurns = 20 } = subject
  const world = new DatagramWorld(fixture, harness, { maxTurns, quietTurns })
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
