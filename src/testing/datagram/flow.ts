/**
 * Properties of not reading: pauses, and what is dropped meanwhile. Nothing is lost without being
 * counted, nothing grows without bound.
 */
import { filled } from './datagram-log.ts'
import type { DatagramProperty } from './datagram-world.ts'

export const flowProperties: readonly DatagramProperty[] = [
  {
    name: 'delivers nothing before it is open, and loses nothing without counting it',
    async run(world) {
      const receiver = await world.bind()
      const sender = await world.bound()
      for (let count = 0; count < 5; count++) sender.sendText('early', receiver.socket.address)
      await world.quiet()
      receiver.open()
      const all = (): boolean => receiver.heard.length + receiver.socket.droppedCount === 5
      await world.until(all, 'each is heard or counted')
    },
  },
  {
    name: 'delivers nothing while paused, and loses nothing without counting it',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      receiver.pause()
      await world.quiet() // what was under way when it was paused
      for (let count = 0; count < 5; count++) sender.sendText('late', receiver.socket.address)
      await world.quiet()
      world.equal(receiver.heard.length, 0, 'datagrams while paused')
      receiver.resume()
      const all = (): boolean => receiver.heard.length + receiver.socket.droppedCount === 5
      await world.until(all, 'each is heard or counted')
      sender.sendText('after', receiver.socket.address)
      await world.until(() => receiver.texts.includes('after'), 'what comes afterwards')
    },
  },
  {
    name: 'pauses from within onDatagram, after that one',
    async run(world) {
      const receiver = await world.bound()
      receiver.hooks = { onDatagram: () => receiver.pause() }
      const sender = await world.bound()
      for (let count = 0; count < 4; count++) sender.sendText('x', receiver.socket.address)
      await world.heard(receiver, 1)
      await world.quiet()
      world.equal(receiver.heard.length, 1, 'datagrams while paused')
      receiver.hooks = {}
      receiver.resume()
      const all = (): boolean => receiver.heard.length + receiver.socket.droppedCount === 4
      await world.until(all, 'each is heard or counted')
    },
  },
  {
    name: 'opens paused when it was paused before',
    async run(world) {
      const receiver = await world.bind()
      receiver.pause()
      receiver.open()
      const sender = await world.bound()
      sender.sendText('x', receiver.socket.address)
      await world.quiet()
      world.equal(receiver.heard.length, 0, 'datagrams while paused')
      receiver.resume()
      const all = (): boolean => receiver.heard.length + receiver.socket.droppedCount === 1
      await world.until(all, 'it is heard or counted')
    },
  },
  {
    name: 'pauses and resumes twice as once',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      receiver.pause()
      receiver.pause()
      receiver.resume()
      receiver.resume()
      sender.sendText('x', receiver.socket.address)
      await world.heard(receiver, 1)
      await world.quiet()
      world.equal(receiver.heard.length, 1, 'datagrams')
    },
  },
  {
    name: 'sends while it is paused',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      sender.pause()
      sender.sendText('out', receiver.socket.address)
      await world.heard(receiver, 1)
    },
  },
  {
    name: 'keeps what is sent to a socket that does not read within bounds',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      receiver.pause()
      const payload = filled(8_192, 1)
      for (let count = 0; count < FLOOD; count++) sender.send(payload, receiver.socket.address)
      await world.quiet()
      receiver.resume()
      await world.quiet()
      const { length } = receiver.heard
      world.ok(length < FLOOD, `all ${FLOOD} datagrams of 8 KiB were kept`)
      await world.until(() => {
        sender.sendText('after', receiver.socket.address)
        return receiver.texts.includes('after')
      }, 'what comes afterwards')
    },
  },
  {
    name: 'counts each datagram for which send said false',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      const { droppedCount } = sender.socket
      for (let count = 0; count < 200; count++) {
        sender.send(filled(1_000, count), receiver.socket.address)
      }
      world.equal(sender.socket.droppedCount - droppedCount, sender.refused, 'droppedCount')
      await world.closed(sender)
      sender.sendText('late', receiver.socket.address)
      world.equal(sender.socket.droppedCount - droppedCount, sender.refused, 'droppedCount')
      world.ok(sender.refused > 0, 'send after the close said true')
    },
  },
]

/** 8 MiB: far more than any kernel keeps for a socket unless told to. */
const FLOOD = 1_024
