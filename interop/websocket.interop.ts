/**
 * WebSocket with other people's: npm `ws`, Python `websockets`, and a page in a headless Chromium; both
 * roles where they have both, with deflate and without, over TCP and TLS.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { WebSocket, WebSocketServer } from 'ws'
import { webSocket } from '../src/links/websocket/websocket.ts'
import type { WebSocketConnection } from '../src/links/websocket/websocket-connection.ts'
import { webSocketUpgrade } from '../src/links/websocket/websocket-upgrade.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { HttpResponse } from '../src/protocols/http/messages.ts'
import { createDevCertificate } from '../src/security/dev-certificate.ts'
import { httpServer } from '../src/servers/http/http-server.ts'
import { tcp } from '../src/transports/tcp/tcp.ts'
import { tls } from '../src/transports/tls/tls.ts'
import { requirePeer } from './peers.ts'
import { openPage, pageResponse } from './support/browser-page.ts'

const python = requirePeer('python-websockets')
const chromium = requirePeer('chromium')
const PEER = fileURLToPath(new URL('support/websockets-peer.py', import.meta.url))
const SIZES = [0, 1, 125, 126, 5_000, 65_535, 65_536, 300_000]
const filled = (length: number): Buffer => Buffer.alloc(length, 'heddle and others, ')

function echo(connection: WebSocketConnection): void {
  connection.open({
    onMessage: (message) => void connection.send(message.slice()),
    onText: (text) => void connection.sendText(text),
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
}

/** Every size and a text come back, then it is closed. */
async function ask(connection: WebSocketConnection): Promise<void> {
  const closed = Promise.withResolvers<Error | undefined>()
  const received: Buffer[] = []
  let text = ''
  connection.open({
    onMessage(message) {
      received.push(Buffer.from(message))
      if (received.length === SIZES.length) connection.sendText('héllo € 😀')
    },
    onText(message) {
      text = message
      connection.close(1000)
    },
    onDrain() {},
    onEnd() {},
    onClose: closed.resolve,
  })
  for (const size of SIZES) connection.send(filled(size))
  assert.equal(await closed.promise, undefined)
  assert.equal(text, 'héllo € 😀')
  for (const [index, size] of SIZES.entries()) {
    assert.ok(filled(size).equals(received[index] as Buffer), `${size} bytes`)
  }
}

