/**
 * QUIC connections made and closed, eight at a time: what a connection leaves behind shows here
 * first. One connection a cycle, unlike those of the other transports, because streams share one.
 */
import { ip } from '../src/core/address.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { createDevCertificate } from '../src/security/dev-certificate.ts'
import { quic } from '../src/transports/quic/quic.ts'
import type { QuicConnection } from '../src/transports/quic/quic-types.ts'
import { echo, exchangeByte, FlatCheck } from './connect-cycles.ts'
import type { Soak } from './soak.ts'

const CYCLES = 2_000

export const soak: Soak = {
  about: 'makes a QUIC connection, sends a byte on a stream, gets it back, closes',
  cycles: CYCLES,
  async run({ signal, progress }) {
    const { certificate, key, ca } = await createDevCertificate(systemClock)
    const listener = await quic({ credentials: { certificate, key } }).listen(ip('127.0.0.1', 0), {
      onConnection(connection) {
        connection.open({
          onStream: echo,
          onStreamsAvailable() {},
          onClose() {},
        })
      },
    })
    const transport = quic({ ca })
    const flat = new FlatCheck(CYCLES)
    const work = async () => {
      while (!signal.aborted) {
        await exchangeOnce(await transport.connect(listener.address))
        flat.cycle({ signal, progress })
      }
    }
    await Promise.all(Array.from({ length: 8 }, work))
    flat.check()
    await listener.close({ signal: AbortSignal.abort() })
  },
}

async function exchangeOnce(connection: QuicConnection): Promise<void> {
  connection.open({ onStream() {}, onStreamsAvailable() {}, onClose() {} })
  const stream = connection.openStream()
  if (stream === undefined) throw new Error('a fresh connection takes no stream')
  await exchangeByte(stream)
  await connection.close()
}
