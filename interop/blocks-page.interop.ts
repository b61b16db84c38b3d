/**
 * A page in Chromium that makes, verifies and exchanges blocks with this process: over its WebSocket,
 * and over a data channel that it opens itself, without a line of ours under it.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { webRtcBlocks } from '../src/links/blocks/webrtc-blocks.ts'
import { webSocketBlocks } from '../src/links/blocks/websocket-blocks.ts'
import { memorySignalling } from '../src/links/webrtc-signalling/memory-signalling.ts'
import { HttpResponse } from '../src/protocols/http/messages.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { webRtcAvailability } from '../src/transports/webrtc/node-datachannel-driver.ts'
import type { SignalMessage } from '../src/transports/webrtc/signalling.ts'
import { requirePeer } from './peers.ts'
import { openPage, pageResponse } from './support/browser-page.ts'

const chromium = requirePeer('chromium')

/** What pages of both tests begin with. */
const COMMON = `
import * as heddle from '/bundles/blocks/browser.js'
const log = (line) => { document.querySelector('#log').textContent += line + '\\n' }
const key = await heddle.generateWebKey()
const options = { key, host: heddle.webSigning, timestamp: Math.floor(Date.now() / 1000) }
const small = await heddle.createGenesis(heddle.jsonPayload({ from: 'the page' }), options)
const large = await heddle.createNext(small, heddle.bytesPayload(new Uint8Array(200_000).fill(7)), options)
const verdict = await heddle.verifyChain([small, large], { host: heddle.webSigning })
log('chain in the page: ' + verdict.name)
async function exchange(connection) {
  for (const block of [small, large]) {
    await connection.sendBlock(block)
    const back = await connection.recvBlock()
    log(connection.transportType + ' block ' + back.index + ': ' + back.payloadSize + ' bytes back')
  }
  await connection.send(new Uint8Array([1, 2, 3]))
  log('raw: ' + [...await connection.recv()].join())
  window.told = document.querySelector('#log').textContent
}
`

const WEBSOCKET_PAGE = `${COMMON}
window.start = async (url) => exchange(await heddle.browserBlocks().connect(url))
window.ready = true
`

/** The platform's channel as a connection of messages: as little as it takes. */
const WEBRTC_PAGE = `${COMMON}
function connectionOf(channel) {
  channel.binaryType = 'arraybuffer'
  return {
    id: 1, ownsMessages: true, maxMessageBytes: 16384, facts: { transport: 'webrtc', tls: undefined },
    get writableLength() { return channel.bufferedAmount },
    open(handler) {
      channel.onmessage = ({ data }) => handler.onMessage(new Uint8Array(data))
      channel.onclose = () => handler.onClose(undefined)
    },
    send(bytes) { channel.send(bytes); return true },
    pause() {}, resume() {}, end() { channel.close() }, destroy() { channel.close() },
  }
}
window.start = async () => {
  const peer = new RTCPeerConnection()
  const channel = peer.createDataChannel('heddle')
  const session = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('')
  const candidates = []
  let answered = false
  window.onSignal = async (message) => {
    if (message.type === 'answer') {
      await peer.setRemoteDescription({ type: 'answer', sdp: message.sdp })
      answered = true
      for (const one of candidates.splice(0)) await peer.addIceCandidate(one)
    } else if (message.type === 'candidate') {
      const one = { candidate: message.candidate.candidate.replace(/^a=/, ''), sdpMid: message.candidate.mid }
      if (answered) await peer.addIceCandidate(one)
      else candidates.push(one)
    } else log('signal ' + message.type + ' ' + (message.reason ?? ''))
  }
  await peer.setLocalDescription(await peer.createOffer())
  await new Promise((resolve) => {
    if (peer.iceGatheringState === 'complete') resolve()
    peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve()
  })
  await window.signal({ type: 'offer', session, from: 'page', to: 'node', seq: 0, sdp: peer.localDescription.sdp })
  await new Promise((resolve) => { channel.onopen = resolve })
  await exchange(heddle.channelBlocks(connectionOf(channel)))
}
window.ready = true
`

const EXPECTED = (type: string): string[] => [
  'chain in the page: Ok',
  `${type} block 0: 19 bytes back`,
  `${type} block 1: 200000 bytes back`,
  'raw: 1,2,3',
]

