/**
 * The errors of the seed's network layer, as what heddle's errors amount to: `kind` is stable.
 *
 * Everything here rejects with heddle's own errors, which say more; `networkError(error)` gives the
 * seed's view of one, with the original as its cause.
 */
import { HeddleError, toError } from '../../core/errors.ts'
import { type BlockCodeName, blockCodeOf } from '../../protocols/olocus/block-codes.ts'

export type NetworkErrorKind =
  // The seed's.
  | 'Timeout'
  | 'ConnectionClosed'
  | 'InvalidAddress'
  | 'PacketTooLarge'
  | 'Tls'
  | 'WebSocket'
  | 'Quic'
  | 'WebRtc'
  | 'Serialization'
  | 'Io'
  // What its code can run into without a name for it.
  | 'ProtocolViolation'
  | 'InvalidBlock'
  | 'NegotiationFailed'
  | 'NotSupported'
  | 'Aborted'
  | 'Overloaded'
  | 'ReassemblyFailed'

export class NetworkError extends Error {
  override readonly name = 'NetworkError'
  readonly kind: NetworkErrorKind
  /** Whether the same attempt may go well later. */
  readonly retryable: boolean
  /** Code of the block protocol, where the kind is `InvalidBlock` or `NegotiationFailed`. */
  readonly blockCode: BlockCodeName | undefined

  constructor(
    kind: NetworkErrorKind,
    message: string,
    options: { cause?: unknown; blockCode?: BlockCodeName | undefined } = {},
  ) {
    super(message, { cause: options.cause })
    this.kind = kind
    this.retryable = RETRYABLE.has(kind)
    this.blockCode = options.blockCode
  }
}

/** The seed's view of an error. A `NetworkError` is itself. */
export function networkError(thrown: unknown): NetworkError {
  if (thrown instanceof NetworkError) return thrown
  const error = toError(thrown)
  const blockCode = blockCodeOf(error)
  return new NetworkError(networkErrorKind(error), error.message, { cause: error, blockCode })
}

export function networkErrorKind(error: unknown): NetworkErrorKind {
  if (error instanceof NetworkError) return error.kind
  if (!(error instanceof HeddleError)) return kindOfForeign(error)
  const { reason } = (error.detail ?? {}) as { readonly reason?: unknown }
  if (reason === 'reassembly') return 'ReassemblyFailed'
  const block = blockCodeOf(error)
  if (block !== undefined) return kindOfBlock(block)
  const known = KINDS[error.code]
  if (known !== undefined) return known
  return KINDS_OF_CLASS[error.name] ?? 'Io'
}

/** Errors that are not ours: those of the caller's signal, mostly. */
function kindOfForeign(error: unknown): NetworkErrorKind {
  const { name } = (error ?? {}) as { readonly name?: unknown }
  if (name === 'AbortError') return 'Aborted'
  return name === 'TimeoutError' ? 'Timeout' : 'Io'
}

function kindOfBlock(code: BlockCodeName): NetworkErrorKind {
  if (code === 'SerializationError' || code === 'MalformedBlock') return 'Serialization'
  if (code === 'PayloadTooLarge') return 'PacketTooLarge'
  return NEGOTIATION.has(code) ? 'NegotiationFailed' : 'InvalidBlock'
}

const RETRYABLE: ReadonlySet<NetworkErrorKind> = new Set(['Timeout', 'Io', 'Overloaded'])

const KINDS: Readonly<Partial<Record<string, NetworkErrorKind>>> = Object.freeze({
  ERR_ADDRESS_INVALID: 'InvalidAddress',
  ERR_OPTION_UNSUPPORTED: 'NotSupported',
  ERR_FRAME_TOO_LARGE: 'PacketTooLarge',
  ERR_MALFORMED: 'Serialization',
  ERR_ENCODING: 'Serialization',
  ERR_EXPANSION: 'PacketTooLarge',
  ERR_TRUNCATED: 'Io',
  ERR_TLS: 'Tls',
  ERR_DISCONNECTED: 'ConnectionClosed',
  ERR_CLOSED: 'ConnectionClosed',
  ERR_DRAINING: 'ConnectionClosed',
  ERR_ABORTED: 'Aborted',
})

const KINDS_OF_CLASS: Readonly<Partial<Record<string, NetworkErrorKind>>> = Object.freeze({
  TimeoutError: 'Timeout',
  OverloadError: 'Overloaded',
  ClosedError: 'ConnectionClosed',
  ProtocolError: 'ProtocolViolation',
  TransportError: 'Io',
})

const NEGOTIATION: ReadonlySet<BlockCodeName> = new Set<BlockCodeName>([
  'UnsupportedVersion',
  'NegotiationIncomplete',
  'InvalidNegotiationState',
  'MandatoryExtensionMissing',
  'InvalidVersion',
  'PreferencesTooOld',
  'PreferencesFromFuture',
  'NoCommonAlgorithm',
  'AlgorithmNotSupported',
  'PeerSecurityTooLow',
  'RequiredAlgorithmMissing',
  'PostQuantumRequired',
  'UnknownAlgorithm',
  'InsufficientSecurityLevel',
  'DowngradeAttemptDetected',
  'ProtocolVersionTooOld',
  'ProtocolVersionMismatch',
])
