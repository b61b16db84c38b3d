/**
 * Any bytes at the decoder and at a session with messages in flight: an answer that is no longer
 * than the question, bounded memory, never an exception.
 */
import { memory } from '../../core/address.ts'
import { ProtocolError } from '../../core/errors.ts'
import { decodeReliableDatagram, encodeAck, encodeData } from './datagram-format.ts'
import { ReliableDatagramSession } from './session.ts'

/** Valid inputs to start from. */
export const samples: readonly Uint8Array[] = [
  encodeData(7, 0, Uint8Array.of(1, 2, 3)),
  encodeData(7, 0xffff_ffff, new Uint8Array(0)),
  encodeAck(7, [0, 1, 2], 1_400),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const decoded = decodeReliableDatagram(bytes)
  if (!(decoded instanceof ProtocolError)) {
    const again =
      decoded.kind === 'data'
        ? encodeData(decoded.epoch, decoded.number, decoded.payload)
        : encodeAck(decoded.epoch, decoded.numbers, bytes.length)
    if (again.length !== bytes.length || again.some((byte, index) => byte !== bytes[index])) {
      throw new Error(`${again.length} bytes out of ${bytes.length}, or others`)
    }
  }
  const session = new ReliableDatagramSession(7, {
    maxPeers: 2,
    rememberedMessages: 8,
    maxInFlight: 4,
  })
  const peer = memory('peer')
  for (let reference = 0; reference < 4; reference++) {
    session.submit({ type: 'send', payload: bytes.slice(0, 100), to: peer, reference }, 0)
  }
  while (session.pollTransmit(0) !== undefined);
  const from = seed % 2 === 0 ? peer : memory(`other ${seed % 7}`)
  for (let copies = 0; copies < 3; copies++) session.receive(bytes, from, copies)
  let messages = 0
  for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
    if (event.type === 'message') messages += 1
    if (event.type === 'delivered' && from !== peer) throw new Error('a stranger acknowledged')
  }
  if (messages > 1) throw new Error(`one message was handed out ${messages} times`)
  let answered = 0
  for (let out = session.pollTransmit(9); out !== undefined; out = session.pollTransmit(9)) {
    answered += out.payload.length
  }
  if (answered > 3 * bytes.length) throw new Error(`${answered} bytes in answer to ${bytes.length}`)
}
