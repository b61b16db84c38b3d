/**
 * Message properties: how a connection comes into being, and what is known of it.
 */
import { TimeoutError, TransportError } from '../../core/errors.ts'
import type { MessageProperty } from './message-world.ts'

export const messageConnectingProperties: readonly MessageProperty[] = [
  {
    name: 'connects and accepts, each side in its role, with what is known of it',
    async run(world) {
      const { client, server, listener } = await world.pair()
      const { facts } = client.connection
      world.equal(facts.role, 'initiating', 'role of the connecting side')
      world.equal(server.connection.facts.role, 'accepting', 'role of the listening side')
      world.equal(facts.transport, world.fixture.transport.name, 'facts.transport')
      world.equal(facts.remote.kind, listener.address.kind, 'kind of the remote address')
      world.ok(Number.isInteger(facts.capabilities), 'capabilities are not bits')
      const roundTrip = facts.roundTripMs()
      world.ok(roundTrip === undefined || roundTrip >= 0, `roundTripMs is ${roundTrip}`)
      world.equal(typeof client.connection.ownsMessages, 'boolean', 'type of ownsMessages')
      world.equal(client.connection.writableLength, 0, 'writableLength of a new connection')
    },
  },
  {
    name: 'numbers connections, never twice the same',
    async run(world) {
      const { client, server, listener } = await world.pair()
      const other = world.log(await world.resolved(world.connect(listener.address))).open()
      const ids = [client.connection.id, server.connection.id, other.connection.id]
      world.equal(new Set(ids).size, 3, 'distinct ids')
      const numbers = ids.every((id) => Number.isInteger(id) && id > 0)
      world.ok(numbers, `ids are ${ids.join(', ')}`)
    },
  },
  {
    name: 'refuses to connect where nobody listens: TransportError, nothing sent',
    async run(world) {
      let nobody = world.fixture.nobody
      if (nobody === undefined) {
        const listener = await world.listen()
        nobody = listener.address
        await world.resolved(listener.close())
      }
      const error = await world.rejected(world.connect(nobody), 'connecting to nobody')
      world.ok(error instanceof TransportError, `rejected with ${String(error)}`)
      world.equal((error as TransportError).sent, 'nothing', 'sent')
    },
  },
  {
    name: 'does not connect with a signal that is aborted already',
    async run(world) {
      let accepted = 0
      const listener = await world.listen({
        onConnection(connection) {
          accepted += 1
          world.log(connection).open()
        },
      })
      const reason = new Error('before')
      const signal = AbortSignal.abort(reason)
      const error = await world.rejected(world.connect(listener.address, { signal }), 'connect')
      world.equal(error, reason, 'rejection')
      await world.quiet()
      world.equal(accepted, 0, 'connections accepted')
    },
  },
  {
    name: 'gives up connecting when the signal aborts, with its own reason',
    async run(world) {
      const listener = await world.listen()
      const controller = new AbortController()
      const reason = new Error('during')
      const connecting = world.connect(listener.address, { signal: controller.signal })
      controller.abort(reason)
      world.equal(await world.rejected(connecting, 'connect'), reason, 'rejection')
      // The peer may have accepted it already; then it is closed again.
      await world.until(() => listener.connectionCount === 0, 'the other side is closed')
    },
  },
  {
    name: 'ignores the signal once connected',
    async run(world) {
      const listener = await world.listen({
        onConnection(connection) {
          const echo = world.log(connection, { onMessage: (one) => void echo.send(one.slice()) })
          echo.open()
        },
      })
      const controller = new AbortController()
      const connecting = world.connect(listener.address, { signal: controller.signal })
      const client = world.log(await world.resolved(connecting)).open()
      controller.abort(new Error('after'))
      client.say('still here')
      await world.until(() => client.count === 1, 'the echo arrives')
      world.ok(!client.closed, 'the abort closed the connection')
    },
  },
  {
    name: 'does not connect after its deadline: TimeoutError ERR_CONNECT_TIMEOUT',
    async run(world) {
      const listener = await world.listen()
      const deadline = world.fixture.clock.now() - 1
      const error = await world.rejected(world.connect(listener.address, { deadline }), 'connect')
      world.ok(error instanceof TimeoutError, `rejected with ${String(error)}`)
      world.equal((error as TimeoutError).code, 'ERR_CONNECT_TIMEOUT', 'code')
      world.equal((error as TimeoutError).sent, 'nothing', 'sent')
    },
  },
  {
    name: 'connects with a deadline far away and leaves no timer of it',
    async run(world) {
      const listener = await world.listen()
      const deadline = world.fixture.clock.now() + 600_000
      const connection = await world.resolved(world.connect(listener.address, { deadline }))
      world.log(connection).open()
    },
  },
  {
    name: 'opens once',
    async run(world) {
      const { client } = await world.pair()
      try {
        client.connection.open(client)
      } catch (error) {
        world.equal((error as { code?: string }).code, 'ERR_ALREADY_OPEN', 'code')
        return
      }
      world.ok(false, 'a second open was accepted')
    },
  },
]
