/** heddle's WebSocket client: masks and sends, takes the answers of a bare echo. */
import { ip } from '../../src/core/address.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import { type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { CLIENT_DEPTH, startBareEcho } from '../load/bare-echo.ts'

const length = Number(peerSettings().variant)
const message = new Uint8Array(length).fill(0x61)
const port = await startBareEcho()

async function run({ milliseconds }: PeerRun): Promise<RunResult> {
  const connection = await webSocket().connect(ip('127.0.0.1', port))
  let operations = 0
  let errors = 0
  let running = true
  connection.open({
    onMessage(answer) {
      operations += 1
      if (answer.length !== length) errors += 1
      if (running) connection.send(message)
    },
    onDrain() {},
    onEnd() {},
    onClose() {},
  })
  const started = performance.now()
  for (let count = 0; count < CLIENT_DEPTH; count++) connection.send(message)
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  const seconds = (performance.now() - started) / 1000
  running = false
  connection.destroy()
  return { operations, errors, seconds, p50Ms: 0, p99Ms: 0 }
}

ready({}, run)
