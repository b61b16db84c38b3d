import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ca, credentials, QuicLog, rounds, until } from '../../../test/transports/quic-fixture.ts'
import { simulatedDatagrams } from '../../../test/transports/simulated-datagrams.ts'
import { memory } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import type { Listener, ListenOptions } from '../../core/transport.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { ConnectionLog } from '../../testing/transport/connection-log.ts'
import { quic } from './quic.ts'
import { quicAvailability } from './quic-availability.ts'
import { type QuicStreamsOptions, type QuicStreamsTransport, quicStreams } from './quic-streams.ts'

const { available, reason } = quicAvailability()

class World implements AsyncDisposable {
  readonly network = simulatedDatagrams()
  readonly accepted: ConnectionLog[] = []
  readonly errors: Error[] = []
  client!: QuicStreamsTransport
  listener!: Listener

  static async make(
    options: QuicStreamsOptions = {},
    server: QuicStreamsOptions = {},
    listen: Partial<ListenOptions> = {},
  ): Promise<World> {
    const world = new World()
    const common = { carrier: world.network, ca }
    const { alpn, announce } = options
    const same = { ...(alpn && { alpn }), ...(announce !== undefined && { announce }) }
    const listening = quicStreams({ ...common, credentials, ...same, ...server })
    world.listener = await listening.listen(memory('0'), {
      onConnection: (one) => void world.accepted.push(new ConnectionLog(one).open()),
      onError: (error) => void world.errors.push(error),
      ...listen,
    })
    world.client = quicStreams({ ...common, serverName: 'localhost', ...options })
    return world
  }

  async connect(): Promise<ConnectionLog> {
    return new ConnectionLog(await this.client.connect(this.listener.address)).open()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close({ signal: AbortSignal.abort() })
    await this.listener.close({ signal: AbortSignal.abort() })
  }
}

async function exchange(world: World): Promise<void> {
  const before = world.accepted.length
  const log = await world.connect()
  log.write('x')
  log.connection.end()
  await until(() => world.accepted[before]?.ended === true, 'it arrives')
  world.accepted[before]?.connection.end()
  await until(() => log.closed, 'it closes')
}

