/**
 * The exchange of hellos over datagrams, with each peer of a socket: a connected socket asks, a bound
 * one answers.
 *
 *     asks     hello ────────►  answers        again after 250, 500, 1,000 ms … until answered
 *              ◄──────── hello
 *              confirmation ──►                agreed, and the peer's address is its own
 *     agreed   ◄── confirmation
 *
 * Who answers sends again only what it is asked for again, and never more than its peer has sent.
 * What it keeps of strangers is bounded: the oldest exchange goes first. Whom it has agreed with is
 * kept apart, so no stranger pushes them out, and one that begins anew replaces its agreement when
 * that has come to its end, not before.
 */
import { type Address, formatAddress } from '../../core/address.ts'
import type { Timer } from '../../core/clock.ts'
import { checkInteger, TimeoutError, toError } from '../../core/errors.ts'
import { sameBytes } from '../../protocols/olocus/block.ts'
import type { Agreement, Negotiation } from '../../protocols/olocus/hello.ts'
import type { ResolvedBlockOptions } from './block-options.ts'
import { makeNegotiation, type NegotiateOptions, negotiateDefaults } from './negotiate.ts'

export interface DatagramHelloOptions extends NegotiateOptions {
  /**
   * Exchanges under way, and agreements, that one socket keeps; one more takes the place of the oldest.
   *
   * @default 1_024: each takes some 2 KiB
   */
  maxPeers?: number
}

export const datagramHelloDefaults: Readonly<{ maxPeers: number }> = Object.freeze({
  maxPeers: 1_024,
})

export interface DatagramHellosOwner {
  send(bytes: Uint8Array, to: Address): void
  /** Whether so many bytes may go to somebody who has proven nothing. */
  mayAnswer(to: Address, bytes: number): boolean
  onProblem(error: Error, from: Address): void
}

interface Exchange {
  readonly negotiation: Negotiation
  readonly hello: Uint8Array
  /** Ours, once the peer's hello has been read. */
  confirm: Uint8Array | undefined
  peerHello: Uint8Array | undefined
  /** A message is being checked: what comes meanwhile comes again. */
  busy: boolean
  /** Of who asks. */
  readonly settle: ((outcome: Agreement | Error) => void) | undefined
}

interface Agreed {
  readonly agreement: Agreement
  readonly hello: Uint8Array
  readonly confirm: Uint8Array
  readonly peerHello: Uint8Array
  readonly peerConfirm: Uint8Array
}

export class DatagramHellos {
  readonly #options: NegotiateOptions
  readonly #maxPeers: number
  readonly #settings: ResolvedBlockOptions
  readonly #answers: boolean
  readonly #owner: DatagramHellosOwner
  readonly #exchanges = new Map<string, Exchange>()
  readonly #agreed = new Map<string, Agreed>()

  constructor(
    options: DatagramHelloOptions,
    settings: ResolvedBlockOptions,
    answers: boolean,
    owner: DatagramHellosOwner,
  ) {
    const { maxPeers = datagramHelloDefaults.maxPeers, ...hello } = options
    makeNegotiation(hello, settings, 'listener') // refuses mistakes now, not at the first stranger
    this.#options = hello
    this.#maxPeers = checkInteger('maxPeers', maxPeers, 1, 1_048_576)
    this.#settings = settings
    this.#answers = answers
    this.#owner = owner
  }

  /** Exchanges that have not come to their end. */
  get exchangeCount(): number {
    return this.#exchanges.size
  }

  agreementWith(peer: Address): Agreement | undefined {
    return this.#agreed.get(formatAddress(peer))?.agreement
  }

