import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Call } from '../../core/context.ts'
import { OverloadError, ProtocolError, TimeoutError, TransportError } from '../../core/errors.ts'
import { createHttpClassifier, errorResponse, httpClassifier } from './classifier.ts'
import { HttpRequest, HttpResponse } from './messages.ts'

const context = new Call()
const request = new HttpRequest()

test('httpClassifier knows idempotent methods and the Idempotency-Key', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']) {
    assert.equal(httpClassifier.isIdempotent(new HttpRequest({ method })), true, method)
  }
  assert.equal(httpClassifier.isIdempotent(new HttpRequest({ method: 'POST' })), false)
  const keyed = new HttpRequest({ method: 'POST', fields: { 'idempotency-key': 'a' } })
  assert.equal(httpClassifier.isIdempotent(keyed), true)
})

test('httpClassifier judges statuses', () => {
  // status, failed, endpointFailure, retry
  const table = [
    [200, false, false, false],
    [404, false, false, false],
    [429, true, false, true],
    [500, true, true, false],
    [501, true, true, false],
    [502, true, true, true],
    [503, true, true, true],
    [504, true, true, true],
  ] as const
  for (const [status, failed, endpointFailure, retry] of table) {
    const verdict = httpClassifier.classifyResponse(request, new HttpResponse({ status }), context)
    assert.deepEqual(
      [verdict.failed, verdict.endpointFailure, verdict.retry],
      [failed, endpointFailure, retry],
      String(status),
    )
  }
})

test('httpClassifier reads Retry-After in seconds and as a date', () => {
  const now = Date.UTC(2026, 10, 24)
  const classifier = createHttpClassifier({ wallNow: () => now })
  const after = (value: string) =>
    classifier.classifyResponse(
      request,
      new HttpResponse({ status: 503, fields: { 'retry-after': value } }),
      context,
    ).pushbackMs
  assert.equal(after('2'), 2_000)
  assert.equal(after(new Date(now + 3_000).toUTCString()), 3_000)
  assert.equal(after(new Date(now - 3_000).toUTCString()), 0)
  assert.equal(after('soon'), undefined)
  // Somebody may still be at work on it: that it may come later does not make it safe to repeat.
  const late = new HttpResponse({ status: 504, fields: { 'retry-after': '2' } })
  assert.equal(classifier.classifyResponse(request, late, context).pushbackMs, undefined)
})

test('errorResponse answers by class and hides the inside', async () => {
  const table = [
    [new Error('secret'), 500],
    [new OverloadError('ERR_SHED', 'secret'), 503],
    [new OverloadError('ERR_LIMITED', 'secret'), 503],
    [new OverloadError('ERR_RATE_LIMITED', 'secret'), 429],
    [new TransportError('ERR_CONNECT_REFUSED', 'secret'), 502],
    [new TimeoutError('ERR_DEADLINE', 'secret'), 504],
    [new ProtocolError('ERR_LIMIT', 'secret'), 413],
    [new ProtocolError('ERR_MALFORMED', 'secret', { status: 422 }), 422],
  ] as const
  for (const [error, status] of table) {
    const response = errorResponse(error)
    assert.equal(response.status, status, error.name)
    assert.doesNotMatch(await response.body.text(), /secret/)
  }
})

test('httpClassifier does not blame the endpoint for a request whose own body broke', () => {
  const error = new TransportError('ERR_DISCONNECTED', 'the client went away')
  const sent = new HttpRequest({ method: 'PUT', body: 'whole' })
  assert.equal(httpClassifier.classifyError(sent, error, context).endpointFailure, true)
  sent.body.failure = error
  const verdict = httpClassifier.classifyError(sent, error, context)
  assert.deepEqual([verdict.failed, verdict.endpointFailure, verdict.retry], [true, false, false])
})

test('errorResponse tells when to come again, and what is left of a quota', () => {
  const rateLimit = { name: 'addr"ess', quota: 5, windowMs: 1_500, remaining: 0, resetMs: 1_200 }
  const limited = errorResponse(
    new OverloadError('ERR_RATE_LIMITED', 'x', { detail: { retryAfterMs: 1_200, rateLimit } }),
  )
  assert.equal(limited.status, 429)
  assert.equal(limited.fields.get('retry-after'), '2')
  assert.equal(limited.fields.get('ratelimit-policy'), '"addr\\"ess";q=5;w=2')
  assert.equal(limited.fields.get('ratelimit'), '"addr\\"ess";r=0;t=2')
  const full = errorResponse(
    new OverloadError('ERR_SHED', 'x', { detail: { retryAfterMs: 10, depth: 9, limit: 9 } }),
  )
  assert.equal(full.status, 503)
  assert.equal(full.fields.get('retry-after'), '1')
  const never = errorResponse(
    new OverloadError('ERR_RATE_LIMITED', 'x', { detail: { retryAfterMs: Infinity } }),
  )
  assert.equal(never.fields.get('retry-after'), undefined)
})

test('httpClassifier waits as RateLimit says where there is no Retry-After', () => {
  const after = (fields: Record<string, string>) =>
    httpClassifier.classifyResponse(request, new HttpResponse({ status: 429, fields }), context)
      .pushbackMs
  assert.equal(after({ ratelimit: '"a";r=0;t=3' }), 3_000)
  assert.equal(after({ ratelimit: '"a";r=0;t=3, "b, c;r=0;t=99";r=1;t=9, d ; r=0 ; t=7' }), 7_000)
  assert.equal(after({ ratelimit: '"a";r=3;t=3' }), undefined)
  assert.equal(after({ ratelimit: 'nonsense' }), undefined)
  // An answer that was executed is no refusal, whatever is left of a share.
  for (const status of [200, 502, 503, 504]) {
    const answer = new HttpResponse({ status, fields: { ratelimit: '"a";r=0;t=3' } })
    assert.equal(httpClassifier.classifyResponse(request, answer, context).pushbackMs, undefined)
  }
  assert.equal(after({ ratelimit: `"a";r=0;t=${'9'.repeat(20)}` }), undefined)
  assert.equal(after({ ratelimit: '"a";r=0;t=3', 'retry-after': '1' }), 1_000)
})