describe('quicStreams', { skip: available ? false : (reason ?? true) }, () => {
  test('opens streams of one connection, and lets a server speak first', async () => {
    await using world = await World.make()
    const logs = await Promise.all(Array.from({ length: 20 }, () => world.connect()))
    await until(() => world.accepted.length === 20, 'all are accepted before a byte is written')
    assert.equal(world.client.carrierCount, 1)
    for (const log of world.accepted) log.write('welcome')
    await until(() => logs.every((log) => log.text === 'welcome'), 'all are greeted')
    assert.equal(logs[0]?.connection.facts.transport, 'quic-streams')
  })

  test('with a protocol of its own, streams are the protocol’s from their first byte', async () => {
    await using world = await World.make({ alpn: ['raw/1'] })
    const log = await world.connect()
    await rounds(20)
    assert.equal(world.accepted.length, 0, 'nobody knows of it yet')
    log.write('hello')
    await until(() => world.accepted[0]?.text === 'hello', 'not a byte more')
  })

  test('refuses a stream that does not announce itself: ERR_WRONG_PROTOCOL', async () => {
    await using world = await World.make({ alpn: ['a/1'], announce: false }, { announce: true })
    const log = await world.connect()
    log.write('GET / HTTP/1.1')
    await until(() => log.closed, 'it is reset')
    assert.equal(world.accepted.length, 0)
    assert.equal((world.errors[0] as { code?: string }).code, 'ERR_WRONG_PROTOCOL')
  })

  test('refuses streams of one direction', async () => {
    await using world = await World.make()
    const transport = quic({
      carrier: world.network,
      ca,
      serverName: 'localhost',
      alpn: ['heddle-streams/1'],
    })
    const log = new QuicLog(await transport.connect(world.listener.address))
    const single = log.openStream('unidirectional')
    single.write('x')
    await until(() => single.closed, 'it is refused')
    assert.equal(world.accepted.length, 0)
    log.connection.destroy()
  })

  test('rotates: a connection carries maxStreamsPerConnection, then drains and closes', async () => {
    const clock = new ManualClock()
    await using world = await World.make({ maxStreamsPerConnection: 3, clock })
    const held = await world.connect()
    await until(() => world.accepted.length === 1, 'the first is accepted')
    for (let count = 0; count < 2; count++) await exchange(world)
    assert.equal(world.client.carrierCount, 1)
    await exchange(world)
    assert.equal(world.client.carrierCount, 2, 'the fourth stream has another connection')
    held.write('still')
    await until(() => world.accepted.some((log) => log.text === 'still'), 'the old one goes on')
    held.connection.destroy()
    await until(() => held.closed, 'its last stream closes')
    clock.advance(1_000)
    await until(() => world.client.carrierCount === 1, 'the old one closes')
    assert.equal(world.errors.length, 0)
  })

  test('loses nothing over many rotations', async () => {
    await using world = await World.make({ maxStreamsPerConnection: 5 })
    for (let count = 0; count < 40; count++) await exchange(world)
    assert.equal(world.accepted.length, 40)
    assert.ok(world.accepted.every((log) => log.text === 'x' && log.closeReason === undefined))
  })

  test('dials another connection when 100 streams are open, up to maxConnectionsPerOrigin', async () => {
    await using world = await World.make({ maxConnectionsPerOrigin: 2 })
    const logs = await Promise.all(Array.from({ length: 200 }, () => world.connect()))
    assert.equal(world.client.carrierCount, 2)
    let late: ConnectionLog | undefined
    const waiting = world.connect().then((log) => {
      late = log
    })
    await rounds(20)
    assert.equal(late, undefined, 'the 201st waits')
    const controller = new AbortController()
    const given = world.client.connect(world.listener.address, { signal: controller.signal })
    const gone = new Error('gone')
    controller.abort(gone)
    await assert.rejects(given, (error) => error === gone)
    await until(() => world.accepted.length === 200, 'all are accepted')
    logs[0]?.connection.end()
    for (const log of world.accepted) if (log.ended) log.connection.end()
    await until(() => {
      for (const log of world.accepted) if (log.ended && !log.closed) log.connection.end()
      return late !== undefined
    }, 'it gets the place of one that has gone')
    await waiting
  })

  test('closes a connection that nobody has used for lingerMs, and dials again', async () => {
    const clock = new ManualClock()
    await using world = await World.make({ lingerMs: 5_000, clock })
    await exchange(world)
    clock.advance(4_999)
    await rounds(5)
    assert.equal(world.client.carrierCount, 1)
    clock.advance(1)
    await until(() => world.client.carrierCount === 0, 'it closes')
    await exchange(world)
    assert.equal(world.client.carrierCount, 1)
  })

  test('fails every waiting connect when the handshake fails, and works afterwards', async () => {
    await using world = await World.make({ serverName: 'wrong.example' })
    const outcomes = await Promise.allSettled([world.connect(), world.connect()])
    for (const outcome of outcomes) {
      assert.equal(outcome.status, 'rejected')
      assert.equal((outcome.reason as { code?: string }).code, 'ERR_TLS')
    }
    const connection = await world.client.connect(world.listener.address, {
      serverName: 'localhost',
    })
    connection.destroy()
  })

  test('a connection that breaks takes its streams with it, and the next connect dials', async () => {
    const carried: Connection[] = []
    await using world = await World.make(
      { idleTimeoutMs: 600 },
      {},
      {
        onConnection: (connection) => void carried.push(connection),
      },
    )
    const log = await world.connect()
    await until(() => carried.length === 1, 'it is accepted')
    world.network.settings.lossRate = 1
    await until(() => log.closed, 'the peer has gone')
    assert.equal((log.closeReason as { code?: string }).code, 'ERR_IDLE')
    world.network.settings.lossRate = 0
    const next = await world.connect()
    next.write('x')
    await until(() => carried.length === 2, 'it works again')
  })

  test('a listener that closes tells connections with a code, after their streams', async () => {
    await using world = await World.make()
    const log = await world.connect()
    await until(() => world.accepted.length === 1, 'it is accepted')
    const closing = world.listener.close()
    await rounds(10)
    assert.equal(log.closed, false)
    world.accepted[0]?.write('last words')
    world.accepted[0]?.connection.end()
    await until(() => log.ended, 'the last words arrive')
    assert.equal(log.text, 'last words')
    log.connection.end()
    await closing
    assert.equal(log.closeReason, undefined)
    await until(() => world.client.carrierCount === 0, 'the client hears it')
  })

  test('close ends connections after their streams', async () => {
    const world = await World.make()
    const log = await world.connect()
    await until(() => world.accepted.length === 1, 'it is accepted')
    let closed = false
    const closing = world.client.close().then(() => {
      closed = true
    })
    await rounds(10)
    assert.equal(closed, false)
    log.connection.end()
    world.accepted[0]?.connection.end()
    await closing
    await world.listener.close()
  })
})
