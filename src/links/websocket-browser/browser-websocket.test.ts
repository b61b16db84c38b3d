/** The platform's WebSocket: Node's own against our server, and a fake for what is hard to bring about. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeddleError } from '../../core/errors.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { webSocket } from '../websocket/websocket.ts'
import type { WebSocketConnection } from '../websocket/websocket-connection.ts'
import type { BrowserConnection, PlatformWebSocket } from './browser-connection.ts'
import { type BrowserWebSocketOptions, browserWebSocket } from './browser-websocket.ts'

const url = (text: string) => ({ kind: 'url' as const, url: text })

/** What a connection tells, one line each. */
function listen(connection: BrowserConnection, text: boolean = true): string[] {
  const heard: string[] = []
  connection.open({
    onMessage: (message) => void heard.push(`bytes ${message.length}`),
    ...(text && { onText: (message: string) => void heard.push(`text ${message}`) }),
    onDrain: () => void heard.push('drain'),
    onEnd: () => void heard.push('end'),
    onClose: (reason) =>
      void heard.push(`close ${reason instanceof HeddleError ? reason.code : reason}`),
  })
  return heard
}

test('browserWebSocket over the WebSocket of Node talks to our server and closes cleanly', async () => {
  const closed = Promise.withResolvers<void>()
  const listener = await webSocket({ subprotocols: ['echo'] }).listen(url('ws://127.0.0.1:0/e'), {
    onConnection(connection: WebSocketConnection) {
      connection.open({
        onMessage: (message) => void connection.send(message.slice()),
        onText: (message) => void connection.sendText(message),
        onDrain() {},
        onEnd() {},
        onClose: () => closed.resolve(),
      })
    },
  })
  const connection = await browserWebSocket({ subprotocols: ['x', 'echo'] }).connect(
    listener.address,
  )
  assert.equal(connection.subprotocol, 'echo')
  const heard: string[] = []
  const done = Promise.withResolvers<void>()
  connection.open({
    onMessage(message) {
      heard.push(`bytes ${message.length}`)
      if (heard.length === 3) connection.end()
    },
    onText: (message) => void heard.push(message),
    onDrain() {},
    onEnd: () => void heard.push('end'),
    onClose(reason) {
      heard.push(`close ${reason}`)
      done.resolve()
    },
  })
  connection.send(new Uint8Array(100_000))
  connection.sendText('héllo')
  connection.send(new Uint8Array(0))
  await done.promise
  assert.deepEqual(heard, ['bytes 100000', 'héllo', 'bytes 0', 'end', 'close undefined'])
  await closed.promise
  await listener.close()
  await assert.rejects(browserWebSocket().connect(listener.address), { code: 'ERR_CONNECT' })
})

class FakeWebSocket implements PlatformWebSocket {
  static last: FakeWebSocket
  binaryType = 'blob'
  bufferedAmount = 0
  protocol = ''
  onopen: PlatformWebSocket['onopen'] = null
  onerror: PlatformWebSocket['onerror'] = null
  onmessage: PlatformWebSocket['onmessage'] = null
  onclose: PlatformWebSocket['onclose'] = null
  readonly closes: (number | undefined)[] = []
  constructor() {
    FakeWebSocket.last = this
  }
  send(data: Uint8Array | string): void {
    this.bufferedAmount += data.length
  }
  close(code?: number): void {
    this.closes.push(code)
  }
}

async function setUp(options: BrowserWebSocketOptions = {}) {
  const clock = new ManualClock()
  const transport = browserWebSocket({ clock, WebSocket: FakeWebSocket, ...options })
  const connecting = transport.connect(url('ws://a/'), { deadline: clock.now() + 1_000 })
  const socket = FakeWebSocket.last
  socket.onopen?.()
  return { clock, socket, connection: await connecting }
}

const give = (socket: FakeWebSocket, data: ArrayBuffer | string): void =>
  socket.onmessage?.({ data })

test('browserWebSocket asks for array buffers and leaves no timer of connecting', async () => {
  const { clock, socket } = await setUp()
  assert.equal(socket.binaryType, 'arraybuffer')
  assert.equal(clock.pendingTimers, 0)
})

test('browserWebSocket: send says false over the mark, and asks until what waited has left', async () => {
  const { clock, socket, connection } = await setUp({ highWaterMarkBytes: 100 })
  const heard = listen(connection)
  assert.equal(connection.send(new Uint8Array(100)), true)
  assert.equal(connection.send(new Uint8Array(1)), false)
  assert.equal(connection.writableLength, 101)
  await clock.advanceAsync(50)
  assert.deepEqual(heard, [])
  socket.bufferedAmount = 0
  await clock.advanceAsync(10)
  assert.deepEqual(heard, ['drain'])
  await clock.advanceAsync(50)
  assert.deepEqual([heard, clock.pendingTimers], [['drain'], 0])
})

