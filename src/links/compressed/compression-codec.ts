/**
 * Records of a compressed connection. Each is compressed by itself, so that nothing is held between
 * them and what one becomes is bounded before it is made.
 *
 *     hello    | "HCP1" | count u8 | algorithm u8 … |     the connecting side, the best first
 *     answer   | "HCP1" | 1 | algorithm u8 |              the accepting side chose
 *     record   | 0 | bytes as they are … |
 *     record   | 1 | compressed bytes … |
 *
 * Algorithms: 1 gzip (RFC 1952), 2 zstd (RFC 8878), 3 LZ4 (size u32 LE, then a block).
 */
import zlib from 'node:zlib'
import type { ConnectionRole } from '../../core/connection.ts'
import { ProtocolError, TransportError } from '../../core/errors.ts'
import { checkExpansion, compressLz4, decompressLz4 } from '../../core/lz4-block.ts'
import type { RecordCodec } from '../layer/record-codec.ts'
import type { CompressionAlgorithm, CompressionSettings } from './compression-options.ts'

export class CompressionCodec implements RecordCodec {
  readonly overheadBytes = 1
  readonly maxPayloadBytes: number = MAX_PAYLOAD_BYTES
  readonly ownsPayloads = true
  readonly ended = true
  readonly #settings: CompressionSettings
  readonly #initiating: boolean
  readonly #maxOutputBytes: number
  #algorithm: CompressionAlgorithm | undefined

  /** @param maxOutputBytes longest payload of a record */
  constructor(settings: CompressionSettings, role: ConnectionRole, maxOutputBytes: number) {
    this.#settings = settings
    this.#initiating = role === 'initiating'
    this.#maxOutputBytes = maxOutputBytes
    if (!settings.negotiate) this.#algorithm = settings.algorithms[0]
  }

  get ready(): boolean {
    return this.#algorithm !== undefined
  }
  /** What was agreed. */
  get algorithm(): CompressionAlgorithm | undefined {
    return this.#algorithm
  }

