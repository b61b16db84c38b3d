/**
 * A handler that writes down what it hears and checks the contract of core/datagram-socket.ts while
 * it does: callbacks never nest, none comes from within a call to the socket, nothing at all comes
 * after the close.
 */
import type { Address } from '../../core/address.ts'
import type { DatagramHandler, DatagramSocket } from '../../core/datagram-socket.ts'

/** What a test does inside a callback, after it was written down. */
export interface DatagramHooks {
  onDatagram?(payload: Uint8Array, from: Address): void
  onError?(error: Error): void
}

export interface HeardDatagram {
  readonly payload: Uint8Array
  readonly from: Address
  /** `from` as it was when it came, to see that it does not change later. */
  readonly fromText: string
}

export class DatagramLog implements DatagramHandler {
  readonly socket: DatagramSocket
  /** Everything the contract forbids and that happened all the same. */
  readonly violations: string[] = []
  hooks: DatagramHooks
  readonly heard: HeardDatagram[] = []
  readonly errors: Error[] = []
  closed = false
  closeReason: Error | undefined
  refused = 0
  #inside: string | undefined

  constructor(socket: DatagramSocket, hooks: DatagramHooks = {}) {
    this.socket = socket
    this.hooks = hooks
  }

  open(): this {
    this.#call('open', () => this.socket.open(this))
    return this
  }

  send(payload: Uint8Array, to?: Address): boolean {
    const sent = this.#call('send', () => this.socket.send(payload, to))
    if (typeof sent !== 'boolean') this.violations.push(`send returned ${String(sent)}`)
    if (!sent) this.refused += 1
    return sent
  }

  sendText(text: string, to?: Address): boolean {
    return this.send(ascii(text), to)
  }

  pause(): void {
    this.#call('pause', () => this.socket.pause())
  }

  resume(): void {
    this.#call('resume', () => this.socket.resume())
  }

  close(): Promise<void> {
    return this.#call('close', () => this.socket.close())
  }

  get texts(): readonly string[] {
    return this.heard.map((one) => String.fromCharCode(...one.payload.subarray(0, 64)))
  }

  onDatagram(payload: Uint8Array, from: Address): void {
    this.#callback('onDatagram', () => {
      const copy = payload.slice()
      this.heard.push({ payload: copy, from, fromText: JSON.stringify(from) })
      this.hooks.onDatagram?.(payload, from)
      if (!sameBytes(payload, copy)) {
        this.violations.push('the payload changed while onDatagram had it')
      }
    })
  }

  onError(error: Error): void {
    this.#callback('onError', () => {
      this.errors.push(error)
      this.hooks.onError?.(error)
    })
  }

  onClose(reason: Error | undefined): void {
    this.#callback('onClose', () => {
      this.closed = true
      this.closeReason = reason
    })
  }

  #call<Value>(name: string, call: () => Value): Value {
    const outer = this.#inside
    this.#inside = name
    try {
      return call()
    } finally {
      this.#inside = outer
    }
  }

  #callback(name: string, body: () => void): void {
    if (this.#inside !== undefined) this.violations.push(`${name} came inside ${this.#inside}`)
    if (this.closed) this.violations.push(`${name} came after onClose`)
    this.#call(name, body)
  }
}

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

/** Bytes that differ at every place and between keys. */
export function filled(length: number, key: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = index * 31 + key * 17
  return bytes
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}
