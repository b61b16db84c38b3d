/** Descriptors, threads and memory over connections of peers that come and go. */
import { readdirSync } from 'node:fs'
import { memorySignalling } from '../src/links/webrtc-signalling/memory-signalling.ts'
import { webRtc } from '../src/transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../src/transports/webrtc/webrtc-address.ts'
import type { Soak } from './soak.ts'

/** Cycles after which the library's own pools of threads stand. */
const WARM_UP = 20
/** Threads and descriptors that may be on their way out when they are counted. */
const SLACK = 8

export const soak: Soak = {
  about: 'connects two peers over WebRTC on loopback, sends a byte, gets it back, closes',
  async run({ signal, progress }) {
    const transport = webRtc({ signalling: memorySignalling(), bindAddress: '127.0.0.1' })
    const listener = await transport.listen(webRtcAddress('echo'), {
      onConnection(connection) {
        connection.open({
          onMessage: (message) => void connection.send(message.slice()),
          onDrain() {},
          onEnd: () => connection.end(),
          onClose() {},
        })
      },
    })
    let before: readonly [threads: number, descriptors: number] | undefined
    for (let cycle = 0; !signal.aborted; cycle++) {
      const connection = await transport.connect(listener.address)
      await new Promise<void>((resolve, reject) => {
        connection.open({
          onMessage: () => connection.end(),
          onDrain() {},
          onEnd() {},
          onClose: (reason) => (reason === undefined ? resolve() : reject(reason)),
        })
        connection.send(Uint8Array.of(1))
      })
      progress()
      if (cycle === WARM_UP) before = counts()
    }
    await listener.close()
    const after = counts()
    for (const [index, what] of ['threads', 'descriptors'].entries()) {
      const [had, has] = [before?.[index] ?? 0, after[index] ?? 0]
      if (before !== undefined && has > had + SLACK) {
        throw new Error(`${what} grew from ${had} to ${has}`)
      }
    }
  },
}

/** Linux only; elsewhere nothing is counted. */
function counts(): readonly [threads: number, descriptors: number] {
  try {
    return [readdirSync('/proc/self/task').length, readdirSync('/proc/self/fd').length]
  } catch {
    return [0, 0]
  }
}
