/**
 * How a connection reaches its counterpart in the addon: a client has a native object and a thread of
 * its own, a server's connections share one and have numbers.
 */
import type { Address } from '../../../core/address.ts'
import type { NativeClient, NativeMetrics, NativeServer, SendOutcome } from './binding.ts'

export interface QuicheLink {
  readonly local: Address
  /** @returns bytes taken; undefined: none, there is no room */
  send(stream: number, bytes: Uint8Array, end: boolean): number | undefined
  /** Both directions, as far as they are open. */
  resetStream(stream: number, code: number): void
  /** How many streams the peer is taken to allow, where it is not known. */
  assumedStreams(most: number): number
  /** @returns undefined where the peer allows no more */
  nextStream(direction: 'bidirectional' | 'unidirectional'): number | undefined
  sendDatagram(payload: Uint8Array): boolean
  metrics(): NativeMetrics | undefined
  ping(): void
  close(code: number, reason: string): void
  /** The connection has ended, and makes no call any more. */
  released(): void
}

export class ClientLink implements QuicheLink {
  readonly local: Address
  readonly #native: NativeClient
  readonly #onReleased: () => void
  #nextSingle = 2

  constructor(native: NativeClient, local: Address, onReleased: () => void) {
    this.#native = native
    this.local = local
    this.#onReleased = onReleased
  }

  send(stream: number, bytes: Uint8Array, end: boolean): number | undefined {
    return takenOf(
      attempt(() => this.#native.streamSend(stream, view(bytes), end)),
      bytes,
    )
  }

  resetStream(stream: number, code: number): void {
    attempt(() => this.#native.streamClose(stream, code))
  }

  assumedStreams(): number {
    return Number.POSITIVE_INFINITY
  }

  nextStream(direction: 'bidirectional' | 'unidirectional'): number | undefined {
    if (direction === 'unidirectional') {
      this.#nextSingle += 4
      return this.#nextSingle - 4
    }
    try {
      return this.#native.openStream()
    } catch {
      return undefined // StreamLimit, or it has closed, of which an event tells
    }
  }

  sendDatagram(payload: Uint8Array): boolean {
    return attempt(() => this.#native.sendDatagram(view(payload))) ?? false
  }

  metrics(): NativeMetrics | undefined {
    return attempt(() => this.#native.getSessionMetrics())
  }

  ping(): void {
    attempt(() => this.#native.ping())
  }

  close(code: number, reason: string): void {
    attempt(() => this.#native.close(code, reason))
  }

  released(): void {
    this.#onReleased()
  }
}

export class ServerLink implements QuicheLink {
  readonly local: Address
  readonly #native: NativeServer
  readonly #handle: number
  #next = 1
  #nextSingle = 3

  constructor(native: NativeServer, handle: number, local: Address) {
    this.#native = native
    this.#handle = handle
    this.local = local
  }

  send(stream: number, bytes: Uint8Array, end: boolean): number | undefined {
    const data = view(bytes)
    return takenOf(
      attempt(() => this.#native.streamSend(this.#handle, stream, data, end)),
      bytes,
    )
  }

  resetStream(stream: number, code: number): void {
    attempt(() => this.#native.streamClose(this.#handle, stream, code))
  }

  /** A limit that is exceeded ends the stream: as many as clients of ours allow. */
  assumedStreams(most: number): number {
    return most
  }

  nextStream(direction: 'bidirectional' | 'unidirectional'): number {
    if (direction === 'unidirectional') {
      this.#nextSingle += 4
      return this.#nextSingle - 4
    }
    this.#next += 4
    return this.#next - 4
  }

  sendDatagram(payload: Uint8Array): boolean {
    return attempt(() => this.#native.sendDatagram(this.#handle, view(payload))) ?? false
  }

  metrics(): NativeMetrics | undefined {
    return attempt(() => this.#native.getSessionMetrics(this.#handle))
  }

  ping(): void {
    attempt(() => this.#native.pingSession(this.#handle))
  }

  close(code: number, reason: string): void {
    attempt(() => this.#native.closeSession(this.#handle, code, reason))
  }

  released(): void {}
}

/** The addon takes nothing but a Buffer, and copies it. */
function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** An end without bytes counts as one. */
function takenOf(outcome: SendOutcome | undefined, bytes: Uint8Array): number | undefined {
  if (outcome?.status !== ACCEPTED) return undefined
  return Math.min(outcome.written, bytes.length)
}

/** For a connection that is closed there and not yet here, calls may throw; an event tells of it. */
function attempt<Value>(call: () => Value): Value | undefined {
  try {
    return call()
  } catch {
    return undefined
  }
}

const ACCEPTED = 0
