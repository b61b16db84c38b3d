/**
 * A pointer that is used after it is free ends the process, so: everything is destroyed inside every
 * callback, twice, in every order, with the collector running.
 */
import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import {
  ca,
  credentials,
  QuicLog,
  type QuicPair,
  quicPair,
  rounds,
  until,
} from '../../../test/transports/quic-fixture.ts'
import { simulatedDatagrams } from '../../../test/transports/simulated-datagrams.ts'
import { ip, memory } from '../../core/address.ts'
import type { Listener } from '../../core/transport.ts'
import { type ConnectionLog, pattern } from '../../testing/transport/connection-log.ts'
import { quic } from './quic.ts'
import { quicAvailability } from './quic-availability.ts'

const { available, reason } = quicAvailability()

type Victim = 'stream' | 'connection' | 'both' | 'peer' | 'everything'

/** Destroys twice what is named. */
function destroy(victim: Victim, stream: ConnectionLog, pair: QuicPair, listener?: Listener): void {
  for (let twice = 0; twice < 2; twice++) {
    if (victim !== 'connection' && victim !== 'peer') stream.connection.destroy()
    if (victim !== 'stream' && victim !== 'peer') pair.client.connection.destroy()
    if (victim === 'peer' || victim === 'everything') pair.server.connection.destroy()
    if (victim === 'everything') void listener?.close({ signal: AbortSignal.abort() })
  }
  // What is gone takes everything and does nothing.
  stream.connection.write(new Uint8Array(10))
  stream.connection.end()
  stream.connection.pause()
  stream.connection.resume()
  stream.connection.ref()
  stream.connection.unref()
}

