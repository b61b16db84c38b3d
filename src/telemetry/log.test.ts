import assert from 'node:assert/strict'
import test from 'node:test'
import { TransportError } from '../core/errors.ts'
import { jsonLogger, type Logger, type LoggerOptions, silentLogger } from './log.ts'

const clock = { wallNow: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6) }

function capture(options?: LoggerOptions): {
  log: Logger
  last: () => Record<string, unknown>
  lines: string[]
} {
  const lines: string[] = []
  const log = jsonLogger((line) => lines.push(line), clock, options)
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown> }
}

test('jsonLogger writes one JSON object per line, times and names as agreed', () => {
  const { log, lines } = capture()
  log.info('started\n"now"', { connection_id: 7, protocol: 'http', gone: undefined })
  const expected =
    '{"ts":"2026-01-02T03:04:05.006Z","level":"info","msg":"started\\n\\"now\\"","connection_id":7,"protocol":"http"}\n'
  assert.deepEqual(lines, [expected])
})

test('jsonLogger writes levels from its own on', () => {
  const { log, lines } = capture({ level: 'warn' })
  log.debug('a')
  log.info('b')
  log.warn('c')
  log.error('d')
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { msg: string }).msg),
    ['c', 'd'],
  )
  assert.equal(log.isEnabled('info'), false)
  assert.equal(log.isEnabled('warn'), true)
  const silent = capture({ level: 'silent' })
  silent.log.error('e')
  assert.deepEqual(silent.lines, [])
  assert.throws(() => capture({ level: 'loud' as 'info' }), /level: loud/)
})

test('jsonLogger child carries its fields', () => {
  const { log, last } = capture()
  log.child({ worker_id: 1 }).child({ peer: 'a:1' }).info('hi', { n: 2 })
  const { ts: _ts, ...rest } = last()
  assert.deepEqual(rest, { level: 'info', msg: 'hi', worker_id: 1, peer: 'a:1', n: 2 })
})

test('jsonLogger never writes what is on the redaction list', () => {
  const { log, lines, last } = capture()
  log.info('request', {
    headers: { Authorization: 'Bearer abc', 'X-API-Key': 'abc', 'user-agent': 'curl' },
    accessToken: 'abc',
    nested: [{ password: 'abc' }],
  })
  assert.doesNotMatch(lines[0] as string, /abc/)
  assert.deepEqual(last()['headers'], {
    Authorization: '[redacted]',
    'X-API-Key': '[redacted]',
    'user-agent': 'curl',
  })
})

test('jsonLogger writes errors with code and causes, a stack only for unexpected ones', () => {
  const { log, last } = capture()
  const cause = new TypeError('inner')
  log.error('failed', { err: new TransportError('ERR_RESET', 'reset', { cause, sent: 'all' }) })
  const err = last()['err'] as Record<string, unknown>
  assert.equal(err['code'], 'ERR_RESET')
  assert.equal(err['message'], 'reset')
  assert.equal(err['sent'], 'all')
  assert.equal(err['stack'], undefined)
  const inner = err['cause'] as Record<string, unknown>
  assert.equal(inner['message'], 'inner')
  assert.match(String(inner['stack']), /TypeError: inner/)
})

test('jsonLogger bounds depth, entries and text', () => {
  const { log, last } = capture({ maxDepth: 2, maxEntries: 2, maxTextLength: 16 })
  log.info('x', {
    text16: 'a'.repeat(16),
    text17: 'a'.repeat(17),
    two: [1, 2],
    three: [1, 2, 3],
    object: { a: 1, b: 2, c: 3 },
    depth: { 2: { 3: 1 } },
  })
  const line = last()
  assert.equal(line['text16'], 'a'.repeat(16))
  assert.equal(line['text17'], `${'a'.repeat(16)}…`)
  assert.deepEqual(line['two'], [1, 2])
  assert.deepEqual(line['three'], [1, 2, '[1 more]'])
  assert.deepEqual(line['object'], { a: 1, b: 2, '…': 'more' })
  assert.deepEqual(line['depth'], { 2: { 3: 1 } })
  log.info('x', { depth: { 2: { 3: {} } } })
  assert.deepEqual(last()['depth'], { 2: { 3: '[deep]' } })
})

test('jsonLogger survives what JSON cannot say', () => {
  const { log, last } = capture()
  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  log.info('x', {
    cyclic,
    big: 12n,
    nan: Number.NaN,
    bytes: new Uint8Array(3),
    call: () => 1,
    when: new Date(Number.NaN),
    bad: {
      get secretly(): string {
        throw new Error('no')
      },
    },
  })
  const line = last()
  assert.equal(line['big'], '12')
  assert.equal(line['nan'], 'NaN')
  assert.equal(line['bytes'], '[3 bytes]')
  assert.equal(line['bad'], '[unreadable]')
  assert.match(JSON.stringify(line['cyclic']), /\[deep\]/)
})

test('jsonLogger does not let a field stand in for ts, level or msg', () => {
  const { log, lines } = capture()
  log.info('real', { msg: 'forged', level: 'debug', ts: 'never' })
  assert.equal(lines[0]?.match(/"msg"/g)?.length, 1)
  assert.doesNotMatch(lines[0] as string, /forged|debug|never/)
})

test('silentLogger writes nothing', () => {
  assert.equal(silentLogger.isEnabled('error'), false)
  silentLogger.child({}).error('x')
})
