/** Any parts: each gives a message, nothing or a ProtocolError, and what is held stays bounded. */
import { ProtocolError } from '../../core/errors.ts'
import { fragmentMessage, MessageReassembler } from './fragments.ts'

/** Valid inputs to start from: parts one after the other, each behind its length in one byte. */
export const samples: readonly Uint8Array[] = [
  join([...fragmentMessage(1, new Uint8Array(150).fill(7), 64)]),
  join([Uint8Array.of(0, 1, 2, 3), ...fragmentMessage(2, new Uint8Array(90), 64)]),
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const limits = { maxMessageBytes: 400, maxIncomplete: 2, maxBufferedBytes: 300 }
  const reassembler = new MessageReassembler(limits)
  let now = 0
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at]!
    const part = bytes.slice(at + 1, at + 1 + length)
    at += 1 + length
    now += seed % 4_000
    try {
      const message = reassembler.receive(part, now)
      if (message !== undefined && message.length > 400) throw new Error('a message over the limit')
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
    }
    const { bufferedBytes, incompleteCount } = reassembler
    if (bufferedBytes > 300 || incompleteCount > 2) {
      throw new Error(`${bufferedBytes} bytes of ${incompleteCount} messages are held`)
    }
    if (incompleteCount === 0 && bufferedBytes !== 0)
      throw new Error(`${bufferedBytes} bytes leaked`)
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [part.length, ...part]))
}
