/**
 * Any bytes, at a decoder and at a session: frames and events or a failure, alike however they are
 * cut, and every stream that began gets its one last event.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import { ProtocolError } from '../../core/errors.ts'
import { YamuxDecoder } from './decoder.ts'
import { encodeYamux } from './encoder.ts'
import { YamuxFlag, type YamuxFrame, YamuxType } from './messages.ts'
import { YamuxServerSession } from './session.ts'

const { DATA, WINDOW_UPDATE, PING, GO_AWAY } = YamuxType
const { SYN, FIN, RST } = YamuxFlag
const payload = Uint8Array.of(1, 2, 3)

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  encode({ type: WINDOW_UPDATE, flags: SYN, stream: 1, length: 0 }),
  encode(
    { type: DATA, flags: SYN, stream: 1, length: 3, payload },
    { type: DATA, flags: SYN, stream: 3, length: 3, payload },
    { type: DATA, flags: FIN, stream: 1, length: 3, payload },
    { type: WINDOW_UPDATE, flags: RST, stream: 3, length: 0 },
  ),
  encode({ type: PING, flags: SYN, stream: 0, length: 7 }),
  encode({ type: GO_AWAY, flags: 0, stream: 0, length: 0 }),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  const parts = [bytes.slice(0, cut), bytes.slice(cut)]
  for (const run of [decode, converse]) {
    const whole = run([bytes])
    const split = run(parts)
    if (whole !== split) throw new Error(`cut at ${cut}: ${split} instead of ${whole}`)
  }
}

/** What came out, as text: headers and payloads, then how it ended. */
function decode(chunks: readonly Uint8Array[]): string {
  const decoder = new YamuxDecoder({ maxFrameBytes: 256 })
  let outcome = ''
  try {
    for (const chunk of chunks) {
      decoder.push(chunk)
      for (;;) {
        const next = decoder.payloadLeft > 0 ? decoder.takePayload() : decoder.next()
        if (next === undefined) break
        outcome += next instanceof Uint8Array ? `${next.join(' ')} ` : `${JSON.stringify(next)} `
      }
    }
    decoder.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    outcome += error.code
  }
  return outcome
}

/** What a session told of each stream; it accepts some, with some credit. */
function converse(chunks: readonly Uint8Array[]): string {
  const session = new YamuxServerSession({ maxStreams: 4, maxFrameBytes: 256 })
  const told = new Map<number, string>()
  const add = (stream: number, what: string): void => {
    told.set(stream, `${told.get(stream) ?? ''}${what} `)
  }
  const poll = (): void => {
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      if (event.type === 'data') add(event.stream, event.bytes.join(' '))
      else if ('stream' in event) add(event.stream, event.type)
      else add(0, event.type)
      if (event.type === 'stream' && event.stream % 4 === 1) {
        session.submit({ type: 'accept', stream: event.stream }, 0)
        session.submit({ type: 'credit', stream: event.stream, bytes: 100 }, 0)
      }
    }
  }
  let woken = false
  session.onWake = () => {
    woken = true
  }
  const settle = (): void => {
    do {
      woken = false
      poll()
      session.pollTransmit(1_000).take()
    } while (woken)
  }
  for (const chunk of chunks) {
    session.receive(chunk, 0)
    settle()
  }
  session.receiveEnd(0)
  settle()
  session.receiveClose(undefined, 0)
  poll()
  for (const [stream, text] of told) {
    const words = text.split(' ')
    const begun = words.filter((word) => word === 'stream').length
    const ended = words.filter((word) => word === 'stream-closed').length
    if (begun !== ended)
      throw new Error(`stream ${stream} ended ${ended} times of ${begun}: ${text}`)
  }
  return `${session.failure?.code} ${JSON.stringify([...told])}`
}

function encode(...frames: YamuxFrame[]): Uint8Array {
  const out = new ByteWriter()
  for (const frame of frames) encodeYamux(frame, out)
  return out.take()
}
