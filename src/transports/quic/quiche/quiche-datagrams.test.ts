import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ip } from '../../../core/address.ts'
import type { NativeMetrics } from './binding.ts'
import { QuicheDatagrams } from './quiche-datagrams.ts'

const LOCAL = ip('127.0.0.1', 1)
const PEER = ip('127.0.0.1', 2)

/** What the addon says of a connection can be set here, which no real one lets itself be told. */
function made(maxQueued: number) {
  const sent: Uint8Array[] = []
  const metrics: { -readonly [Name in keyof NativeMetrics]: NativeMetrics[Name] } = {
    rttMs: 1,
    pmtu: 1_200,
    datagramQueueDepth: 0,
  }
  const carrier = {
    sendDatagram: (payload: Uint8Array) => sent.push(payload) > 0,
    metrics: () => metrics,
  }
  const heard: number[] = []
  const socket = new QuicheDatagrams(carrier, LOCAL, PEER, maxQueued)
  const handler = {
    onDatagram: (payload: Uint8Array) => void heard.push(payload[0] ?? -1),
    onError() {},
    onClose() {},
  }
  return { socket, sent, metrics, heard, handler }
}

test('datagrams of quiche: 512 leave in one turn, one more is dropped, the next turn takes more', async () => {
  const { socket, sent } = made(0)
  for (let n = 0; n < 512; n++) assert.equal(socket.send(Uint8Array.of(1)), true)
  assert.equal(socket.send(Uint8Array.of(1)), false)
  assert.equal(socket.droppedCount, 1)
  assert.equal(sent.length, 512)
  await turn()
  assert.equal(socket.send(Uint8Array.of(1)), true)
})

test('datagrams of quiche are dropped while its queue is more than half full', async () => {
  const { socket, metrics } = made(0)
  metrics.datagramQueueDepth = 513
  assert.equal(socket.send(Uint8Array.of(1)), false)
  metrics.datagramQueueDepth = 512
  assert.equal(socket.send(Uint8Array.of(1)), true)
})

test('datagrams of quiche have the size that the path was found to carry', () => {
  const { socket, metrics } = made(0)
  assert.equal(socket.maxPayloadBytes, 1_156)
  assert.throws(() => socket.send(new Uint8Array(1_157)), { code: 'ERR_FRAME_TOO_LARGE' })
  metrics.pmtu = 1_472
  assert.equal(socket.send(new Uint8Array(1_428)), true)
  assert.equal(socket.maxPayloadBytes, 1_428)
  assert.throws(() => socket.send(new Uint8Array(1_429)), { code: 'ERR_FRAME_TOO_LARGE' })
})

test('datagrams of quiche wait for a handler up to their number; one more is counted', async () => {
  const { socket, heard, handler } = made(2)
  for (const first of [1, 2, 3]) socket.received(Uint8Array.of(first))
  assert.equal(socket.droppedCount, 1)
  socket.open(handler)
  assert.deepEqual(heard, []) // not from inside `open`
  await turn()
  assert.deepEqual(heard, [1, 2])
  socket.received(Uint8Array.of(4))
  assert.deepEqual(heard, [1, 2, 4])
})

test('datagrams of quiche pause inside their handler, and go on', async () => {
  const { socket, heard, handler } = made(5)
  for (const first of [1, 2, 3]) socket.received(Uint8Array.of(first))
  const onDatagram = (payload: Uint8Array): void => {
    handler.onDatagram(payload)
    if (payload[0] === 1) socket.pause()
  }
  socket.open({ ...handler, onDatagram })
  await turn()
  assert.deepEqual(heard, [1])
  socket.resume()
  await turn()
  assert.deepEqual(heard, [1, 2, 3])
})

test('datagrams of quiche are heard of no more after the close, which is told once', async () => {
  const { socket, heard, handler, sent } = made(5)
  const ends: (Error | undefined)[] = []
  socket.open({ ...handler, onClose: (reason) => void ends.push(reason) })
  await socket.close()
  socket.end(new Error('later'))
  socket.received(Uint8Array.of(1))
  assert.equal(socket.send(Uint8Array.of(1)), false)
  await turn()
  assert.deepEqual([heard, ends, sent], [[], [undefined], []])
})
