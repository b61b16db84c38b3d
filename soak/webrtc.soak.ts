/** Descriptors, threads and memory over connections of peers that come and go. */
import { memorySignalling } from '../src/links/webrtc-signalling/memory-signalling.ts'
import { webRtc } from '../src/transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../src/transports/webrtc/webrtc-address.ts'
import { FlatCheck } from './connect-cycles.ts'
import type { Soak } from './soak.ts'

/** What a whole run makes; a fifth of them warms up, and with it the library's pools of threads. */
const CYCLES = 300

export const soak: Soak = {
  about: 'connects two peers over WebRTC on loopback, sends a byte, gets it back, closes',
  cycles: CYCLES,
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
    const flat = new FlatCheck(CYCLES)
    while (!signal.aborted) {
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
      flat.cycle({ signal, progress })
    }
    await listener.close()
    flat.check()
  },
}
