/**
 * Records of a protocol that was defined with `defineProtocol`.
 *
 *     hello    | "HBP1" | name | checksum | payload | count u8 | from u16, to u16 … |
 *     answer   | "HBP1" | 0 | version u16 |                  the accepting side chose
 *     refusal  | "HBP1" | 1 | count u8 | from u16, to u16 … |  what it speaks instead
 *     record   | message … | checksum u32, where there is one |
 *
 * Texts have their length in front (u8). Numbers are big-endian.
 */
import { ByteReader } from '../../core/byte-reader.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import type { ConnectionRole } from '../../core/connection.ts'
import { ProtocolError } from '../../core/errors.ts'
import type { RecordCodec } from '../layer/record-codec.ts'
import {
  CHECKSUMS,
  type Definition,
  formatRanges,
  highestCommon,
  MAX_RANGES,
  type MessageDefinitions,
  type VersionRange,
} from './protocol-definition.ts'

export class ProtocolCodec implements RecordCodec {
  readonly overheadBytes: number
  readonly maxPayloadBytes: number = 0x4000_0000 // messages only: their own limit holds
  readonly ownsPayloads = false
  readonly ended = true
  refusal: Error | undefined
  readonly #definition: Definition<MessageDefinitions>
  readonly #initiating: boolean
  readonly #checksum: ((bytes: Uint8Array) => number) | undefined
  #version: number | undefined

  constructor(definition: Definition<MessageDefinitions>, role: ConnectionRole) {
    this.#definition = definition
    this.#initiating = role === 'initiating'
    this.#checksum = CHECKSUMS[definition.checksum]
    this.overheadBytes = this.#checksum === undefined ? 0 : CHECKSUM_BYTES
  }

  get ready(): boolean {
    return this.#version !== undefined
  }
  /** What was agreed. */
  get version(): number | undefined {
    return this.#version
  }

  begin(): readonly Uint8Array[] {
    if (!this.#initiating) return []
    const { name, checksum, payload, ranges } = this.#definition
    const out = new ByteWriter()
    out.latin1(MAGIC)
    for (const text of [name, checksum, payload.name]) {
      out.uint8(text.length)
      out.latin1(text)
    }
    writeRanges(ranges, out)
    return [out.take()]
  }

  receiveHandshake(record: Uint8Array): readonly Uint8Array[] {
    const reader = new ByteReader(record)
    if (reader.length < 5 || reader.latin1(4) !== MAGIC) {
      throw wrong('the peer does not speak protocols of this kind')
    }
    try {
      return this.#initiating ? this.#receiveAnswer(reader) : this.#receiveHello(reader)
    } catch (cause) {
      if (cause instanceof ProtocolError && cause.code !== 'ERR_TRUNCATED') throw cause
      throw wrong('the peer’s hello ends early', cause)
    }
  }

  seal(payload: Uint8Array, _now: number, emit: (pieces: readonly Uint8Array[]) => void): void {
    if (this.#checksum === undefined) return emit([payload])
    const sum = new Uint8Array(CHECKSUM_BYTES)
    new DataView(sum.buffer).setUint32(0, this.#checksum(payload))
    emit([payload, sum])
  }

  /** The end of the carrier says it. */
  sealEnd(): void {}

  open(record: Uint8Array): Uint8Array {
    if (this.#checksum === undefined) return record
    const end = record.length - CHECKSUM_BYTES
    if (end < 0) throw new ProtocolError('ERR_MALFORMED', `record of ${record.length} bytes`)
    const payload = record.subarray(0, end)
    const stated = new ByteReader(record).reset(record, end).uint32()
    const actual = this.#checksum(payload)
    if (stated === actual) return payload
    const message = `checksum ${hex(stated)} where ${hex(actual)} is due`
    throw new ProtocolError('ERR_CHECKSUM', message)
  }

  #receiveHello(reader: ByteReader): readonly Uint8Array[] {
    const { name, checksum, payload, ranges } = this.#definition
    const expected = { protocol: name, checksum, payload: payload.name }
    for (const [what, own] of Object.entries(expected)) {
      const theirs = reader.latin1(reader.uint8())
      if (theirs !== own) {
        throw wrong(`the peer’s ${what} is ${JSON.stringify(theirs)}, here it is ${own}`)
      }
    }
    const theirs = readRanges(reader)
    reader.expectEnd('the hello')
    const version = highestCommon(ranges, theirs)
    const out = new ByteWriter()
    out.latin1(MAGIC)
    if (version === undefined) {
      this.refusal = noVersion(theirs, ranges)
      out.uint8(1)
      writeRanges(ranges, out)
    } else {
      this.#version = version
      out.uint8(0)
      out.uint16(version)
    }
    return [out.take()]
  }

  #receiveAnswer(reader: ByteReader): readonly Uint8Array[] {
    const { ranges } = this.#definition
    if (reader.uint8() !== 0) throw noVersion(readRanges(reader), ranges)
    const version = reader.uint16()
    reader.expectEnd('the answer')
    if (highestCommon(ranges, [[version, version]]) === undefined) {
      throw noVersion([[version, version]], ranges)
    }
    this.#version = version
    return []
  }
}

function writeRanges(ranges: readonly VersionRange[], out: ByteWriter): void {
  out.uint8(ranges.length)
  for (const [from, to] of ranges) {
    out.uint16(from)
    out.uint16(to)
  }
}

function readRanges(reader: ByteReader): readonly VersionRange[] {
  const count = reader.uint8()
  if (count < 1 || count > MAX_RANGES) throw wrong(`${count} ranges of versions`)
  return Array.from({ length: count }, () => [reader.uint16(), reader.uint16()] as const)
}

function noVersion(theirs: readonly VersionRange[], own: readonly VersionRange[]): ProtocolError {
  const message = `the peer speaks version ${formatRanges(theirs)}, this side ${formatRanges(own)}`
  return new ProtocolError('ERR_VERSION', message, { sent: 'nothing', retryable: 'no' })
}

function wrong(why: string, cause?: unknown): ProtocolError {
  return new ProtocolError('ERR_WRONG_PROTOCOL', why, { cause, sent: 'nothing', retryable: 'no' })
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}

const MAGIC = 'HBP1'
const CHECKSUM_BYTES = 4
