/**
 * Messages of 64 bytes in one direction over one TCP connection of this process: framed, decoded,
 * counted, and a CRC-32C over each kept, against a socket of Node with a length in front of each
 * message. Both ends share one thread. An operation is a message.
 */
import { once } from 'node:events'
import net from 'node:net'
import { ip } from '../../src/core/address.ts'
import { crc32c } from '../../src/core/checksum.ts'
import type { MessageConnection } from '../../src/core/message-connection.ts'
import { framed } from '../../src/links/framed/framed.ts'
import { tcp } from '../../src/transports/tcp/tcp.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const MESSAGE = new Uint8Array(64).map((_, at) => at)
const EXPECTED = crc32c(MESSAGE)
/** Sent before the far end is heard of: what a sender that never waits would have under way. */
const BATCH = 512

/** Counts messages and refuses one that is not the one that was sent. */
class Counter {
  #left = 0
  #done: (() => void) | undefined

  expect(count: number): Promise<void> {
    this.#left = count
    return new Promise((resolve) => {
      this.#done = resolve
    })
  }

  count(message: Uint8Array): void {
    if (message.length !== 64 || crc32c(message) !== EXPECTED) throw new Error('another message')
    this.#left -= 1
    if (this.#left === 0) this.#done?.()
  }
}

async function withFramed(): Promise<Variant> {
  const counter = new Counter()
  const ignored = { onDrain() {}, onEnd() {}, onClose() {} }
  const transport = framed(tcp())
  const listener = await transport.listen(ip('127.0.0.1', 0), {
    onConnection: (one) => one.open({ ...ignored, onMessage: (message) => counter.count(message) }),
  })
  const near = await transport.connect(listener.address)
  let onDrain: (() => void) | undefined
  near.open({ ...ignored, onMessage() {}, onDrain: () => onDrain?.() })
  return {
    async run(count) {
      const all = counter.expect(count)
      let sent = 0
      onDrain = () => {
        sent = pump(near, sent, count)
      }
      onDrain()
      await all
    },
    async close() {
      near.destroy()
      await listener.close({ signal: AbortSignal.abort() })
    },
  }
}

function pump(near: MessageConnection, from: number, count: number): number {
  const to = Math.min(count, from + BATCH)
  for (let sent = from; sent < to; sent++) near.send(MESSAGE)
  return to
}

/** As it is usually written: a header and a message for each, joined and cut on the other side. */
async function withNodeNet(): Promise<Variant> {
  const counter = new Counter()
  const server = net.createServer((socket) => {
    let held: Buffer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      let at = 0
      while (held.length - at >= 4) {
        const end = at + 4 + held.readUInt32BE(at)
        if (end > held.length) break
        counter.count(held.subarray(at + 4, end))
        at = end
      }
      held = held.subarray(at)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  const frame = (): Buffer => {
    const header = Buffer.allocUnsafe(4)
    header.writeUInt32BE(MESSAGE.length)
    return Buffer.concat([header, MESSAGE])
  }
  return {
    async run(count) {
      const all = counter.expect(count)
      for (let sent = 0; sent < count; sent++) {
        if (!socket.write(frame())) await once(socket, 'drain')
      }
      await all
    },
    async close() {
      socket.destroy()
      server.close()
    },
  }
}

export const benchmark: Benchmark = {
  about: 'a message of 64 bytes one way over TCP, framed, decoded, counted, checksummed',
  variants: { 'framed(tcp())': withFramed, 'node:net, a write each': withNodeNet },
}