async function servePage(script: string) {
  const server = httpServer(
    async (request) => (await pageResponse(request, script)) ?? new HttpResponse({ status: 404 }),
  )
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  assert.ok(address.kind === 'ip')
  // A name that is a secure context: WebCrypto is there.
  return { server, url: `http://localhost:${address.port}/`, port: address.port }
}

/** Blocks go back as they came, raw messages too. */
async function echo(peer: {
  recvBlock(): Promise<import('../src/protocols/olocus/block.ts').Block>
  sendBlock(block: import('../src/protocols/olocus/block.ts').Block): Promise<void>
  recv(): Promise<Uint8Array>
  send(bytes: Uint8Array): Promise<void>
}): Promise<void> {
  for (let count = 0; count < 2; count++) await peer.sendBlock(await peer.recvBlock())
  await peer.send(await peer.recv())
}

async function screenshot(
  page: { screenshot(options: { path: string }): Promise<unknown> },
  name: string,
): Promise<void> {
  const folder = process.env['HEDDLE_SCREENSHOTS'] ?? (await mkdtemp(join(tmpdir(), 'heddle-')))
  await page.screenshot({ path: join(folder, `${name}.png`) })
  if (process.env['HEDDLE_SCREENSHOTS'] === undefined) await rm(folder, { recursive: true })
}

test(`a page in Chromium ${chromium.version} exchanges blocks over its WebSocket`, {
  skip: chromium.skip,
}, async () => {
  const { server, url, port } = await servePage(WEBSOCKET_PAGE)
  const allowOrigin = (origin: string | undefined): boolean => origin === `http://localhost:${port}`
  const transport = webSocketBlocks({}, { webSocket: { allowOrigin } })
  const listener = await transport.listen('ws://127.0.0.1:0/blocks')
  assert.ok(listener.localAddr.kind === 'url')
  const serving = listener.accept().then(async (peer) => {
    await echo(peer)
    return peer
  })
  const { browser, page, complaints } = await openPage(chromium.path, url)
  try {
    await page.waitForFunction('window.ready', undefined, { timeout: 30_000 })
    await page.evaluate(`window.start(${JSON.stringify(listener.localAddr.url)})`)
    assert.deepEqual((await page.textContent('#log'))?.trim().split('\n'), EXPECTED('WebSocket'))
    assert.deepEqual(complaints, [])
    await screenshot(page, 'blocks-websocket')
    await serving
  } finally {
    await browser.close()
    await listener.close({ signal: AbortSignal.abort() })
    await server.close({ signal: AbortSignal.abort() })
  }
})

const webRtc = await webRtcAvailability()

test(`a page in Chromium ${chromium.version} exchanges blocks over a data channel of its own`, {
  skip: chromium.skip || (!webRtc.available && (webRtc.reason ?? true)),
}, async () => {
  // The library's threads do not keep a process alive.
  const alive = setInterval(() => {}, 60_000)
  const { server, url } = await servePage(WEBRTC_PAGE)
  const signalling = memorySignalling()
  const listener = await webRtcBlocks({}, { signalling }).listen('webrtc://node')
  const serving = listener.accept().then(async (peer) => {
    await echo(peer)
    return peer
  })
  const { browser, page, complaints } = await openPage(chromium.path, url)
  try {
    const membership = await signalling.join('page', {
      onSignal: (message) =>
        void page.evaluate(
          (one) => (globalThis as never as { onSignal(m: unknown): void }).onSignal(one),
          message as never,
        ),
      onUndeliverable() {},
      onLost() {},
    })
    await page.exposeFunction('signal', (message: SignalMessage) => membership.send(message))
    await page.waitForFunction('window.ready', undefined, { timeout: 30_000 })
    await page.evaluate('void window.start()')
    await page.waitForFunction('window.told !== undefined', undefined, { timeout: 30_000 })
    assert.deepEqual((await page.textContent('#log'))?.trim().split('\n'), EXPECTED('WebRTC'))
    assert.deepEqual(complaints, [])
    await screenshot(page, 'blocks-webrtc')
    await serving
  } finally {
    clearInterval(alive)
    await browser.close()
    await listener.close({ signal: AbortSignal.abort() })
    await server.close({ signal: AbortSignal.abort() })
  }
})
