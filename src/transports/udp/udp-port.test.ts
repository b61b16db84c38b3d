/**
 * What loopback never does: a kernel that takes a datagram later, or not at all. The handle is made
 * up; that Node's looks like it is checked by every other test of UDP.
 */
import assert from 'node:assert/strict'
import type { Socket } from 'node:dgram'
import { test } from 'node:test'
import { FULL, openPort, type UdpReceiver } from './udp-port.ts'

interface Sent {
  readonly view: Uint8Array
  readonly bytes: readonly number[]
  readonly request: { oncomplete(status: number): void }
}

function fakeSocket(answers: number[]): { socket: Socket; sent: Sent[]; calls: string[] } {
  const sent: Sent[] = []
  const calls: string[] = []
  const handle = {
    fd: 7,
    onmessage() {},
    recvStart: () => calls.push('start'),
    recvStop: () => calls.push('stop'),
    send(request: Sent['request'], [view]: [Uint8Array]) {
      sent.push({ view, bytes: [...view], request })
      return answers.shift() ?? view.length + 1
    },
  }
  const socket = { [Symbol('state symbol')]: { handle } }
  return { socket: socket as unknown as Socket, sent, calls }
}

function receiver(): UdpReceiver & { readonly unsent: number[] } {
  const unsent: number[] = []
  return {
    unsent,
    onMessage() {},
    onStopped() {},
    onFailure() {},
    onUnsent: (status) => void unsent.push(status),
  }
}

test('HandlePort keeps a datagram that the kernel did not take, and drops the next ones', () => {
  const { socket, sent } = fakeSocket([0])
  const heard = receiver()
  const port = openPort(socket, 'auto', heard)
  assert.equal(port.engine, 'handle')
  assert.equal(port.descriptor, 7)
  const payload = Uint8Array.of(1, 2, 3)
  assert.equal(port.send(payload, 9, '127.0.0.1'), 0)
  payload.fill(0xee) // the caller's again
  assert.equal(port.send(payload, 9, '127.0.0.1'), FULL)
  assert.equal(sent.length, 1)
  const [waiting] = sent
  assert.deepEqual([...waiting!.view], [1, 2, 3])

  waiting!.request.oncomplete(0)
  assert.equal(port.send(payload, 9, '127.0.0.1'), 0)
  assert.deepEqual(sent[1]?.bytes, [0xee, 0xee, 0xee])
  // Other memory and another request: libuv may still look at the first ones.
  assert.deepEqual([...waiting!.view], [1, 2, 3])
  assert.notEqual(sent[1]?.request, waiting!.request)
  assert.deepEqual(heard.unsent, [])
})

test('HandlePort tells of a datagram that could not be sent later', () => {
  const { socket, sent } = fakeSocket([0])
  const heard = receiver()
  const port = openPort(socket, 'handle', heard)
  port.send(Uint8Array.of(1), 9, undefined)
  sent[0]?.request.oncomplete(-101)
  assert.deepEqual(heard.unsent, [-101])
})

test('HandlePort sends from one memory while the kernel takes everything', () => {
  const { socket, sent } = fakeSocket([])
  const port = openPort(socket, 'handle', receiver())
  for (const length of [5, 5, 0, 3]) port.send(new Uint8Array(length).fill(length), 9, 'h')
  assert.deepEqual(
    sent.map((one) => one.bytes.length),
    [5, 5, 0, 3],
  )
  assert.equal(sent[0]?.view, sent[1]?.view)
  assert.equal(sent[0]?.request, sent[3]?.request)
})

test('openPort falls back to dgram when the handle is another, unless it must not', () => {
  const other = { [Symbol('state symbol')]: { handle: { send() {} } }, on() {} }
  const socket = other as unknown as Socket
  assert.equal(openPort(socket, 'auto', receiver()).engine, 'dgram')
  assert.throws(() => openPort(socket, 'handle', receiver()), { code: 'ERR_OPTION_UNSUPPORTED' })
})
