/**
 * Conformance kit for `MessageTransport`: what core/message-connection.ts promises, as some sixty
 * properties, each on a fresh fixture, each checked for leaks afterwards.
 *
 *     messageConformance('websocket', { traits, create: () => ({ transport, address, clock, turn }) },
 *       { test, ok: assert.ok, skip: test.skip })
 *
 * Give the subject a `maxMessageBytes` of a megabyte or less: the kit sends messages of that size.
 */
import type { TransportTraits } from '../core/transport.ts'
import type { Harness } from './harness.ts'
import { LeakCheck } from './leak-check.ts'
import { messageClosingProperties } from './message/message-closing.ts'
import { messageConnectingProperties } from './message/message-connecting.ts'
import { messageListeningProperties } from './message/message-listening.ts'
import { messagePressureProperties } from './message/message-pressure.ts'
import { type MessageFixture, type MessageProperty, MessageWorld } from './message/message-world.ts'
import { messageDataProperties } from './message/messages.ts'

export type { MessageFixture, MessageProperty }

export interface MessageSubject {
  /** As the transport's own: decides which properties are skipped. */
  readonly traits: TransportTraits
  /** Everything new: a network, a directory, a port. */
  create(): MessageFixture | Promise<MessageFixture>
  /**
   * Bytes of the bulk properties, over all their messages. Less where a chunk is a byte.
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

export const messageProperties: readonly MessageProperty[] = [
  ...messageConnectingProperties,
  ...messageDataProperties,
  ...messagePressureProperties,
  ...messageClosingProperties,
  ...messageListeningProperties,
]

export function messageConformance(name: string, subject: MessageSubject, harness: Harness): void {
  for (const property of messageProperties) {
    const title = `${name} messages: ${property.name}`
    const lacks = property.needs !== undefined && !subject.traits[property.needs]
    const reason = lacks ? `needs ${property.needs}` : subject.except?.[property.name]
    if (reason !== undefined) harness.skip?.(`${title} (${reason})`)
    else harness.test(title, () => runProperty(property, subject, harness))
  }
}

async function runProperty(
  property: MessageProperty,
  subject: MessageSubject,
  harness: Harness,
): Promise<void> {
  const fixture = await subject.create()
  const leaks = new LeakCheck(fixture.leaks ?? {})
  const { bulkBytes = 1_048_576, maxTurns = 20_000, quietTurns = 20 } = subject
  const world = new MessageWorld(fixture, harness, { bulkBytes, maxTurns, quietTurns })
  try {
    for (const trait of ['halfClose', 'secure'] as const) {
      world.equal(fixture.transport.traits[trait], subject.traits[trait], `trait ${trait}`)
    }
    world.equal(fixture.transport.traits.messageBoundaries, true, 'trait messageBoundaries')
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
