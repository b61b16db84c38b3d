/**
 * Two small forward proxies on Node's own sockets, with no code of heddle's in them: what a tunnel
 * talks to. They join what the client asks for and close everything when they are disposed of.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Address, ip } from '../../src/core/address.ts'

export interface ForwardProxy extends Disposable {
  readonly address: Address
}

/** HTTP CONNECT (RFC 9110 9.3.6). */
export function httpConnectProxy(): Promise<ForwardProxy> {
  return startProxy(async (client) => {
    let head = ''
    while (!head.endsWith('\r\n\r\n')) head += (await read(client, 1)).toString('latin1')
    const [, host = '', port] = /^CONNECT ([^:\s]+):(\d+) HTTP\/1\.1\r\n/.exec(head) ?? []
    await join(client, host, Number(port), Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))
  })
}

/** SOCKS 5 without credentials, CONNECT only (RFC 1928). */
export function socks5Proxy(): Promise<ForwardProxy> {
  return startProxy(async (client) => {
    const [, methods = 0] = await read(client, 2)
    await read(client, methods)
    client.write(Buffer.from([5, 0]))
    const [, , , kind] = await read(client, 4)
    let host: string
    if (kind === 3) {
      const [length = 0] = await read(client, 1)
      host = (await read(client, length)).toString()
    } else host = (await read(client, 4)).join('.')
    const port = (await read(client, 2)).readUInt16BE()
    await join(client, host, port, Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
  })
}

async function startProxy(serve: (client: Socket) => Promise<void>): Promise<ForwardProxy> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    sockets.add(client)
    client.on('error', () => client.destroy()).on('close', () => sockets.delete(client))
    serve(client).catch(() => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: ip('127.0.0.1', (server.address() as AddressInfo).port),
    [Symbol.dispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function read(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const chunk = socket.read(count) as Buffer | null
    if (chunk !== null) return chunk
    await once(socket, 'readable')
  }
}

async function join(client: Socket, host: string, port: number, answer: Buffer): Promise<void> {
  const target = connect({ host, port, allowHalfOpen: true, noDelay: true })
  target.on('error', () => client.destroy()).on('close', () => client.destroy())
  client.on('close', () => target.destroy())
  await once(target, 'connect')
  client.write(answer)
  client.pipe(target)
  target.pipe(client)
}
