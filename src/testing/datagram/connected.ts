/**
 * Properties of connected sockets: one peer, and nobody else.
 */
import type { DatagramProperty } from './datagram-world.ts'

export const connectedProperties: readonly DatagramProperty[] = [
  {
    name: 'exchanges datagrams with its peer without naming it',
    async run(world) {
      const server = await world.bound()
      const client = await world.connected(server.socket.address)
      const { remote } = client.socket
      world.equal(JSON.stringify(remote), JSON.stringify(server.socket.address), 'remote')
      client.sendText('ping')
      await world.heard(server, 1)
      server.sendText('pong', server.heard[0]?.from)
      await world.heard(client, 1)
      world.equal(client.texts[0], 'pong', 'answer')
    },
  },
  {
    name: 'takes its peer as the address to send to, and nobody else',
    async run(world) {
      const server = await world.bound()
      const other = await world.bound()
      const client = await world.connected(server.socket.address)
      client.sendText('by name', server.socket.address)
      await world.heard(server, 1)
      const error = world.thrown(() => client.sendText('x', other.socket.address), 'send')
      world.equal(error.code, 'ERR_ARGUMENT', 'code')
      await world.quiet()
      world.equal(other.heard.length, 0, 'datagrams')
    },
  },
  {
    name: 'hears its peer only',
    async run(world) {
      const server = await world.bound()
      const stranger = await world.bound()
      const client = await world.connected(server.socket.address)
      stranger.sendText('psst', client.socket.address)
      await world.quiet()
      server.sendText('hello', client.socket.address)
      await world.heard(client, 1)
      await world.quiet()
      world.equal(String(client.texts), 'hello', 'datagrams')
    },
  },
  {
    name: 'hears that nobody is there, and goes on',
    async run(world) {
      const gone = await world.bound()
      await world.closed(gone)
      const client = await world.connected(gone.socket.address)
      client.sendText('anybody?')
      await world.until(() => client.errors.length > 0, 'onError')
      const { code } = client.errors[0] as { code?: unknown }
      world.equal(code, 'ERR_CONNECT_REFUSED', 'code')
      const back = await world.bound({}, gone.socket.address)
      client.sendText('now?')
      await world.heard(back, 1)
      world.equal(client.closed, false, 'closed')
    },
  },
]
