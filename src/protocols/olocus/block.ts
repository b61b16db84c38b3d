/**
 * A block is its canonical bytes, and a reader of them.
 *
 *     | off | size | field, big-endian |      | off | size | field           |
 *     |   0 |    2 | version           |      |  82 |    4 | payload type    |
 *     |   2 |    8 | index             |      |  86 |    4 | payload size n  |
 *     |  10 |    8 | timestamp         |      |  90 |   32 | public key      |
 *     |  18 |   32 | previous          |      | 122 |   64 | signature       |
 *     |  50 |   32 | payload hash      |      | 186 |    n | payload         |
 *
 * The signature is over the first 90 bytes and the payload; the hash of a block is SHA-256 over all
 * of it. Both are of these bytes whatever encoding the block travels in, so that a change of encoding
 * never signs anew.
 */
import { UsageError } from '../../core/errors.ts'
import { type Eventual, type SigningHost, whenReady } from '../../core/signing.ts'
import { blockError } from './block-codes.ts'
import { defaultRegistry, type PayloadReader } from './payload.ts'

export interface BlockHeader {
  /** major << 8 | minor */
  readonly version: number
  /** u64; 0 for the first block of a chain. */
  readonly index: bigint
  /** i64, Unix seconds. */
  readonly timestamp: bigint
  /** Hash of the block before, zeros for the first. */
  readonly previous: Uint8Array
  /** SHA-256 of the payload. */
  readonly payloadHash: Uint8Array
  readonly payloadType: number
}

/** Everything that a block says: what decoders find and encoders write. */
export interface BlockFields extends BlockHeader {
  readonly payload: Uint8Array
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/** Immutable: nobody may change bytes that it hands out. */
export class Block<Payload = unknown> {
  /** The canonical encoding. */
  readonly bytes: Uint8Array
  readonly #registry: PayloadReader
  #view: DataView | undefined
  #header: BlockHeader | undefined
  #payload: { readonly value: Payload | undefined } | undefined
  #hash: Uint8Array | undefined

  /**
   * @param bytes whole and of the right length, as `decodeCanonical` and `assembleBlock` see to; the
   *   block's from now on
   */
  constructor(bytes: Uint8Array, registry: PayloadReader = defaultRegistry) {
    if (bytes.length < ENVELOPE_BYTES) {
      throw new UsageError('ERR_ARGUMENT', `a block has ${ENVELOPE_BYTES} bytes at least`)
    }
    // A view of the usual kind: `slice` of a Node `Buffer` would not copy.
    this.bytes =
      bytes.constructor === Uint8Array
        ? bytes
        : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#registry = registry
  }

  get header(): BlockHeader {
    this.#header ??= Object.freeze({
      version: this.version,
      index: this.index,
      timestamp: this.timestamp,
      previous: this.previous,
      payloadHash: this.payloadHash,
      payloadType: this.payloadType,
    })
    return this.#header
  }

  get version(): number {
    return this.#data.getUint16(0)
  }
  get index(): bigint {
    return this.#data.getBigUint64(2)
  }
  get timestamp(): bigint {
    return this.#data.getBigInt64(10)
  }
  get previous(): Uint8Array {
    return this.bytes.subarray(18, 50)
  }
  get payloadHash(): Uint8Array {
    return this.bytes.subarray(50, 82)
  }
  get payloadType(): number {
    return this.#data.getUint32(82)
  }
  get payloadSize(): number {
    return this.bytes.length - ENVELOPE_BYTES
  }
  get publicKey(): Uint8Array {
    return this.bytes.subarray(90, 122)
  }
  get signature(): Uint8Array {
    return this.bytes.subarray(122, 186)
  }
  get payloadBytes(): Uint8Array {
    return this.bytes.subarray(ENVELOPE_BYTES)
  }

  /** Decoded when it is first asked for. Undefined: it cannot be read as what its type says. */
  get payload(): Payload | undefined {
    this.#payload ??= {
      value: this.#registry.decode(this.payloadType, this.payloadBytes) as Payload | undefined,
    }
    return this.#payload.value
  }

  /** SHA-256 over the canonical bytes, computed once. */
  hash(host: Pick<SigningHost, 'sha256'>): Eventual<Uint8Array> {
    if (this.#hash !== undefined) return this.#hash
    return whenReady(host.sha256(this.bytes), (hash) => {
      this.#hash = hash
      return hash
    })
  }

  /** What the signature is over. */
  signedBytes(): Uint8Array {
    const message = new Uint8Array(SIGNED_HEAD_BYTES + this.payloadSize)
    message.set(this.bytes.subarray(0, SIGNED_HEAD_BYTES))
    message.set(this.payloadBytes, SIGNED_HEAD_BYTES)
    return message
  }

  get #data(): DataView {
    const { bytes } = this
    this.#view ??= new DataView(bytes.buffer, bytes.byteOffset, ENVELOPE_BYTES)
    return this.#view
  }
}

/**
 * Canonical bytes of fields, which are copied.
 *
 * @throws ProtocolError MalformedBlock: a length or a number that the layout has no room for
 */
export function assembleBlock(fields: BlockFields): Uint8Array {
  const { payload } = fields
  checkNumber('version', fields.version, 0xffff)
  checkNumber('payload_type', fields.payloadType, 0xffff_ffff)
  checkNumber('payload size', payload.length, 0xffff_ffff)
  if (fields.index < 0n || fields.index >= 1n << 64n) throw outside('index', fields.index)
  if (fields.timestamp < -(1n << 63n) || fields.timestamp >= 1n << 63n) {
    throw outside('timestamp', fields.timestamp)
  }
  const bytes = new Uint8Array(ENVELOPE_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, fields.version)
  view.setBigUint64(2, fields.index)
  view.setBigInt64(10, fields.timestamp)
  bytes.set(exactly('previous', fields.previous, 32), 18)
  bytes.set(exactly('payload_hash', fields.payloadHash, 32), 50)
  view.setUint32(82, fields.payloadType)
  view.setUint32(86, payload.length)
  bytes.set(exactly('public_key', fields.publicKey, 32), 90)
  bytes.set(exactly('signature', fields.signature, 64), 122)
  bytes.set(payload, ENVELOPE_BYTES)
  return bytes
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false
  return true
}

function exactly(name: string, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes
  throw blockError('MalformedBlock', `${name} has ${bytes.length} bytes, must have ${length}`)
}

function checkNumber(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) throw outside(name, value)
}

function outside(name: string, value: number | bigint): Error {
  return blockError('MalformedBlock', `${name} ${value} is out of range`)
}

/** Everything of a block but its payload. */
export const ENVELOPE_BYTES = 186
/** Header and payload size: what is signed before the payload. */
export const SIGNED_HEAD_BYTES = 90
/** Major 1, minor 5: the version this speaks, and the oldest it takes. */
export const BLOCK_VERSION = 0x0105
