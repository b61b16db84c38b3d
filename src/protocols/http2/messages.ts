/**
 * What HTTP/2 (RFC 9113) has on the wire, and what its sessions know beyond the vocabulary that
 * every version shares.
 *
 *     | length 24 | type 8 | flags 8 | R | stream 31 | payload ... |
 *
 * The number of an exchange is that of its stream. Exchange 0 is the connection.
 */
import type {
  ClientCommand,
  PingCommand,
  PriorityCommand,
  PushCommand,
  ServerCommand,
} from '../http/exchange.ts'

export type * from '../http/exchange.ts'

export type Http2ServerCommand = ServerCommand | PingCommand | PriorityCommand | PushCommand
export type Http2ClientCommand = ClientCommand | PingCommand | PriorityCommand

/** RFC 9113 section 6; PRIORITY_UPDATE is RFC 9218 section 7.1. */
export const FrameType = Object.freeze({
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
  PRIORITY_UPDATE: 16,
})

export const FrameFlag = Object.freeze({
  ACK: 1,
  END_STREAM: 1,
  END_HEADERS: 4,
  PADDED: 8,
  PRIORITY: 32,
})

/** RFC 9113 section 7. */
export const Http2Code = Object.freeze({
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
})

/** RFC 9113 section 6.5.2; ENABLE_CONNECT_PROTOCOL is RFC 8441, the last one RFC 9218. */
export const SettingId = Object.freeze({
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
  ENABLE_CONNECT_PROTOCOL: 8,
  NO_RFC7540_PRIORITIES: 9,
})

/** The name of an error code; one that no RFC defines is shown as a number. */
export function http2CodeName(code: number): string {
  return CODE_NAMES[code] ?? `error code ${code}`
}

const CODE_NAMES: readonly string[] = Object.keys(Http2Code)

export const FRAME_HEADER_BYTES = 9
export const DEFAULT_WINDOW = 65_535
export const DEFAULT_FRAME_BYTES = 16_384
export const MAX_WINDOW = 0x7fff_ffff
export const MAX_STREAM_ID = 0x7fff_ffff
/** What a client sends first: `PRI * HTTP/2.0`, `SM`. */
export const HTTP2_PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
