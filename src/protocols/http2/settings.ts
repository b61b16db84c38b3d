/**
 * What the peer said in SETTINGS (RFC 9113 6.5.2), and the rules of its values.
 */
import type { Http2Limits } from './limits.ts'
import {
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW,
  Http2Code,
  MAX_WINDOW,
  SettingId,
} from './messages.ts'

/** A value that no peer may send: the code to answer with, and what is wrong. */
export interface SettingProblem {
  readonly code: number
  readonly message: string
}

export class PeerSettings {
  headerTableBytes = 4_096
  pushEnabled = true
  maxConcurrentStreams: number = Number.POSITIVE_INFINITY
  windowBytes: number = DEFAULT_WINDOW
  maxFrameBytes: number = DEFAULT_FRAME_BYTES
  maxHeaderListBytes: number = Number.POSITIVE_INFINITY
  connectProtocol = false
  /** SETTINGS have arrived. */
  known = false

  /** One setting; unknown ones are ignored. `fromServer`: who sent it. */
  apply(id: number, value: number, fromServer: boolean): SettingProblem | undefined {
    switch (id) {
      case SettingId.HEADER_TABLE_SIZE:
        this.headerTableBytes = value
        return undefined
      case SettingId.ENABLE_PUSH:
        // RFC 9113 6.5.2: a server does not say 1.
        if (value > 1 || (fromServer && value !== 0)) return invalid('ENABLE_PUSH', value)
        this.pushEnabled = value === 1
        return undefined
      case SettingId.MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value
        return undefined
      case SettingId.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW) {
          return {
            code: Http2Code.FLOW_CONTROL_ERROR,
            message: `INITIAL_WINDOW_SIZE is ${value}, at most ${MAX_WINDOW} is allowed`,
          }
        }
        this.windowBytes = value
        return undefined
      case SettingId.MAX_FRAME_SIZE:
        if (value < DEFAULT_FRAME_BYTES || value > 0xff_ffff) {
          return invalid('MAX_FRAME_SIZE', value)
        }
        this.maxFrameBytes = value
        return undefined
      case SettingId.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value
        return undefined
      case SettingId.ENABLE_CONNECT_PROTOCOL:
        // RFC 8441 section 3: what was offered is not taken back.
        if (value > 1 || (this.connectProtocol && value === 0)) {
          return invalid('ENABLE_CONNECT_PROTOCOL', value)
        }
        this.connectProtocol = value === 1
        return undefined
      case SettingId.NO_RFC7540_PRIORITIES:
        // RFC 9218 section 2.1. What it says changes nothing: the old tree has no effect here.
        return value > 1 ? invalid('NO_RFC7540_PRIORITIES', value) : undefined
    }
    return undefined
  }
}

/** What both roles say of themselves; what is the protocol's own default is not said. */
export function sharedSettings(limits: Http2Limits): number[] {
  const settings: number[] = []
  if (limits.headerTableBytes !== 4_096) {
    settings.push(SettingId.HEADER_TABLE_SIZE, limits.headerTableBytes)
  }
  if (limits.windowBytes !== DEFAULT_WINDOW) {
    settings.push(SettingId.INITIAL_WINDOW_SIZE, limits.windowBytes)
  }
  if (limits.maxFrameBytes !== DEFAULT_FRAME_BYTES) {
    settings.push(SettingId.MAX_FRAME_SIZE, limits.maxFrameBytes)
  }
  settings.push(SettingId.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes)
  settings.push(SettingId.NO_RFC7540_PRIORITIES, 1)
  return settings
}

function invalid(name: string, value: number): SettingProblem {
  return { code: Http2Code.PROTOCOL_ERROR, message: `${name} is ${value}` }
}
