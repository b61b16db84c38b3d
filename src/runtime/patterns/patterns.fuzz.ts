/**
 * Whatever a peer sends as an envelope, and whatever a disk gives back as an outbox: understood, or
 * refused as broken, and nothing else; what was understood means the same when written again.
 */
import { ProtocolError } from '../../core/errors.ts'
import { decodeEnvelope, encodeEnvelope } from './envelope.ts'
import { encodeOutboxHeader, encodeOutboxRecord, scanOutbox } from './outbox-record.ts'

const BODY = Uint8Array.of(1, 2, 3)
const HEAD = { id: 'a', enqueuedAt: 1, metadata: { tenant: '7' } }
const LOG: readonly Uint8Array[] = [
  encodeOutboxHeader(7),
  encodeOutboxRecord({ type: 'entry', sequence: 1, head: HEAD, body: BODY }, 7),
  encodeOutboxRecord({ type: 'failed', sequence: 1, attempts: 2 }, 7),
  encodeOutboxRecord({ type: 'dead', sequence: 1, reason: 'no' }, 7),
  encodeOutboxRecord({ type: 'delivered', sequence: 1 }, 7),
]

export const samples: readonly Uint8Array[] = [
  encodeEnvelope({
    type: 'request',
    id: 1,
    remainingMs: 1_000,
    priority: 3,
    head: { correlationId: 'c', metadata: { a: 'b' } },
    body: BODY,
  }),
  encodeEnvelope({ type: 'reply', id: 2, body: BODY }),
  encodeEnvelope({ type: 'error', id: 3, error: { code: 'x', message: 'y', retryable: 'no' } }),
  encodeEnvelope({ type: 'cancel', id: 4 }),
  Uint8Array.from(LOG.flatMap((part) => [...part])),
]

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const envelope = orBroken(() => decodeEnvelope(bytes))
  if (envelope !== undefined) {
    const again = decodeEnvelope(encodeEnvelope(envelope))
    if (JSON.stringify(again) !== JSON.stringify(envelope)) {
      throw new Error(`${JSON.stringify(envelope)} became ${JSON.stringify(again)}`)
    }
  }
  const scan = orBroken(() => scanOutbox(bytes))
  if (scan === undefined || scan.length === 0) return
  // What is good stays good when the rest is dropped, as it is at a start.
  const kept = scanOutbox(bytes.subarray(0, scan.length))
  if (kept.records.length !== scan.records.length) throw new Error('a good record was lost')
}

function orBroken<Value>(read: () => Value): Value | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}
