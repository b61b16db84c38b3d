import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../testing/manual-clock.ts'
import type { CertificateInfo } from './certificate-check.ts'
import { daysLeft, ExpiryWatch, expiryMark } from './expiry-watch.ts'

const DAY = 86_400_000

test('expiryMark says which mark is reached', () => {
  const table: [leftMs: number, mark: number | undefined, days: number][] = [
    [30 * DAY + 1, undefined, 30],
    [30 * DAY, 30, 30],
    [14 * DAY + 1, 30, 14],
    [14 * DAY, 14, 14],
    [7 * DAY, 7, 7],
    [1 * DAY + 1, 7, 1],
    [1 * DAY, 1, 1],
    [1, 1, 0],
    [0, 0, 0],
    [-1, 0, -1],
  ]
  for (const [leftMs, mark, days] of table) {
    assert.equal(expiryMark(1_000 * DAY, 1_000 * DAY - leftMs), mark, `${leftMs}`)
    assert.equal(daysLeft(1_000 * DAY, 1_000 * DAY - leftMs), days, `${leftMs}`)
  }
})

test('ExpiryWatch reports each mark once, by the wall clock, however that jumps', () => {
  const clock = new ManualClock()
  const marks: number[] = []
  const gauges = new Map<string, number>()
  const meter = {
    gauge: (name: string, _options: unknown, attributes: Record<string, unknown> = {}) => ({
      set: (value: number) =>
        void gauges.set(`${name} ${attributes['tls.certificate.subject']}`, value),
      add() {},
    }),
  }
  const watch = new ExpiryWatch({
    clock,
    meter: meter as never,
    onExpiry: ({ mark }) => marks.push(mark),
  })
  const validToMs = clock.wallNow() + 40 * DAY
  watch.use([certificate('a', validToMs)])
  assert.deepEqual(marks, [])
  assert.equal(gauges.get('heddle.tls.certificate.expiry CN=a'), validToMs / 1_000)
  clock.advance(11 * DAY)
  assert.deepEqual(marks, [30])
  clock.jumpWall(10 * DAY)
  clock.advance(3_600_000)
  assert.deepEqual(marks, [30], 'nineteen days are left')
  clock.jumpWall(-30 * DAY)
  clock.advance(3_600_000)
  clock.jumpWall(30 * DAY)
  clock.advance(3_600_000)
  assert.deepEqual(marks, [30], 'back and forth is no news')
  clock.jumpWall(18 * DAY)
  clock.advance(3_600_000)
  assert.deepEqual(marks, [30, 1], 'a jump over two marks is one report')
  clock.advance(2 * DAY)
  assert.deepEqual(marks, [30, 1, 0])
  watch.use([certificate('a', validToMs + 90 * DAY)])
  assert.deepEqual(marks, [30, 1, 0], 'renewed')
  assert.equal(clock.pendingTimers, 1)
  watch[Symbol.dispose]()
  assert.equal(clock.pendingTimers, 0)
})

function certificate(name: string, validToMs: number): CertificateInfo {
  return {
    subject: `CN=${name}`,
    issuer: 'CN=i',
    names: undefined,
    fingerprint256: `${name}${validToMs}`,
    serialNumber: '1',
    validFromMs: 0,
    validToMs,
  }
}