describe('quic lifetimes', { skip: available ? false : (reason ?? true) }, () => {
  for (const victim of ['stream', 'connection', 'both', 'peer', 'everything'] as const) {
    test(`destroys ${victim} inside every callback`, async () => {
      for (const callback of ['onData', 'onDrain', 'onEnd', 'onClose', 'onStream'] as const) {
        await using pair = await quicPair()
        const { client, server } = pair
        let reached = false
        const strike = (log: ConnectionLog): void => {
          if (reached) return
          reached = true
          destroy(victim, log, pair)
        }
        server.onNewStream = (log) => {
          if (callback === 'onStream') strike(log)
          else {
            log.hooks = {
              onData: (chunk) => {
                if (callback === 'onData') strike(log)
                else log.send(chunk.slice())
              },
              onEnd: () => (callback === 'onEnd' ? strike(log) : log.connection.end()),
              onClose: () => callback === 'onClose' && strike(log),
            }
          }
          if (!log.closed) log.open()
        }
        const stream = client.openStream()
        stream.hooks = { onDrain: () => callback === 'onDrain' && strike(stream) }
        // More than OpenSSL and the peer's window hold, where something is to drain.
        stream.send(new Uint8Array(callback === 'onDrain' ? 1_200_000 : 60_000))
        stream.connection.end()
        // A second one is in the middle of its work.
        const other = client.connection.openStream()
        other?.write(pattern(1, 0, 10_000))
        await until(() => reached, callback)
        await rounds(10)
      }
    })
  }

  test('goes on after a handler that throws', async () => {
    await using pair = await quicPair()
    const { client, server } = pair
    const thrown: unknown[] = []
    const onThrown = (error: unknown): void => void thrown.push(error)
    process.setUncaughtExceptionCaptureCallback(onThrown)
    try {
      server.onNewStream = (log) => {
        log.hooks = {
          onData() {
            log.hooks = {}
            throw new Error('a mistake of the handler')
          },
        }
        log.open()
      }
      const stream = client.openStream()
      stream.write('first')
      await until(() => thrown.length === 1, 'it is thrown')
      stream.write('second')
      await until(() => server.streams[0]?.received === 11, 'the rest arrives')
    } finally {
      process.setUncaughtExceptionCaptureCallback(null)
    }
  })

  test('closes a listener in the middle of handshakes', async () => {
    const network = simulatedDatagrams()
    for (const wait of [0, 1, 2, 3, 5, 8]) {
      const listening = quic({ carrier: network, credentials })
      const listener = await listening.listen(memory('0'), { onConnection: (one) => one.destroy() })
      const transport = quic({
        carrier: network,
        ca,
        serverName: 'localhost',
        connectTimeoutMs: 100,
      })
      const connecting = Array.from({ length: 3 }, () =>
        transport.connect(listener.address).then(
          (connection) => connection.destroy(),
          () => {},
        ),
      )
      await rounds(wait)
      await listener.close({ signal: AbortSignal.abort() })
      await Promise.all(connecting)
    }
  })

  test('aborts a connect at any moment', async () => {
    const network = simulatedDatagrams()
    const listening = quic({ carrier: network, credentials })
    const listener = await listening.listen(memory('0'), {
      onConnection: (connection) => void new QuicLog(connection),
    })
    for (let wait = 0; wait < 12; wait++) {
      const controller = new AbortController()
      const transport = quic({ carrier: network, ca, serverName: 'localhost' })
      const connecting = transport.connect(listener.address, { signal: controller.signal })
      const outcome = connecting.then(
        (connection) => connection.destroy(),
        () => {},
      )
      await rounds(wait)
      controller.abort()
      await outcome
    }
    await until(() => listener.connectionCount === 0, 'none is left')
    await listener.close()
  })

  test('keeps its memory while the collector runs', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    await using pair = await quicPair({ network: 'udp' })
    const { client, server } = pair
    server.onNewStream = (log) => {
      log.hooks = {
        onData: (chunk) => void log.send(chunk.slice()),
        onEnd: () => log.connection.end(),
      }
      log.open()
    }
    for (let round = 0; round < 2; round++) {
      const stream = client.openStream()
      stream.expectedKey = round
      stream.send(pattern(round, 0, 100_000))
      stream.connection.end()
      let turns = 0
      await until(() => {
        turns += 1
        if (turns % 3 === 0) gc() // some fifty milliseconds each
        return stream.closed
      }, 'the echo')
      assert.equal(stream.received, 100_000)
      assert.deepEqual(stream.violations, [])
    }
  })

  // The error queue of OpenSSL is one for each thread.
  test('neither finds errors of node:crypto and node:tls, nor leaves any to them', async () => {
    const failure = (): string => {
      try {
        createPrivateKey('-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----')
      } catch (error) {
        return `${(error as NodeJS.ErrnoException).code}: ${(error as Error).message}`
      }
      return 'none'
    }
    const { certificate, key } = credentials
    const tls = createTlsServer({ cert: certificate, key }, (socket) => socket.pipe(socket))
    tls.on('tlsClientError', () => {}).listen(0, '127.0.0.1')
    await once(tls, 'listening')
    const { port } = tls.address() as AddressInfo
    const own = failure()
    assert.notEqual(own, 'none')
    await using pair = await quicPair()
    const { client, server } = pair
    server.onNewStream = (log) => {
      log.hooks = { onData: (chunk) => void log.send(chunk.slice()) }
      log.open()
    }
    for (let round = 0; round < 20; round++) {
      const stream = client.openStream()
      stream.expectedKey = round
      stream.send(pattern(round, 0, 20_000))
      assert.equal(failure(), own)
      // One that fails, one that is refused on QUIC, one that works.
      const untrusted = connectTls({ port, host: '127.0.0.1' })
      const refused = quicPair({ client: { alpn: ['another'] } })
      const trusted = connectTls({ port, host: '127.0.0.1', ca, servername: 'localhost' })
      trusted.write('hello')
      const [[wrong], [echoed]] = await Promise.all([
        once(untrusted, 'error', { signal: AbortSignal.timeout(20_000) }).catch((error) => [error]),
        once(trusted, 'data'),
        assert.rejects(refused, { code: 'ERR_TLS' }),
        until(() => stream.received === 20_000, 'the echo'),
      ])
      assert.match((wrong as NodeJS.ErrnoException).code ?? '', /CERT|ISSUER|VERIFY/)
      assert.equal(String(echoed), 'hello')
      assert.equal(failure(), own)
      assert.deepEqual(stream.violations, [])
      stream.connection.destroy()
      trusted.destroy()
    }
    tls.close()
  })

  test('works in two worker threads at once, and survives their end', async () => {
    const workers = Array.from({ length: 2 }, () => {
      const file = new URL('../../../test/transports/quic-worker.ts', import.meta.url)
      return new Worker(file, { workerData: { credentials, ca } })
    })
    const ports = await Promise.all(
      workers.map(async (worker) => (await once(worker, 'message'))[0]),
    )
    const transport = quic({ ca, serverName: 'localhost' })
    const logs: QuicLog[] = []
    const streams: ConnectionLog[] = []
    for (const port of ports as number[]) {
      const log = new QuicLog(await transport.connect(ip('127.0.0.1', port)))
      logs.push(log)
      const stream = log.openStream()
      stream.write('hello')
      streams.push(stream)
    }
    await until(() => streams.every((stream) => stream.text === 'hello'), 'both echo')
    await Promise.all(workers.map((worker) => worker.terminate()))
    // This thread’s own goes on.
    await using pair = await quicPair({ network: 'udp' })
    const stream = pair.client.openStream()
    stream.write('x')
    await until(() => pair.server.streams[0]?.text === 'x', 'it works')
    for (const log of logs) log.connection.destroy()
  })
})
