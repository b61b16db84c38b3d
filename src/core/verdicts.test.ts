import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from './context.ts'
import * as errors from './errors.ts'
import * as verdicts from './verdicts.ts'

test('verdictOfError blames the endpoint for what the network or the peer did, and nobody else', () => {
  const table: readonly (readonly [unknown, verdicts: object])[] = [
    [new Error('x'), verdicts.FAILED],
    ['text', verdicts.FAILED],
    [new errors.UsageError('ERR_ARGUMENT', ''), verdicts.FAILED],
    [new errors.ClosedError('ERR_ABORTED', ''), verdicts.FAILED],
    [new errors.ClosedError('ERR_DRAINING', ''), verdicts.FAILED_RETRY],
    [new errors.OverloadError('ERR_SHED', ''), verdicts.FAILED_RETRY],
    [new errors.RemoteError('ERR_REMOTE', ''), verdicts.FAILED],
    [new errors.RemoteError('ERR_REMOTE', '', { retryable: 'yes' }), verdicts.FAILED_RETRY],
    [new errors.TransportError('ERR_RESET', ''), verdicts.ENDPOINT_FAILED_RETRY],
    [new errors.TransportError('ERR_TLS', ''), verdicts.ENDPOINT_FAILED],
    [new errors.ProtocolError('ERR_MALFORMED', ''), verdicts.ENDPOINT_FAILED_RETRY],
    [
      new errors.TimeoutError('ERR_CONNECT_TIMEOUT', '', { sent: 'nothing' }),
      verdicts.ENDPOINT_FAILED_RETRY,
    ],
    [new errors.TimeoutError('ERR_DEADLINE', '', { sent: 'nothing' }), verdicts.FAILED_RETRY],
    [new errors.TimeoutError('ERR_DEADLINE', '', { sent: 'all' }), verdicts.ENDPOINT_FAILED_RETRY],
    [new errors.InternalError('ERR_INVARIANT', ''), verdicts.FAILED],
  ]
  for (const [error, expected] of table) {
    assert.equal(verdicts.verdictOfError(error, new Call()), expected, String(error))
  }
})

test('verdictOfError blames nobody for a caller that gave up, but the endpoint for a deadline', () => {
  const lost = new errors.TransportError('ERR_DISCONNECTED', 'the client left')
  const left = new Call()
  left.cancel(lost)
  assert.equal(verdicts.verdictOfError(lost, left), verdicts.FAILED)
  const late = new errors.TimeoutError('ERR_DEADLINE', '', { sent: 'all' })
  const expired = new Call()
  expired.cancel(late)
  assert.equal(verdicts.verdictOfError(late, expired), verdicts.ENDPOINT_FAILED_RETRY)
})

test('verdicts are shared and frozen', () => {
  for (const verdict of [verdicts.SUCCEEDED, verdicts.FAILED, verdicts.ENDPOINT_FAILED_RETRY]) {
    assert.ok(Object.isFrozen(verdict))
  }
  assert.equal(verdicts.SUCCEEDED.failed, false)
})
