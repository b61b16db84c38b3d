/**
 * One peer behind a NAT, where nat-world.ts starts it. It listens as `listener`, or asks that one,
 * and leaves when it has heard the end. Prints what it saw, a line of JSON for each thing.
 */
import { parseAddress } from '../../src/core/address.ts'
import { toError } from '../../src/core/errors.ts'
import { signallingClient } from '../../src/links/webrtc-signalling/connect-signalling.ts'
import { webSocket } from '../../src/links/websocket/websocket.ts'
import type { WebRtcConnection } from '../../src/transports/webrtc/channel-connection.ts'
import type { IceServer } from '../../src/transports/webrtc/ice-servers.ts'
import type { Signalling } from '../../src/transports/webrtc/signalling.ts'
import { webRtc } from '../../src/transports/webrtc/webrtc.ts'
import { webRtcAddress } from '../../src/transports/webrtc/webrtc-address.ts'
import type { CandidateFacts } from '../../src/transports/webrtc/webrtc-driver.ts'
import { MessageRecorder } from '../../test/transports/message-recorder.ts'

export interface NatPeerOrder {
  readonly role: 'listens' | 'asks'
  readonly signalling: string
  readonly iceServers: readonly IceServer[]
  readonly timeoutMs: number
}

/** The lines, in the order in which they come. */
export type NatPeerLine =
  | { readonly told: 'listening' }
  | { readonly told: 'pair'; readonly local: CandidateFacts; readonly remote: CandidateFacts }
  | { readonly told: 'echoed'; readonly bytes: readonly number[] }
  | { readonly told: 'failed'; readonly code: string; readonly message: string }
  | { readonly told: 'done'; readonly announced: readonly CandidateFacts[] }

const order = JSON.parse(process.argv[2]!) as NatPeerOrder
const SIZES = [1, 1_000, 16_384, 200_000]
const announced: CandidateFacts[] = []
const say = (line: NatPeerLine): void => console.log(JSON.stringify(line))

/** The same signalling, and what this peer tells of itself through it. */
function overheard(signalling: Signalling): Signalling {
  return {
    async join(...words) {
      const membership = await signalling.join(...words)
      return {
        peer: membership.peer,
        leave: () => membership.leave(),
        send(message) {
          // candidate:foundation component transport priority address port typ type (RFC 8839, 5.1)
          const [, , , , address, port, , type] = message.candidate?.candidate.split(' ') ?? []
          if (address && type) announced.push({ address, port: Number(port), type })
          membership.send(message)
        },
      }
    },
  }
}

function sayPair(connection: WebRtcConnection): void {
  const pair = connection.facts.webRtc.candidates()
  if (pair !== undefined) say({ told: 'pair', ...pair })
}

function sayFailure(reason: unknown): void {
  const error = toError(reason)
  say({ told: 'failed', code: String((error as { code?: string }).code), message: error.message })
}

async function listen(transport: ReturnType<typeof webRtc>): Promise<void> {
  const over = Promise.withResolvers<void>()
  const listener = await transport.listen(webRtcAddress('listener'), {
    onConnection(one) {
      const echo = new MessageRecorder(one)
      echo.onNext = (message) => void one.send(message.slice())
      echo.open()
      sayPair(one as WebRtcConnection)
      void echo.until(() => echo.ended).then(() => one.end())
      void echo.until(() => echo.closed !== undefined).then(() => over.resolve())
    },
    onError(error) {
      sayFailure(error)
      over.resolve()
    },
  })
  say({ told: 'listening' })
  await over.promise
  await listener.close({ signal: AbortSignal.abort() })
}

async function ask(transport: ReturnType<typeof webRtc>): Promise<void> {
  const connection = await transport.connect(webRtcAddress('listener'))
  sayPair(connection)
  const client = new MessageRecorder(connection).open()
  const sent = SIZES.map((size) => Buffer.alloc(size, size % 251))
  for (const message of sent) connection.send(message)
  await client.until(() => client.messages.length === sent.length || client.closed !== undefined)
  const same = client.messages.filter((message, index) => sent[index]!.equals(message))
  say({ told: 'echoed', bytes: same.map((message) => message.length) })
  connection.end()
  await client.until(() => client.closed !== undefined)
  if (client.closed?.reason !== undefined) throw client.closed.reason
}

const { role, signalling: url, iceServers, timeoutMs } = order
const transport = webRtc({
  signalling: overheard(signallingClient(webSocket(), parseAddress(url))),
  iceServers,
  connectTimeoutMs: timeoutMs,
  // Long enough to hear that the other side has given up: one of the two would be first otherwise.
  acceptTimeoutMs: timeoutMs + 15_000,
})
try {
  await (role === 'listens' ? listen(transport) : ask(transport))
} catch (error) {
  sayFailure(error)
}
say({ told: 'done', announced })
