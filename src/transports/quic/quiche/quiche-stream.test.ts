/** Bounds of what nobody reads, over an owner that counts as the connection does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { ConnectionFacts } from '../../../core/connection.ts'
import { CHUNK_OVERHEAD, QuicheStream } from './quiche-stream.ts'

/** Streams of one connection that keeps `maxUnreadBytes`. */
function made(maxUnreadBytes: number) {
  let unread = 0
  const resets: number[] = []
  const owner = {
    highWaterMarkBytes: 65_536,
    maxUnreadBytes,
    codeOf: () => 1,
    streamFacts: () => ({}) as ConnectionFacts,
    send: (_stream: QuicheStream, bytes: Uint8Array) => bytes.length,
    resetStream: (stream: QuicheStream) => void resets.push(stream.streamId),
    countUnread(bytes: number) {
      unread += bytes
      return unread <= maxUnreadBytes
    },
    streamClosed() {},
    tellUnreferenced() {},
  }
  const open = (streamId: number) => {
    const heard: number[] = []
    const ends: (string | undefined)[] = []
    const stream = new QuicheStream(owner, streamId, 'initiating')
    stream.open({
      onData: (chunk) => void heard.push(chunk.length),
      onDrain() {},
      onEnd() {},
      onClose: (reason) => void ends.push((reason as { code?: string } | undefined)?.code),
    })
    stream.pause()
    return { stream, heard, ends }
  }
  return { open, resets, unread: () => unread }
}

test('a stream of quiche that nobody reads is kept up to the limit, and reset one byte past it', async () => {
  const { open, resets, unread } = made(3 * (10 + CHUNK_OVERHEAD))
  const { stream, heard, ends } = open(0)
  await turn()
  for (let n = 0; n < 3; n++) stream.onData(new Uint8Array(10))
  await turn()
  assert.deepEqual([resets, ends, heard], [[], [], []])
  stream.onData(new Uint8Array(1))
  await turn()
  assert.deepEqual([resets, ends, unread()], [[0], ['ERR_LIMITED'], 0])
})

test('bytes that come one at a time count what they cost', async () => {
  const { open, ends, sent } = dripped(1_000)
  await open
  assert.deepEqual(ends, ['ERR_LIMITED'])
  assert.equal(sent(), Math.floor(1_000 / (1 + CHUNK_OVERHEAD)) + 1)
})

function dripped(limit: number) {
  const { open, resets } = made(limit)
  const { stream, ends } = open(0)
  let sent = 0
  const run = async (): Promise<void> => {
    await turn()
    while (resets.length === 0) {
      stream.onData(new Uint8Array(1))
      sent += 1
    }
    await turn()
  }
  return { open: run(), ends, sent: () => sent }
}

test('who reads again gets everything in order, and makes room for all streams', async () => {
  const { open, resets, unread } = made(4 * (10 + CHUNK_OVERHEAD))
  const one = open(0)
  const other = open(4)
  await turn()
  for (const length of [7, 8, 9]) one.stream.onData(new Uint8Array(length))
  other.stream.onData(new Uint8Array(10))
  one.stream.resume()
  await turn()
  assert.deepEqual(one.heard, [7, 8, 9])
  assert.equal(unread(), 10 + CHUNK_OVERHEAD)
  other.stream.onFin()
  other.stream.resume()
  await turn()
  assert.deepEqual([other.heard, unread(), resets], [[10], 0, []])
})
