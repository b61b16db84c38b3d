/**
 * New blocks: the first of a chain, and the next after one.
 */
import { UsageError } from '../../core/errors.ts'
import { type Eventual, type SigningHost, type SigningKey, whenReady } from '../../core/signing.ts'
import { assembleBlock, BLOCK_VERSION, Block, SIGNED_HEAD_BYTES } from './block.ts'
import { blockDefaults } from './options.ts'
import type { BlockPayload, PayloadReader } from './payload.ts'

export interface NewBlockOptions {
  key: SigningKey
  host: Pick<SigningHost, 'sha256'>
  /** Unix seconds; `Date.now()` is milliseconds, and refused. */
  timestamp: number | bigint
  registry?: PayloadReader
}

/** A block of index 0, whose `previous` is zeros. */
export function createGenesis<Payload = unknown>(
  payload: BlockPayload,
  options: NewBlockOptions,
): Eventual<Block<Payload>> {
  return create(0n, NO_PREVIOUS, payload, options)
}

/**
 * The block after `previous`, which need not be of the same key.
 *
 * @throws UsageError ERR_ARGUMENT when `timestamp` is before that of `previous`
 */
export function createNext<Payload = unknown>(
  previous: Block,
  payload: BlockPayload,
  options: NewBlockOptions,
): Eventual<Block<Payload>> {
  if (seconds(options.timestamp) < previous.timestamp) {
    const message = `timestamp ${options.timestamp} is before ${previous.timestamp} of the block before`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return whenReady(previous.hash(options.host), (hash) =>
    create(previous.index + 1n, hash, payload, options),
  )
}

/** A block that belongs to no chain: index 0, no previous. For acknowledgements. */
export const createStandalone: typeof createGenesis = createGenesis

function create<Payload>(
  index: bigint,
  previous: Uint8Array,
  payload: BlockPayload,
  options: NewBlockOptions,
): Eventual<Block<Payload>> {
  const { key, host, registry } = options
  const timestamp = seconds(options.timestamp)
  const bytes = payload.toBytes()
  if (bytes.length > blockDefaults.maxPayloadBytes) {
    const message = `a payload of ${bytes.length} bytes is over ${blockDefaults.maxPayloadBytes}`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return whenReady(host.sha256(bytes), (payloadHash) => {
    const canonical = assembleBlock({
      version: BLOCK_VERSION,
      index,
      timestamp,
      previous,
      payloadHash,
      payloadType: payload.payloadType,
      payload: bytes,
      publicKey: key.publicKey,
      signature: NO_SIGNATURE,
    })
    const block = new Block<Payload>(canonical, registry)
    return whenReady(key.sign(block.signedBytes()), (signature) => {
      if (signature.length !== 64) {
        const message = `an Ed25519 signature has 64 bytes, not ${signature.length}`
        throw new UsageError('ERR_ARGUMENT', message)
      }
      canonical.set(signature, SIGNED_HEAD_BYTES + 32) // nobody has seen these bytes yet
      return block
    })
  })
}

function seconds(timestamp: number | bigint): bigint {
  if (typeof timestamp === 'number' && !Number.isSafeInteger(timestamp)) {
    throw new UsageError('ERR_ARGUMENT', `timestamp ${timestamp} is not a whole number of seconds`)
  }
  const value = BigInt(timestamp)
  if (value > LATEST_SECOND) {
    const message = `timestamp ${timestamp} is after the year 9999: seconds are meant`
    throw new UsageError('ERR_ARGUMENT', message)
  }
  return value
}

const NO_PREVIOUS = new Uint8Array(32)
const NO_SIGNATURE = new Uint8Array(64)
/** Milliseconds of today are a time after this one. */
const LATEST_SECOND = 253_402_300_799n
