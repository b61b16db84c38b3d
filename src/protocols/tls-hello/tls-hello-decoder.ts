/**
 * What a TLS client says first, read without taking part: the server name and protocols it asks for
 * (RFC 8446 4.1.2, RFC 6066 3, RFC 7301 3.1). For routing TLS that passes through untouched.
 *
 *     record:    | 22 | version 2 | length 2 | fragment … |        a hello may span several records
 *     handshake: | 1 | length 3 | version 2 | random 32 | session id | suites | compression | extensions |
 *
 * Nothing here is authenticated: a client may say any name.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import type { Decoder } from '../../core/codec.ts'
import { checkInteger, ProtocolError } from '../../core/errors.ts'

export interface TlsHello {
  /** Lower case, without a final dot; undefined when the client sent none. */
  readonly serverName: string | undefined
  /** In the client's order of preference. */
  readonly alpn: readonly string[]
  /** Highest version offered: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3. */
  readonly version: number
}

export interface TlsHelloDecoderOptions {
  /**
   * Longest ClientHello in bytes, without record headers.
   *
   * @default 16_384
   */
  maxHelloBytes?: number
}

export const tlsHelloDecoderDefaults: Readonly<{ maxHelloBytes: number }> = Object.freeze({
  // One record's worth. Hellos with post-quantum key shares take about 2 KiB.
  maxHelloBytes: 16_384,
})

export class TlsHelloDecoder implements Decoder<TlsHello> {
  readonly #maxHelloBytes: number
  readonly #queue = new ByteQueue()
  /** Handshake bytes of the records so far. */
  readonly #handshake = new ByteQueue()
  #failure: ProtocolError | undefined

  constructor(options: TlsHelloDecoderOptions = {}) {
    const { maxHelloBytes = tlsHelloDecoderDefaults.maxHelloBytes } = options
    this.#maxHelloBytes = checkInteger('maxHelloBytes', maxHelloBytes, 64, 0xff_ffff)
  }

  get buffered(): number {
    return this.#queue.length + this.#handshake.length
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
  }

  /** @throws ProtocolError ERR_WRONG_PROTOCOL when the input is no ClientHello */
  next(): TlsHello | undefined {
    if (this.#failure !== undefined) throw this.#failure
    try {
      const hello = this.#decode()
      if (hello === undefined) {
        this.#queue.copyBorrowed()
        this.#handshake.copyBorrowed()
      }
      return hello
    } catch (error) {
      if (error instanceof ProtocolError) this.#failure = error
      throw error
    }
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.buffered === 0) return
    throw (this.#failure = new ProtocolError('ERR_TRUNCATED', 'input ended inside a TLS hello'))
  }

  #decode(): TlsHello | undefined {
    const queue = this.#queue
    for (;;) {
      this.#checkRecord()
      if (queue.length < RECORD_HEADER_BYTES) return undefined
      const length = (queue.byteAt(3) << 8) | queue.byteAt(4)
      // Judged by its first fragment byte, not only once the whole record is there.
      if (this.#handshake.length === 0 && queue.length > RECORD_HEADER_BYTES) {
        const type = queue.byteAt(RECORD_HEADER_BYTES)
        if (type !== CLIENT_HELLO) throw notHello(`handshake message ${type}`)
      }
      if (queue.length < RECORD_HEADER_BYTES + length) {
        this.#checkLength(length)
        return undefined
      }
      queue.skip(RECORD_HEADER_BYTES)
      this.#handshake.push(queue.readCopy(length))
      this.#handshake.copyBorrowed()
      const hello = this.#decodeHandshake()
      if (hello !== undefined) return hello
    }
  }

  /** Each byte of a record header is judged as soon as it is there. */
  #checkRecord(): void {
    const queue = this.#queue
    const { length } = queue
    if (length > 0 && queue.byteAt(0) !== HANDSHAKE) throw notHello(`first byte ${queue.byteAt(0)}`)
    if (length > 1 && queue.byteAt(1) !== 3) throw notHello(`record version ${queue.byteAt(1)}.x`)
    if (length < RECORD_HEADER_BYTES) return
    const size = (queue.byteAt(3) << 8) | queue.byteAt(4)
    // RFC 8446 5.1: handshake records are never empty and never over 2^14 bytes.
    if (size === 0 || size > MAX_RECORD_BYTES) throw malformed(`TLS record of ${size} bytes`)
  }

  #checkLength(arriving: number): void {
    const total = this.#handshake.length + arriving
    if (total <= this.#maxHelloBytes) return
    const message = `TLS hello of at least ${total} bytes is over maxHelloBytes ${this.#maxHelloBytes}`
    throw new ProtocolError('ERR_FRAME_TOO_LARGE', message)
  }

  #decodeHandshake(): TlsHello | undefined {
    const queue = this.#handshake
    if (queue.byteAt(0) !== CLIENT_HELLO) throw notHello(`handshake message ${queue.byteAt(0)}`)
    this.#checkLength(0)
    if (queue.length < HANDSHAKE_HEADER_BYTES) return undefined
    const length = (queue.byteAt(1) << 16) | (queue.byteAt(2) << 8) | queue.byteAt(3)
    const total = HANDSHAKE_HEADER_BYTES + length
    if (total > this.#maxHelloBytes) {
      const message = `TLS hello of ${total} bytes is over maxHelloBytes ${this.#maxHelloBytes}`
      throw new ProtocolError('ERR_FRAME_TOO_LARGE', message)
    }
    if (queue.length < total) return undefined
    // The client has nothing to send behind its hello (early data has records of its own).
    if (queue.length > total) throw malformed(`${queue.length - total} bytes behind the TLS hello`)
    const hello = parseHello(queue.readCopy(total).subarray(HANDSHAKE_HEADER_BYTES))
    queue.clear()
    return hello
  }
}

