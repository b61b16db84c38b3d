/**
 * Any bytes, at a decoder and at sessions of both roles, with and without deflate: messages and
 * events or a failure, alike however they are cut.
 */
import { ByteWriter } from '../../core/byte-writer.ts'
import { ProtocolError } from '../../core/errors.ts'
import { nodeHost } from '../../platform/node-host.ts'
import { WebSocketDecoder } from './decoder.ts'
import { encodeFrame } from './encoder.ts'
import { parseExtensions } from './extensions.ts'
import { Opcode } from './messages.ts'
import { WebSocketSession } from './session.ts'

const { CONTINUATION, TEXT, BINARY, CLOSE, PING } = Opcode
const HELLO = Uint8Array.of(0x68, 0xc3, 0xa9)
/** `Hello` as RFC 7692 7.2.3.1 has it. */
const PACKED = Uint8Array.of(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00)

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  frames([TEXT, HELLO, true], [PING, HELLO, true], [BINARY, new Uint8Array(200), true]),
  frames([TEXT, HELLO.subarray(0, 2), false], [PING, HELLO, true], [CONTINUATION, HELLO, true]),
  frames([TEXT, PACKED, true, true], [CLOSE, Uint8Array.of(3, 232, 0x6f, 0x6b), true]),
]

const LIMITS = { maxFrameBytes: 256, maxMessageBytes: 512 }

export function fuzz(seed: number, bytes: Uint8Array): void {
  const cut = bytes.length === 0 ? 0 : seed % bytes.length
  const parts = [bytes.slice(0, cut), bytes.slice(cut)]
  const runs = [
    (chunks: readonly Uint8Array[]) => decode(chunks, true),
    (chunks: readonly Uint8Array[]) => decode(chunks, false),
    (chunks: readonly Uint8Array[]) => converse(chunks, 'server'),
    (chunks: readonly Uint8Array[]) => converse(chunks, 'client'),
  ]
  for (const run of runs) {
    const whole = run([bytes])
    const split = run(parts)
    if (whole !== split) throw new Error(`cut at ${cut}: ${split} instead of ${whole}`)
  }
  parseExtensions(Buffer.from(bytes).toString('latin1'))
}

/** What came out, as text, then how it ended. */
function decode(chunks: readonly Uint8Array[], masked: boolean): string {
  const decoder = new WebSocketDecoder({ ...LIMITS, masked, compressed: true })
  let outcome = ''
  try {
    for (const chunk of chunks) {
      decoder.push(chunk)
      for (let item = decoder.next(); item !== undefined; item = decoder.next()) {
        outcome += `${item.opcode} ${item.compressed} ${item.payload.join(' ')} `
        if (item.payload.length > LIMITS.maxMessageBytes) throw new Error('over the limit')
      }
    }
    decoder.end()
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    outcome += error.code
  }
  return outcome
}

function converse(chunks: readonly Uint8Array[], role: 'client' | 'server'): string {
  const session = new WebSocketSession({
    role,
    host: nodeHost,
    options: { ...LIMITS, compression: true },
    deflate: { windowBits: 15 },
    now: 0,
  })
  let outcome = ''
  const poll = (): void => {
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      const payload = 'payload' in event ? event.payload.join(' ') : ''
      outcome += `${event.type} ${payload} `
    }
    session.pollTransmit(1_000).take()
  }
  for (const chunk of chunks) {
    session.receive(chunk, 0)
    poll()
  }
  session.receiveEnd(0)
  poll()
  session.receiveClose(undefined, 0)
  poll()
  if (session.state !== 'closed') throw new Error(`state is ${session.state}`)
  return `${outcome}${session.failure?.code}`
}

type Sample = [opcode: number, payload: Uint8Array, final: boolean, compressed?: boolean]

function frames(...list: readonly Sample[]): Uint8Array {
  const out = new ByteWriter()
  for (const [opcode, payload, final, compressed = false] of list) {
    encodeFrame(out, { opcode, final, compressed }, payload, 0x0102_0304, false)
  }
  return out.take()
}
