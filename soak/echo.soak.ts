/** The baseline: Node's own sockets through the engine. What this reports is not ours. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Soak } from './soak.ts'

export const soak: Soak = {
  about: 'opens a plain TCP connection, sends a byte, gets it back, closes',
  async run({ signal, progress }) {
    const server = createServer((socket) => socket.pipe(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    while (!signal.aborted) {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write('x')
      await once(socket, 'data')
      socket.destroy()
      await once(socket, 'close')
      progress()
    }
    server.close()
    await once(server, 'close')
  },
}
