import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ERROR_CODES, type ErrorClass, type ErrorCode } from './error-codes.ts'
import * as errors from './errors.ts'
import { HeddleError } from './errors.ts'

type AnyErrorClass = new (
  code: ErrorCode,
  message: string,
  options?: errors.HeddleErrorOptions,
) => HeddleError

const CLASSES: Readonly<Record<ErrorClass, AnyErrorClass>> = {
  UsageError: errors.UsageError as AnyErrorClass,
  ProtocolError: errors.ProtocolError as AnyErrorClass,
  RemoteError: errors.RemoteError as AnyErrorClass,
  AccessError: errors.AccessError as AnyErrorClass,
  TransportError: errors.TransportError as AnyErrorClass,
  TimeoutError: errors.TimeoutError as AnyErrorClass,
  OverloadError: errors.OverloadError as AnyErrorClass,
  ClosedError: errors.ClosedError as AnyErrorClass,
  InternalError: errors.InternalError as AnyErrorClass,
}

test('every code makes an error of its class, with its retryability, blame and name', () => {
  for (const [code, entry] of Object.entries(ERROR_CODES)) {
    const error = new CLASSES[entry.class](code as ErrorCode, 'why')
    assert.equal(error.code, code)
    assert.equal(error.name, entry.class)
    assert.equal(error.retryable, entry.retryable)
    assert.equal(error.message, 'why')
    assert.ok(error instanceof Error && error instanceof HeddleError)
    for (const [name, Class] of Object.entries(CLASSES)) {
      assert.equal(error instanceof Class, name === entry.class, `${code} instanceof ${name}`)
    }
    assert.ok(code.startsWith('ERR_') && entry.text.length > 0)
  }
})

test('every class says whose fault it is and what had been sent by default', () => {
  const table: readonly (readonly [HeddleError, errors.Blame, errors.Sent])[] = [
    [new errors.UsageError('ERR_ARGUMENT', ''), 'caller', 'nothing'],
    [new errors.ProtocolError('ERR_PROTOCOL', ''), 'peer', 'some'],
    [new errors.RemoteError('ERR_REMOTE', ''), 'peer', 'all'],
    [new errors.TransportError('ERR_RESET', ''), 'network', 'some'],
    [new errors.TimeoutError('ERR_DEADLINE', ''), 'unknown', 'some'],
    [new errors.OverloadError('ERR_SHED', ''), 'load', 'nothing'],
    [new errors.ClosedError('ERR_CLOSED', ''), 'lifecycle', 'nothing'],
    [new errors.InternalError('ERR_INVARIANT', ''), 'library', 'some'],
  ]
  for (const [error, blame, sent] of table) {
    assert.equal(error.blame, blame, error.name)
    assert.equal(error.sent, sent, error.name)
    assert.deepEqual(error.attempts, [])
  }
})

test('HeddleError keeps what the place that throws knows better', () => {
  const cause = new Error('below')
  const error = new errors.TransportError('ERR_RESET', 'reset', {
    cause,
    retryable: 'yes',
    sent: 'nothing',
    status: 503,
    detail: { bytes: 7 },
  })
  assert.equal(error.cause, cause)
  assert.equal(error.retryable, 'yes')
  assert.equal(error.sent, 'nothing')
  assert.equal(error.status, 503)
  assert.deepEqual(error.detail, { bytes: 7 })
  assert.ok(!('cause' in new errors.TransportError('ERR_RESET', '')), 'cause where there is none')
})

test('instanceof recognises errors of another copy of the package', async () => {
  const url = new URL('./errors.ts?another-copy', import.meta.url)
  const other = (await import(url.href)) as typeof errors
  assert.notEqual(other.ProtocolError, errors.ProtocolError)
  const theirs = new other.ProtocolError('ERR_MALFORMED', 'theirs')
  assert.ok(theirs instanceof HeddleError)
  assert.ok(theirs instanceof errors.ProtocolError)
  assert.ok(!(theirs instanceof errors.TransportError))
  const ours = new errors.TimeoutError('ERR_IDLE', 'ours')
  assert.ok(ours instanceof other.TimeoutError && !(ours instanceof other.ProtocolError))
})

test('instanceof refuses what only looks like an error of ours', () => {
  const named = new Error('x')
  named.name = 'ProtocolError'
  for (const value of [named, { code: 'ERR_RESET' }, null, undefined, 'ERR_RESET', 7]) {
    assert.ok(!((value as unknown) instanceof HeddleError))
    assert.ok(!((value as unknown) instanceof errors.ProtocolError))
  }
})

test('checkRange accepts both ends, refuses one past, NaN, and names all numbers', () => {
  assert.equal(errors.checkRange('x', 1, 1, 5), 1)
  assert.equal(errors.checkRange('x', 5, 1, 5), 5)
  assert.equal(errors.checkRange('x', 2.5, 1, 5), 2.5)
  for (const value of [0.999, 5.001, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => errors.checkRange('x', value, 1, 5), {
      name: 'UsageError',
      code: 'ERR_OPTION_RANGE',
      message: `x is ${value}, must be 1 to 5`,
    })
  }
})

test('checkInteger refuses fractions and what is not a number', () => {
  assert.equal(errors.checkInteger('n', 3, 0, 3), 3)
  assert.throws(() => errors.checkInteger('n', 2.5, 0, 3), /n is 2.5, must be a whole number/)
  assert.throws(() => errors.checkInteger('n', '3' as unknown as number, 0, 3), {
    code: 'ERR_OPTION_RANGE',
  })
  assert.throws(() => errors.checkInteger('n', 4, 0, 3), /must be 0 to 3/)
})

test('toError returns errors untouched and keeps any other value as the cause', () => {
  const error = new Error('mine')
  assert.equal(errors.toError(error), error)
  const wrapped = errors.toError('text')
  assert.equal(wrapped.message, 'text')
  assert.equal(wrapped.cause, 'text')
  assert.equal(errors.toError(undefined).message, 'undefined')
})
