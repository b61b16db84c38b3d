/** `ws` with `bufferutil`, which it finds by itself: each message is sent back. */
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { peerSettings, ready } from '../harness/peer.ts'

// Without it masking would be slower: then this is not what is to be measured.
createRequire(import.meta.url)('bufferutil')

const perMessageDeflate = peerSettings().variant === 'deflate'
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate })
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  socket.on('error', () => socket.terminate())
})
server.on('listening', () => ready({ port: (server.address() as AddressInfo).port }))
