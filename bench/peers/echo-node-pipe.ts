/** `node:net` in the words of its documentation: `socket.pipe(socket)`. */
import { type AddressInfo, createServer } from 'node:net'
import { ready } from '../harness/peer.ts'

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy())
  socket.pipe(socket)
})
server.listen(0, '127.0.0.1', () => ready({ port: (server.address() as AddressInfo).port }))
