/**
 * The client of a signalling server: a `Signalling` over any transport of messages.
 *
 *     const signalling = signallingClient(webSocket(), parseAddress('wss://signal.example/'))
 *     const transport = webRtc({ signalling })
 *
 * One connection serves every name, is made for the first and ended after the last. When it breaks,
 * attempts to connect fail, and names that listen are joined again.
 */
import type { Address } from '../../core/address.ts'
import type { Clock, Random, Timer } from '../../core/clock.ts'
import {
  AccessError,
  ClosedError,
  checkInteger,
  OverloadError,
  TransportError,
  toError,
} from '../../core/errors.ts'
import type { MessageConnection, MessageHandler } from '../../core/message-connection.ts'
import type { MessageTransport } from '../../core/transport.ts'
import type {
  SignalHandler,
  Signalling,
  SignallingMembership,
  SignalMessage,
} from '../../transports/webrtc/signalling.ts'
import {
  type ClientMessage,
  decodeServerMessage,
  encodeSignalling,
  type RefusalCode,
} from './signalling-messages.ts'

export interface SignallingClientOptions {
  /** @default the system's; the page's in a browser */
  clock?: Clock
  /** First wait before a broken connection is made again; doubled each time. @default 500 */
  reconnectMinMs?: number
  /** Longest wait. @default 30_000 */
  reconnectMaxMs?: number
  /** Spreads the waits of many clients. @default no spread */
  random?: Random
}

export const signallingClientDefaults: Readonly<{
  reconnectMinMs: number
  reconnectMaxMs: number
}> = Object.freeze({
  reconnectMinMs: 500, // a server that restarts is back after seconds
  reconnectMaxMs: 30_000,
})

interface Member {
  /** The name it asked for; undefined: any. */
  readonly wanted: string | undefined
  readonly handler: SignalHandler
  /** Undefined until it has joined. */
  peer: string | undefined
  settle: ((outcome: string | Error) => void) | undefined
}

export class SignallingClient implements Signalling {
  readonly #transport: MessageTransport
  readonly #server: Address
  readonly #clock: Clock
  readonly #options: Readonly<{ reconnectMinMs: number; reconnectMaxMs: number; random: Random }>
  /** By the ticket of their join. */
  readonly #members = new Map<number, Member>()
  #tickets = 0
  #link: ClientLink | undefined
  #failures = 0
  #retry: Timer | undefined

  constructor(
    transport: MessageTransport,
    server: Address,
    options: SignallingClientOptions & { readonly clock: Clock },
  ) {
    const {
      reconnectMinMs = signallingClientDefaults.reconnectMinMs,
      reconnectMaxMs = signallingClientDefaults.reconnectMaxMs,
      random = () => 1,
    } = options
    this.#transport = transport
    this.#server = server
    this.#clock = options.clock
    checkInteger('reconnectMinMs', reconnectMinMs, 1, 3_600_000)
    checkInteger('reconnectMaxMs', reconnectMaxMs, reconnectMinMs, 3_600_000)
    this.#options = { reconnectMinMs, reconnectMaxMs, random }
  }

  /** Names that are joined, or about to be. */
  get memberCount(): number {
    return this.#members.size
  }

  join(
    peer: string | undefined,
    handler: SignalHandler,
    options: { signal?: AbortSignal } = {},
  ): Promise<SignallingMembership> {
    const { signal } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      this.#tickets += 1
      const ticket = this.#tickets
      const onAbort = (): void => {
        this.#remove(ticket)
        reject(signal?.reason)
      }
      const member: Member = { wanted: peer, handler, peer: undefined, settle: undefined }
      member.settle = (outcome) => {
        member.settle = undefined
        signal?.removeEventListener('abort', onAbort)
        if (typeof outcome === 'string') return resolve(this.#membership(ticket, outcome))
        this.#remove(ticket)
        reject(outcome)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#members.set(ticket, member)
      this.#connect()
      this.#link?.join(ticket, peer)
    })
  }

  #membership(ticket: number, peer: string): SignallingMembership {
    return {
      peer,
      send: (message: SignalMessage) => {
        if (this.#members.has(ticket)) this.#link?.send(message)
      },
      leave: () => this.#remove(ticket),
    }
  }

  #remove(ticket: number): void {
    const member = this.#members.get(ticket)
    if (member === undefined) return
    this.#members.delete(ticket)
    if (member.peer !== undefined) this.#link?.send({ type: 'leave', peer: member.peer })
    if (this.#members.size > 0) return
    this.#retry?.cancel()
    this.#retry = undefined
    this.#link?.end()
    this.#link = undefined
  }

