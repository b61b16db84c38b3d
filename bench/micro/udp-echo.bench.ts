/**
 * One datagram to an echo server and back, 32 under way: `node:dgram` as its documentation shows it,
 * and ours over both ways through Node. Client and server are of the same kind, in this process, so
 * the CPU time is that of four packets.
 */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { ip } from '../../src/core/address.ts'
import { udp } from '../../src/transports/udp/udp.ts'
import type { UdpEngine } from '../../src/transports/udp/udp-options.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const UNDER_WAY = 32

export const benchmark: Benchmark = {
  about: 'a datagram there and back on loopback, 32 under way',
  variants: {
    'node:dgram, 64 B': () => dgram(64),
    'heddle, 64 B': () => heddle(64, 'handle'),
    'heddle through dgram, 64 B': () => heddle(64, 'dgram'),
    'node:dgram, 1,200 B': () => dgram(1_200),
    'heddle, 1,200 B': () => heddle(1_200, 'handle'),
    'heddle through dgram, 1,200 B': () => heddle(1_200, 'dgram'),
  },
}

/** Keeps `UNDER_WAY` datagrams moving until `count` have come back. */
class Window {
  #left = 0
  #unsent = 0
  #done: (() => void) | undefined
  readonly #send: () => void

  constructor(send: () => void) {
    this.#send = send
  }

  async run(count: number): Promise<void> {
    this.#left = count
    this.#unsent = count - Math.min(count, UNDER_WAY)
    const finished = new Promise<void>((resolve) => {
      this.#done = resolve
    })
    for (let sent = Math.min(count, UNDER_WAY); sent > 0; sent--) this.#send()
    await finished
  }

  onAnswer(): void {
    this.#left -= 1
    if (this.#unsent > 0) {
      this.#unsent -= 1
      this.#send()
    } else if (this.#left === 0) this.#done?.()
  }
}

async function dgram(bytes: number): Promise<Variant> {
  const server = await bindDgram()
  const client = await bindDgram()
  server.on('message', (message, from) => server.send(message, from.port, from.address))
  const { port } = server.address() as AddressInfo
  client.connect(port, '127.0.0.1')
  await once(client, 'connect')
  const payload = Buffer.alloc(bytes, 1)
  const window = new Window(() => client.send(payload))
  client.on('message', () => window.onAnswer())
  return {
    run: (count) => window.run(count),
    close() {
      server.close()
      client.close()
    },
  }
}

async function bindDgram(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

async function heddle(bytes: number, engine: UdpEngine): Promise<Variant> {
  const transport = udp({ engine })
  const server = await transport.bind(ip('127.0.0.1', 0))
  server.open({
    onDatagram: (message, from) => void server.send(message, from),
    onError() {},
    onClose() {},
  })
  const client = await transport.connect(server.address)
  const payload = new Uint8Array(bytes).fill(1)
  const window = new Window(() => void client.send(payload))
  client.open({ onDatagram: () => window.onAnswer(), onError() {}, onClose() {} })
  return {
    run: (count) => window.run(count),
    async close() {
      await Promise.all([server.close(), client.close()])
    },
  }
}
