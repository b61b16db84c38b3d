/**
 * A transport whose connections come from us: what was accepted and looked at elsewhere goes through
 * TLS that way.
 */
import { type Address, memory } from '../../core/address.ts'
import type { Connection } from '../../core/connection.ts'
import { UsageError } from '../../core/errors.ts'
import type { Listener, ListenOptions, Transport, TransportTraits } from '../../core/transport.ts'

export class Handoff implements Transport {
  readonly name = 'handoff'
  readonly traits: TransportTraits = Object.freeze({
    halfClose: true,
    secure: false,
    messageBoundaries: false,
  })
  #onConnection: ((connection: Connection) => void) | undefined

  /** Gives an unopened connection to whoever listens. */
  offer(connection: Connection): void {
    if (this.#onConnection === undefined) connection.destroy()
    else this.#onConnection(connection)
  }

  connect(): Promise<Connection> {
    return Promise.reject(new UsageError('ERR_STATE', 'a handoff only accepts'))
  }

  async listen(address: Address, options: ListenOptions): Promise<Listener> {
    this.#onConnection = options.onConnection
    const close = async (): Promise<void> => {
      this.#onConnection = undefined
    }
    return {
      address,
      connectionCount: 0,
      pause() {},
      resume() {},
      ref() {},
      unref() {},
      close,
      [Symbol.asyncDispose]: close,
    }
  }
}

export const HANDOFF_ADDRESS: Address = memory('handoff')