  #connect(): void {
    if (this.#link !== undefined || this.#retry !== undefined) return
    const link = new ClientLink({
      onOpened: () => {
        this.#failures = 0
      },
      onJoined: (ticket, peer) => this.#joined(link, ticket, peer),
      onRefused: (ticket, code) => this.#refused(ticket, code),
      onSignal: (message) => this.#find(message.to)?.handler.onSignal(message),
      onUndeliverable: (from, message) => this.#find(from)?.handler.onUndeliverable(message),
      onLost: (reason) => {
        if (this.#link === link) this.#lost(reason)
      },
    })
    this.#link = link
    for (const [ticket, { wanted }] of this.#members) {
      if (ticket !== this.#tickets) link.join(ticket, wanted)
    }
    link.connect(this.#transport, this.#server)
  }

  #joined(link: ClientLink, ticket: number, peer: string): void {
    const member = this.#members.get(ticket)
    // It left before it had joined.
    if (member === undefined) return link.send({ type: 'leave', peer })
    member.peer = peer
    member.settle?.(peer)
  }

  #refused(ticket: number, code: RefusalCode): void {
    const member = this.#members.get(ticket)
    const error = refusal(code, member?.wanted)
    if (member?.settle !== undefined) return member.settle(error)
    // A name that was joined again belongs to somebody else now.
    this.#members.delete(ticket)
    member?.handler.onLost(error)
  }

  /** The peers of this process are few. */
  #find(peer: string): Member | undefined {
    for (const member of this.#members.values()) if (member.peer === peer) return member
    return undefined
  }

  #lost(reason: Error): void {
    this.#link = undefined
    for (const [ticket, member] of [...this.#members]) {
      if (member.settle !== undefined) member.settle(signallingLost(reason))
      else if (member.wanted === undefined) {
        this.#members.delete(ticket)
        member.handler.onLost(reason)
      } else member.peer = undefined
    }
    if (this.#members.size === 0) return
    const { reconnectMinMs, reconnectMaxMs, random } = this.#options
    const wait = Math.min(reconnectMaxMs, reconnectMinMs * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 30)
    const at = this.#clock.now() + wait * (0.5 + random() / 2)
    this.#retry = this.#clock.setTimer(at, () => {
      this.#retry = undefined
      this.#tickets += 1 // no join is about to follow
      this.#connect()
    })
  }
}

interface ClientLinkOwner {
  onOpened(): void
  onJoined(ticket: number, peer: string): void
  onRefused(ticket: number, code: RefusalCode): void
  onSignal(message: SignalMessage): void
  onUndeliverable(from: string, message: { readonly session: string; readonly to: string }): void
  /** Once and last, unless `end` was called. */
  onLost(reason: Error): void
}

/** One connection to the server, with what is to be said as soon as it stands. */
class ClientLink implements MessageHandler {
  readonly #owner: ClientLinkOwner
  readonly #aborter = new AbortController()
  #connection: MessageConnection | undefined
  #waiting: ClientMessage[] = []
  #ended = false
  #lost = false

  constructor(owner: ClientLinkOwner) {
    this.#owner = owner
  }

  connect(transport: MessageTransport, server: Address): void {
    transport.connect(server, { signal: this.#aborter.signal }).then(
      (connection) => this.#connected(connection),
      (error: unknown) => this.#lose(toError(error)),
    )
  }

  join(ticket: number, peer: string | undefined): void {
    this.send(peer === undefined ? { type: 'join', ticket } : { type: 'join', peer, ticket })
  }

  send(message: ClientMessage): void {
    if (this.#ended) return
    if (this.#connection === undefined) this.#waiting.push(message)
    else this.#connection.send(encodeSignalling(message))
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#connection !== undefined) this.#connection.end()
    else this.#aborter.abort(new ClosedError('ERR_CLOSED', 'nobody waits for the signalling'))
  }

  onMessage(message: Uint8Array): void {
    this.onText(message)
  }

  onText(text: Uint8Array | string): void {
    if (this.#ended) return
    try {
      const message = decodeServerMessage(text)
      if (message.type === 'joined') this.#owner.onJoined(message.ticket, message.peer)
      else if (message.type === 'refused') this.#owner.onRefused(message.ticket, message.code)
      else if (message.type === 'undeliverable') this.#owner.onUndeliverable(message.from, message)
      else this.#owner.onSignal(message)
    } catch (error) {
      this.#connection?.destroy(toError(error))
    }
  }

  onDrain(): void {}
  onEnd(): void {
    this.#connection?.end()
  }
  onClose(reason: Error | undefined): void {
    this.#lose(reason ?? new TransportError('ERR_DISCONNECTED', 'the server closed the connection'))
  }

  #connected(connection: MessageConnection): void {
    if (this.#ended) return connection.destroy()
    this.#connection = connection
    connection.open(this)
    this.#owner.onOpened()
    const waiting = this.#waiting
    this.#waiting = []
    for (const message of waiting) this.send(message)
  }

  #lose(reason: Error): void {
    if (this.#lost || this.#ended) return
    this.#lost = true
    this.#owner.onLost(reason)
  }
}

function refusal(code: RefusalCode, peer: string | undefined): Error {
  const name = peer === undefined ? 'a name' : `the name ${peer}`
  if (code === 'ERR_ADDRESS_IN_USE') {
    return new TransportError(code, `${name} is in use at the signalling`, { sent: 'nothing' })
  }
  const message = `the signalling server refused ${name}`
  if (code === 'ERR_LIMITED') return new OverloadError(code, message)
  return new AccessError(code, message)
}

function signallingLost(cause: Error): TransportError {
  const message = `the signalling server cannot be reached: ${cause.message}`
  return new TransportError('ERR_CONNECT', message, { cause, sent: 'nothing' })
}
