/** A server that echoes, in a thread of its own that is ended in the middle of its work. */
import { parentPort, workerData } from 'node:worker_threads'
import { ip } from '../../src/core/address.ts'
import { quic } from '../../src/transports/quic/quic.ts'

const listener = await quic({ credentials: workerData.credentials }).listen(ip('127.0.0.1', 0), {
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
parentPort?.postMessage((listener.address as { port: number }).port)
