/** `node:net`: what comes is written back. */
import { type AddressInfo, createServer } from 'node:net'
import { ready } from '../harness/peer.ts'

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', (chunk) => {
    if (!socket.write(chunk)) socket.pause()
  })
  socket.on('drain', () => socket.resume())
  socket.on('error', () => socket.destroy())
})
server.listen(0, '127.0.0.1', () => ready({ port: (server.address() as AddressInfo).port }))
