/**
 * Messages over a data channel on loopback, in this process: heddle over node-datachannel against
 * node-datachannel used bare. `echo`: there and back, 32 under way; `one way`: as fast as the sender
 * may. The bare side bounds what it has given to the library just as ours does; flow control between
 * heddle ends is on, as by default.
 */
import { type DataChannel, PeerConnection } from 'node-datachannel'
import { memorySignalling } from '../../src/links/webrtc-signalling/memory-signalling.ts'
import type { WebRtcConnection } from '../../src/transports/webrtc/channel-connection.ts'
import { webRtc } from '../../src/transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../../src/transports/webrtc/webrtc-address.ts'
import type { Benchmark, Variant } from '../benchmark.ts'

const UNDER_WAY = 32
const HIGH_WATER_BYTES = 2_097_152

export const benchmark: Benchmark = {
  about: 'a message over a WebRTC data channel',
  variants: {
    'node-datachannel echo, 64 B': () => echo(bare, 64),
    'heddle echo, 64 B': () => echo(heddle, 64),
    'node-datachannel echo, 1,024 B': () => echo(bare, 1_024),
    'heddle echo, 1,024 B': () => echo(heddle, 1_024),
    'node-datachannel one way, 1,024 B': () => oneWay(bare, 1_024),
    'heddle one way, 1,024 B': () => oneWay(heddle, 1_024),
    'node-datachannel one way, 16 KiB': () => oneWay(bare, 16_384),
    'heddle one way, 16 KiB': () => oneWay(heddle, 16_384),
  },
}

interface End {
  /** False: wait for `onDrain`. */
  send(message: Uint8Array): boolean
  onMessage: (message: Uint8Array) => void
  onDrain: () => void
}

interface Pair {
  readonly near: End
  readonly far: End
  close(): void | Promise<void>
}

async function echo(open: () => Promise<Pair>, bytes: number): Promise<Variant> {
  const { near, far, close } = await open()
  const message = new Uint8Array(bytes).fill(1)
  let unsent = 0
  let missing = 0
  let done: (() => void) | undefined
  far.onMessage = (received) => void far.send(received)
  near.onMessage = () => {
    missing -= 1
    if (unsent > 0) {
      unsent -= 1
      near.send(message)
    } else if (missing === 0) done?.()
  }
  return {
    async run(count) {
      const first = Math.min(count, UNDER_WAY)
      missing = count
      unsent = count - first
      const finished = new Promise<void>((resolve) => {
        done = resolve
      })
      for (let sent = first; sent > 0; sent--) near.send(message)
      await finished
    },
    close,
  }
}

async function oneWay(open: () => Promise<Pair>, bytes: number): Promise<Variant> {
  const { near, far, close } = await open()
  const message = new Uint8Array(bytes).fill(1)
  let unsent = 0
  let missing = 0
  let done: (() => void) | undefined
  const pump = (): void => {
    while (unsent > 0) {
      unsent -= 1
      if (!near.send(message)) return
    }
  }
  near.onDrain = pump
  far.onMessage = () => {
    missing -= 1
    if (missing === 0) done?.()
  }
  return {
    async run(count) {
      missing = count
      unsent = count
      const finished = new Promise<void>((resolve) => {
        done = resolve
      })
      pump()
      await finished
    },
    close,
  }
}

async function heddle(): Promise<Pair> {
  const transport = webRtc({ signalling: memorySignalling(), bindAddress: '127.0.0.1' })
  const accepted = Promise.withResolvers<WebRtcConnection>()
  const listener = await transport.listen(webRtcAddress('0'), {
    onConnection: (connection) => accepted.resolve(connection as WebRtcConnection),
  })
  const client = await transport.connect(listener.address)
  const server = await accepted.promise
  return {
    near: heddleEnd(client),
    far: heddleEnd(server),
    async close() {
      client.destroy()
      await listener.close({ signal: AbortSignal.abort() })
    },
  }
}

function heddleEnd(connection: WebRtcConnection): End {
  const end: End = { send: (message) => connection.send(message), onMessage() {}, onDrain() {} }
  connection.open({
    onMessage: (message) => end.onMessage(message),
    onDrain: () => end.onDrain(),
    onEnd() {},
    onClose() {},
  })
  return end
}

async function bare(): Promise<Pair> {
  const config = { iceServers: [], bindAddress: '127.0.0.1' }
  const one = new PeerConnection('one', config)
  const two = new PeerConnection('two', config)
  const opened = Promise.withResolvers<DataChannel>()
  const arrived = Promise.withResolvers<DataChannel>()
  // Without them a closed peer keeps the process alive.
  one.onStateChange(() => {})
  two.onStateChange(() => {})
  two.onDataChannel((channel) => arrived.resolve(channel))
  two.onLocalDescription((sdp, type) => one.setRemoteDescription(sdp, type))
  two.onLocalCandidate((candidate, mid) => one.addRemoteCandidate(candidate, mid))
  // Ours arrive after the answer: early ones can fail the handshake of libdatachannel.
  const candidates: [string, string][] = []
  one.onLocalCandidate((...candidate) => void candidates.push(candidate))
  one.onSignalingStateChange((state) => {
    if (state !== 'stable') return
    for (const [candidate, mid] of candidates) two.addRemoteCandidate(candidate, mid)
  })
  one.onLocalDescription((sdp, type) => two.setRemoteDescription(sdp, type))
  const channel = one.createDataChannel('bench')
  channel.onOpen(() => opened.resolve(channel))
  const [near, far] = await Promise.all([opened.promise, arrived.promise])
  return {
    near: bareEnd(near),
    far: bareEnd(far),
    close() {
      one.close()
      two.close()
    },
  }
}

function bareEnd(channel: DataChannel): End {
  const end: End = {
    send: (message) =>
      channel.sendMessageBinary(message) || channel.bufferedAmount() <= HIGH_WATER_BYTES,
    onMessage() {},
    onDrain() {},
  }
  channel.onClosed(() => {})
  channel.onBufferedAmountLow(() => end.onDrain())
  channel.onMessage((message) => end.onMessage(message as Buffer))
  return end
}
