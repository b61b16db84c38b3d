import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Address, ip, memory } from '../core/address.ts'
import type { Connection } from '../core/connection.ts'
import type { Listener, ListenOptions, Transport } from '../core/transport.ts'
import { ManualClock } from '../testing/manual-clock.ts'
import {
  type ConnectionControl,
  type ServerConnection,
  ServerCore,
  type ServerCoreOptions,
} from './server.ts'

/** A transport whose connections a test makes by hand. */
class ScriptedTransport implements Transport {
  readonly name = 'scripted'
  readonly traits = { halfClose: true, secure: false, messageBoundaries: false }
  readonly listeners: ScriptedListener[] = []

  connect(): Promise<Connection> {
    return Promise.reject(new Error('not here'))
  }

  async listen(address: Address, options: ListenOptions): Promise<Listener> {
    const listener = new ScriptedListener(address, options)
    this.listeners.push(listener)
    return listener
  }
}

class ScriptedListener implements Listener {
  readonly address: Address
  readonly connectionCount = 0
  readonly options: ListenOptions
  paused = false
  closed = false

  constructor(address: Address, options: ListenOptions) {
    this.address = address
    this.options = options
  }

  accept(remote: Address = ip('192.0.2.1', 5_000)): ScriptedConnection {
    const connection = new ScriptedConnection(remote)
    this.options.onConnection(connection as unknown as Connection)
    return connection
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  async close(): Promise<void> {
    this.closed = true
  }

  ref(): void {}
  unref(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

class ScriptedConnection {
  readonly facts: { remote: Address }
  destroyedWith: Error | undefined

  constructor(remote: Address) {
    this.facts = { remote }
  }

  destroy(reason?: Error): void {
    this.destroyedWith ??= reason
  }
}

/** A protocol that closes when it is told to drain and has nothing to do. */
class ScriptedProtocol implements ServerConnection {
  idle = true
  drains = 0
  readonly control: ConnectionControl

  constructor(control: ConnectionControl) {
    this.control = control
    control.to('ready')
  }

  drain(): void {
    this.drains++
    if (this.idle) this.control.closed(undefined)
  }

  finish(): void {
    this.idle = true
    if (this.drains > 0) this.control.closed(undefined)
  }

  destroy(reason: Error): void {
    this.control.connection.destroy(reason)
    this.control.closed(reason)
  }
}

async function fixture(options: Partial<ServerCoreOptions> = {}) {
  const clock = new ManualClock()
  const transport = new ScriptedTransport()
  const protocols: ScriptedProtocol[] = []
  const states: string[] = []
  const server = new ServerCore({
    clock,
    createConnection(_connection, control) {
      const protocol = new ScriptedProtocol(control)
      protocols.push(protocol)
      return protocol
    },
    onStateChange: (_control, next, previous) => void states.push(`${previous}>${next}`),
    ...options,
  })
  await server.listen(transport, ip('127.0.0.1', 0))
  return { clock, server, protocols, states, listener: transport.listeners[0]!, transport }
}

test('ServerCore follows each connection through its states', async () => {
  const { server, listener, protocols, states } = await fixture()
  listener.accept()
  assert.deepEqual(states, ['disconnected>connected', 'connected>ready'])
  assert.deepEqual([...server.stats.states], [['ready', 1]])
  protocols[0]?.control.closed(undefined)
  protocols[0]?.control.closed(new Error('twice'))
  assert.deepEqual(states.slice(2), ['ready>closed'])
  assert.deepEqual([...server.stats.states], [])
  assert.equal(server.stats.connections, 0)
})

test('ServerCore pauses its listeners at maxConnections and resumes below it', async () => {
  const { server, listener, protocols, transport } = await fixture({ maxConnections: 2 })
  listener.accept()
  assert.equal(listener.paused, false)
  listener.accept()
  assert.equal(listener.paused, true)
  assert.equal(server.stats.paused, true)
  await server.listen(transport, ip('127.0.0.1', 1))
  assert.equal(transport.listeners[1]?.paused, true)
  // One that was accepted before the pause took hold.
  const late = listener.accept()
  assert.match(String(late.destroyedWith), /2 connections, maxConnections 2/)
  protocols[0]?.control.closed(undefined)
  assert.equal(listener.paused, false)
  assert.equal(transport.listeners[1]?.paused, false)
})

test('ServerCore accepts again when a hundredth is free, not for every place', async () => {
  const { listener, protocols } = await fixture({ maxConnections: 300 })
  for (let count = 0; count < 300; count++) listener.accept()
  assert.equal(listener.paused, true)
  protocols[0]?.control.closed(undefined)
  protocols[1]?.control.closed(undefined)
  assert.equal(listener.paused, true)
  protocols[2]?.control.closed(undefined)
  assert.equal(listener.paused, false)
})

test('ServerCore counts connections without a call', async () => {
  const { server, listener, protocols } = await fixture()
  listener.accept()
  listener.accept()
  ;(protocols[0] as ScriptedProtocol).idle = false
  assert.equal(server.countIdle(), 1)
})

test('ServerCore refuses at maxConnections when told to reject', async () => {
  const refused: string[] = []
  const { server, listener } = await fixture({
    maxConnections: 1,
    whenFull: 'reject',
    refuse: (_connection, reason) => void refused.push(reason.message),
  })
  listener.accept()
  listener.accept()
  assert.equal(listener.paused, false)
  assert.deepEqual(refused, ['1 connections, maxConnections 1'])
  assert.equal(server.stats.refused, 1)
})

test('ServerCore limits connections of one address, and of that address only', async () => {
  const { listener, protocols } = await fixture({ maxConnectionsPerAddress: 2 })
  listener.accept()
  listener.accept()
  assert.match(String(listener.accept().destroyedWith), /2 connections from 192\.0\.2\.1:5000/)
  assert.equal(listener.accept(ip('192.0.2.2', 1)).destroyedWith, undefined)
  for (let count = 0; count < 3; count++) {
    assert.equal(listener.accept(memory('a')).destroyedWith, undefined)
  }
  protocols[0]?.control.closed(undefined)
  assert.equal(listener.accept().destroyedWith, undefined)
})

test('ServerCore asks admit before the protocol sees the connection', async () => {
  const { listener, protocols } = await fixture({ admit: () => new Error('not you') })
  assert.equal(listener.accept().destroyedWith?.message, 'not you')
  assert.equal(protocols.length, 0)
})

test('ServerCore refuses an address without opening the connection, whoever brings it', async () => {
  const asked: string[] = []
  const { server, listener, protocols } = await fixture({
    admitAddress: (remote) => {
      asked.push(remote.kind === 'ip' ? remote.host : remote.kind)
      return remote.kind === 'ip' && remote.host === '192.0.2.9' ? new Error('not you') : undefined
    },
  })
  // This transport does not ask by itself, and its connections throw when they are opened.
  const refused = listener.accept(ip('192.0.2.9', 1))
  assert.equal(refused.destroyedWith?.message, 'not you')
  assert.equal(listener.accept(ip('192.0.2.8', 1)).destroyedWith, undefined)
  server.adopt(refused as unknown as Connection)
  assert.deepEqual(asked, ['192.0.2.9', '192.0.2.8', '192.0.2.9'])
  assert.equal(protocols.length, 1)
  assert.equal(server.stats.refused, 2)
})

test('ServerCore survives a protocol that throws', async () => {
  const errors: Error[] = []
  const { server, listener } = await fixture({
    createConnection: () => {
      throw new Error('bug')
    },
    onError: (error) => void errors.push(error),
  })
  assert.equal(listener.accept().destroyedWith?.message, 'bug')
  assert.deepEqual(
    errors.map((error) => error.message),
    ['bug'],
  )
  assert.equal(server.stats.connections, 0)
})

test('ServerCore.close drains: idle connections close, busy ones finish', async () => {
  const { clock, server, listener, protocols, states } = await fixture()
  listener.accept()
  listener.accept()
  const [idle, busy] = protocols as [ScriptedProtocol, ScriptedProtocol]
  busy.idle = false
  const closing = server.close()
  assert.equal(server.close(), closing)
  assert.equal(listener.closed, true)
  assert.equal(idle.drains, 1)
  assert.equal(busy.drains, 1)
  assert.deepEqual(states.slice(4), ['ready>draining', 'draining>closed', 'ready>draining'])
  assert.match(String(listener.accept().destroyedWith), /draining/)
  busy.finish()
  await closing
  assert.equal(clock.pendingTimers, 0)
  await assert.rejects(server.listen(new ScriptedTransport(), ip('127.0.0.1', 0)), {
    code: 'ERR_CLOSED',
  })
})

test('ServerCore.close destroys what did not drain in drainTimeoutMs', async () => {
  const { clock, server, listener, protocols } = await fixture({ drainTimeoutMs: 300 })
  const connection = listener.accept()
  ;(protocols[0] as ScriptedProtocol).idle = false
  const closing = server.close()
  await clock.advanceAsync(299)
  assert.equal(connection.destroyedWith, undefined)
  await clock.advanceAsync(1)
  assert.match(String(connection.destroyedWith), /1 connections did not drain in 300 ms/)
  await closing
})

test('ServerCore.close destroys what is left when its signal aborts', async () => {
  const { clock, server, listener, protocols } = await fixture()
  const connection = listener.accept()
  ;(protocols[0] as ScriptedProtocol).idle = false
  const controller = new AbortController()
  const closing = server.close({ signal: controller.signal })
  controller.abort()
  await closing
  assert.match(String(connection.destroyedWith), /cut short/)
  assert.equal(clock.pendingTimers, 0)
})

test('ServerCore drains what took a connection over', async () => {
  const { server, listener, protocols } = await fixture()
  listener.accept()
  let drained = 0
  const { control } = protocols[0] as ScriptedProtocol
  control.replace({
    idle: false,
    drain() {
      drained++
      control.closed(undefined)
    },
    destroy() {},
  })
  await server.close()
  assert.equal(drained, 1)
  assert.equal(protocols[0]?.drains, 0)
})
