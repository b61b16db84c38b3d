/** What the exchange of a CONNECT does for the connection that is made of it. */
import type { ExchangeCarrier } from '../../links/layer/exchange-connection.ts'
import type { ClientExchange, ExchangeOwner } from './client-exchange.ts'

export class TunnelCarrier implements ExchangeCarrier {
  readonly #exchange: ClientExchange
  readonly #owner: ExchangeOwner

  constructor(exchange: ClientExchange, owner: ExchangeOwner) {
    this.#exchange = exchange
    this.#owner = owner
  }

  get writable(): boolean {
    return this.#owner.isWritable(this.#exchange)
  }

  sendData(chunk: Uint8Array): boolean {
    return this.#owner.sendData(this.#exchange, chunk)
  }

  sendEnd(): void {
    this.#owner.sendEnd(this.#exchange, undefined)
  }

  demand(wanted: boolean): void {
    this.#owner.demand(this.#exchange, wanted)
  }

  reset(reason: Error): void {
    this.#owner.cancel(this.#exchange, reason)
  }

  done(): void {
    this.#exchange.tunnelDone()
    this.#owner.finished(this.#exchange)
  }
}
