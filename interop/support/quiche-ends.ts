/**
 * Ends of QUIC on either driver, for the suites of the second one: servers that echo, and clients.
 */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ip } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import type { DatagramSocket } from '../../src/core/datagram-socket.ts'
import type { TransportError } from '../../src/core/errors.ts'
import type { Listener } from '../../src/core/transport.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { quic } from '../../src/transports/quic/quic.ts'
import { quicAvailability } from '../../src/transports/quic/quic-availability.ts'
import type { QuicDriverName, QuicOptions } from '../../src/transports/quic/quic-options.ts'
import type { QuicConnection, QuicStream } from '../../src/transports/quic/quic-types.ts'

export const authority = await DevAuthority.create(systemClock)
export const stranger = await DevAuthority.create(systemClock)
export const credentials = await authority.issue()
export const { ca } = authority
export const skip = quicAvailability().reason ?? quicAvailability('quiche').reason ?? false

export const quiet = { onStreamsAvailable() {} }
export const listeners: Listener[] = []
after(async () => {
  for (const listener of listeners) await listener.close({ signal: AbortSignal.abort() })
})

export async function serve(
  driver: QuicDriverName,
  options: QuicOptions,
  onConnection: (connection: QuicConnection) => void,
  onError?: (error: Error) => void,
): Promise<number> {
  const transport = quic({
    driver,
    credentials,
    alpn: ['echo/1'],
    ...(driver === 'quiche' && { allowCrossDelivery: true, unreliableDatagrams: true }),
    ...options,
  })
  const listener = await transport.listen(ip('127.0.0.1', 0), {
    onConnection,
    ...(onError && { onError }),
  })
  listeners.push(listener)
  return (listener.address as { port: number }).port
}

export function dial(
  driver: QuicDriverName,
  port: number,
  options: QuicOptions = {},
): Promise<QuicConnection> {
  return quic({
    driver,
    ca,
    alpn: ['echo/1'],
    serverName: 'localhost',
    ...(driver === 'quiche' && { unreliableDatagrams: true }),
    ...options,
  }).connect(ip('127.0.0.1', port))
}

/** Echoes streams; `reset` and `close` do what they say; one direction is answered by another. */
export function echo(connection: QuicConnection): void {
  connection.open({
    ...quiet,
    onStream(given) {
      const stream = given as QuicStream
      const single = stream.direction === 'unidirectional'
      let text = ''
      stream.open({
        onData(chunk) {
          if (text.length < 100) text += Buffer.from(chunk).toString('latin1')
          if (text === 'reset') stream.reset(99)
          else if (text === 'close') void connection.destroy(new Error('asked to'))
          else if (!single && !stream.write(chunk.slice())) stream.pause()
        },
        onDrain: () => stream.resume(),
        onEnd() {
          stream.end()
          if (!single) return
          const back = connection.openStream({ direction: 'unidirectional' }) as Connection
          void read(back)
          back.write(Buffer.from(text))
          back.end()
        },
        onClose() {},
      })
    },
    onClose() {},
  })
}

/** Everything a stream says until its end. */
export function read(stream: Connection): Promise<Buffer> {
  const chunks: Buffer[] = []
  return new Promise((resolve, reject) => {
    stream.open({
      onData: (chunk) => void chunks.push(Buffer.from(chunk)),
      onDrain() {},
      onEnd: () => resolve(Buffer.concat(chunks)),
      onClose: (error) => (error === undefined ? resolve(Buffer.concat(chunks)) : reject(error)),
    })
  })
}

export async function ask(
  connection: QuicConnection,
  data: Uint8Array,
  end = true,
): Promise<Buffer> {
  let stream = connection.openStream()
  // The peer's limit is reached: it is raised when streams have ended.
  for (let turn = 0; stream === undefined && turn < 500; turn++) {
    await sleep(10)
    stream = connection.openStream()
  }
  assert.ok(stream, 'no stream can be opened')
  const answer = read(stream)
  stream.write(data)
  if (end) stream.end()
  return answer
}

export function closing(connection: QuicConnection): Promise<TransportError | undefined> {
  return new Promise((resolve) => {
    connection.open({
      ...quiet,
      onStream: (stream) => stream.destroy(),
      onClose: (error) => resolve(error as TransportError | undefined),
    })
  })
}

export const BIG = Buffer.alloc(3_000_000)
for (let at = 0; at < BIG.length; at += 4) BIG.writeUInt32LE(at, at)

export const IGNORE = { onDatagram() {}, onError() {}, onClose() {} }

export function listen(socket: DatagramSocket): {
  heard: Buffer[]
  closed: Promise<Error | undefined>
} {
  const heard: Buffer[] = []
  const closed = new Promise<Error | undefined>((onClose) => {
    const onDatagram = (payload: Uint8Array): void => void heard.push(Buffer.from(payload))
    socket.open({ onDatagram, onError() {}, onClose })
  })
  return { heard, closed }
}

/** A way to a port on this machine that can be cut. */
export async function cuttable(
  port: number,
): Promise<{ readonly port: number; cut(): void; close(): void }> {
  const front = createSocket('udp4')
  const back = createSocket('udp4')
  let client = 0
  let whole = true
  front.on('message', (data, from) => {
    client = from.port
    if (whole) back.send(data, port, '127.0.0.1')
  })
  back.on('message', (data) => whole && front.send(data, client, '127.0.0.1'))
  await new Promise<void>((resolve) => front.bind(0, '127.0.0.1', resolve))
  return {
    port: front.address().port,
    cut: () => void (whole = false),
    close() {
      front.close()
      back.close()
    },
  }
}

export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

export async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert.ok(turn < 1_000, 'it did not happen within ten seconds')
    await sleep(10)
  }
}
