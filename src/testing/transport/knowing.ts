/**
 * Transport properties: what both ends know of a connection, and that it stays what it was.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import { Capability, type ConnectionFacts } from '../../core/connection.ts'
import type { TransportProperty } from './transport-world.ts'

export const knowingProperties: readonly TransportProperty[] = [
  {
    name: 'shows each side the address of the other',
    async run(world) {
      const { client, server } = await world.pair()
      const ours = client.connection.facts
      const theirs = server.connection.facts
      world.equal(text(theirs.remote), text(ours.local), 'where the connecting side is')
      world.equal(text(ours.remote), text(theirs.local), 'where the accepting side is')
    },
  },
  {
    name: 'is connected where it was told to connect',
    async run(world) {
      const { client, server, listener } = await world.pair()
      const { address } = listener
      world.equal(text(client.connection.facts.remote), text(address), 'remote of the client')
      world.equal(text(server.connection.facts.local), text(address), 'local of the server')
    },
  },
  {
    name: 'keeps its facts when the connection is closed',
    async run(world) {
      const pair = await world.pair()
      const { client, server } = pair
      const before = [client, server].map((log) => textOfFacts(log.connection.facts))
      client.write('x')
      await world.until(() => server.received === 1, 'a byte arrives')
      await world.closeBoth(pair)
      const after = [client, server].map((log) => textOfFacts(log.connection.facts))
      world.equal(after[0], before[0], 'facts of the client')
      world.equal(after[1], before[1], 'facts of the server')
    },
  },
  {
    name: 'keeps its facts when its peer destroys it',
    async run(world) {
      const { client, server } = await world.pair()
      const before = textOfFacts(server.connection.facts)
      client.connection.destroy()
      await world.until(() => server.closed || server.ended, 'it hears of it')
      world.equal(textOfFacts(server.connection.facts), before, 'facts')
    },
  },
  {
    name: 'keeps its id over data, detach and close',
    async run(world) {
      const { client, server } = await world.pair()
      const { id } = server.connection
      client.write('x')
      await world.until(() => server.received === 1, 'a byte arrives')
      server.connection.detach()
      world.equal(server.connection.id, id, 'id after detach')
      const next = world.log(server.connection).open()
      server.connection.destroy()
      await world.until(() => next.closed, 'it closes')
      world.equal(server.connection.id, id, 'id after the close')
    },
  },
  {
    name: 'never gives the id of a closed connection to another',
    async run(world) {
      const ids: number[] = []
      const listener = await world.listen({
        onConnection(connection) {
          ids.push(connection.id)
          world.log(connection).open()
        },
      })
      for (let round = 1; round <= 10; round++) {
        const client = world.log(await world.resolved(world.connect(listener.address))).open()
        ids.push(client.connection.id)
        await world.until(() => ids.length === 2 * round, 'it is accepted')
        client.connection.destroy()
        await world.until(() => client.closed, 'it closes')
      }
      world.equal(new Set(ids).size, 20, 'distinct ids of 20 ends')
    },
  },
  {
    name: 'claims half-close as an ability only with the trait',
    async run(world) {
      const { client, server } = await world.pair()
      const { halfClose } = world.fixture.transport.traits
      for (const { facts } of [client.connection, server.connection]) {
        const claimed = (facts.capabilities & Capability.HALF_CLOSE) !== 0
        world.ok(halfClose || !claimed, `${facts.role}: HALF_CLOSE claimed, the trait is false`)
      }
    },
  },
  {
    name: 'knows no size and no time that is not a positive number',
    async run(world) {
      const { client, server } = await world.pair()
      client.write('x')
      await world.until(() => server.received === 1, 'a byte arrives')
      for (const { facts } of [client.connection, server.connection]) {
        const { mtu, receiveBufferBytes, sendBufferBytes } = facts
        for (const bytes of [mtu, receiveBufferBytes, sendBufferBytes]) {
          const plausible = bytes === undefined || (Number.isSafeInteger(bytes) && bytes > 0)
          world.ok(plausible, `${facts.role}: a size is ${bytes}`)
        }
        const roundTrip = facts.roundTripMs() ?? 0
        world.ok(Number.isFinite(roundTrip) && roundTrip >= 0, `round trip is ${roundTrip}`)
      }
    },
  },
  {
    name: 'agrees at both ends on what secures the connection',
    needs: 'secure',
    async run(world) {
      const { client, server } = await world.pair()
      const ours = client.connection.facts
      const theirs = server.connection.facts
      world.equal(ours.tls?.version, theirs.tls?.version, 'version of TLS')
      world.equal(ours.tls?.cipher, theirs.tls?.cipher, 'cipher of TLS')
      world.equal(ours.tls?.alpn, theirs.tls?.alpn, 'protocol by ALPN')
      world.equal(ours.seal?.cipher, theirs.seal?.cipher, 'cipher of the seal')
      world.equal(ours.seal?.keyId, theirs.seal?.keyId, 'key of the seal')
    },
  },
]

function text(address: Address): string {
  return `${address.kind} ${formatAddress(address)}`
}

function textOfFacts({ transport, role, local, remote, tls, seal }: ConnectionFacts): string {
  const secured = `${tls?.version} ${tls?.cipher} ${seal?.cipher}`
  return `${transport} ${role} ${text(local)} ${text(remote)} ${secured}`
}