function parseHello(bytes: Uint8Array): TlsHello {
  const cursor = new Cursor(bytes)
  let version = cursor.uint16()
  cursor.take(RANDOM_BYTES)
  cursor.take(cursor.uint8()) // session id
  cursor.take(cursor.uint16()) // cipher suites
  cursor.take(cursor.uint8()) // compression methods
  let serverName: string | undefined
  let alpn: readonly string[] = []
  if (cursor.rest === 0) return { serverName, alpn, version }
  const extensions = new Cursor(cursor.take(cursor.uint16()))
  if (cursor.rest > 0) throw malformed(`${cursor.rest} bytes behind the extensions`)
  const seen = new Set<number>()
  while (extensions.rest > 0) {
    const type = extensions.uint16()
    const content = new Cursor(extensions.take(extensions.uint16()))
    // RFC 8446 4.2: not twice. Two names could be read differently by us and by the server.
    if (seen.has(type)) throw malformed(`TLS extension ${type} twice`)
    seen.add(type)
    if (type === SERVER_NAME) serverName = parseServerName(content)
    else if (type === ALPN) alpn = parseAlpn(content)
    else if (type === SUPPORTED_VERSIONS) version = Math.max(version, parseVersions(content))
  }
  return { serverName, alpn, version }
}

function parseServerName(content: Cursor): string | undefined {
  const list = new Cursor(content.take(content.uint16()))
  if (content.rest > 0) throw malformed('bytes behind the server name list')
  let name: string | undefined
  while (list.rest > 0) {
    const type = list.uint8()
    const value = list.take(list.uint16())
    if (type !== HOST_NAME) continue
    if (name !== undefined) throw malformed('two host names in one TLS hello')
    name = hostName(value)
  }
  return name
}

function hostName(bytes: Uint8Array): string {
  let name = ''
  for (const byte of bytes) {
    // Letters, digits, hyphen, dot, underscore: what a DNS name can be made of.
    const char = String.fromCharCode(byte)
    if (!/[A-Za-z0-9._-]/.test(char)) throw malformed(`byte ${byte} in the server name`)
    name += char
  }
  if (name === '' || name.length > 255) throw malformed(`server name of ${name.length} bytes`)
  return name.toLowerCase().replace(/\.$/, '')
}

function parseAlpn(content: Cursor): string[] {
  const list = new Cursor(content.take(content.uint16()))
  if (content.rest > 0) throw malformed('bytes behind the ALPN list')
  const names: string[] = []
  while (list.rest > 0) {
    const value = list.take(list.uint8())
    if (value.length === 0) throw malformed('empty ALPN protocol name')
    names.push(String.fromCharCode(...value))
  }
  return names
}

/** GREASE values (RFC 8701) are no versions. */
function parseVersions(content: Cursor): number {
  const list = new Cursor(content.take(content.uint8()))
  let highest = 0
  while (list.rest > 0) {
    const version = list.uint16()
    if (version >>> 8 === 3 && version > highest) highest = version
  }
  return highest
}

/** Reads from the front; running over the end is the peer's mistake. */
class Cursor {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get rest(): number {
    return this.#bytes.length - this.#at
  }

  uint8(): number {
    return this.take(1)[0] as number
  }

  uint16(): number {
    const [high, low] = this.take(2) as unknown as [number, number]
    return (high << 8) | low
  }

  take(count: number): Uint8Array {
    if (count > this.rest) throw malformed('a length in the TLS hello runs over its end')
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', message)
}

function notHello(what: string): ProtocolError {
  return new ProtocolError('ERR_WRONG_PROTOCOL', `not a TLS hello: ${what}`)
}

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const RECORD_HEADER_BYTES = 5
const HANDSHAKE_HEADER_BYTES = 4
const MAX_RECORD_BYTES = 16_384
const RANDOM_BYTES = 32
const SERVER_NAME = 0
const HOST_NAME = 0
const ALPN = 16
const SUPPORTED_VERSIONS = 43
