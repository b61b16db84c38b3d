/** The client of `ws` with `bufferutil`: masks and sends, takes the answers of a bare echo. */
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { WebSocket } from 'ws'
import { type PeerRun, peerSettings, type RunResult, ready } from '../harness/peer.ts'
import { CLIENT_DEPTH, startBareEcho } from '../load/bare-echo.ts'

createRequire(import.meta.url)('bufferutil')

const length = Number(peerSettings().variant)
const message = Buffer.alloc(length, 'a')
const port = await startBareEcho()

async function run({ milliseconds }: PeerRun): Promise<RunResult> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false })
  await once(socket, 'open')
  let operations = 0
  let errors = 0
  let running = true
  socket.on('message', (answer: Buffer) => {
    operations += 1
    if (answer.length !== length) errors += 1
    if (running) socket.send(message)
  })
  const started = performance.now()
  for (let count = 0; count < CLIENT_DEPTH; count++) socket.send(message)
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  const seconds = (performance.now() - started) / 1000
  running = false
  socket.terminate()
  return { operations, errors, seconds, p50Ms: 0, p99Ms: 0 }
}

ready({}, run)
