/**
 * QUIC connections made and closed, eight at a time: what a connection leaves behind shows here
 * first. Descriptors, threads and resident memory are counted after 500 cycles and at the end; 2,000
 * cycles take less than a minute.
 */
import { readdirSync } from 'node:fs'
import { ip } from '../src/core/address.ts'
import { systemClock } from '../src/platform/system-clock.ts'
import { createDevCertificate } from '../src/security/dev-certificate.ts'
import { quic } from '../src/transports/quic/quic.ts'
import type { QuicConnection } from '../src/transports/quic/quic-types.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = {
  about: 'makes a QUIC connection, sends a byte on a stream, gets it back, closes',
  async run({ signal, progress }) {
    const { certificate, key, ca } = await createDevCertificate(systemClock)
    const listener = await quic({ credentials: { certificate, key } }).listen(ip('127.0.0.1', 0), {
      onConnection(connection) {
        connection.open({
          onStream(stream) {
            stream.open({
              onData: (chunk) => void stream.write(chunk.slice()),
              onDrain() {},
              onEnd: () => stream.end(),
              onClose() {},
            })
          },
          onStreamsAvailable() {},
          onClose() {},
        })
      },
    })
    const transport = quic({ ca })
    let cycles = 0
    let before: Counts | undefined
    const cycle = async () => {
      while (!signal.aborted) {
        await exchangeOnce(await transport.connect(listener.address))
        cycles += 1
        progress()
        if (cycles === WARM_UP_CYCLES) before = count()
      }
    }
    await Promise.all(Array.from({ length: 8 }, cycle))
    const after = count()
    await listener.close({ signal: AbortSignal.abort() })
    if (before === undefined) return
    console.log(
      `  ${cycles} cycles, after ${WARM_UP_CYCLES}: ${show(before)}; at the end: ${show(after)}`,
    )
    for (const name of ['descriptors', 'threads'] as const) {
      if (after[name] > before[name] + 2)
        throw new Error(`${name}: ${before[name]}, ${after[name]}`)
    }
    if (after.residentMb > before.residentMb + MAX_GROWTH_MB) {
      throw new Error(`resident: ${before.residentMb} MB, then ${after.residentMb} MB`)
    }
  },
}

async function exchangeOnce(connection: QuicConnection): Promise<void> {
  connection.open({ onStream() {}, onStreamsAvailable() {}, onClose() {} })
  const stream = connection.openStream()
  await new Promise<void>((resolve, reject) => {
    stream?.open({
      onData: () => stream.end(),
      onDrain() {},
      onEnd() {},
      onClose: (reason) => (reason === undefined ? resolve() : reject(reason)),
    })
    stream?.write(Uint8Array.of(1))
  })
  await connection.close()
}

interface Counts {
  readonly descriptors: number
  readonly threads: number
  readonly residentMb: number
}

function count(): Counts {
  globalThis.gc?.()
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    residentMb: Math.round(process.memoryUsage.rss() / 1_048_576),
  }
}

function show({ descriptors, threads, residentMb }: Counts): string {
  return `${descriptors} descriptors, ${threads} threads, ${residentMb} MB`
}

const WARM_UP_CYCLES = 500
const MAX_GROWTH_MB = 24
