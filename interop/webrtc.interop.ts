/**
 * WebRTC against other implementations, both ways: node-datachannel used bare, werift, aiortc and
 * Chromium. A last suite runs the whole transport kit over the real library.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { PeerConnection } from 'node-datachannel'
import { RTCPeerConnection as WeriftPeerConnection } from 'werift'
import { parseAddress } from '../src/core/address.ts'
import { byteStream } from '../src/links/byte-stream/byte-stream.ts'
import { signallingClient } from '../src/links/webrtc-signalling/connect-signalling.ts'
import { memorySignalling } from '../src/links/webrtc-signalling/memory-signalling.ts'
import { signallingServer } from '../src/links/webrtc-signalling/signalling-server.ts'
import { webSocket } from '../src/links/websocket/websocket.ts'
import { webSocketUpgrade } from '../src/links/websocket/websocket-upgrade.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { HttpResponse } from '../src/protocols/http/messages.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { transportConformance } from '../src/testing/transport-conformance.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import type { WebRtcConnection } from '../src/transports/webrtc/channel-connection.ts'
import { nodeDataChannelDriver } from '../src/transports/webrtc/node-datachannel-driver.ts'
import type { Signalling, SignalMessage } from '../src/transports/webrtc/signalling.ts'
import { w3cDriver } from '../src/transports/webrtc/w3c-driver.ts'
import { webRtc } from '../src/transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../src/transports/webrtc/webrtc-address.ts'
import { MessageRecorder } from '../test/transports/message-recorder.ts'
import { requirePeer } from './peers.ts'
import { openPage, pageResponse } from './support/browser-page.ts'

const aiortc = requirePeer('python-aiortc')
const chromium = requirePeer('chromium')
const AIORTC = fileURLToPath(new URL('support/aiortc-peer.py', import.meta.url))
const SIZES = [0, 1, 1_000, 16_384, 65_536]
const LOOPBACK = { bindAddress: '127.0.0.1' }
const filled = (length: number): Buffer => Buffer.alloc(length, length % 251)

/** Sends every size, and gets it back. */
async function ask(
  connection: WebRtcConnection,
  sizes: readonly number[] = SIZES,
): Promise<MessageRecorder> {
  const client = new MessageRecorder(connection).open()
  for (const size of sizes) connection.send(filled(size))
  await client.until(() => client.messages.length === sizes.length || client.closed !== undefined)
  assert.deepEqual(
    client.messages.map((message, index) => filled(sizes[index]!).equals(message)),
    sizes.map(() => true),
  )
  return client
}

function echoing(connection: WebRtcConnection): MessageRecorder {
  const echo = Object.assign(new MessageRecorder(connection), {
    onText: (text: string) => void connection.sendText(text),
  })
  echo.onNext = (message) => void connection.send(message.slice())
  return echo.open()
}

/** A member of the signalling that is no heddle: what it is sent, and how it answers. */
async function outsider(signalling: Signalling, name: string) {
  const arrived: SignalMessage[] = []
  let heard: (message: SignalMessage) => void = (message) => void arrived.push(message)
  const membership = await signalling.join(name, {
    onSignal: (message) => heard(message),
    onUndeliverable() {},
    onLost() {},
  })
  let seq = 0
  return {
    send(to: string, session: string, part: Partial<SignalMessage> & Pick<SignalMessage, 'type'>) {
      membership.send({ ...part, from: name, to, session, seq })
      seq += 1
    },
    listen(handler: (message: SignalMessage) => void) {
      heard = handler
      for (const message of arrived) handler(message)
    },
  }
}