  /** Asks until the peer agrees, or its time is over. */
  ask(to: Address, signal?: AbortSignal): Promise<Agreement> {
    const { clock } = this.#settings
    const { helloTimeoutMs = negotiateDefaults.helloTimeoutMs } = this.#options
    const name = formatAddress(to)
    return new Promise((resolve, reject) => {
      let again: Timer | undefined
      const settle = (outcome: Agreement | Error): void => {
        again?.cancel()
        late.cancel()
        signal?.removeEventListener('abort', onAbort)
        this.#exchanges.delete(name)
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome)
      }
      const onAbort = (): void => settle(toError(signal?.reason))
      const late = clock.setTimer(clock.now() + helloTimeoutMs, () => {
        const text = `no hello of ${name} within ${helloTimeoutMs} ms`
        settle(new TimeoutError('ERR_CONNECT_TIMEOUT', text))
      })
      const exchange = this.#begin(name, 'dialer', settle)
      let wait = FIRST_WAIT_MS
      const send = (): void => {
        again = clock.setTimer(clock.now() + wait, send)
        wait *= 2
        this.#owner.send(exchange.confirm ?? exchange.hello, to)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        signal?.throwIfAborted()
        send()
      } catch (error) {
        settle(toError(error))
      }
    })
  }

  /**
   * Every datagram comes here first.
   *
   * @returns the agreement with its sender, for what is no hello; otherwise whose it was
   */
  take(bytes: Uint8Array, from: Address): Agreement | 'hello' | 'stranger' {
    const name = formatAddress(from)
    const agreed = this.#agreed.get(name)
    if (!isHello(bytes)) return agreed?.agreement ?? 'stranger'
    const exchange = this.#exchanges.get(name)
    if (agreed !== undefined && sameBytes(bytes, agreed.peerConfirm)) {
      this.#answer(agreed.confirm, from)
    } else if (agreed !== undefined && sameBytes(bytes, agreed.peerHello)) {
      this.#answer(agreed.hello, from)
    } else if (exchange !== undefined) {
      this.#continue(exchange, bytes, name, from)
    } else if (this.#answers) {
      const begun = this.#begin(name, 'listener', undefined)
      this.#answer(begun.hello, from)
      this.#continue(begun, bytes, name, from)
    } else return 'stranger'
    return 'hello'
  }

  close(reason: Error): void {
    for (const exchange of [...this.#exchanges.values()]) exchange.settle?.(reason)
    this.#exchanges.clear()
    this.#agreed.clear()
  }

  #begin(name: string, role: 'dialer' | 'listener', settle: Exchange['settle']): Exchange {
    const negotiation = makeNegotiation(this.#options, this.#settings, role)
    const exchange: Exchange = {
      negotiation,
      hello: negotiation.start(),
      confirm: undefined,
      peerHello: undefined,
      busy: false,
      settle,
    }
    this.#put(this.#exchanges, name, exchange)
    return exchange
  }

  #continue(exchange: Exchange, bytes: Uint8Array, name: string, from: Address): void {
    if (exchange.peerHello !== undefined && sameBytes(bytes, exchange.peerHello)) {
      // Who asks does not: its own timer sends again.
      if (exchange.settle === undefined) this.#answer(exchange.hello, from)
      return
    }
    if (exchange.busy) return
    exchange.busy = true
    this.#check(exchange, bytes, name, from).then(
      () => {
        exchange.busy = false
      },
      (error: unknown) => {
        if (this.#exchanges.get(name) === exchange) this.#exchanges.delete(name)
        if (exchange.settle !== undefined) exchange.settle(toError(error))
        else this.#owner.onProblem(toError(error), from)
      },
    )
  }

  async #check(exchange: Exchange, bytes: Uint8Array, name: string, from: Address): Promise<void> {
    const { negotiation, hello, settle } = exchange
    const confirm = await negotiation.receive(bytes)
    if (this.#exchanges.get(name) !== exchange) return // given up meanwhile
    if (confirm !== undefined) {
      exchange.confirm = confirm
      exchange.peerHello = bytes
      if (settle !== undefined) this.#owner.send(confirm, from)
      return
    }
    const { agreement } = negotiation
    const { confirm: own, peerHello } = exchange
    if (agreement === undefined || own === undefined || peerHello === undefined) return
    this.#exchanges.delete(name)
    this.#put(this.#agreed, name, { agreement, hello, confirm: own, peerHello, peerConfirm: bytes })
    if (settle === undefined) this.#answer(own, from)
    else settle(agreement)
  }

  #answer(bytes: Uint8Array, to: Address): void {
    if (this.#owner.mayAnswer(to, bytes.length)) this.#owner.send(bytes, to)
  }

  #put<Value>(map: Map<string, Value>, name: string, value: Value): void {
    map.delete(name)
    if (map.size >= this.#maxPeers) {
      for (const oldest of map.keys()) {
        map.delete(oldest)
        break
      }
    }
    map.set(name, value)
  }
}

function isHello(bytes: Uint8Array): boolean {
  return bytes.length > PREFIX.length && sameBytes(bytes.subarray(0, PREFIX.length), PREFIX)
}

/** A hello and a confirmation have one form only, and it begins with this. */
const PREFIX = new TextEncoder().encode('{"proto":"olocus/1",')
/** Twice a round trip around the world. */
const FIRST_WAIT_MS = 250
