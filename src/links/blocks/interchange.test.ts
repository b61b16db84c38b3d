/**
 * `sendBlock` and `send`, `recvBlock` and `recv` are the same messages on each of the five transports:
 * what one sends as bytes the other takes as a block, and the reverse. In every format that the host
 * has, blocks that are cut included.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeWebRtc } from '../../../test/transports/fake-web-rtc-driver.ts'
import { ca, credentials } from '../../../test/transports/quic-fixture.ts'
import { simulatedDatagrams } from '../../../test/transports/simulated-datagrams.ts'
import { memory as name } from '../../core/address.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { ed25519Key, nodeSigning } from '../../platform/node-signing.ts'
import { systemClock } from '../../platform/system-clock.ts'
import type { Block } from '../../protocols/olocus/block.ts'
import { fromWireFormat, toWireFormat } from '../../protocols/olocus/compressed.ts'
import { createGenesis } from '../../protocols/olocus/create.ts'
import { bytesPayload } from '../../protocols/olocus/payload.ts'
import { WireFormat } from '../../protocols/olocus/wire-format.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { MemoryNetwork } from '../../transports/memory/memory-network.ts'
import { memory } from '../../transports/memory/memory-transport.ts'
import { quicAvailability } from '../../transports/quic/quic-availability.ts'
import { webRtcAddress } from '../../transports/webrtc/webrtc-address.ts'
import { memorySignalling } from '../webrtc-signalling/memory-signalling.ts'
import type { BlockPeer } from './block-connection.ts'
import type { BlockTransport } from './block-transport.ts'
import { quicBlocks } from './quic-blocks.ts'
import { tcpBlocks } from './stream-blocks.ts'
import { udpBlocks } from './udp-blocks.ts'
import { webRtcBlocks } from './webrtc-blocks.ts'
import { webSocketBlocks } from './websocket-blocks.ts'

const key = ed25519Key(new Uint8Array(32).fill(7))
const ENCODINGS = ['binary', 'json', 'messagepack', 'protobuf', 'ssz'] as const
const COMPRESSIONS = (['none', 'gzip', 'zstd', 'lz4'] as const).filter(
  (compression) => compression === 'none' || nodeHost.compression[compression] !== undefined,
)
const FORMATS = ENCODINGS.flatMap((encoding) =>
  COMPRESSIONS.map((compression) => new WireFormat(encoding, compression)),
)

/** Half of the payload is noise, so that no compression gets a large one into one message. */
function blockOf(bytes: number): Block {
  const payload = new SeededRandom(bytes).bytes(bytes)
  payload.fill(1, bytes >> 1)
  const timestamp = Math.floor(systemClock.wallNow() / 1_000)
  return createGenesis(bytesPayload(payload), { key, host: nodeSigning, timestamp }) as Block
}

/** What is asked of an end here; sockets of datagrams have it as well. */
type End = Pick<BlockPeer, 'recv' | 'recvBlock' | 'send' | 'sendBlock'>

interface Ends extends AsyncDisposable {
  readonly near: End
  readonly far: End
}

async function connected(
  listening: BlockTransport,
  dialling: BlockTransport,
  address: Parameters<BlockTransport['connect']>[0],
): Promise<Ends> {
  const listener = await listening.listen(address)
  const [near, far] = await Promise.all([dialling.connect(listener.localAddr), listener.accept()])
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy()
      far.destroy()
      await listener.close({ signal: AbortSignal.abort() })
    },
  }
}

const TRANSPORTS: Readonly<Record<string, (format: WireFormat) => Promise<Ends>>> = {
  TCP(format) {
    const transport = tcpBlocks({}, { format })
    return connected(transport, transport, 'tcp://127.0.0.1:0')
  },
  async UDP(format) {
    const transport = udpBlocks({}, { format, rateLimit: { datagramsPerSecond: 1_000_000 } })
    const server = await transport.bind('udp://127.0.0.1:0')
    const near = await transport.connect(server.localAddr)
    const far: End = {
      recv: () => server.recv(),
      recvBlock: () => server.recvBlock(),
      send: (bytes) => server.sendTo(bytes, near.localAddr),
      sendBlock: (block) => server.sendBlockTo(block, near.localAddr),
    }
    const close = async (): Promise<void> =>
      void (await Promise.all([near.close(), server.close()]))
    return { near, far, [Symbol.asyncDispose]: close }
  },
  QUIC(format) {
    const carrier = simulatedDatagrams()
    const listening = quicBlocks({}, { format, quic: { carrier, credentials } })
    const quic = { carrier, ca, serverName: 'localhost' }
    return connected(listening, quicBlocks({}, { format, quic }), name('0'))
  },
  WebSocket(format) {
    const carrier = memory({ clock: systemClock, network: new MemoryNetwork() })
    const transport = webSocketBlocks({}, { format, webSocket: { carrier } })
    return connected(transport, transport, name('w'))
  },
  WebRTC(format) {
    const webRtc = { driver: new FakeWebRtc(systemClock, {}) }
    const transport = webRtcBlocks({}, { format, signalling: memorySignalling(), webRtc })
    return connected(transport, transport, webRtcAddress('peer'))
  },
}

/** What `recv` gives is the block in this format. */
async function read(bytes: Uint8Array, format: WireFormat): Promise<Uint8Array> {
  return (await fromWireFormat(bytes, format, { host: nodeHost })).bytes
}

const noQuic = quicAvailability().reason ?? false

for (const [transport, open] of Object.entries(TRANSPORTS)) {
  test(`${transport}: blocks and raw messages are one thing, in ${FORMATS.length} formats`, {
    skip: transport === 'QUIC' && noQuic,
  }, async () => {
    for (const format of FORMATS) {
      await using ends = await open(format)
      const { near, far } = ends
      const block = blockOf(200)
      await near.sendBlock(block)
      const raw = await far.recv()
      assert.deepEqual(await read(raw, format), block.bytes, `${format}: recv after sendBlock`)
      // JSON is text on a WebSocket, and bytes beside it are the canonical ones: so the seed has it.
      const asText = transport === 'WebSocket' && String(format) === 'json'
      const sent = asText ? block.bytes : await toWireFormat(block, format, nodeHost)
      await far.send(sent)
      assert.deepEqual(
        (await near.recvBlock()).bytes,
        block.bytes,
        `${format}: recvBlock after send`,
      )
    }
  })

  test(`${transport}: blocks of 45,000 bytes in every format`, {
    skip: transport === 'QUIC' && noQuic,
  }, async () => {
    const block = blockOf(45_000)
    for (const format of FORMATS) {
      await using ends = await open(format)
      await ends.near.sendBlock(block)
      await ends.far.sendBlock(block)
      assert.deepEqual((await ends.far.recvBlock()).bytes, block.bytes, `${format}`)
      assert.deepEqual((await ends.near.recvBlock()).bytes, block.bytes, `${format}, back`)
    }
  })
}
