/**
 * Transport properties: how a connection comes into being, and what is known of it.
 */
import { TimeoutError, TransportError } from '../../core/errors.ts'
import type { TransportProperty } from './transport-world.ts'

export const connectingProperties: readonly TransportProperty[] = [
  {
    name: 'connects and accepts, each side in its role',
    async run(world) {
      const { client, server } = await world.pair()
      world.equal(client.connection.facts.role, 'initiating', 'role of the connecting side')
      world.equal(server.connection.facts.role, 'accepting', 'role of the listening side')
    },
  },
  {
    name: 'gives both sides their addresses and the name of the transport',
    async run(world) {
      const { client, server, listener } = await world.pair()
      const { facts } = client.connection
      world.equal(facts.transport, world.fixture.transport.name, 'facts.transport')
      world.equal(facts.remote.kind, listener.address.kind, 'kind of the remote address')
      world.equal(server.connection.facts.local.kind, listener.address.kind, 'kind of the local')
      world.ok(facts.local !== undefined, 'no local address')
      world.ok(Number.isInteger(facts.capabilities), 'capabilities are not bits')
      const roundTrip = facts.roundTripMs()
      world.ok(roundTrip === undefined || roundTrip >= 0, `roundTripMs is ${roundTrip}`)
    },
  },
  {
    name: 'says whether it is secure',
    async run(world) {
      const { client, server } = await world.pair()
      const { secure } = world.fixture.transport.traits
      for (const { facts } of [client.connection, server.connection]) {
        const known = facts.tls !== undefined || facts.seal !== undefined
        world.equal(known, secure, `facts of TLS or a seal, ${facts.role}`)
      }
    },
  },
  {
    name: 'numbers connections, never twice the same',
    async run(world) {
      const { client, server, listener } = await world.pair()
      const other = world.log(await world.resolved(world.connect(listener.address))).open()
      const ids = [client.connection.id, server.connection.id, other.connection.id]
      world.equal(new Set(ids).size, 3, 'distinct ids')
      world.ok(
        ids.every((id) => Number.isInteger(id) && id > 0),
        `ids are ${ids.join(', ')}`,
      )
    },
  },
  {
    name: 'replaces port 0 by where it listens',
    async run(world) {
      const listener = await world.listen()
      const { address } = listener
      if (address.kind === 'ip') world.ok(address.port > 0, `port is ${address.port}`)
      if (address.kind === 'memory') world.ok(address.name !== '0', `name is ${address.name}`)
      const connection = await world.resolved(world.connect(address))
      world.log(connection).open()
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
          const echo = world.log(connection, { onData: (chunk) => void echo.send(chunk.slice()) })
          echo.open()
        },
      })
      const controller = new AbortController()
      const connecting = world.connect(listener.address, { signal: controller.signal })
      const client = world.log(await world.resolved(connecting)).open()
      controller.abort(new Error('after'))
      client.write('still here')
      await world.until(() => client.received === 10, 'the echo arrives')
      world.equal(client.text, 'still here', 'echo')
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
  {
    name: 'reads nothing before open, and everything after',
    async run(world) {
      const { client, server } = await world.rawPair()
      client.open()
      client.write('early')
      await world.quiet()
      world.equal(server.received, 0, 'bytes delivered before open')
      server.open()
      await world.until(() => server.received === 5, 'what came before open is delivered')
      world.equal(server.text, 'early', 'bytes')
    },
  },
  {
    name: 'sends what is written before open',
    async run(world) {
      const { client, server } = await world.rawPair()
      server.write('first')
      client.open()
      await world.until(() => client.received === 5, 'it arrives')
      server.open()
      world.equal(client.text, 'first', 'bytes')
    },
  },
  {
    name: 'can be told not to keep the process alive',
    async run(world) {
      const { client, listener } = await world.pair()
      client.connection.unref()
      client.connection.ref()
      listener.unref()
      listener.ref()
    },
  },
]
