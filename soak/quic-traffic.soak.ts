/**
 * QUIC traffic for as long as it is asked for, `--seconds 3600` for the hour: requests of 1 KB on
 * streams of their own, sixteen at a time, over connections that rotate, and one long echo beside
 * them. Every byte is checked.
 */
import { ip } from '../src/core/address.ts'
import type { Connection } from '../src/core/connection.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { createDevCertificate } from '../src/security/dev-certificate.ts'
import { quicStreams } from '../src/transports/quic/quic-streams.ts'
import type { Soak, SoakContext } from './soak.ts'

export const soak: Soak = {
  about: 'exchanges 1 KB on sixteen QUIC streams at a time, over connections that rotate',
  // OpenSSL's memory is not in the numbers of the heap: resident memory is watched below.
  async run(context) {
    const { certificate, key, ca } = await createDevCertificate(systemClock)
    const server = quicStreams({ credentials: { certificate, key } })
    const listener = await server.listen(ip('127.0.0.1', 0), { onConnection: echo })
    const client = quicStreams({ ca, maxStreamsPerConnection: 1_000 })
    const connect = () => client.connect(listener.address)
    let warm: number | undefined
    let done = 0
    const counted: SoakContext = {
      signal: context.signal,
      progress() {
        context.progress()
        done += 1
        // Some connections are always draining: their memory is reached once and stays.
        if (done === WARM_UP_REQUESTS) warm = process.memoryUsage.rss()
      },
    }
    await Promise.all([
      ...Array.from({ length: 16 }, () => requests(counted, connect)),
      longEcho(context, connect),
    ])
    await client.close()
    await listener.close()
    if (warm === undefined) return
    const grown = Math.round((process.memoryUsage.rss() - warm) / 1_048_576)
    console.log(
      `  resident memory after ${WARM_UP_REQUESTS} requests: ${grown >= 0 ? '+' : ''}${grown} MB`,
    )
    if (grown > MAX_GROWTH_MB) throw new Error(`resident memory grew by ${grown} MB`)
  },
}

function echo(connection: Connection): void {
  connection.open({
    onData(chunk) {
      if (!connection.write(chunk.slice())) connection.pause()
    },
    onDrain: () => connection.resume(),
    onEnd: () => connection.end(),
    onClose() {},
  })
}

async function requests(context: SoakContext, connect: () => Promise<Connection>): Promise<void> {
  const body = Uint8Array.from({ length: 1_024 }, (_, at) => at * 7)
  while (!context.signal.aborted) {
    const stream = await connect()
    await exchange(stream, body)
    context.progress()
  }
}

function exchange(stream: Connection, body: Uint8Array): Promise<void> {
  let received = 0
  return new Promise((resolve, reject) => {
    stream.open({
      onData(chunk) {
        for (const byte of chunk) {
          if (byte !== body[received % body.length]) reject(new Error(`byte ${received} is wrong`))
          received += 1
        }
      },
      onDrain() {},
      onEnd() {},
      onClose(reason) {
        if (reason !== undefined) reject(reason)
        else if (received === body.length) resolve()
        else reject(new Error(`${received} bytes of ${body.length}`))
      },
    })
    stream.write(body)
    stream.end()
  })
}

/** One stream for the whole run: it outlives the rotation of its connection. */
async function longEcho(context: SoakContext, connect: () => Promise<Connection>): Promise<void> {
  const stream = await connect()
  let sent = 0
  let received = 0
  await new Promise<void>((resolve, reject) => {
    const send = () => {
      if (context.signal.aborted) return stream.end()
      const chunk = Uint8Array.from({ length: 4_096 }, (_, at) => (sent + at) & 0xff)
      sent += chunk.length
      stream.write(chunk)
    }
    stream.open({
      onData(chunk) {
        for (const byte of chunk) {
          if (byte !== (received & 0xff)) reject(new Error(`long echo: byte ${received} is wrong`))
          received += 1
        }
        if (received === sent) setTimeout(send, 5)
      },
      onDrain() {},
      onEnd() {},
      onClose: (reason) => (reason === undefined ? resolve() : reject(reason)),
    })
    send()
  })
  if (received !== sent) throw new Error(`long echo: ${received} bytes of ${sent}`)
}

const WARM_UP_REQUESTS = 75_000
const MAX_GROWTH_MB = 48
