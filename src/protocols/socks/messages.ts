/**
 * What goes in and out of a SOCKS session besides bytes: one command, one event.
 */
import type { HeddleError } from '../../core/errors.ts'

/** Asks the proxy to connect to a host, which may be a name: the proxy resolves it. */
export interface SocksConnectCommand {
  readonly type: 'connect'
  readonly host: string
  readonly port: number
}
export type SocksCommand = SocksConnectCommand

export type SocksEvent = SocksConnectedEvent | SocksFailedEvent

/** From here on the connection is the target's: the session is `detached`. */
export interface SocksConnectedEvent {
  readonly type: 'connected'
  /** Where the proxy connected from, as it says. */
  readonly host: string
  readonly port: number
}

/** The session is `closed`; nothing was sent to the target. */
export interface SocksFailedEvent {
  readonly type: 'failed'
  readonly error: HeddleError
}
