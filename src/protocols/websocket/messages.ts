/**
 * WebSocket on the wire (RFC 6455 5.2), and what a session takes and gives.
 *
 *     | FIN RSV1-3 opcode | MASK length | 16- or 64-bit length? | masking key? | payload … |
 *
 * A message is one frame, or a first frame and continuations; control frames (close, ping, pong) are
 * short, never fragmented, and may stand between fragments.
 */

export const Opcode = Object.freeze({
  CONTINUATION: 0,
  TEXT: 1,
  BINARY: 2,
  CLOSE: 8,
  PING: 9,
  PONG: 10,
})

/** RFC 6455 7.4.1 and the registry of IANA. */
export const CloseCode = Object.freeze({
  NORMAL: 1000,
  GOING_AWAY: 1001,
  PROTOCOL_ERROR: 1002,
  UNSUPPORTED_DATA: 1003,
  /** Never sent: the close frame had no code. */
  NO_STATUS: 1005,
  /** Never sent: the connection ended without a close frame. */
  ABNORMAL: 1006,
  INVALID_PAYLOAD: 1007,
  POLICY: 1008,
  TOO_LARGE: 1009,
  INTERNAL_ERROR: 1011,
  SERVICE_RESTART: 1012,
  TRY_AGAIN_LATER: 1013,
})

/**
 * What the decoder gives: a whole message, or a control frame. The object and its payload are the
 * decoder's: they are valid until `next` is called again.
 */
export interface WebSocketItem {
  readonly opcode: number
  /** RSV1 of its first frame: the payload is compressed (RFC 7692). */
  readonly compressed: boolean
  readonly payload: Uint8Array
}

export type WebSocketCommand =
  /** Bytes are given until they have left, unless `borrowed`. */
  | WebSocketSend
  | { readonly type: 'text'; readonly text: string }
  /** At most 125 bytes. */
  | { readonly type: 'ping'; readonly payload: Uint8Array }
  /** Sends a close frame; nothing can be sent behind it. Again: nothing. */
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  /** Whether messages are wanted; initially they are. */
  | { readonly type: 'demand'; readonly wanted: boolean }
  /** The owner cannot take what came: closes with this code, as if the peer had broken the protocol. */
  | { readonly type: 'refuse'; readonly code: number; readonly message: string }

export interface WebSocketSend {
  readonly type: 'send'
  readonly payload: Uint8Array
  /** The payload is UTF-8 text; the caller has made sure of that. */
  readonly text: boolean
}

export type WebSocketEvent =
  | WebSocketMessage
  /** The answer to a ping; undefined when the ping was not one of liveness. */
  | {
      readonly type: 'pong'
      readonly payload: Uint8Array
      readonly roundTripMs: number | undefined
    }
  /** The peer sends no more. Its close frame has been answered. */
  | { readonly type: 'close'; readonly code: number; readonly reason: string }

/** The object and its payload are borrowed until the next `pollEvent` or `receive`. */
export interface WebSocketMessage {
  readonly type: 'message'
  readonly text: boolean
  readonly payload: Uint8Array
}

/** Codes that may stand in a close frame (RFC 6455 7.4.2). */
export function isSendableCloseCode(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006
}

export const MAX_CONTROL_BYTES = 125
