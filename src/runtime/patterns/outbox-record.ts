/**
 * The records of an outbox's log.
 *
 *     file     "HDLOBX1\n" salt u32 record …
 *     record   length u32 | crc32c u32 | type u8 | sequence u64 | rest …      big-endian
 *
 *     type 1   an entry       rest: length of the head u32, head (JSON), body
 *     type 2   delivered      no rest
 *     type 3   a failed attempt, and how many there were: rest: count u32
 *     type 4   dead           rest: the reason, text
 *     type 5   alive again    no rest
 *
 * `length` counts everything behind it and `crc32c` everything behind that. A crash leaves a torn
 * record at the end, which is dropped. A bad record with a good one behind it is no crash but damage
 * of the disk, and said so: what comes behind must not vanish in silence. The checksum begins with
 * the file's salt, so that a body which looks like a record is none.
 */
import { crc32c } from '../../core/checksum.ts'
import { ProtocolError } from '../../core/errors.ts'

export type OutboxRecord =
  | {
      readonly type: 'entry'
      readonly sequence: number
      readonly head: OutboxHead
      readonly body: Uint8Array
    }
  | { readonly type: 'delivered' | 'revived'; readonly sequence: number }
  | { readonly type: 'failed'; readonly sequence: number; readonly attempts: number }
  | { readonly type: 'dead'; readonly sequence: number; readonly reason: string }

/** What is kept of an entry besides its body. */
export interface OutboxHead {
  readonly id: string
  /** Milliseconds since the Unix epoch, for people. */
  readonly enqueuedAt: number
  readonly correlationId?: string
  readonly priority?: number
  readonly metadata?: Readonly<Record<string, string>>
  readonly trace?: {
    readonly traceId: string
    readonly spanId: string
    readonly flags: number
    readonly state?: string
    readonly baggage?: string
  }
}

export interface OutboxScan {
  readonly records: readonly OutboxRecord[]
  /** Bytes that are good, from the start. 0: the file is new. */
  readonly length: number
  readonly salt: number
}

export function encodeOutboxHeader(salt: number): Uint8Array {
  const bytes = new Uint8Array(FILE_HEADER_BYTES)
  bytes.set(MAGIC)
  new DataView(bytes.buffer).setUint32(MAGIC.length, salt)
  return bytes
}

export function encodeOutboxRecord(record: OutboxRecord, salt: number): Uint8Array {
  const rest = encodeRest(record)
  const bytes = new Uint8Array(HEADER_BYTES + rest.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length - 4)
  view.setUint8(8, TYPES.indexOf(record.type) + 1)
  view.setBigUint64(9, BigInt(record.sequence))
  bytes.set(rest, HEADER_BYTES)
  view.setUint32(4, crc32c(bytes.subarray(8), salt))
  return bytes
}

/**
 * @throws ProtocolError ERR_WRONG_PROTOCOL for a file of something else, ERR_CHECKSUM for damage
 */
export function scanOutbox(bytes: Uint8Array): OutboxScan {
  const magic = MAGIC.subarray(0, bytes.length)
  if (magic.some((byte, index) => bytes[index] !== byte)) {
    throw new ProtocolError('ERR_WRONG_PROTOCOL', 'the file is not an outbox: it begins otherwise')
  }
  if (bytes.length < FILE_HEADER_BYTES) return { records: [], length: 0, salt: 0 }
  const salt = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length)
  const records: OutboxRecord[] = []
  let at = FILE_HEADER_BYTES
  for (;;) {
    const size = goodRecordAt(bytes, at, salt)
    if (size === undefined) break
    records.push(decodeRecord(bytes.subarray(at, at + size)))
    at += size
  }
  if (at < bytes.length && isFollowedByGood(bytes, at, salt)) {
    const message = `the outbox is damaged at byte ${at} of ${bytes.length}: good records follow`
    throw new ProtocolError('ERR_CHECKSUM', message, { detail: { at, length: bytes.length } })
  }
  return { records, length: at, salt }
}

/** Its size; undefined when it is torn, damaged, or not there. */
function goodRecordAt(bytes: Uint8Array, at: number, salt: number): number | undefined {
  if (bytes.length - at < HEADER_BYTES) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + at)
  const size = view.getUint32(0) + 4
  if (size < HEADER_BYTES || size > bytes.length - at) return undefined
  const type = view.getUint8(8)
  if (type < 1 || type > TYPES.length) return undefined
  return crc32c(bytes.subarray(at + 8, at + size), salt) === view.getUint32(4) ? size : undefined
}

/** Of a torn end nothing is good. Its own length may be what is damaged, so every place is tried. */
function isFollowedByGood(bytes: Uint8Array, at: number, salt: number): boolean {
  const end = Math.min(bytes.length, at + MAX_SEARCH_BYTES)
  for (let next = at + 1; next < end; next++) {
    if (goodRecordAt(bytes, next, salt) !== undefined) return true
  }
  return false
}

function encodeRest(record: OutboxRecord): Uint8Array {
  switch (record.type) {
    case 'entry': {
      const head = ENCODER.encode(JSON.stringify(record.head))
      const rest = new Uint8Array(4 + head.length + record.body.length)
      new DataView(rest.buffer).setUint32(0, head.length)
      rest.set(head, 4)
      rest.set(record.body, 4 + head.length)
      return rest
    }
    case 'failed': {
      const rest = new Uint8Array(4)
      new DataView(rest.buffer).setUint32(0, record.attempts)
      return rest
    }
    case 'dead':
      return ENCODER.encode(record.reason)
    default:
      return NOTHING
  }
}

function decodeRecord(bytes: Uint8Array): OutboxRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const type = TYPES[view.getUint8(8) - 1] as OutboxRecord['type']
  const sequence = Number(view.getBigUint64(9))
  switch (type) {
    case 'entry': {
      const headBytes = view.getUint32(HEADER_BYTES)
      const bodyAt = HEADER_BYTES + 4 + headBytes
      const head = JSON.parse(DECODER.decode(bytes.subarray(HEADER_BYTES + 4, bodyAt)))
      return { type, sequence, head: head as OutboxHead, body: bytes.slice(bodyAt) }
    }
    case 'failed':
      return { type, sequence, attempts: view.getUint32(HEADER_BYTES) }
    case 'dead':
      return { type, sequence, reason: DECODER.decode(bytes.subarray(HEADER_BYTES)) }
    default:
      return { type, sequence }
  }
}

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder()
const MAGIC: Uint8Array = ENCODER.encode('HDLOBX1\n')
const TYPES: readonly OutboxRecord['type'][] = ['entry', 'delivered', 'failed', 'dead', 'revived']
/** The magic and the salt. */
const FILE_HEADER_BYTES = 12
/** Length, checksum, type and sequence. */
const HEADER_BYTES = 17
/** The search for what follows damage: as long as the longest record that may stand there. */
const MAX_SEARCH_BYTES = 0x40_0000
const NOTHING = new Uint8Array(0)