  begin(): readonly Uint8Array[] {
    if (!this.#initiating || this.ready) return []
    return [makeHello(this.#settings.algorithms)]
  }

  receiveHandshake(record: Uint8Array): readonly Uint8Array[] {
    const theirs = parseHello(record)
    const { algorithms } = this.#settings
    const chosen = theirs.find((one) => algorithms.some((own) => own === one))
    if (chosen === undefined || (this.#initiating && theirs.length !== 1)) {
      throw refused(`the peer has ${theirs.join(', ')}, this side ${algorithms.join(', ')}`)
    }
    this.#algorithm = chosen
    return this.#initiating ? [] : [makeHello([chosen])]
  }

  seal(payload: Uint8Array, _now: number, emit: (pieces: readonly Uint8Array[]) => void): void {
    const compressed = this.#compress(payload)
    if (compressed !== undefined) return emit([COMPRESSED, compressed])
    const stored = new Uint8Array(1 + payload.length)
    stored.set(payload, 1)
    emit([stored])
  }

  /** The end of the carrier says it. */
  sealEnd(): void {}

  open(record: Uint8Array): Uint8Array {
    const [flag] = record
    if (flag === 0) {
      const bytes = record.length - 1
      if (bytes > this.#maxOutputBytes) {
        const message = `record of ${bytes} bytes is over ${this.#maxOutputBytes}`
        throw new ProtocolError('ERR_FRAME_TOO_LARGE', message)
      }
      return record.slice(1)
    }
    if (flag === 1) return this.#decompress(record.subarray(1))
    throw new ProtocolError('ERR_MALFORMED', `record that begins with ${flag ?? 'nothing'}`)
  }

  /** Undefined: it would not be shorter. */
  #compress(payload: Uint8Array): Uint8Array | undefined {
    const { minBytes, level } = this.#settings
    if (payload.length < minBytes || payload.length === 0) return undefined
    const compressed = compress(this.#algorithm, payload, level)
    if (compressed.length >= payload.length) return undefined
    // What the peer would take for a bomb is sent as it is.
    const { maxRatio, ratioFreeBytes } = this.#settings
    const fits = payload.length - ratioFreeBytes <= compressed.length * maxRatio
    return fits ? compressed : undefined
  }

  #decompress(input: Uint8Array): Uint8Array {
    const { maxRatio, ratioFreeBytes } = this.#settings
    const limits = { maxOutputBytes: this.#maxOutputBytes, maxRatio, ratioFreeBytes }
    if (this.#algorithm === 'lz4') return decompressLz4(input, limits)
    // The library stops at the first byte over the limit that is met first.
    const byRatio = Math.floor(ratioFreeBytes + input.length * maxRatio)
    const most = Math.max(1, Math.min(this.#maxOutputBytes, byRatio))
    try {
      if (this.#algorithm === 'gzip') return zlib.gunzipSync(input, { maxOutputLength: most })
      const params = zstdLimits(most)
      const output = zlib.zstdDecompressSync(input, { maxOutputLength: most, params })
      // Node 22 takes a frame that was cut for a whole one.
      const size = zstdContentSize(input)
      if (output.length === size) return output
      throw new Error(`${output.length} bytes came out, the frame says ${size ?? 'nothing'}`)
    } catch (cause) {
      const { code } = cause as { code?: string }
      if (code === 'ERR_BUFFER_TOO_LARGE') checkExpansion(most + 1, input.length, limits)
      if (code === 'ZSTD_error_frameParameter_windowTooLarge') {
        const message = `${input.length} bytes ask for a window of more than the ${most} they may become`
        throw new ProtocolError('ERR_EXPANSION', message, { cause })
      }
      const message = `compressed record is corrupt: ${(cause as Error).message}`
      throw new ProtocolError('ERR_ENCODING', message, { cause })
    }
  }
}

function compress(
  algorithm: CompressionAlgorithm | undefined,
  payload: Uint8Array,
  level: number | undefined,
): Uint8Array {
  if (algorithm === 'lz4') return compressLz4(payload)
  if (algorithm === 'gzip') {
    return zlib.gzipSync(payload, { level: Math.min(level ?? GZIP_LEVEL, 9) })
  }
  return zlib.zstdCompressSync(payload, {
    // With its size known, the frame asks for no larger window than it needs.
    pledgedSrcSize: payload.length,
    params: { [zlib.constants.ZSTD_c_compressionLevel]: level ?? ZSTD_LEVEL },
  })
}

/**
 * The size that a zstd frame says it becomes (RFC 8878, 3.1.1.1), which ours always do. Undefined
 * when it does not, or is none.
 */
function zstdContentSize(frame: Uint8Array): number | undefined {
  const descriptor = frame[4]
  if (descriptor === undefined) return undefined
  const isSingleSegment = (descriptor & 0x20) !== 0
  const flag = descriptor >>> 6
  const length = flag === 0 ? Number(isSingleSegment) : 1 << flag
  const at = 5 + Number(!isSingleSegment) + ([0, 1, 2, 4][descriptor & 3] as number)
  if (length === 0 || frame.length < at + length) return undefined
  let size = 0
  for (let index = length - 1; index >= 0; index--)
    size = size * 256 + (frame[at + index] as number)
  return length === 2 ? size + 256 : size
}

/** The window is memory that a frame announces: no more of it than the output may have. */
function zstdLimits(most: number): Record<number, number> {
  const windowLog = Math.min(27, Math.max(10, Math.ceil(Math.log2(most))))
  return { [zlib.constants.ZSTD_d_windowLogMax]: windowLog }
}

function makeHello(algorithms: readonly CompressionAlgorithm[]): Uint8Array {
  const numbers = algorithms.map((one) => NUMBERS[one])
  return Uint8Array.of(...MAGIC, numbers.length, ...numbers)
}

/** Numbers that are not known here are passed over: a newer peer may have more. */
function parseHello(record: Uint8Array): readonly CompressionAlgorithm[] {
  const count = record[4] ?? 0
  const right = MAGIC.every((byte, at) => record[at] === byte)
  if (!right || count === 0 || record.length !== 5 + count) {
    throw refused('the peer does not speak compressed records of version 1')
  }
  const names = Object.entries(NUMBERS) as [CompressionAlgorithm, number][]
  return [...record.subarray(5)].flatMap((number) => {
    const found = names.find(([, one]) => one === number)
    return found === undefined ? [] : [found[0]]
  })
}

function refused(why: string): TransportError {
  const message = `no compression was agreed: ${why}`
  return new TransportError('ERR_CONNECT', message, { sent: 'nothing', retryable: 'no' })
}

const NUMBERS: Readonly<Record<CompressionAlgorithm, number>> = Object.freeze({
  gzip: 1,
  zstd: 2,
  lz4: 3,
})
const MAGIC = [...new TextEncoder().encode('HCP1')]
const COMPRESSED = Uint8Array.of(1)
const GZIP_LEVEL = 6
const ZSTD_LEVEL = 3
export const MAX_PAYLOAD_BYTES = 65_536
