/**
 * Properties of the end: `onClose` once and last, whatever is under way.
 */
import type { DatagramProperty } from './datagram-world.ts'

export const datagramClosingProperties: readonly DatagramProperty[] = [
  {
    name: 'calls onClose once, without a reason, before close resolves',
    async run(world) {
      const one = await world.bound()
      const closing = one.close()
      let heard: boolean | undefined
      const resolved = closing.then(() => {
        heard = one.closed
      })
      // A promise that waits for nothing is heard of before anything else gets a turn.
      for (let jobs = 0; jobs < 5; jobs++) await undefined
      await world.resolved(resolved)
      world.equal(heard, true, 'onClose before the promise')
      world.equal(one.closeReason, undefined, 'reason')
      await world.quiet() // a second onClose would be a violation
    },
  },
  {
    name: 'closes twice as once',
    async run(world) {
      const one = await world.bound()
      const both = Promise.all([one.close(), one.close()])
      await world.resolved(both)
      await world.resolved(one.close())
      await world.quiet()
    },
  },
  {
    name: 'closes when it is disposed of',
    async run(world) {
      const one = await world.bound()
      const disposing = Promise.resolve(one.socket[Symbol.asyncDispose]())
      await world.resolved(disposing)
      world.equal(one.closed, true, 'closed')
    },
  },
  {
    name: 'closes before it was opened',
    async run(world) {
      const one = await world.bind()
      await world.closed(one)
      await world.quiet()
      world.equal(one.closed, false, 'onClose without a handler')
    },
  },
  {
    name: 'cannot be opened twice, nor after the close',
    async run(world) {
      const one = await world.bound()
      world.equal(world.thrown(() => one.open(), 'open').code, 'ERR_ALREADY_OPEN', 'code')
      const other = await world.bind()
      await world.closed(other)
      world.equal(world.thrown(() => other.open(), 'open').code, 'ERR_STATE', 'code')
    },
  },
  {
    name: 'delivers nothing after close was called from within onDatagram',
    async run(world) {
      const receiver = await world.bound()
      let closing: Promise<void> | undefined
      receiver.hooks = {
        onDatagram() {
          closing ??= receiver.close()
        },
      }
      const sender = await world.bound()
      for (let count = 0; count < 5; count++) sender.sendText('x', receiver.socket.address)
      await world.until(() => receiver.closed, 'onClose')
      await world.resolved(closing as Promise<void>)
      world.equal(receiver.heard.length, 1, 'datagrams')
    },
  },
  {
    name: 'delivers nothing between close and onClose',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      sender.sendText('x', receiver.socket.address)
      sender.sendText('y', receiver.socket.address)
      const { length } = receiver.heard
      await world.closed(receiver)
      world.equal(receiver.heard.length, length, 'datagrams')
    },
  },
  {
    name: 'says false to what is sent after the close, and throws nothing',
    async run(world) {
      const receiver = await world.bound()
      const sender = await world.bound()
      const closing = sender.close()
      world.equal(sender.sendText('x', receiver.socket.address), false, 'send while closing')
      await world.resolved(closing)
      world.equal(sender.sendText('x', receiver.socket.address), false, 'send after the close')
    },
  },
  {
    name: 'ignores pause and resume after the close',
    async run(world) {
      const one = await world.bound()
      const closing = one.close()
      one.pause()
      one.resume()
      await world.resolved(closing)
      one.pause()
      one.resume()
      await world.quiet()
    },
  },
  {
    name: 'goes on when a peer closes while it is sent to',
    async run(world) {
      const receiver = await world.bound()
      const other = await world.bound()
      const sender = await world.bound()
      for (let count = 0; count < 5; count++) sender.sendText('x', receiver.socket.address)
      const closing = receiver.close()
      for (let count = 0; count < 5; count++) sender.sendText('x', receiver.socket.address)
      await world.resolved(closing)
      sender.sendText('x', receiver.socket.address)
      sender.sendText('still here', other.socket.address)
      await world.heard(other, 1)
      world.equal(sender.closed, false, 'closed')
    },
  },
]