test('we ask a peer that uses node-datachannel bare', async () => {
  const signalling = memorySignalling()
  const bare = await outsider(signalling, 'bare')
  const peer = new PeerConnection('bare', { iceServers: [], ...LOOPBACK })
  // A peer that nobody asks for its state keeps the process alive, also when it is closed.
  peer.onStateChange(() => {})
  const channels: ReturnType<PeerConnection['createDataChannel']>[] = []
  peer.onDataChannel((channel) => {
    channels.push(channel)
    channel.onMessage((message) => {
      if (typeof message === 'string') channel.sendMessage(message)
      else channel.sendMessageBinary(Buffer.from(message as Buffer))
    })
    channel.onClosed(() => peer.close())
  })
  bare.listen(({ type, from, session, sdp, candidate }) => {
    if (type === 'offer') {
      peer.onLocalDescription((answer) => bare.send(from, session, { type: 'answer', sdp: answer }))
      peer.onLocalCandidate((one, mid) => {
        bare.send(from, session, { type: 'candidate', candidate: { candidate: one, mid } })
      })
      peer.setRemoteDescription(sdp!, 'offer')
    } else if (type === 'candidate') peer.addRemoteCandidate(candidate!.candidate, candidate!.mid)
  })
  const transport = webRtc({ signalling, ...LOOPBACK })
  const connection = await transport.connect(webRtcAddress('bare'))
  assert.equal(connection.facts.webRtc.flowControl, false)
  const client = await ask(connection)
  connection.end()
  await client.until(() => client.closed !== undefined)
  assert.deepEqual(client.closed, { reason: undefined })
})

test('a peer that uses node-datachannel bare asks us', async () => {
  const signalling = memorySignalling()
  const accepted: MessageRecorder[] = []
  const listener = await webRtc({ signalling, ...LOOPBACK }).listen(webRtcAddress('us'), {
    onConnection: (one) => void accepted.push(echoing(one as WebRtcConnection)),
  })
  const bare = await outsider(signalling, 'bare')
  const session = 'ab'.repeat(16)
  const peer = new PeerConnection('bare', { iceServers: [], ...LOOPBACK })
  peer.onStateChange(() => {})
  peer.onLocalDescription((sdp) => bare.send('us', session, { type: 'offer', sdp }))
  // As our side does: candidates wait for the answer, or libdatachannel may fail its handshake.
  let answered = false
  const early: (() => void)[] = []
  peer.onLocalCandidate((candidate, mid) => {
    const tell = () =>
      bare.send('us', session, { type: 'candidate', candidate: { candidate, mid } })
    if (answered) tell()
    else early.push(tell)
  })
  bare.listen(({ type, sdp, candidate }) => {
    if (type === 'candidate') peer.addRemoteCandidate(candidate!.candidate, candidate!.mid)
    if (type !== 'answer') return
    peer.setRemoteDescription(sdp!, 'answer')
    answered = true
    for (const tell of early) tell()
  })
  const channel = peer.createDataChannel('bare', { protocol: 'echo' })
  const received: Buffer[] = []
  const done = Promise.withResolvers<void>()
  channel.onMessage((message) => {
    received.push(Buffer.from(message as Buffer))
    if (received.length === SIZES.length + 1) done.resolve()
  })
  channel.onOpen(() => {
    for (const size of SIZES) channel.sendMessageBinary(filled(size))
    channel.sendMessage('text')
  })
  await done.promise
  assert.deepEqual(received, [...SIZES.map(filled), Buffer.from('text')])
  const { label, protocol } = (accepted[0]!.connection as WebRtcConnection).facts.webRtc
  assert.deepEqual([label, protocol], ['bare', 'echo'])
  channel.onClosed(() => {})
  channel.close()
  await accepted[0]!.until(() => accepted[0]!.closed !== undefined)
  assert.deepEqual([accepted[0]!.ended, accepted[0]!.closed], [true, { reason: undefined }])
  peer.close()
  await listener.close()
})

const werift = () =>
  w3cDriver(WeriftPeerConnection as never, {
    configuration: { iceAdditionalHostAddresses: ['127.0.0.1'], iceServers: [] },
    toData: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  })

