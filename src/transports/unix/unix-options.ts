/**
 * Options of the Unix socket transport.
 */
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { TransportBaseOptions } from '../../core/transport.ts'
import type { StreamEngine } from '../node-stream/handle-engine.ts'

export interface UnixOptions extends TransportBaseOptions {
  /** Permission bits of the socket file: who may connect. @default 0o600 */
  mode?: number
  /** Replaces the file of a listener that is gone. @default true */
  removeStale?: boolean
  /** Time for connecting, in milliseconds. @default 10_000 */
  connectTimeoutMs?: number
  /** Bytes that may wait in a connection before `write` returns false. @default 65_536 */
  highWaterMarkBytes?: number
  /** Size of the memory that sockets are read into. @default 65_536 */
  readBufferBytes?: number
  /** Newcomers that a paused listener keeps. @default 511 */
  maxPausedConnections?: number
  /** As for TCP. @default 'auto' */
  engine?: StreamEngine
}

export type ResolvedUnixOptions = Readonly<Required<Omit<UnixOptions, 'clock'>>>

export const unixDefaults: ResolvedUnixOptions = Object.freeze({
  mode: 0o600, // whoever may connect may use the service; opening it up is a decision
  removeStale: true, // a crash must not need a person before the next start
  connectTimeoutMs: 10_000, // only a listener that does not accept makes a local connect wait
  highWaterMarkBytes: 65_536, // beyond it the kernel's own send buffer is full as well
  readBufferBytes: 65_536, // shared by the connections of a thread, so it costs little
  maxPausedConnections: 511, // as the kernel's queue
  engine: 'auto',
})

/** @throws UsageError naming the option */
export function resolveUnixOptions(options: UnixOptions): ResolvedUnixOptions {
  for (const name of Object.keys(options)) {
    if (name !== 'clock' && !(name in unixDefaults)) {
      throw new UsageError('ERR_OPTION_UNKNOWN', `unix has no option '${name}'`)
    }
  }
  const {
    mode = unixDefaults.mode,
    removeStale = unixDefaults.removeStale,
    connectTimeoutMs = unixDefaults.connectTimeoutMs,
    highWaterMarkBytes = unixDefaults.highWaterMarkBytes,
    readBufferBytes = unixDefaults.readBufferBytes,
    maxPausedConnections = unixDefaults.maxPausedConnections,
    engine = unixDefaults.engine,
  } = options
  return {
    mode: checkInteger('mode', mode, 0, 0o777),
    removeStale,
    connectTimeoutMs: checkInteger('connectTimeoutMs', connectTimeoutMs, 1, 3_600_000),
    highWaterMarkBytes: checkInteger('highWaterMarkBytes', highWaterMarkBytes, 0, 0x4000_0000),
    readBufferBytes: checkInteger('readBufferBytes', readBufferBytes, 256, 0x100_0000),
    maxPausedConnections: checkInteger('maxPausedConnections', maxPausedConnections, 0, 65_535),
    engine,
  }
}
