import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  authority,
  ca,
  credentials,
  QuicLog,
  quicPair,
  rounds,
  streamOf,
  until,
} from '../../../test/transports/quic-fixture.ts'
import { simulatedDatagrams } from '../../../test/transports/simulated-datagrams.ts'
import { ip, memory } from '../../core/address.ts'
import { ClosedError, ProtocolError, TimeoutError, TransportError } from '../../core/errors.ts'
import { ManualClock } from '../../testing/manual-clock.ts'
import { seededRandom } from '../../testing/seeded-random.ts'
import { pattern } from '../../testing/transport/connection-log.ts'
import { quic } from './quic.ts'
import { quicAvailability } from './quic-availability.ts'
import type { QuicConnection } from './quic-types.ts'

const { available, reason } = quicAvailability()

describe('quic', { skip: available ? false : (reason ?? true) }, () => {
  test('carries streams that either side opens, in both directions and in one', async () => {
    await using pair = await quicPair()
    const { client, server } = pair
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      const both = from.openStream()
      both.write('ask')
      const single = from.openStream('unidirectional')
      single.write('tell')
      single.connection.end()
      await until(() => to.streams.length === 2, 'both streams arrive')
      const [asked, told] = to.streams
      await until(() => asked?.text === 'ask' && told?.ended === true, 'bytes arrive')
      assert.equal(told?.text, 'tell')
      assert.equal(streamOf(told as never).direction, 'unidirectional')
      assert.equal(asked?.connection.facts.role, 'accepting')
      asked?.write('answer')
      await until(() => both.text === 'answer', 'the answer arrives')
      await until(
        () => single.closed && told?.closed === true,
        'the stream of one direction closes',
      )
      assert.equal(single.closeReason, undefined)
      assert.equal(told?.closeReason, undefined)
    }
    const ids = [...client.streams, ...server.streams].map((log) => streamOf(log).streamId)
    assert.deepEqual(ids, [1, 3, 0, 2])
  })

  test('does not write on a stream that the peer opened in one direction', async () => {
    await using pair = await quicPair()
    const single = pair.client.openStream('unidirectional')
    single.write('x')
    await until(() => pair.server.streams[0]?.text === 'x', 'it arrives')
    assert.equal(pair.server.streams[0]?.write('y'), false)
    assert.equal(single.ended, true)
  })

  test('tells the peer the code and the reason of a close, however large', async () => {
    const code = 1_234_567_890_123n
    await using pair = await quicPair({ client: { codeOf: () => code } })
    const { client, server } = pair
    const open = client.openStream()
    open.write('x')
    await until(() => server.streams[0]?.text === 'x', 'a stream is open')
    client.connection.destroy(new Error('tschüß\nund weg'))
    await until(() => server.closed, 'the peer hears it')
    const { closeReason } = server
    assert.ok(closeReason instanceof TransportError)
    assert.equal(closeReason.code, 'ERR_DISCONNECTED')
    assert.equal(closeReason.status, Number(code))
    assert.deepEqual(closeReason.detail, {
      code: Number(code),
      reason: 'tschüß und weg', // a control character would forge a line of a log
      by: 'peer',
      kind: 'application',
    })
    assert.equal(server.streams[0]?.closeReason, closeReason)
    assert.equal(open.closed, true)
    assert.equal(client.closeReason?.message, 'tschüß\nund weg')
  })

  test('waits for streams before it closes, and refuses new ones meanwhile', async () => {
    await using pair = await quicPair()
    const { client, server } = pair
    const stream = client.openStream()
    stream.send(pattern(1, 0, 300_000))
    await until(() => server.streams.length === 1, 'the stream arrives')
    let closed = false
    const closing = client.connection.close({ code: 9, reason: 'done' }).then(() => {
      closed = true
    })
    assert.equal(client.connection.openStream(), undefined)
    const late = server.openStream()
    late.write('late')
    await until(() => late.closed, 'a new stream of the peer is refused')
    assert.equal((late.closeReason as TransportError).code, 'ERR_RESET')
    assert.equal(closed, false)
    stream.connection.end()
    server.streams[0]?.connection.end()
    await closing
    await until(() => server.closed, 'the peer hears it')
    assert.equal(server.streams[0]?.received, 300_000)
    assert.equal((server.closeReason as TransportError).status, 9)
    assert.equal(client.closeReason, undefined)
  })

  test('destroys what is left when the signal of close aborts', async () => {
    await using pair = await quicPair()
    const { client, server } = pair
    const stream = client.openStream()
    stream.write('x')
    await until(() => server.streams.length === 1, 'the stream arrives')
    const controller = new AbortController()
    const closing = client.connection.close({ signal: controller.signal })
    const gone = new ClosedError('ERR_CLOSED', 'gone')
    controller.abort(gone)
    await closing
    assert.equal(stream.closeReason, gone)
    assert.equal(client.closeReason, gone)
  })

  test('a close with code 0 and nothing under way is clean', async () => {
    await using pair = await quicPair()
    await pair.client.connection.close()
    await until(() => pair.server.closed, 'the peer hears it')
    assert.equal(pair.server.closeReason, undefined)
  })

  test('a client that closes in the tick of its connect is heard by the server', async () => {
    const network = simulatedDatagrams()
    const transport = quic({ carrier: network, ca, credentials, serverName: 'localhost' })
    const accepted: QuicLog[] = []
    const listener = await transport.listen(memory('0'), {
      onConnection: (connection) => void accepted.push(new QuicLog(connection)),
    })
    for (let round = 0; round < 5; round++) {
      const connection = await transport.connect(listener.address)
      connection.destroy()
    }
    // Without waiting for a round trip, none of them would be before the idle timeout.
    await until(() => accepted.length === 5, 'all are accepted')
    await until(() => listener.connectionCount === 0, 'all are gone')
    await listener.close()
  })

  test('tells the peer the code of a reset, both ways', async () => {
    await using pair = await quicPair()
    const { client, server } = pair
    const first = client.openStream()
    first.write('x')
    await until(() => server.streams.length === 1, 'it arrives')
    streamOf(first).reset(77)
    await until(() => server.streams[0]?.closed === true, 'the server hears it')
    const heard = server.streams[0]?.closeReason as TransportError
    assert.equal(heard.code, 'ERR_RESET')
    assert.equal(heard.status, 77)

    const second = client.openStream()
    second.write('y')
    await until(() => server.streams.length === 2, 'it arrives')
    server.streams[1]?.connection.destroy(new ProtocolError('ERR_FRAME_TOO_LARGE', 'too large'))
    await until(() => second.closed, 'the client hears it')
    assert.equal((second.closeReason as TransportError).status, 2)
    assert.equal(client.closed, false)
    assert.throws(() => streamOf(client.openStream()).reset(-1), { code: 'ERR_OPTION_RANGE' })
    assert.throws(() => streamOf(client.openStream()).reset(2n ** 62n), {
      code: 'ERR_OPTION_RANGE',
    })
  })

  test('a writer learns that its reader has gone', async () => {
    await using pair = await quicPair()
    const stream = pair.client.openStream('unidirectional')
    stream.write('x')
    await until(() => pair.server.streams.length === 1, 'it arrives')
    pair.server.streams[0]?.connection.destroy()
    await until(() => stream.closed, 'the writer hears it')
    assert.equal((stream.closeReason as TransportError).code, 'ERR_RESET')
  })

  test('a writer stops when its peer never reads, and memory stays bounded', async () => {
    await using pair = await quicPair({ network: 'udp' })
    const { client, server } = pair
    server.onNewStream = () => {} // never opened: never read
    const stream = client.openStream()
    let written = 0
    for (let idle = 0; idle < 30; idle++) {
      const before = written
      while (written < 64 * 1024 * 1024 && stream.send(pattern(1, written, 65_536)))
        written += 65_536
      if (written > before) idle = 0
      await rounds(2)
    }
    // What OpenSSL takes, what the peer's window holds, and our own mark.
    assert.ok(written < 4 * 1024 * 1024, `${written} bytes were taken`)
    assert.ok(stream.connection.writableLength > 0)
  })

  test('accepts maxConcurrentStreams at a time; the others wait for one that ends', async () => {
    await using pair = await quicPair({ server: { maxConcurrentStreams: 10 } })
    const { client, server } = pair
    assert.equal(client.connection.openableStreams, 100)
    const logs = Array.from({ length: 100 }, () => client.openStream())
    assert.equal(client.connection.openableStreams, 0)
    assert.equal(client.connection.openStream(), undefined)
    assert.equal(client.connection.streamCount, 100)
    for (const log of logs) log.write('x')
    await until(() => server.streams.length === 10, 'ten are accepted')
    await rounds(20)
    assert.equal(server.streams.length, 10)
    server.streams[0]?.connection.destroy()
    await until(() => server.streams.length === 11, 'then the eleventh is')
    await rounds(20)
    assert.equal(server.streams.length, 11)
    server.onNewStream = (log) => {
      log.open()
      log.connection.destroy()
    }
    for (const log of server.streams) log.connection.destroy()
    await until(() => server.streams.length === 100, 'all of them get their turn')
    await until(() => client.available > 0, 'onStreamsAvailable')
    assert.ok(client.connection.openStream() !== undefined)
  })

  test('closes a connection whose peer has opened maxAcceptedStreams, and not before', async () => {
    await using pair = await quicPair({ server: { maxAcceptedStreams: 3 } })
    const { client, server } = pair
    const logs = Array.from({ length: 3 }, () => client.openStream())
    for (const log of logs) log.write('x')
    await until(() => server.streams.length === 3, 'three arrive')
    const over = client.openStream()
    over.write('x')
    await until(() => over.closed, 'the fourth is refused')
    assert.equal(client.closed, false)
    for (const log of [...logs, ...server.streams]) log.connection.end()
    await until(() => client.closed, 'then it is closed')
    const { closeReason } = client
    assert.match(String(closeReason?.message), /more than 3 streams on one connection/)
    assert.equal((closeReason as TransportError).status, 5)
  })

  for (const lossRate of [0.01, 0.05]) {
    test(`is right over a network that loses ${lossRate * 100} %`, async () => {
      const network = simulatedDatagrams({ lossRate, duplicateRate: 0.01, random: seededRandom(7) })
      await using pair = await quicPair({ network })
      const { client, server } = pair
      server.onNewStream = (log) => {
        log.hooks = {
          onData: (chunk) => void log.send(chunk.slice()),
          onEnd: () => log.connection.end(),
        }
        log.expectedKey = 3
        log.open()
      }
      const stream = client.openStream()
      stream.expectedKey = 3
      stream.send(pattern(3, 0, 100_000))
      stream.connection.end()
      await until(() => stream.closed, 'the echo is whole')
      assert.equal(stream.received, 100_000)
      assert.deepEqual([...stream.violations, ...(server.streams[0]?.violations ?? [])], [])
      assert.ok(network.lostCount > 0, 'nothing was lost: the test shows nothing')
    })
  }

  test('is right while datagrams change their order', async () => {
    const network = simulatedDatagrams({ maxDelayMs: 3, random: seededRandom(3) })
    await using pair = await quicPair({ network })
    const stream = pair.client.openStream()
    pair.server.onNewStream = (log) => {
      log.expectedKey = 5
      log.open()
    }
    stream.send(pattern(5, 0, 100_000))
    await until(() => pair.server.streams[0]?.received === 100_000, 'all arrive')
    assert.deepEqual(pair.server.streams[0]?.violations, [])
  })

  test('survives 2,000 datagrams of junk, on the port of a connection too', async () => {
    const network = simulatedDatagrams()
    await using pair = await quicPair({ network })
    const { client, server, address } = pair
    const stranger = await network.bind(memory('0'))
    stranger.open({ onDatagram() {}, onError() {}, onClose() {} })
    const random = seededRandom(11)
    const targets = [address, server.connection.facts.remote]
    for (let count = 0; count < 2_000; count++) {
      const junk = new Uint8Array(6 + Math.floor(random() * 1_400))
      for (let at = 0; at < junk.length; at++) junk[at] = random() * 256
      // A third look like the first packet of a client.
      if (count % 3 === 0) junk.set([0xc0, 0, 0, 0, 1, 8])
      stranger.send(junk, targets[count % 2] as typeof address)
      if (count % 100 === 0) await rounds(1)
    }
    const stream = client.openStream()
    stream.write('still here')
    await until(() => server.streams[0]?.text === 'still here', 'the connection goes on')
    const again = await quic({ carrier: network, ca, serverName: 'localhost' }).connect(address)
    again.destroy()
    await stranger.close()
  })

  test('a peer that falls silent is gone after the smaller idle timeout: ERR_IDLE', async () => {
    const network = simulatedDatagrams()
    await using pair = await quicPair({ network, server: { idleTimeoutMs: 700 } })
    const { client, server } = pair
    const stream = client.openStream()
    stream.write('x')
    await until(() => server.streams.length === 1, 'it works')
    network.settings.lossRate = 1
    network.settings.random = () => 0
    await until(() => client.closed && server.closed, 'both give up')
    assert.ok(client.closeReason instanceof TimeoutError)
    assert.equal(client.closeReason.code, 'ERR_IDLE')
    assert.equal((server.closeReason as TimeoutError).code, 'ERR_IDLE')
    assert.equal((stream.closeReason as TimeoutError).code, 'ERR_IDLE')
  })

  test('tells its facts, those of TLS among them', async () => {
    const mine = await authority.issue({ usage: 'client', names: ['me'] })
    await using pair = await quicPair({
      client: { credentials: mine, alpn: ['b', 'c'] },
      server: { clientCertificates: 'require', alpn: ['a', 'b'] },
    })
    const client = pair.client.connection.facts
    const server = pair.server.connection.facts
    assert.equal(client.transport, 'quic')
    assert.equal(client.role, 'initiating')
    assert.equal(server.role, 'accepting')
    assert.deepEqual(server.remote.kind, 'memory')
    assert.equal(client.tls?.version, 'TLSv1.3')
    assert.equal(client.tls?.alpn, 'b')
    assert.equal(server.tls?.alpn, 'b')
    assert.equal(server.tls?.serverName, 'localhost')
    assert.equal(client.tls?.authorized, true)
    assert.equal(server.tls?.authorized, true)
    assert.equal(server.tls?.peerCertificate()?.subject, 'CN=me')
    assert.match(String(client.tls?.peerCertificate()?.subjectAltName), /DNS:localhost/)
    assert.match(String(client.tls?.cipher), /^TLS_/)
  })

  test('resumes a session with the ticket of an earlier connection', async () => {
    const network = simulatedDatagrams()
    const listening = quic({ carrier: network, credentials })
    const listener = await listening.listen(memory('0'), {
      onConnection: (connection) => {
        const log = new QuicLog(connection)
        log.onNewStream = (stream) => {
          stream.hooks = { onData: () => stream.connection.end() }
          stream.open()
        }
      },
    })
    const transport = quic({ carrier: network, ca, serverName: 'localhost' })
    const resumed: (boolean | undefined)[] = []
    for (let round = 0; round < 3; round++) {
      const log = new QuicLog(await transport.connect(listener.address))
      resumed.push(log.connection.facts.tls?.resumed)
      assert.equal(log.connection.facts.tls?.authorized, true)
      const stream = log.openStream()
      stream.write('x')
      stream.connection.end()
      await until(() => stream.closed, 'an exchange')
      await log.connection.close()
    }
    await listener.close()
    assert.deepEqual(resumed, [false, true, true])
  })

  test('works over IPv6, with its peer’s address', async () => {
    await using pair = await quicPair({ network: 'udp', address: ip('::1', 0) })
    const { remote, local } = pair.server.connection.facts
    assert.equal((remote as { host: string }).host, '::1')
    assert.deepEqual(local, pair.address)
    const stream = pair.client.openStream()
    stream.write('six')
    await until(() => pair.server.streams[0]?.text === 'six', 'it arrives')
  })

  test('spreads connections over sockets that share a port', async () => {
    const transport = quic({ credentials, ca, endpoints: 4, maxConnectionsPerEndpoint: 1 })
    const accepted: QuicConnection[] = []
    const listener = await transport.listen(ip('127.0.0.1', 0), {
      onConnection: (connection) => void accepted.push(connection),
    })
    const { address } = listener
    await assert.rejects(transport.listen(address, { onConnection() {} }), {
      code: 'ERR_ADDRESS_IN_USE',
    })
    const connections = await Promise.all(
      Array.from({ length: 8 }, () => transport.connect(address, { serverName: 'localhost' })),
    )
    await until(() => accepted.length === 8, 'all are accepted')
    const ports = connections.map(({ facts }) => (facts.local as { port: number }).port)
    assert.equal(new Set(ports).size, 8, 'one connection for each socket of the client')
    for (const connection of connections) connection.destroy()
    await listener.close({ signal: AbortSignal.abort() })
  })

  test('refuses a newcomer over maxHandshakes, and says so', async () => {
    const network = simulatedDatagrams()
    const errors: Error[] = []
    const listening = quic({ carrier: network, credentials, retry: false, maxHandshakes: 1 })
    const listener = await listening.listen(memory('0'), {
      onConnection: () => {},
      onError: (error) => void errors.push(error),
    })
    const dial = () =>
      quic({ carrier: network, ca, serverName: 'localhost' }).connect(listener.address)
    const outcomes = await Promise.allSettled([dial(), dial(), dial()])
    const refused = outcomes.filter(({ status }) => status === 'rejected')
    assert.ok(refused.length >= 1, 'all were let in')
    assert.ok(refused.length <= 2, 'none was let in')
    assert.equal((errors[0] as { code?: string }).code, 'ERR_LIMITED')
    for (const outcome of outcomes) if (outcome.status === 'fulfilled') outcome.value.destroy()
    await listener.close({ signal: AbortSignal.abort() })
  })

  test('connects within connectTimeoutMs or not at all, by its own clock', async () => {
    const network = simulatedDatagrams()
    const clock = new ManualClock()
    await network.bind(memory('silent'))
    const transport = quic({ carrier: network, ca, serverName: 'x', clock, connectTimeoutMs: 500 })
    const connecting = transport.connect(memory('silent'))
    const outcome = connecting.then(
      () => undefined,
      (error: unknown) => error,
    )
    await rounds(5)
    clock.advance(499)
    await rounds(2)
    clock.advance(1)
    const error = await outcome
    assert.ok(error instanceof TimeoutError)
    assert.equal(error.code, 'ERR_CONNECT_TIMEOUT')
    assert.equal(error.sent, 'nothing')
  })

  test('keeps newcomers while paused, up to maxPausedConnections', async () => {
    const network = simulatedDatagrams()
    const errors: Error[] = []
    const accepted: QuicConnection[] = []
    const listening = quic({ carrier: network, credentials, maxPausedConnections: 1 })
    const listener = await listening.listen(memory('0'), {
      onConnection: (connection) => void accepted.push(connection),
      onError: (error) => void errors.push(error),
    })
    listener.pause()
    const transport = quic({ carrier: network, ca, serverName: 'localhost' })
    const first = await transport.connect(listener.address)
    await until(() => listener.connectionCount === 1, 'the first is kept')
    await transport.connect(listener.address)
    await until(() => errors.length === 1, 'the second is refused')
    assert.match(String(errors[0]), /more than 1 connections came while the listener was paused/)
    assert.equal(accepted.length, 0)
    listener.resume()
    assert.equal(accepted.length, 1)
    first.destroy()
    await listener.close({ signal: AbortSignal.abort() })
  })
})
