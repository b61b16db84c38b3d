/**
 * A mebibyte in one direction over every transport, in pieces of 32 KiB, datagrams of 1,200 bytes:
 * what `throughputRank` in src/links/selection/transport-profiles.ts is sorted by. An operation is a
 * mebibyte.
 */
import type { Benchmark, Variant } from '../benchmark.ts'
import { openPair, TRANSPORTS, type TransportName } from './transport-pairs.ts'

const PIECE_BYTES = 32_768
/** What a datagram carries over a network without being cut. */
const DATAGRAM_BYTES = 1_200
const MEBIBYTE = 1_048_576
/** Under way: datagrams have no flow control, so the receiver's counter serves all of them. */
const WINDOW_BYTES = 131_072
/** Less: a socket of Linux counts more than twice their length, and drops what is over 208 KiB. */
const DATAGRAM_WINDOW_BYTES = 32 * DATAGRAM_BYTES

export const benchmark: Benchmark = {
  about: 'a mebibyte in one direction on this machine, in pieces of 32 KiB',
  variants: Object.fromEntries(TRANSPORTS.map((name) => [name, () => bulk(name)])),
}

async function bulk(name: TransportName): Promise<Variant> {
  const piece = new Uint8Array(name === 'udp' ? DATAGRAM_BYTES : PIECE_BYTES).fill(1)
  const window = name === 'udp' ? DATAGRAM_WINDOW_BYTES : WINDOW_BYTES
  let heard = 0
  let sent = 0
  let total = 0
  let done: (() => void) | undefined
  const pump = (): void => {
    while (sent < total && sent - heard < window) {
      sent += piece.length
      pair.send(piece)
    }
  }
  const pair = await openPair(name, 'count', (bytes) => {
    heard += bytes
    if (heard >= total) done?.()
    else pump()
  })
  return {
    async run(count) {
      heard = 0
      sent = 0
      total = count * MEBIBYTE
      await new Promise<void>((resolve) => {
        done = resolve
        pump()
      })
    },
    close: () => pair.close(),
  }
}
