/**
 * WebRTC through a real TURN server, coturn on loopback: peers that may meet through it only, with
 * the right credentials and with wrong ones.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { memorySignalling } from '../src/links/webrtc-signalling/memory-signalling.ts'
import type { WebRtcConnection } from '../src/transports/webrtc/channel-connection.ts'
import { webRtc } from '../src/transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../src/transports/webrtc/webrtc-address.ts'
import type { WebRtcOptions } from '../src/transports/webrtc/webrtc-options.ts'
import { MessageRecorder } from '../test/transports/message-recorder.ts'
import { requirePeer } from './peers.ts'

const coturn = requirePeer('coturn')
const USERNAME = 'heddle'
const CREDENTIAL = 'not a secret'

interface Turn extends AsyncDisposable {
  readonly port: number
  /** What it has written so far. */
  log(): string
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

async function startTurn(): Promise<Turn> {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-turn-'))
  const port = await freePort()
  const child = spawn(
    coturn.path,
    [
      ['-n', '--no-cli', '--no-tls', '--no-dtls', '--verbose', '--log-file=stdout'],
      ['--listening-ip=127.0.0.1', '--relay-ip=127.0.0.1', `--listening-port=${port}`],
      // Otherwise it relays to nobody on loopback, as it should anywhere else.
      ['--allow-loopback-peers', '--lt-cred-mech', '--realm=heddle.test'],
      [`--user=${USERNAME}:${CREDENTIAL}`],
      [`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'users')}`],
    ].flat(),
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let text = ''
  const ready = Promise.withResolvers<void>()
  const onText = (chunk: Buffer): void => {
    text += chunk.toString()
    if (/Total General servers|UDP listener opened on/.test(text)) ready.resolve()
  }
  child.stdout.on('data', onText)
  child.stderr.on('data', onText)
  const exited = once(child, 'exit')
  void exited.then(() => ready.reject(new Error(`coturn ended: ${text}`)))
  await ready.promise
  return {
    port,
    log: () => text,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** One asks the other a few messages, both with these options. */
async function exchange(options: Omit<WebRtcOptions, 'signalling'>) {
  const transport = webRtc({ signalling: memorySignalling(), ...options })
  const listener = await transport.listen(webRtcAddress('0'), {
    onConnection(one) {
      const echo = new MessageRecorder(one)
      echo.onNext = (message) => void one.send(message.slice())
      echo.open()
      void echo.until(() => echo.ended).then(() => one.end())
    },
  })
  try {
    const connection: WebRtcConnection = await transport.connect(listener.address)
    const client = new MessageRecorder(connection).open()
    const sizes = [1, 1_000, 16_384]
    for (const size of sizes) connection.send(new Uint8Array(size).fill(size % 251))
    await client.until(() => client.messages.length === sizes.length)
    assert.deepEqual(
      client.messages.map((message) => message.length),
      sizes,
    )
    const pair = connection.facts.webRtc.candidates()
    connection.end()
    await client.until(() => client.closed !== undefined)
    assert.deepEqual(client.closed, { reason: undefined })
    return pair
  } finally {
    await listener.close({ signal: AbortSignal.abort() })
  }
}

test(`peers that may use the relay only meet through coturn ${coturn.version}`, {
  skip: coturn.skip,
}, async () => {
  await using turn = await startTurn()
  const urls = `turn:127.0.0.1:${turn.port}?transport=udp`
  const pair = await exchange({
    iceServers: [{ urls, username: USERNAME, credential: CREDENTIAL }],
    iceTransportPolicy: 'relay',
  })
  assert.equal(pair?.local.type, 'relay')
  assert.match(turn.log(), /user <heddle>.*ALLOCATE processed, success/)
})

test(`wrong credentials reach nobody through coturn ${coturn.version}`, {
  skip: coturn.skip,
}, async () => {
  await using turn = await startTurn()
  const urls = `turn:127.0.0.1:${turn.port}?transport=udp`
  const attempt = exchange({
    iceServers: [{ urls, username: USERNAME, credential: 'wrong' }],
    iceTransportPolicy: 'relay',
    connectTimeoutMs: 3_000,
  })
  await assert.rejects(attempt, (error: Error & { code?: string }) => {
    assert.match(String(error.code), /^ERR_CONNECT/)
    assert.ok(!error.message.includes('wrong'))
    return true
  })
  assert.match(turn.log(), /401|unauthorized|Unauthorized/i)
})
