/**
 * Where a protocol's pushback plugs in: a stub of gRPC, whose classifier reads
 * `grpc-retry-pushback-ms` (gRFC A6) from the trailer, through the whole client stack.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '../../src/core/address.ts'
import { Call } from '../../src/core/context.ts'
import type { Classifier } from '../../src/core/policy.ts'
import { ENDPOINT_FAILED_RETRY, pushbackOf, SUCCEEDED } from '../../src/core/verdicts.ts'
import { createClient } from '../../src/runtime/client.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { seededRandom } from '../../src/testing/seeded-random.ts'
import { ScriptedExchanger, scriptedClassifier } from './scripted-exchanger.ts'

/** `UNAVAILABLE 250`: a status, and the trailer. */
const grpcLike: Classifier<string, string> = {
  ...scriptedClassifier,
  protocol: 'grpc',
  classifyResponse(_request, response) {
    const [status, trailer] = response.split(' ')
    if (status === 'OK') return SUCCEEDED
    return { ...ENDPOINT_FAILED_RETRY, pushbackMs: pushbackOf(trailer) }
  },
}

test('pushbackOf: milliseconds; negative or no number: never again; nothing: nothing', () => {
  for (const [text, expected] of [
    ['0', 0],
    ['250', 250],
    ['-1', Number.POSITIVE_INFINITY],
    ['soon', Number.POSITIVE_INFINITY],
    ['', Number.POSITIVE_INFINITY],
    ['1.5', Number.POSITIVE_INFINITY],
    ['12345678901', Number.POSITIVE_INFINITY],
    [undefined, undefined],
  ] as const) {
    assert.equal(pushbackOf(text), expected, String(text))
  }
})

for (const [trailer, request, secondAt] of [
  // The wait asked for, with 50 ms of our own at most; without one our own alone.
  ['250', 'get', 250],
  ['0', 'get', 0],
  [undefined, 'get', 0],
  // The peer asked for another attempt: it knows that nothing was done.
  ['250', 'post', 250],
  [undefined, 'post', undefined],
  ['-1', 'get', undefined],
  ['soon', 'get', undefined],
  // Longer than the policy waits: the caller sees the answer that says so.
  ['10001', 'get', undefined],
] as const) {
  const answer = trailer === undefined ? 'UNAVAILABLE' : `UNAVAILABLE ${trailer}`
  const when = secondAt === undefined ? 'is not sent again' : `is sent again after ${secondAt} ms`
  test(`a ${request} that is answered ${answer} ${when}`, async () => {
    const clock = new ManualClock()
    const sentAt: number[] = []
    const client = createClient<string, string>({
      endpoints: [{ address: ip('10.0.0.1', 80) }],
      connectEndpoint: async () =>
        new ScriptedExchanger({
          answer() {
            sentAt.push(clock.now())
            return sentAt.length === 1 ? answer : 'OK'
          },
        }),
      classifier: grpcLike,
      clock,
      random: seededRandom(7),
    })
    const startedAt = clock.now()
    const outcome = Promise.resolve(client.call(request, new Call()))
    await clock.advanceAsync(20_000)
    assert.equal(await outcome, secondAt === undefined ? answer : 'OK')
    assert.equal(sentAt.length, secondAt === undefined ? 1 : 2)
    if (secondAt === undefined) return
    const waited = (sentAt[1] as number) - startedAt
    assert.ok(waited >= secondAt && waited <= secondAt + 51, `${waited}`)
  })
}
