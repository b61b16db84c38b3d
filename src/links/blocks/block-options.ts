/**
 * What every way of exchanging blocks can be told. Times and sizes are those of the seed's
 * `TimeoutConfig` and `BufferConfig`.
 */
import type { Clock } from '../../core/clock.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { SigningHost } from '../../core/signing.ts'
import type { CompressionHost } from '../../protocols/olocus/compressed.ts'
import { maxEncodedBytes } from '../../protocols/olocus/encodings/encodings.ts'
import { type BlockRules, blockDefaults } from '../../protocols/olocus/options.ts'
import type { PayloadReader } from '../../protocols/olocus/payload.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'

export interface BlockOptions {
  /**
   * How blocks are sent, and what messages are read as.
   *
   * @default binary; on WebSocket JSON text is sent and text and binary are read, on WebRTC MessagePack
   */
  format?: WireFormat
  /**
   * Whether what arrives is verified: payload hash, signature, time.
   *
   * @default true; false for history and for who verifies against a chain anyway
   */
  verify?: boolean
  /** How blocks are verified. @default live: not older than a day, at most 300 s ahead */
  rules?: Omit<BlockRules, 'now'>
  /**
   * What becomes of a connection whose peer sends a block that is none.
   *
   * @default 'close'; 'report': the receiver hears of it and the connection goes on
   */
  onInvalid?: 'close' | 'report'
  /** Longest message in bytes, in both directions. @default 1_048_576, the seed's max_message_size */
  maxMessageBytes?: number
  /** Longest payload in bytes. @default 16_777_216, MAX_PAYLOAD_SIZE of the protocol */
  maxPayloadBytes?: number
  /** Messages held that nobody has received; then reading stops. @default 64, a burst of small ones */
  maxQueuedMessages?: number
  /** Bytes held that nobody has received; then reading stops. @default 1_048_576, one message */
  maxQueuedBytes?: number
  /** Calls of `send` that may wait at a time; more are refused with ERR_BUSY. @default 1_024 */
  maxPendingSends?: number
  /** Time that a message may stand still when it has begun to arrive. @default 30_000 */
  readTimeoutMs?: number
  /** Time that the peer may take nothing while something waits for it. @default 30_000 */
  writeTimeoutMs?: number
  /** Time that `close` waits for the peer's part of it. @default 5_000, a round trip and its retries */
  closeTimeoutMs?: number
  /** How payloads are read. @default JSON in UTF-8 for every type */
  registry?: PayloadReader
  /** Who computes signatures and digests. @default Node's OpenSSL */
  signing?: SigningHost
  /** Who compresses. @default Node's zlib, and LZ4 */
  host?: CompressionHost
  /** @default the system clock */
  clock?: Clock
}

type Numbers =
  | 'maxMessageBytes'
  | 'maxPayloadBytes'
  | 'maxQueuedMessages'
  | 'maxQueuedBytes'
  | 'maxPendingSends'
  | 'readTimeoutMs'
  | 'writeTimeoutMs'
  | 'closeTimeoutMs'

export const blockOptionDefaults: Readonly<Record<Numbers, number>> = Object.freeze({
  maxMessageBytes: 1_048_576,
  maxPayloadBytes: blockDefaults.maxPayloadBytes,
  maxQueuedMessages: 64,
  maxQueuedBytes: 1_048_576,
  maxPendingSends: 1_024,
  readTimeoutMs: 30_000,
  writeTimeoutMs: 30_000,
  closeTimeoutMs: 5_000,
})

/** What an environment brings: Node or a browser. */
export interface BlockEnvironment {
  readonly clock: Clock
  readonly signing: SigningHost
  readonly host: CompressionHost
}

export interface ResolvedBlockOptions extends BlockEnvironment, Readonly<Record<Numbers, number>> {
  readonly format: WireFormat
  readonly verify: boolean
  readonly rules: Omit<BlockRules, 'now'>
  readonly onInvalid: 'close' | 'report'
  readonly registry: PayloadReader | undefined
}

/** @throws UsageError ERR_OPTION_RANGE */
export function resolveBlockOptions(
  options: BlockOptions,
  environment: BlockEnvironment,
  defaults: { readonly format?: WireFormat; readonly maxMessageBytes?: number } = {},
): ResolvedBlockOptions {
  const { format = defaults.format ?? WireFormat.default(), onInvalid = 'close' } = options
  if (onInvalid !== 'close' && onInvalid !== 'report') {
    throw new UsageError('ERR_OPTION_RANGE', `onInvalid is '${onInvalid}'`)
  }
  const number = (name: Numbers, min: number, max: number): number =>
    checkInteger(name, options[name] ?? blockOptionDefaults[name], min, max)
  const maxPayloadBytes = number('maxPayloadBytes', 0, 0xffff_ffff - 2_048)
  const asked = options.maxMessageBytes ?? defaults.maxMessageBytes
  const maxMessageBytes = checkInteger(
    'maxMessageBytes',
    asked ?? blockOptionDefaults.maxMessageBytes,
    1,
    0xffff_ffff,
  )
  return Object.freeze({
    format,
    onInvalid,
    verify: options.verify ?? true,
    rules: options.rules ?? LIVE,
    registry: options.registry,
    clock: options.clock ?? environment.clock,
    signing: options.signing ?? environment.signing,
    host: options.host ?? environment.host,
    maxPayloadBytes,
    // No block is longer than that, so nothing that is longer has to be held.
    maxMessageBytes: Math.min(maxMessageBytes, maxEncodedBytes(format.encoding, maxPayloadBytes)),
    maxQueuedMessages: number('maxQueuedMessages', 1, 1_048_576),
    maxQueuedBytes: number('maxQueuedBytes', 1, 0x7fff_ffff),
    maxPendingSends: number('maxPendingSends', 1, 1_048_576),
    readTimeoutMs: number('readTimeoutMs', 1, MAX_WAIT_MS),
    writeTimeoutMs: number('writeTimeoutMs', 1, MAX_WAIT_MS),
    closeTimeoutMs: number('closeTimeoutMs', 1, MAX_WAIT_MS),
  })
}

const LIVE: Omit<BlockRules, 'now'> = Object.freeze({ live: true })
const MAX_WAIT_MS = 3_600_000
