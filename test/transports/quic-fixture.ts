/**
 * Both ends of QUIC for tests: a listener, a client, and logs of their streams.
 */
import { type Address, ip, memory } from '../../src/core/address.ts'
import type { Connection } from '../../src/core/connection.ts'
import type { MultiplexedHandler } from '../../src/core/multiplexed-connection.ts'
import type { ListenOptions } from '../../src/core/transport.ts'
import { systemClock } from '../../src/platform/system-clock.ts'
import { DevAuthority } from '../../src/security/dev-certificate.ts'
import { ConnectionLog } from '../../src/testing/transport/connection-log.ts'
import { quic } from '../../src/transports/quic/quic.ts'
import type { QuicOptions } from '../../src/transports/quic/quic-options.ts'
import type { QuicConnection, QuicStream } from '../../src/transports/quic/quic-types.ts'
import { type SimulatedDatagrams, simulatedDatagrams } from './simulated-datagrams.ts'

export const authority: DevAuthority = await DevAuthority.create(systemClock)
export const credentials = await authority.issue()
export const { ca } = authority

/** What a connection tells its owner. */
export class QuicLog implements MultiplexedHandler {
  readonly connection: QuicConnection
  readonly streams: ConnectionLog[] = []
  available = 0
  closed = false
  closeReason: Error | undefined
  onNewStream: (log: ConnectionLog) => void = (log) => void log.open()

  constructor(connection: QuicConnection) {
    this.connection = connection
    connection.open(this)
  }

  onStream(stream: Connection): void {
    const log = new ConnectionLog(stream)
    this.streams.push(log)
    this.onNewStream(log)
  }

  onStreamsAvailable(): void {
    this.available += 1
  }

  onClose(reason: Error | undefined): void {
    this.closed = true
    this.closeReason = reason
  }

  openStream(direction: 'bidirectional' | 'unidirectional' = 'bidirectional'): ConnectionLog {
    const stream = this.connection.openStream({ direction })
    if (stream === undefined) throw new Error('no stream can be opened')
    return new ConnectionLog(stream).open()
  }
}

export interface QuicPair extends AsyncDisposable {
  readonly client: QuicLog
  readonly server: QuicLog
  readonly address: Address
  readonly errors: Error[]
}

export interface PairOptions {
  readonly client?: QuicOptions
  readonly server?: QuicOptions
  readonly listen?: Partial<ListenOptions<QuicConnection>>
  /** A simulated network; without, sockets of the loopback interface. */
  readonly network?: SimulatedDatagrams | 'udp'
  readonly address?: Address
}

export async function quicPair(options: PairOptions = {}): Promise<QuicPair> {
  const { network = simulatedDatagrams() } = options
  const common: QuicOptions = network === 'udp' ? {} : { carrier: network }
  const address = options.address ?? (network === 'udp' ? ip('127.0.0.1', 0) : memory('0'))
  const errors: Error[] = []
  const accepted = Promise.withResolvers<QuicLog>()
  const listening = quic({ ...common, credentials, ca, ...options.server })
  const listener = await listening.listen(address, {
    onConnection: (connection) => accepted.resolve(new QuicLog(connection)),
    onError: (error) => void errors.push(error),
    ...options.listen,
  })
  const dialling = quic({ ...common, ca, serverName: 'localhost', ...options.client })
  try {
    const client = new QuicLog(await dialling.connect(listener.address))
    const server = await accepted.promise
    return {
      client,
      server,
      address: listener.address,
      errors,
      async [Symbol.asyncDispose]() {
        client.connection.destroy()
        await listener.close({ signal: AbortSignal.abort() })
      },
    }
  } catch (error) {
    await listener.close({ signal: AbortSignal.abort() })
    throw error
  }
}

export const streamOf = (log: ConnectionLog): QuicStream => log.connection as QuicStream

/** Rounds of the event loop until `condition` holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = systemClock.now() + 20_000
  while (!condition()) {
    if (systemClock.now() > deadline) throw new Error(`did not happen: ${what}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export async function rounds(count: number): Promise<void> {
  for (let round = 0; round < count; round++) await new Promise((resolve) => setImmediate(resolve))
}
