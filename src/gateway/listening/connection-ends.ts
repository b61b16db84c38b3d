/**
 * What stands for a connection in the registry once its protocol is done with it: a tunnel after an
 * upgrade, one that was answered and waits for the peer to hang up, one that was given away.
 */
import type { Connection } from '../../core/connection.ts'
import type { ConnectionControl, ServerConnection } from '../../runtime/server.ts'
import type { Splice } from '../../runtime/splice.ts'

/** Two connections after an upgrade. */
export class Tunnel implements ServerConnection {
  readonly idle = false
  splice: Splice | undefined
  onDone: (() => void) | undefined

  constructor() {
    this.splice = undefined
    this.onDone = undefined
  }

  /** Nobody can tell where it may be cut: it goes on until the drain's time is over. */
  drain(): void {}

  destroy(reason: Error): void {
    this.splice?.destroy(reason)
  }
}

/** Reads nothing more; for a connection that was answered and ended, or given away. */
export class Refused implements ServerConnection {
  readonly idle = true
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  drain(): void {}

  destroy(reason: Error): void {
    this.#connection.destroy(reason)
  }
}

/** Waits for the peer to hang up after an answer. */
export class Farewell {
  readonly #connection: Connection
  readonly #control: ConnectionControl

  constructor(connection: Connection, control: ConnectionControl) {
    this.#connection = connection
    this.#control = control
  }

  onData(): void {}
  onDrain(): void {}

  onEnd(): void {
    this.#connection.end()
  }

  onClose(reason: Error | undefined): void {
    this.#control.closed(reason)
  }
}
