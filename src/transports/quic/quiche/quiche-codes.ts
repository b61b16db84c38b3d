/**
 * What the addon makes of error codes: numbers of 32 bits on the way out, and words on the way in.
 */
import {
  type HeddleError,
  OverloadError,
  TransportError,
  UsageError,
} from '../../../core/errors.ts'
import { checkCode, resetStream } from '../quic-errors.ts'
import type { QuicCode } from '../quic-types.ts'

/** @throws UsageError for what QUIC has no room for, ERR_OPTION_UNSUPPORTED for more than 32 bits */
export function checkWireCode(code: QuicCode): number {
  const exact = checkCode(code)
  if (exact <= MAX_WIRE_CODE) return Number(exact)
  // It would be cut to its lower half, and say something else.
  const message = `code is ${code}, and driver 'quiche' sends none over ${MAX_WIRE_CODE}`
  throw new UsageError('ERR_OPTION_UNSUPPORTED', message)
}

/** What an ERROR event of a stream says, which is text of quiche's: `StreamReset(77)`. */
export function streamError(reason: string): HeddleError {
  const told = /\bStream(Reset|Stopped)\((\d+)\)/.exec(reason)
  if (told !== null) return resetStream(BigInt(told[2] as string), told[1] === 'Reset')
  if (reason.includes('StreamLimit')) {
    const message = 'the peer allows no more streams; a server learns it when it is too late'
    return new OverloadError('ERR_LIMITED', message, { sent: 'nothing' })
  }
  return new TransportError('ERR_RESET', `the stream failed: ${reason}`)
}

const MAX_WIRE_CODE = 0xffff_ffffn
