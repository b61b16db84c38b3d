/** What each error amounts to for who knows the seed's names; `kind` is stable. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ClosedError,
  OverloadError,
  ProtocolError,
  TimeoutError,
  TransportError,
  UsageError,
} from '../../core/errors.ts'
import { blockError } from '../../protocols/olocus/block-codes.ts'
import { NetworkError, networkError, networkErrorKind } from './network-error.ts'

const reassembly = { detail: { reason: 'reassembly' } }

const KINDS: readonly (readonly [string, unknown, retryable: boolean])[] = [
  ['Timeout', new TimeoutError('ERR_CONNECT_TIMEOUT', 'x'), true],
  ['Timeout', new TimeoutError('ERR_IDLE', 'x'), true],
  ['Timeout', new DOMException('x', 'TimeoutError'), true],
  ['ConnectionClosed', new ClosedError('ERR_CLOSED', 'x'), false],
  ['ConnectionClosed', new ClosedError('ERR_DRAINING', 'x'), false],
  ['ConnectionClosed', new TransportError('ERR_DISCONNECTED', 'x'), false],
  ['InvalidAddress', new UsageError('ERR_ADDRESS_INVALID', 'x'), false],
  ['PacketTooLarge', new ProtocolError('ERR_FRAME_TOO_LARGE', 'x'), false],
  ['PacketTooLarge', new ProtocolError('ERR_EXPANSION', 'x'), false],
  ['PacketTooLarge', blockError('PayloadTooLarge', 'x'), false],
  ['Tls', new TransportError('ERR_TLS', 'x'), false],
  ['Serialization', new ProtocolError('ERR_ENCODING', 'x'), false],
  ['Serialization', blockError('MalformedBlock', 'x'), false],
  ['Serialization', blockError('SerializationError', 'x'), false],
  ['Io', new TransportError('ERR_RESET', 'x'), true],
  ['Io', new TransportError('ERR_CONNECT_REFUSED', 'x'), true],
  ['Io', new ProtocolError('ERR_TRUNCATED', 'x'), true],
  ['Io', new Error('of somebody else'), true],
  ['ProtocolViolation', new ProtocolError('ERR_PROTOCOL', 'x'), false],
  ['InvalidBlock', blockError('InvalidSignature', 'x'), false],
  ['InvalidBlock', blockError('TimestampTooOld', 'x'), false],
  ['NegotiationFailed', blockError('NoCommonAlgorithm', 'x'), false],
  ['NegotiationFailed', blockError('DowngradeAttemptDetected', 'x'), false],
  ['NotSupported', new UsageError('ERR_OPTION_UNSUPPORTED', 'x'), false],
  ['Aborted', new DOMException('x', 'AbortError'), false],
  ['Overloaded', new OverloadError('ERR_BUSY', 'x'), true],
  ['ReassemblyFailed', new ProtocolError('ERR_TRUNCATED', 'x', reassembly), false],
  ['ReassemblyFailed', new ProtocolError('ERR_LIMIT', 'x', reassembly), false],
]

test('every kind of the seed stands for errors that it can be told from', () => {
  for (const [kind, error, retryable] of KINDS) {
    const found = networkError(error)
    const { code } = error as { code?: string }
    assert.deepEqual([found.kind, found.retryable], [kind, retryable], `${code} ${error}`)
    assert.equal(found.cause, error)
    assert.equal(networkErrorKind(error), kind)
  }
})

test('a NetworkError is itself, and carries the code of the block protocol', () => {
  const found = networkError(blockError('InvalidSignature', 'the signature is not of this block'))
  assert.deepEqual(
    [found.name, found.kind, found.blockCode, found.message],
    ['NetworkError', 'InvalidBlock', 'InvalidSignature', 'the signature is not of this block'],
  )
  assert.equal(networkError(found), found)
  assert.equal(networkErrorKind(found), 'InvalidBlock')
  assert.equal(new NetworkError('WebRtc', 'x').retryable, false)
})
