/**
 * Properties of sending and receiving: boundaries, limits, who owns what.
 */
import type { Address } from '../../core/address.ts'
import { ascii, filled, sameBytes } from './datagram-log.ts'
import type { DatagramProperty } from './datagram-world.ts'

export const exchangingProperties: readonly DatagramProperty[] = [
  {
    name: 'delivers a datagram whole, with the address of its sender',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      world.ok(sender.sendText('hello', receiver.socket.address), 'send said false')
      await world.heard(receiver, 1)
      world.equal(receiver.texts[0], 'hello', 'payload')
      const from = receiver.heard[0]?.fromText
      world.equal(from, JSON.stringify(sender.socket.address), 'from')
    },
  },
  {
    name: 'keeps the boundaries of datagrams',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      const lengths = [1, 2, 1, 500, 1_200, 3, 1_200]
      for (const [key, length] of lengths.entries()) {
        sender.send(filled(length, key), receiver.socket.address)
      }
      await world.heard(receiver, lengths.length)
      await world.quiet()
      world.equal(receiver.heard.length, lengths.length, 'datagrams')
      const left = new Set(receiver.heard)
      for (const [key, length] of lengths.entries()) {
        const same = [...left].find((one) => sameBytes(one.payload, filled(length, key)))
        world.ok(same !== undefined, `datagram ${key} of ${length} bytes did not arrive as sent`)
        if (same !== undefined) left.delete(same)
      }
    },
  },
  {
    name: 'delivers an empty datagram',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      world.ok(sender.send(new Uint8Array(0), receiver.socket.address), 'send said false')
      await world.heard(receiver, 1)
      world.equal(receiver.heard[0]?.payload.length, 0, 'bytes')
    },
  },
  {
    name: 'delivers a datagram of maxPayloadBytes',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      const payload = filled(sender.socket.maxPayloadBytes, 9)
      world.ok(sender.send(payload, receiver.socket.address), 'send said false')
      await world.heard(receiver, 1)
      world.ok(sameBytes(receiver.heard[0]?.payload as Uint8Array, payload), 'other bytes')
    },
  },
  {
    name: 'refuses a byte more than maxPayloadBytes, naming both numbers',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      const { maxPayloadBytes } = sender.socket
      const payload = new Uint8Array(maxPayloadBytes + 1)
      const error = world.thrown(() => sender.send(payload, receiver.socket.address), 'send')
      world.equal(error.code, 'ERR_FRAME_TOO_LARGE', 'code')
      const named = [maxPayloadBytes, maxPayloadBytes + 1].every((number) =>
        error.message.includes(String(number)),
      )
      world.ok(named, `'${error.message}' does not name both numbers`)
      await world.quiet()
      world.equal(receiver.heard.length, 0, 'datagrams')
      world.equal(sender.socket.droppedCount, 0, 'what was refused is not dropped')
    },
  },
  {
    name: 'has taken the payload when send returns',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      const payload = new Uint8Array(100)
      for (let key = 1; key <= 5; key++) {
        payload.fill(key)
        sender.send(payload, receiver.socket.address)
        payload.fill(0xee)
      }
      await world.heard(receiver, 5)
      const keys = receiver.heard.map((one) => one.payload[0]).sort()
      world.equal(String(keys), '1,2,3,4,5', 'first bytes')
      const whole = receiver.heard.every((one) =>
        one.payload.every((byte) => byte === one.payload[0]),
      )
      world.ok(whole, 'a payload has bytes of another')
    },
  },
  {
    name: 'sends a part of a larger memory',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      sender.send(filled(300, 1).subarray(100, 120), receiver.socket.address)
      await world.heard(receiver, 1)
      const expected = filled(300, 1).slice(100, 120)
      world.ok(sameBytes(receiver.heard[0]?.payload as Uint8Array, expected), 'other bytes')
    },
  },
  {
    name: 'answers from within onDatagram',
    async run(world) {
      const server = await world.bound()
      server.hooks = {
        onDatagram: (payload, from) => void server.send(payload, from),
      }
      const client = await world.bound()
      for (let round = 1; round <= 3; round++) {
        client.sendText(`round ${round}`, server.socket.address)
        await world.heard(client, round)
        world.equal(client.texts[round - 1], `round ${round}`, 'answer')
      }
    },
  },
  {
    name: 'leaves a borrowed payload alone while it sends others',
    async run(world) {
      const server = await world.bound()
      // The log compares the payload before and after this.
      server.hooks = {
        onDatagram(payload, from) {
          server.send(filled(payload.length, 77), from)
          server.send(new Uint8Array(payload.length), from)
        },
      }
      const client = await world.bound()
      client.send(filled(400, 5), server.socket.address)
      await world.heard(client, 2)
    },
  },
  {
    name: 'tells many senders apart, also afterwards',
    async run(world) {
      const server = await world.bound()
      const clients = []
      for (let count = 0; count < 12; count++) clients.push(await world.bound())
      for (const [index, client] of clients.entries()) {
        client.sendText(`from ${index}`, server.socket.address)
      }
      await world.heard(server, clients.length)
      for (const { payload, from } of server.heard) server.send(payload, from)
      for (const [index, client] of clients.entries()) {
        await world.heard(client, 1)
        world.equal(client.texts[0], `from ${index}`, 'answer')
      }
    },
  },
  {
    name: 'sends to itself, and hears it in a turn of its own',
    async run(world) {
      const one = await world.bound()
      one.sendText('me', one.socket.address)
      await world.heard(one, 1)
      world.equal(one.texts[0], 'me', 'payload')
    },
  },
  {
    name: 'sends before it is open',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bind()
      world.ok(sender.sendText('early', receiver.socket.address), 'send said false')
      await world.heard(receiver, 1)
    },
  },
  {
    name: 'does not know where to without an address',
    async run(world) {
      const one = await world.bound()
      world.equal(world.thrown(() => one.sendText('x'), 'send').code, 'ERR_ARGUMENT', 'code')
    },
  },
  {
    name: 'refuses to send to an address of another kind',
    async run(world) {
      const one = await world.bound()
      const nowhere: Address = { kind: 'url', url: 'nowhere://at.all' }
      const error = world.thrown(() => one.send(ascii('x'), nowhere), 'send')
      world.equal(error.code, 'ERR_ADDRESS_INVALID', 'code')
      world.equal(one.socket.droppedCount, 0, 'what was refused is not dropped')
    },
  },
]
