/**
 * What stands in a close frame (RFC 6455 5.5.1), and what a close means to whoever hears it.
 *
 *     | code u16 | reason, UTF-8, up to 123 bytes |   or nothing: 1005
 */
import { type HeddleError, ProtocolError, RemoteError } from '../../core/errors.ts'
import type { TextCodec } from '../../core/host.ts'
import { CloseCode, isSendableCloseCode } from './messages.ts'
import { isUtf8 } from './utf8.ts'

export interface CloseFrame {
  readonly code: number
  readonly reason: string
}

/** @throws ProtocolError for a payload that may not stand there */
export function parseClose(payload: Uint8Array, text: TextCodec): CloseFrame {
  const { length } = payload
  if (length === 0) return { code: CloseCode.NO_STATUS, reason: '' }
  if (length === 1) throw refused(CloseCode.PROTOCOL_ERROR, 'a close frame has half a code')
  const code = ((payload[0] as number) << 8) | (payload[1] as number)
  if (!isSendableCloseCode(code)) {
    throw refused(CloseCode.PROTOCOL_ERROR, `close code ${code} may not be sent`)
  }
  if (!isUtf8(payload, 2, length)) {
    const message = 'the reason of a close frame is not UTF-8'
    throw new ProtocolError('ERR_ENCODING', message, { status: CloseCode.INVALID_PAYLOAD })
  }
  return { code, reason: text.utf8(payload, 2, length) }
}

/**
 * Undefined: the peer had said all it wanted to. A restart is worth another try elsewhere at once;
 * everything else says that something was wrong.
 */
export function closeError({ code, reason }: CloseFrame): HeddleError | undefined {
  const { NORMAL, GOING_AWAY, NO_STATUS, SERVICE_RESTART, TRY_AGAIN_LATER } = CloseCode
  if (code === NORMAL || code === GOING_AWAY || code === NO_STATUS) return undefined
  const again = code === SERVICE_RESTART || code === TRY_AGAIN_LATER
  const message = `the peer closed with ${code}${reason === '' ? '' : ` ${reason}`}`
  return new RemoteError('ERR_REMOTE', message, {
    status: code,
    retryable: again ? 'if-idempotent' : 'no',
    sent: 'some',
    detail: { reason },
  })
}

/** The code that tells a peer what it did wrong. */
export function closeCodeOf(error: HeddleError): number {
  if (typeof error.status === 'number') return error.status
  switch (error.code) {
    case 'ERR_EXPANSION':
    case 'ERR_FRAME_TOO_LARGE':
      return CloseCode.TOO_LARGE
    case 'ERR_ENCODING':
      return CloseCode.INVALID_PAYLOAD
    default:
      return CloseCode.PROTOCOL_ERROR
  }
}

/** At most 123 bytes, cut between code points. */
export function shortReason(reason: string, text: TextCodec): Uint8Array {
  let short = reason.slice(0, MAX_REASON_BYTES)
  while (text.utf8Length(short) > MAX_REASON_BYTES) short = short.slice(0, -1)
  // A pair that was cut in half would become U+FFFD.
  if (/[\ud800-\udbff]$/.test(short)) short = short.slice(0, -1)
  const bytes = new Uint8Array(text.utf8Length(short))
  text.writeUtf8(short, bytes, 0)
  return bytes
}

function refused(status: number, message: string): ProtocolError {
  return new ProtocolError('ERR_PROTOCOL', message, { status })
}

const MAX_REASON_BYTES = 123