for (const compression of [false, true]) {
  const how = compression ? 'deflate' : 'plain'

  test(`Python websockets ${python.version} asks our server, ${how}`, {
    skip: python.skip,
  }, async () => {
    const transport = webSocket({ compression, subprotocols: ['echo'] })
    const listener = await transport.listen(
      { kind: 'url', url: 'ws://127.0.0.1:0/echo' },
      { onConnection: echo },
    )
    assert.ok(listener.address.kind === 'url')
    const child = spawn(python.path, [PEER, 'ask', listener.address.url, how], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = await once(createInterface(child.stdout), 'line')
    assert.equal(line, `ok echo ${compression ? "['PerMessageDeflate']" : '[]'}`)
    await listener.close()
  })

  test(`we ask a server of Python websockets ${python.version}, ${how}`, {
    skip: python.skip,
  }, async () => {
    const child = spawn(python.path, [PEER, 'serve', how], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [port] = await once(createInterface(child.stdout), 'line')
      const transport = webSocket({ compression, subprotocols: ['echo'] })
      const url = `ws://127.0.0.1:${port}/`
      const connection = await transport.connect({ kind: 'url', url })
      assert.deepEqual([connection.subprotocol, connection.compressed], ['echo', compression])
      await ask(connection)
    } finally {
      child.kill('SIGKILL')
    }
  })

  test(`ws over TLS, both ways, ${how}`, async () => {
    const { certificate, key, ca } = await createDevCertificate(systemClock)
    const secure = createSecureServer({ cert: certificate, key })
    const server = new WebSocketServer({ server: secure, perMessageDeflate: compression })
    server.on('connection', (socket) => {
      socket.on('message', (data, binary) => socket.send(data, { binary }))
    })
    secure.listen(0, '127.0.0.1')
    await once(secure, 'listening')
    const secureCarrier = tls({ ca, alpn: ['http/1.1'], credentials: { certificate, key } })
    const transport = webSocket({ compression, secureCarrier })
    const { port } = secure.address() as AddressInfo
    const asked = await transport.connect({ kind: 'url', url: `wss://localhost:${port}/` })
    assert.ok(asked.facts.tls?.authorized)
    await ask(asked)
    server.close()
    secure.close()

    const listener = await transport.listen(
      { kind: 'url', url: 'wss://127.0.0.1:0/' },
      { onConnection: echo },
    )
    assert.ok(listener.address.kind === 'url')
    const url = listener.address.url.replace('127.0.0.1', 'localhost')
    const client = new WebSocket(url, { ca, perMessageDeflate: compression })
    await once(client, 'open')
    for (const size of SIZES) {
      client.send(filled(size))
      const [data] = await once(client, 'message')
      assert.ok(filled(size).equals(data as Buffer), `${size} bytes`)
    }
    client.close(1000)
    await once(client, 'close')
    await listener.close()
  })
}

/** What the page does; `window.told` is what the test waits for. */
const SCRIPT = `
import { browserWebSocket } from '/bundles/websocket/browser.js'
const log = (line) => { document.querySelector('#log').textContent += line + '\\n' }
const url = location.href.replace('http', 'ws') + 'echo'
const connection = await browserWebSocket({ subprotocols: ['echo'] }).connect({ kind: 'url', url })
const sizes = ${JSON.stringify(SIZES)}
const received = []
let drains = 0
connection.open({
  onMessage(message) {
    received.push(message.length)
    if (received.length === sizes.length) connection.sendText('héllo € 😀')
  },
  onText(text) {
    log(text)
    if (text === 'héllo € 😀') connection.sendText('please speak')
    if (text === 'spoken') connection.close(4000, 'bye')
  },
  onDrain() { drains++ },
  onEnd() { log('end') },
  onClose(reason) { log('close ' + reason); window.told = { received, drains, subprotocol: connection.subprotocol } },
})
let writable = true
for (const size of sizes) writable = connection.send(new Uint8Array(size).fill(7)) && writable
log('writable ' + writable)
`

test(`a page in Chromium ${chromium.version} exchanges messages with our server, both ways`, {
  skip: chromium.skip,
}, async () => {
  const ended = Promise.withResolvers<{ reason: Error | undefined; code: number | undefined }>()
  const sizes: number[] = []
  const upgrade = webSocketUpgrade(
    (connection) => {
      connection.open({
        onMessage(message) {
          sizes.push(message.length)
          assert.ok(message.every((byte) => byte === 7))
          connection.send(message.slice())
        },
        onText: (text) => void connection.sendText(text === 'please speak' ? 'spoken' : text),
        onDrain() {},
        onEnd() {},
        onClose: (reason) => ended.resolve({ reason, code: connection.peerClose?.code }),
      })
    },
    { subprotocols: ['echo'], compression: true },
  )
  await using server = httpServer(
    async (request) =>
      (request.path === '/echo' ? upgrade(request) : await pageResponse(request, SCRIPT)) ??
      new HttpResponse({ status: 404 }),
  )
  const { address } = await server.listen(tcp(), 'tcp://127.0.0.1:0')
  assert.ok(address.kind === 'ip')
  const url = `http://127.0.0.1:${address.port}/`
  const { browser, page, complaints } = await openPage(chromium.path, url)
  try {
    await page.waitForFunction('window.told !== undefined', undefined, { timeout: 30_000 })
    const told = await page.evaluate<{ received: number[]; subprotocol: string }>('window.told')
    assert.deepEqual([told.received, told.subprotocol], [SIZES, 'echo'])
    assert.deepEqual(sizes, SIZES)
    const shown = (await page.textContent('#log'))?.trim().split('\n')
    // 430 KB were given at once: the mark was passed.
    assert.deepEqual(shown, ['writable false', 'héllo € 😀', 'spoken', 'end', 'close undefined'])
    assert.equal((await ended.promise).code, 4000)
    assert.deepEqual(complaints, [])
  } finally {
    await browser.close()
  }
})
