/** Any bytes: a DNS message is read, or refused with a ProtocolError; names stay within bounds. */
import { ProtocolError } from '../../core/errors.ts'
import { decodeDnsAnswer, encodeDnsQuestion, recordsFor } from './dns-message.ts'

/** Valid inputs to start from: a question turned into an answer, with a compressed SRV record. */
export const samples: readonly Uint8Array[] = [answerWithSrv()]

export function fuzz(_seed: number, bytes: Uint8Array): void {
  const before = bytes.slice()
  try {
    const answer = decodeDnsAnswer(bytes)
    for (const { name } of answer.records) {
      if (name.length > 4 * 255) throw new Error(`a name of ${name.length} characters`)
    }
    if (recordsFor(answer, 'SRV').length > answer.records.length) throw new Error('too many')
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
  }
  if (bytes.some((byte, at) => byte !== before[at])) throw new Error('the input was changed')
}

function answerWithSrv(): Uint8Array {
  const question = encodeDnsQuestion({ id: 7, name: '_http._tcp.a.example', type: 'SRV' })
  const asked = question.slice(0, question.length - 11)
  asked.set([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], 2)
  const record = [0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 10, 0, 1, 0, 2, 31, 144, 1, 98, 0xc0, 23]
  const whole = new Uint8Array(asked.length + record.length)
  whole.set(asked)
  whole.set(record, asked.length)
  return whole
}