test('browserWebSocket queues while it is paused, to a limit, and closes one byte past it', async () => {
  const { clock, socket, connection } = await setUp({ maxQueuedBytes: 2 * (64 + 10) })
  const heard = listen(connection)
  await clock.settle()
  connection.pause()
  give(socket, new ArrayBuffer(10))
  give(socket, 'ten chars.')
  await clock.settle()
  assert.deepEqual([heard, socket.closes], [[], []])
  connection.resume()
  await clock.settle()
  assert.deepEqual(heard, ['bytes 10', 'text ten chars.'])
  connection.pause()
  give(socket, new ArrayBuffer(10))
  give(socket, new ArrayBuffer(11))
  await clock.settle()
  assert.deepEqual(socket.closes, [4009])
  assert.deepEqual(heard.slice(2), ['close ERR_FRAME_TOO_LARGE'])
})

test('browserWebSocket keeps order and the end behind what waits', async () => {
  const { clock, socket, connection } = await setUp()
  give(socket, 'early')
  const heard = listen(connection)
  give(socket, 'second')
  socket.onclose?.({ code: 1000, reason: '' })
  await clock.settle()
  assert.deepEqual(heard, ['text early', 'text second', 'end', 'close undefined'])
})

test('browserWebSocket tells a lost connection, a refusal and a clean end apart', async () => {
  for (const [code, expected] of [
    [1006, ['close ERR_DISCONNECTED']],
    [1008, ['end', 'close ERR_REMOTE']],
    [1001, ['end', 'close undefined']],
  ] as const) {
    const { clock, socket, connection } = await setUp()
    const heard = listen(connection)
    socket.onclose?.({ code, reason: '' })
    await clock.settle()
    assert.deepEqual(heard, expected)
    assert.equal(connection.send(new Uint8Array(1)), false)
  }
})

test('browserWebSocket refuses text where bytes are understood only, and messages too long', async () => {
  const words = await setUp()
  const heard = listen(words.connection, false)
  await words.clock.settle()
  give(words.socket, 'words')
  await words.clock.settle()
  assert.deepEqual([words.socket.closes, heard], [[4003], ['close ERR_PROTOCOL']])

  const long = await setUp({ maxMessageBytes: 10 })
  const told = listen(long.connection)
  assert.throws(() => long.connection.send(new Uint8Array(11)), { code: 'ERR_FRAME_TOO_LARGE' })
  assert.throws(() => long.connection.sendText('€€€€'), { code: 'ERR_FRAME_TOO_LARGE' })
  long.connection.send(new Uint8Array(10))
  await long.clock.settle()
  give(long.socket, new ArrayBuffer(10))
  give(long.socket, new ArrayBuffer(11))
  await long.clock.settle()
  assert.deepEqual(told, ['bytes 10', 'close ERR_FRAME_TOO_LARGE'])
})

test('browserWebSocket: destroy gives its reason once, and nothing comes after it', async () => {
  const { clock, socket, connection } = await setUp()
  const reason = new Error('mine')
  let told: Error | undefined
  connection.open({
    onMessage: () => assert.fail('after destroy'),
    onDrain() {},
    onEnd: () => assert.fail('after destroy'),
    onClose: (error) => {
      assert.equal(told, undefined)
      told = error
    },
  })
  connection.destroy(reason)
  connection.destroy()
  give(socket, 'late')
  socket.onclose?.({ code: 1006, reason: '' })
  await clock.settle()
  assert.equal(told, reason)
  assert.deepEqual([clock.pendingTimers, connection.writableLength], [0, 0])
})

test('browserWebSocket gives up at its deadline and when its signal aborts', async () => {
  const clock = new ManualClock()
  const transport = browserWebSocket({ clock, WebSocket: FakeWebSocket })
  const late = transport.connect(url('ws://a/'), { deadline: clock.now() + 5 })
  late.catch(() => {})
  await clock.advanceAsync(5)
  await assert.rejects(late, { code: 'ERR_CONNECT_TIMEOUT', sent: 'nothing' })
  const controller = new AbortController()
  const aborted = transport.connect(url('ws://a/'), { signal: controller.signal })
  controller.abort(new Error('enough'))
  await assert.rejects(aborted, /enough/)
  assert.equal(clock.pendingTimers, 0)
  await assert.rejects(transport.connect(url('ws://a/'), { signal: controller.signal }), /enough/)
  await assert.rejects(transport.connect(url('http://a/')), { code: 'ERR_ADDRESS_INVALID' })
  await assert.rejects(transport.listen(), { code: 'ERR_OPTION_UNSUPPORTED' })
})
