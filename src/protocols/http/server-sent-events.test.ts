import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsageError } from '../../core/errors.ts'
import {
  EventStreamDecoder,
  formatServerSentEvent,
  type ReceivedEvent,
} from './server-sent-events.ts'

function read(
  text: string | Uint8Array,
  step = 1_000_000,
  decoder = new EventStreamDecoder(),
): ReceivedEvent[] {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  const events: ReceivedEvent[] = []
  for (let at = 0; at < bytes.length; at += step) {
    decoder.push(bytes.slice(at, at + step))
    for (let event = decoder.next(); event !== undefined; event = decoder.next()) events.push(event)
  }
  decoder.end()
  return events
}

const of = (data: string, event = 'message', lastEventId = ''): ReceivedEvent => ({
  event,
  data,
  lastEventId,
})

test('EventStreamDecoder reads what the standard shows, however it is cut', () => {
  const table: [string, ReceivedEvent[]][] = [
    ['data: one\n\ndata: two\ndata: three\n\n', [of('one'), of('two\nthree')]],
    ['data:x\r\n\r\n', [of('x')]],
    ['data:x\r\rdata:y\r\r', [of('x'), of('y')]],
    ['data: x\r\n\ndata: y\n\r\n', [of('x'), of('y')]],
    ['\uFEFFdata: x\n\n', [of('x')]],
    ['event: add\ndata: 1\n\n', [of('1', 'add')]],
    ['event: add\n\ndata: 1\n\n', [of('1')]],
    [
      'id: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n',
      [of('a', 'message', '7'), of('b', 'message', '7'), of('c')],
    ],
    ['id: 7\0\ndata: a\n\n', [of('a')]],
    [': comment\n\ndata\n\ndata\ndata\n\n', [of(''), of('\n')]],
    ['data:  two spaces\n\n', [of(' two spaces')]],
    ['unknown: x\ndata: ü€😀\n\n', [of('ü€😀')]],
    ['data: never complete\n', []],
  ]
  for (const [text, expected] of table) {
    for (const step of [1_000_000, 1, 2, 3, 5]) {
      assert.deepEqual(read(text, step), expected, `${JSON.stringify(text)} in steps of ${step}`)
    }
  }
})

test('EventStreamDecoder replaces invalid UTF-8 and notes retry', () => {
  assert.deepEqual(read(Uint8Array.of(...Buffer.from('data: '), 0xff, 0x0a, 0x0a)), [of('\uFFFD')])
  const decoder = new EventStreamDecoder()
  read('retry: 250\n\nretry: 9x\n\n', 1, decoder)
  assert.equal(decoder.retryMs, 250)
})

test('EventStreamDecoder refuses an event over maxEventLength', () => {
  const within = `data: ${'x'.repeat(14)}\n\n`
  for (const step of [1_000, 1]) {
    const decoder = (): EventStreamDecoder => new EventStreamDecoder({ maxEventLength: 21 })
    assert.equal(read(within, step, decoder()).length, 1)
    const sticky = decoder()
    assert.throws(() => read(`data: ${'x'.repeat(16)}\n\n`, step, sticky), { code: 'ERR_LIMIT' })
    assert.throws(() => sticky.next(), { code: 'ERR_LIMIT' })
    assert.throws(() => read('data: x\n'.repeat(4), step, decoder()), { code: 'ERR_LIMIT' })
    assert.throws(() => read('x'.repeat(22), step, decoder()), { code: 'ERR_LIMIT' })
  }
})

test('formatServerSentEvent is read back as it was', () => {
  const text =
    formatServerSentEvent({ event: 'add', id: '7', data: 'a\r\nb\rc\nd' }) +
    formatServerSentEvent({ comment: 'still\nhere' }) +
    formatServerSentEvent({ retry: 100 }) +
    formatServerSentEvent({ data: ' leading space' })
  assert.deepEqual(read(text), [of('a\nb\nc\nd', 'add', '7'), of(' leading space', 'message', '7')])
})

test('formatServerSentEvent refuses what would be read as something else', () => {
  for (const bad of [
    { event: 'a\ndata: b' },
    { id: 'a\rb' },
    { id: 'a\0' },
    { retry: -1 },
    { retry: 1.5 },
  ]) {
    assert.throws(() => formatServerSentEvent(bad), UsageError, JSON.stringify(bad))
  }
})
