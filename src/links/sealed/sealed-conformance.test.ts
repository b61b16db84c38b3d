import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory as address } from '../../core/address.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { messageConformance } from '../../testing/message-conformance.ts'
import { transportConformance } from '../../testing/transport-conformance.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { type MemoryOptions, memory } from '../../transports/memory/memory-transport.ts'
import { framed } from '../framed/framed.ts'
import type { SealedOptions } from './seal-options.ts'
import { sealed, sealedMessages } from './sealed.ts'

const keys = [{ id: 'a', key: new Uint8Array(32).fill(7) }]

function world(options: Partial<MemoryOptions> = {}) {
  const clock = new ManualClock()
  const network = new MemoryNetwork()
  return {
    carrier: memory({ clock, network, strict: true, ...options }),
    address: address('0'),
    clock,
    turn: () => clock.settle(),
    leaks: {
      timers: () => clock.pendingTimers,
      'deferred calls': () => clock.pendingDeferred,
      leases: () => network.leaseCount,
      listeners: () => network.listenerCount,
    },
  }
}

function stream(seal: Partial<SealedOptions>, options?: Partial<MemoryOptions>) {
  const { carrier, ...rest } = world(options)
  return { ...rest, transport: sealed(carrier, { keys, clock: rest.clock, ...seal }) }
}

transportConformance(
  'sealed',
  {
    traits: { halfClose: true, secure: true, messageBoundaries: false },
    bulkBytes: 300_000,
    maxTurns: 2_000,
    create: () => stream({}),
  },
  { test, ok: assert.ok, skip: test.skip },
)

transportConformance(
  'sealed with ChaCha20, 40 bytes per chunk, a new key every 3 records',
  {
    traits: { halfClose: true, secure: true, messageBoundaries: false },
    bulkBytes: 30_000,
    maxTurns: 2_000,
    create: () =>
      stream({ cipher: 'chacha20-poly1305', rekeyAfterRecords: 3 }, { maxChunkBytes: 40 }),
  },
  {
    // What connects and listens is the same; what carries bytes is not.
    test: (name, body) =>
      /carries|writes|false|drain|paus|end|cut|bulk/.test(name) && test(name, body),
    ok: assert.ok,
  },
)

messageConformance(
  'sealed',
  {
    traits: { halfClose: true, secure: true, messageBoundaries: true },
    bulkBytes: 100_000,
    maxTurns: 2_000,
    create() {
      const { carrier, ...rest } = world()
      const messages = framed(carrier, { clock: rest.clock, maxMessageBytes: 50_000 })
      const transport = sealedMessages(messages, { keys, clock: rest.clock, rekeyAfterRecords: 50 })
      return { ...rest, transport }
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)
