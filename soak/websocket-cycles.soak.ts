import { ip } from '../src/core/address.ts'
import { byteStream } from '../src/links/byte-stream/byte-stream.ts'
import { webSocket } from '../src/links/websocket/websocket.ts'
import { connectCycles } from './connect-cycles.ts'
import type { Soak } from './soak.ts'

export const soak: Soak = connectCycles({
  name: 'WebSocket',
  cycles: 10_000,
  create: async () => ({
    transport: byteStream(webSocket()),
    address: ip('127.0.0.1', 0),
    async [Symbol.asyncDispose]() {},
  }),
})
