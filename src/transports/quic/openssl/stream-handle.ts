/**
 * The SSL object of a stream. Every call on it is here, and none is made after it is free: a stale
 * pointer is a crash of the process, not an exception.
 */
import type { Endpoint } from './endpoint.ts'
import type { Openssl } from './openssl.ts'
import type { Polled } from './poll-table.ts'

export class StreamHandle implements Polled {
  slot = -1
  readonly onEvents: (events: number) => void
  readonly #endpoint: Endpoint
  readonly #openssl: Openssl
  #ssl: number

  constructor(endpoint: Endpoint, ssl: number, onEvents: (events: number) => void) {
    this.#endpoint = endpoint
    this.#openssl = endpoint.openssl
    this.#ssl = ssl
    this.onEvents = onEvents
  }

  get ssl(): number {
    return this.#ssl
  }

  want(events: number): void {
    if (this.#ssl === 0) return
    this.#endpoint.table.want(this, events)
    // What it asks for may be there already.
    this.#endpoint.wake()
  }

  /** Into the endpoint's memory. @returns 0: nothing there, or no more */
  read(): number {
    if (this.#ssl === 0) return 0
    const { f, at, scratch32 } = this.#openssl
    const room = this.#endpoint.readRoom()
    if (f.SSL_read_ex(this.#ssl, this.#endpoint.readAt, room, at) === 1) {
      // Credit for what was read is sent by the next pass.
      this.#endpoint.wake()
      return scratch32[0] as number
    }
    f.ERR_clear_error()
    return 0
  }

  /** @returns how many bytes OpenSSL has copied */
  write(chunk: Uint8Array): number {
    if (this.#ssl === 0) return 0
    const { f, at, scratch32 } = this.#openssl
    this.#endpoint.wake()
    if (f.SSL_write_ex2(this.#ssl, chunk, chunk.length, 0, at) === 1) return scratch32[0] as number
    f.ERR_clear_error()
    return 0
  }

  /** FIN, after everything written. */
  conclude(): void {
    if (this.#ssl === 0) return
    const { f } = this.#openssl
    if (f.SSL_stream_conclude(this.#ssl, 0) !== 1) f.ERR_clear_error()
    this.#endpoint.wake()
  }

  /** RESET_STREAM instead of what is left to send. */
  sendReset(code: bigint): void {
    if (this.#ssl === 0) return
    const { f, at, scratch64 } = this.#openssl
    scratch64[0] = code
    if (f.SSL_stream_reset(this.#ssl, at, 8) !== 1) f.ERR_clear_error()
    this.#endpoint.wake()
  }

  readState(): number {
    return this.#ssl === 0 ? 0 : this.#openssl.f.SSL_get_stream_read_state(this.#ssl)
  }

  writeState(): number {
    return this.#ssl === 0 ? 0 : this.#openssl.f.SSL_get_stream_write_state(this.#ssl)
  }

  /** The code of the peer's RESET_STREAM. */
  readErrorCode(): bigint {
    const { f, at } = this.#openssl
    return this.#ssl === 0 ? 0n : this.#code(f.SSL_get_stream_read_error_code(this.#ssl, at))
  }

  /** The code of the peer's STOP_SENDING; 0 where it gave none. */
  writeErrorCode(): bigint {
    const { f, at } = this.#openssl
    return this.#ssl === 0 ? 0n : this.#code(f.SSL_get_stream_write_error_code(this.#ssl, at))
  }

  /** The SSL object in another handle, that hears nothing; this one is as if it were free. */
  takeOver(): StreamHandle {
    this.#endpoint.table.remove(this)
    const other = new StreamHandle(this.#endpoint, this.#ssl, () => {})
    this.#ssl = 0
    return other
  }

  /** What the peer still sends is refused (STOP_SENDING); what was concluded is delivered. */
  free(): void {
    if (this.#ssl === 0) return
    this.#endpoint.table.remove(this)
    const { f } = this.#openssl
    f.SSL_free(this.#ssl)
    f.ERR_clear_error()
    this.#ssl = 0
    this.#endpoint.wake()
  }

  #code(status: number): bigint {
    const { f, scratch64 } = this.#openssl
    if (status === 1) return scratch64[0] as bigint
    f.ERR_clear_error()
    return 0n
  }
}
