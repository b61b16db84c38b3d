/**
 * What can be wrong with a block, by the numbers of the protocol. They are stable: they travel in
 * acknowledgements and across languages. Each is also one of heddle's codes.
 */
import type { CodeOf } from '../../core/error-codes.ts'
import { ProtocolError } from '../../core/errors.ts'

export const BLOCK_CODES = Object.freeze({
  Ok: 0,
  VersionMismatch: 1,
  BrokenChain: 2,
  InvalidIndex: 3,
  TimestampRegression: 4,
  PayloadMismatch: 5,
  InvalidSignature: 6,
  MalformedBlock: 7,
  UnknownPayloadType: 8,
  PayloadTooLarge: 9,
  TimestampTooFuture: 10,
  TimestampTooOld: 11,
  ForkTooDeep: 12,
  PluginConflict: 13,
  PayloadTypeConflict: 14,
  PluginNotFound: 15,
  LockPoisoned: 16,
  UnsupportedVersion: 20,
  NegotiationIncomplete: 21,
  InvalidNegotiationState: 22,
  MandatoryExtensionMissing: 23,
  InvalidVersion: 24,
  PreferencesTooOld: 30,
  PreferencesFromFuture: 31,
  NoCommonAlgorithm: 32,
  AlgorithmNotSupported: 33,
  PeerSecurityTooLow: 34,
  RequiredAlgorithmMissing: 35,
  PostQuantumRequired: 36,
  UnknownAlgorithm: 37,
  InsufficientSecurityLevel: 38,
  SerializationError: 39,
  DowngradeAttemptDetected: 40,
  ProtocolVersionTooOld: 41,
  ProtocolVersionMismatch: 42,
} as const)

export type BlockCodeName = keyof typeof BLOCK_CODES
export type BlockCode = (typeof BLOCK_CODES)[BlockCodeName]

/** The name of a number, as a peer may send it. Undefined: the protocol has no such code. */
export function blockCodeName(code: number): BlockCodeName | undefined {
  return NAMES.get(code)
}

/** The code of the protocol that an error carries, if it is about a block or a negotiation. */
export function blockCodeOf(error: unknown): BlockCodeName | undefined {
  const { detail } = (error ?? {}) as { detail?: { readonly block?: unknown } }
  const name = detail?.block
  return typeof name === 'string' && Object.hasOwn(BLOCK_CODES, name)
    ? (name as BlockCodeName)
    : undefined
}

/** `status` is the number, `detail.block` the name. */
export function blockError(name: BlockCodeName, message: string, cause?: unknown): ProtocolError {
  return new ProtocolError(heddleCodeOf(name), message, {
    status: BLOCK_CODES[name],
    detail: Object.freeze({ block: name }),
    ...(cause !== undefined && { cause }),
  })
}

/** Which of heddle's codes stands for a code of the protocol. */
export function heddleCodeOf(name: BlockCodeName): CodeOf<'ProtocolError'> {
  const found = HEDDLE_CODES[name]
  if (found !== undefined) return found
  return BLOCK_CODES[name] >= FIRST_NEGOTIATION_CODE ? 'ERR_NEGOTIATION' : 'ERR_BLOCK'
}

const HEDDLE_CODES: Partial<Readonly<Record<BlockCodeName, CodeOf<'ProtocolError'>>>> =
  Object.freeze({
    VersionMismatch: 'ERR_VERSION',
    PayloadMismatch: 'ERR_CHECKSUM',
    InvalidSignature: 'ERR_SIGNATURE',
    MalformedBlock: 'ERR_MALFORMED',
    PayloadTooLarge: 'ERR_FRAME_TOO_LARGE',
    SerializationError: 'ERR_MALFORMED',
    UnsupportedVersion: 'ERR_VERSION',
    InvalidVersion: 'ERR_VERSION',
    ProtocolVersionTooOld: 'ERR_VERSION',
    ProtocolVersionMismatch: 'ERR_VERSION',
  })
const FIRST_NEGOTIATION_CODE = 20
const NAMES: ReadonlyMap<number, BlockCodeName> = new Map(
  Object.entries(BLOCK_CODES).map(([name, code]) => [code, name as BlockCodeName]),
)