for (const [how, connecting, accepting] of [
  ['node-datachannel asks werift', nodeDataChannelDriver, async () => werift()],
  ['werift asks node-datachannel', async () => werift(), nodeDataChannelDriver],
] as const) {
  for (const flowControl of [true, false]) {
    test(`${how}, ${flowControl ? 'with' : 'without'} flow control`, async () => {
      const signalling = memorySignalling()
      const base = { signalling, flowControl, closeTimeoutMs: 500 }
      const [one, other] = [await connecting(), await accepting()]
      const native = (name: string) => (name === 'w3c' ? {} : LOOPBACK)
      const accepted: MessageRecorder[] = []
      const listener = await webRtc({ ...base, driver: other, ...native(other.name) }).listen(
        webRtcAddress('0'),
        {
          onConnection: (connection) => void accepted.push(echoing(connection as WebRtcConnection)),
        },
      )
      const transport = webRtc({ ...base, driver: one, ...native(one.name) })
      const connection = await transport.connect(listener.address)
      assert.equal(connection.facts.webRtc.flowControl, flowControl)
      assert.match(connection.facts.webRtc.remoteFingerprint ?? '', /^sha-256 /)
      // werift 0.23 stops at an empty message.
      const client = await ask(connection, SIZES.slice(1))
      connection.end()
      const server = accepted[0]!
      await server.until(() => server.ended)
      server.connection.end()
      await client.until(() => client.closed !== undefined)
      assert.deepEqual(client.closed, { reason: undefined })
      await listener.close()
    })
  }
}

