/**
 * What is known of a connection that runs over another one: the same, under the layer's own name.
 */
import type { Address } from '../../core/address.ts'
import type { ConnectionFacts, ConnectionRole, SealFacts, TlsFacts } from '../../core/connection.ts'

export class LayeredFacts implements ConnectionFacts {
  readonly transport: string
  readonly #carrier: ConnectionFacts

  constructor(transport: string, carrier: ConnectionFacts) {
    this.transport = transport
    this.#carrier = carrier
  }

  get local(): Address {
    return this.#carrier.local
  }
  get remote(): Address {
    return this.#carrier.remote
  }
  get role(): ConnectionRole {
    return this.#carrier.role
  }
  get tls(): TlsFacts | undefined {
    return this.#carrier.tls
  }
  get seal(): SealFacts | undefined {
    return this.#carrier.seal
  }
  get mtu(): number | undefined {
    return this.#carrier.mtu
  }
  get receiveBufferBytes(): number | undefined {
    return this.#carrier.receiveBufferBytes
  }
  get sendBufferBytes(): number | undefined {
    return this.#carrier.sendBufferBytes
  }
  /** What the carrier can do with its bytes says nothing about the layer's. */
  get capabilities(): number {
    return 0
  }
  roundTripMs(): number | undefined {
    return this.#carrier.roundTripMs()
  }
}
