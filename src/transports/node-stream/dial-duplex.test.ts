import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { memory as memoryAddress } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { ConnectOptions, Transport } from '../../core/transport.ts'
import { systemClock } from '../../platform/system-clock.ts'
import { MemoryNetwork } from '../memory/memory-network.ts'
import { memory } from '../memory/memory-transport.ts'
import { dialDuplex, toDuplex } from './to-duplex.ts'

const address = memoryAddress('dial')

test('dialDuplex is a stream at once: what is written and read before it connects waits', async () => {
  const { transport, listener } = await echo()
  const duplex = dialDuplex(transport, address)
  assert.equal(duplex.connecting, true)
  assert.equal(duplex.readyState, 'opening')
  assert.throws(() => duplex.connection, { code: 'ERR_NOT_OPEN' })
  duplex.end('hello')
  const events: string[] = []
  duplex.on('connect', () => events.push('connect')).on('ready', () => events.push('ready'))
  let text = ''
  for await (const chunk of duplex) text += chunk
  assert.equal(text, 'hello')
  assert.equal(duplex.connecting, false)
  assert.deepEqual(events, ['connect', 'ready'])
  await listener.close()
})

test('dialDuplex tells why nothing was reached, then closes', async () => {
  const transport = memory({ clock: systemClock, network: new MemoryNetwork() })
  const duplex = dialDuplex(transport, address)
  duplex.write('never sent')
  const [error] = (await once(duplex, 'error')) as [{ code?: string }]
  assert.equal(error.code, 'ERR_CONNECT_REFUSED')
  await closed(duplex)
  assert.equal(duplex.destroyed, true)
})

test('dialDuplex gives the attempt up when it is destroyed, and is closed then', async () => {
  let signal: AbortSignal | undefined
  const never = dialing((options) => {
    signal = options?.signal
    return new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal?.reason))
    })
  })
  const duplex = dialDuplex(never, address)
  await new Promise((resolve) => setImmediate(resolve))
  const failed = once(duplex, 'error')
  duplex.destroy(new Error('no longer wanted'))
  const [error] = (await failed) as [Error]
  assert.equal(error.message, 'no longer wanted')
  assert.equal(signal?.aborted, true)
  await closed(duplex)
})

test('dialDuplex destroys a connection that comes after it was given up', async () => {
  const { transport, listener, accepted } = await echo()
  const release = Promise.withResolvers<void>()
  const late = dialing(async () => {
    const connection = await transport.connect(address)
    await release.promise
    return connection
  })
  const duplex = dialDuplex(late, address)
  duplex.on('error', () => {})
  await accepted
  duplex.destroy()
  release.resolve()
  await closed(duplex)
  await listener.close() // resolves when the accepted connection is gone
})

async function echo() {
  const transport = memory({ clock: systemClock, network: new MemoryNetwork() })
  const accepted = Promise.withResolvers<void>()
  const listener = await transport.listen(address, {
    onConnection(connection) {
      accepted.resolve()
      const duplex = toDuplex(connection)
      duplex.on('error', () => {})
      duplex.pipe(duplex)
    },
  })
  return { transport, listener, accepted: accepted.promise }
}

function dialing(connect: (options?: ConnectOptions) => Promise<Connection>): Transport {
  return {
    name: 'late',
    traits: { halfClose: true, secure: false, messageBoundaries: false },
    connect: (_, options) => connect(options),
    listen: () => Promise.reject(new Error('not here')),
  }
}

function closed(stream: {
  readonly closed: boolean
  once(event: 'close', done: () => void): void
}) {
  return new Promise<void>((resolve) => {
    if (stream.closed) resolve()
    else stream.once('close', resolve)
  })
}
