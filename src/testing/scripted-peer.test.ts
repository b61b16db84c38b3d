import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '../core/connection.ts'
import { memoryPair } from '../transports/memory/memory-transport.ts'
import { ManualClock } from './manual-clock.ts'
import { ScriptedPeer, type ScriptStep } from './scripted-peer.ts'

test('ScriptedPeer plays a conversation to its end, in chunks of a byte', () => {
  const { clock, client, peer, log } = setUp([
    { expect: 'PING\r\n' },
    { send: '+PONG\r\n' },
    { waitMs: 50 },
    { send: Uint8Array.of(0x21) },
    { expectEnd: true },
    { end: true },
    { expectClose: true },
  ])
  client.write(ascii('PING\r\n'))
  clock.flush()
  assert.deepEqual(log, ['+PONG\r\n'])
  client.end()
  clock.advance(49)
  assert.deepEqual(log, ['+PONG\r\n'])
  clock.advance(1)
  assert.deepEqual(log, ['+PONG\r\n', '!', 'end', 'close'])
  peer.verify()
  assert.ok(peer.done)
})

test('ScriptedPeer names the step and the byte that differs', () => {
  const { clock, client, peer } = setUp([{ send: 'hello' }, { expect: 'GET /a' }])
  client.write(ascii('GET /b'))
  clock.flush()
  assert.throws(() => peer.verify(), /step 1 \("GET \/a"\) failed at byte 5; received "GET \/b"/)
  assert.ok(!peer.done)
})

test('ScriptedPeer names the step that was not reached', () => {
  const { clock, client, peer } = setUp([{ expect: 'abc' }, { end: true }])
  client.write(ascii('ab'))
  client.end()
  clock.flush()
  assert.throws(() => peer.verify(), /step 0 \("abc"\) was not reached; received "ab", ended/)
})

test('ScriptedPeer reports bytes that nobody expected', () => {
  const { clock, client, peer } = setUp([{ expect: 'a' }])
  client.write(ascii('ab'))
  clock.flush()
  assert.ok(peer.done)
  assert.throws(() => peer.verify(), /more came than the script expects: "b"/)
})

test('ScriptedPeer matches by a function, pauses, resumes and destroys', () => {
  let ran = 0
  const { clock, client, peer, log } = setUp([
    { match: (received) => received.indexOf(0x0a) + 1 },
    { pause: true },
    { run: () => ran++ },
    { resume: true },
    { expect: 'x' },
    { destroy: new Error('enough') },
  ])
  client.write(ascii('anything\nx'))
  clock.flush()
  peer.verify()
  assert.equal(ran, 1)
  assert.equal(peer.closeReason?.message, 'enough')
  assert.deepEqual(log, ['close'])
})

test('ScriptedPeer refuses to wait without a clock', () => {
  const [, server] = memoryPair({ clock: new ManualClock() })
  assert.throws(() => new ScriptedPeer(server, [{ waitMs: 1 }]).start(), { code: 'ERR_ARGUMENT' })
})

function setUp(steps: readonly ScriptStep[]) {
  const clock = new ManualClock()
  const [client, server] = memoryPair({ clock, maxChunkBytes: 1 })
  const peer = new ScriptedPeer(server, steps, clock).start()
  return { clock, client, peer, log: record(client) }
}

function record(connection: Connection): string[] {
  const log: string[] = []
  let data = -1
  connection.open({
    onData(chunk) {
      const text = String.fromCharCode(...chunk)
      if (data === log.length - 1 && data >= 0 && text !== '!') log[data] += text
      else data = log.push(text) - 1
    },
    onDrain() {},
    onEnd: () => void log.push('end'),
    onClose: () => void log.push('close'),
  })
  return log
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