test(`we ask aiortc ${aiortc.version}`, { skip: aiortc.skip }, async () => {
  const signalling = memorySignalling()
  const member = await outsider(signalling, 'aiortc')
  const child = spawn(aiortc.path, [AIORTC, 'answer'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)
  member.listen(({ type, from, session, sdp, candidate }) => {
    if (type === 'candidate') child.stdin.write(`${JSON.stringify(candidate)}\n`)
    if (type !== 'offer') return
    child.stdin.write(`${JSON.stringify({ type, sdp })}\n`)
    lines.once('line', (line) => member.send(from, session, JSON.parse(line)))
  })
  const connection = await webRtc({ signalling }).connect(webRtcAddress('aiortc'))
  const client = await ask(connection)
  const closed = once(lines, 'line')
  connection.end()
  assert.deepEqual(await closed, ['"closed"'])
  await client.until(() => client.closed !== undefined)
  child.stdin.end()
})

test(`aiortc ${aiortc.version} asks us`, { skip: aiortc.skip }, async () => {
  const signalling = memorySignalling()
  const accepted: MessageRecorder[] = []
  const listener = await webRtc({ signalling, closeTimeoutMs: 500 }).listen(webRtcAddress('us'), {
    onConnection: (one) => void accepted.push(echoing(one as WebRtcConnection)),
  })
  const member = await outsider(signalling, 'aiortc')
  const child = spawn(aiortc.path, [AIORTC, 'offer'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)
  member.listen(({ type, sdp, candidate }) => {
    if (type === 'answer') child.stdin.write(`${JSON.stringify({ type, sdp })}\n`)
    else if (type === 'candidate') child.stdin.write(`${JSON.stringify(candidate)}\n`)
  })
  const [offer] = await once(lines, 'line')
  member.send('us', 'cd'.repeat(16), JSON.parse(offer))
  assert.deepEqual(await once(lines, 'line'), ['"ok"'])
  await accepted[0]!.until(() => accepted[0]!.closed !== undefined)
  child.stdin.end()
  await listener.close()
})

/** The page: listens under one name, then asks ours. `window.told` is what the test waits for. */
const SCRIPT = `
import { browserSignalling, browserWebRtc, webRtcAddress } from '/bundles/transports/webrtc/browser.js'
const log = (line) => { document.querySelector('#log').textContent += line + '\\n' }
const sizes = ${JSON.stringify(SIZES)}
const signalling = browserSignalling(location.href.replace('http', 'ws') + 'signal')
const transport = browserWebRtc({ signalling, closeTimeoutMs: 500 })
const told = { received: [], accepted: 0 }
await transport.listen(webRtcAddress('page'), {
  onConnection(connection) {
    told.accepted++
    log('accepted from ' + connection.facts.remote.url)
    connection.open({
      onMessage: (message) => connection.send(message.slice()),
      onText: (text) => connection.sendText(text),
      onDrain() {},
      onEnd: () => connection.end(),
      onClose(reason) { log('theirs closed ' + reason); told.theirs = String(reason); done() },
    })
  },
})
log('listening')
const connection = await transport.connect(webRtcAddress('node'))
log('connected, flow control: ' + connection.facts.webRtc.flowControl)
told.flowControl = connection.facts.webRtc.flowControl
connection.open({
  onMessage(message) {
    told.received.push(message.length)
    log('received ' + message.length)
    if (told.received.length === sizes.length) connection.sendText('grüße')
  },
  onText(text) { told.text = text; connection.end() },
  onDrain() {},
  onEnd() {},
  onClose(reason) { log('ours closed ' + reason); told.ours = String(reason); done() },
})
for (const size of sizes) connection.send(new Uint8Array(size).fill(size % 251))
function done() { if (told.ours && told.theirs) window.told = told }
`

test(`a page in Chromium ${chromium.version} and Node reach each other, both ways`, {
  skip: chromium.skip,
}, async () => {
  const errors: unknown[] = []
  const signal = signallingServer({ onError: (error) => void errors.push(error) })
  const upgrade = webSocketUpgrade(signal.onConnection)
  await using server = httpServer(
    async (request) =>
      (request.path === '/signal' ? upgrade(request) : await pageResponse(request, SCRIPT)) ??
      new HttpResponse({ status: 404 }),
  )
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  assert.ok(address.kind === 'ip')
  const signalling = signallingClient(
    webSocket(),
    parseAddress(`ws://127.0.0.1:${address.port}/signal`),
  )
  const transport = webRtc({ signalling })
  const accepted: MessageRecorder[] = []
  const listener = await transport.listen(webRtcAddress('node'), {
    onConnection(connection) {
      const echo = echoing(connection as WebRtcConnection)
      accepted.push(echo)
      void echo.until(() => echo.ended).then(() => connection.end())
    },
  })
  const { browser, page, complaints } = await openPage(
    chromium.path,
    `http://127.0.0.1:${address.port}/`,
  )
  try {
    await page.waitForFunction("document.querySelector('#log').textContent.includes('listening')")
    const connection = await transport.connect(webRtcAddress('page'))
    const client = await ask(connection)
    connection.end()
    await client.until(() => client.closed !== undefined)
    assert.deepEqual(client.closed, { reason: undefined })
    await page.waitForFunction('window.told !== undefined', undefined, { timeout: 30_000 })
    const told = await page.evaluate<Record<string, unknown>>('window.told')
    assert.deepEqual(told, {
      received: SIZES,
      accepted: 1,
      flowControl: true,
      text: 'grüße',
      ours: 'undefined',
      theirs: 'undefined',
    })
    assert.deepEqual(complaints, [])
    assert.deepEqual(errors, [])
  } finally {
    await browser.close()
  }
  await listener.close()
})

// The kit over the real library. `nobody` and the bulk are as everywhere.
transportConformance(
  'webrtc over node-datachannel',
  {
    traits: { halfClose: true, secure: true, messageBoundaries: false },
    // Its threads move bytes in their own time.
    quietTurns: 60,
    create() {
      const signalling = memorySignalling()
      return {
        // A small window: full at once, and then nothing moves until it is read.
        transport: byteStream(
          webRtc({ signalling, maxMessageBytes: 65_536, receiveWindowBytes: 131_072, ...LOOPBACK }),
        ),
        address: webRtcAddress('0'),
        clock: systemClock,
        turn: () => new Promise((resolve) => setTimeout(resolve, 1)),
        leaks: { members: () => signalling.memberCount },
      }
    },
  },
  { test, ok: assert.ok, skip: test.skip },
)
