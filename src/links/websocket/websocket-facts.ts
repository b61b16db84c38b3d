/** What is known of a WebSocket connection: what is known of its carrier, and the time of a ping. */

import type { Address } from '../../core/address.ts'
import type {
  Connection,
  ConnectionFacts,
  ConnectionRole,
  TlsFacts,
} from '../../core/connection.ts'
import { Capability } from '../../core/connection.ts'
import type { WebSocketSession } from '../../protocols/websocket/session.ts'

export class WebSocketFacts implements ConnectionFacts {
  readonly transport = 'websocket'
  readonly #carrier: Connection
  readonly #session: WebSocketSession

  constructor(carrier: Connection, session: WebSocketSession) {
    this.#carrier = carrier
    this.#session = session
  }

  /** The facts of what carries it. */
  get carrier(): ConnectionFacts {
    return this.#carrier.facts
  }
  get local(): Address {
    return this.#carrier.facts.local
  }
  get remote(): Address {
    return this.#carrier.facts.remote
  }
  get role(): ConnectionRole {
    return this.#carrier.facts.role
  }
  get tls(): TlsFacts | undefined {
    return this.#carrier.facts.tls
  }
  get mtu(): number | undefined {
    return this.#carrier.facts.mtu
  }
  get receiveBufferBytes(): number | undefined {
    return this.#carrier.facts.receiveBufferBytes
  }
  get sendBufferBytes(): number | undefined {
    return this.#carrier.facts.sendBufferBytes
  }
  /** Closing in halves is what WebSocket takes away. */
  get capabilities(): number {
    return this.#carrier.facts.capabilities & ~Capability.HALF_CLOSE
  }
  roundTripMs(): number | undefined {
    return this.#session.roundTripMs ?? this.#carrier.facts.roundTripMs()
  }
}
