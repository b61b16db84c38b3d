/**
 * The client's side of a SOCKS handshake, sans-I/O (RFC 1928, RFC 1929, SOCKS 4 and 4a).
 *
 *     5: greeting ─► method ─► [credentials ─► status] ─► connect ─► reply ─► detached
 *     4: connect ─► reply ─► detached
 *
 * Nothing is sent ahead of an answer: whoever proxies a refused handshake must not find the next
 * message in it. After the reply the connection is the target's, with whatever bytes came behind.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import { ByteWriter } from '../../core/byte-writer.ts'
import { type HeddleError, ProtocolError, TransportError, UsageError } from '../../core/errors.ts'
import { formatIpv4, formatIpv6, parseIpv6 } from '../../core/ip-text.ts'
import type { Session, SessionState } from '../../core/session.ts'
import {
  encodeConnect4,
  encodeConnect5,
  encodeCredentials,
  encodeGreeting,
  IPV4,
  IPV6,
  NAME,
  NO_AUTHENTICATION,
  USERNAME_PASSWORD,
} from './encoder.ts'
import type { SocksCommand, SocksEvent } from './messages.ts'
import { type SocksOptions, socksDefaults } from './options.ts'

type Phase = 'idle' | 'method' | 'status' | 'reply5' | 'reply4' | 'over'

export class SocksClientSession implements Session<SocksCommand, SocksEvent> {
  state: SessionState = 'opening'
  failure: HeddleError | undefined
  readonly wantsRead = true
  onWake: (() => void) | undefined
  readonly #version: 4 | 5
  readonly #username: Uint8Array | undefined
  readonly #password: Uint8Array
  readonly #queue = new ByteQueue()
  readonly #out = new ByteWriter({ regionBytes: 1_024 })
  #phase: Phase = 'idle'
  #host = ''
  #name: Uint8Array = NOTHING
  #port = 0
  #ended = false
  #event: SocksEvent | undefined

  /** @throws UsageError for credentials that the version cannot carry */
  constructor(options: SocksOptions = {}) {
    const { version = socksDefaults.version, username, password } = options
    this.#version = version
    const encoder = new TextEncoder()
    this.#username = username === undefined ? undefined : encoder.encode(username)
    this.#password = encoder.encode(password ?? '')
    this.#checkCredentials(password)
  }

  receive(chunk: Uint8Array, _now: number): void {
    if (this.state === 'closed') return
    this.#queue.push(chunk)
  }

  receiveEnd(_now: number): void {
    this.#ended = true
  }

  receiveClose(reason: Error | undefined, _now: number): void {
    if (this.#phase === 'over') return
    const why = reason === undefined ? 'closed the connection' : `was lost: ${reason.message}`
    this.#fail(refusal(`the proxy ${why} during the handshake`, reason))
  }

  pollEvent(): SocksEvent | undefined {
    while (this.#phase !== 'over' && this.#step());
    if (this.#ended && this.#phase !== 'over') {
      this.#fail(refusal('the proxy ended the connection during the handshake'))
    }
    const event = this.#event
    this.#event = undefined
    if (event === undefined) this.#queue.copyBorrowed()
    return event
  }

  submit(command: SocksCommand, _now: number): void {
    if (this.#phase !== 'idle') throw new UsageError('ERR_STATE', 'a SOCKS session connects once')
    const { host, port } = command
    const name = new TextEncoder().encode(host)
    if (name.length < 1 || name.length > 255 || host.includes('\0')) {
      const message = `host of ${name.length} bytes, SOCKS carries 1 to 255`
      throw new UsageError('ERR_ARGUMENT', message)
    }
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new UsageError('ERR_ARGUMENT', `port ${port} is not 1 to 65535`)
    }
    this.#host = host
    this.#name = name
    this.#port = port
    if (this.#version === 5) {
      encodeGreeting(this.#out, this.#username !== undefined)
      this.#phase = 'method'
      return
    }
    if (parseIpv6(host) !== undefined) {
      throw new UsageError('ERR_ARGUMENT', `SOCKS 4 has no IPv6 addresses: ${host}`)
    }
    encodeConnect4(this.#out, host, name, port, this.#username ?? NOTHING)
    this.#phase = 'reply4'
  }

  pollTransmit(_maxBytes: number): ByteWriter {
    return this.#out
  }

  /** The transport's connect deadline covers the handshake. */
  pollTimeout(): undefined {
    return undefined
  }

  handleTimeout(_now: number): void {}

  takeUnread(): Uint8Array {
    return this.#queue.readCopy(this.#queue.length)
  }

  /** @returns false: more bytes are needed, or it is over */
  #step(): boolean {
    switch (this.#phase) {
      case 'method':
        return this.#readMethod()
      case 'status':
        return this.#readStatus()
      case 'reply5':
        return this.#readReply5()
      case 'reply4':
        return this.#readReply4()
      default:
        return false
    }
  }

  #readMethod(): boolean {
    const queue = this.#queue
    if (queue.length < 1) return false
    if (!this.#isVersion(5)) return false
    if (queue.length < 2) return false
    queue.skip(1)
    const method = queue.readUint8()
    if (method === NO_AUTHENTICATION) return this.#connect5()
    if (method === USERNAME_PASSWORD && this.#username !== undefined) {
      encodeCredentials(this.#out, this.#username, this.#password)
      this.#phase = 'status'
      return true
    }
    if (method === NO_METHOD) {
      const wants = this.#username === undefined ? 'none was given' : 'it takes none of ours'
      return this.#fail(refusal(`the proxy wants authentication, and ${wants}`))
    }
    return this.#fail(malformed(`the proxy chose method ${method}, which was not offered`))
  }

  #readStatus(): boolean {
    const queue = this.#queue
    if (queue.length < 2) return false
    // The version of the sub-negotiation is 1; proxies are known to answer 5, and only 0 is success.
    queue.skip(1)
    const status = queue.readUint8()
    if (status === 0) return this.#connect5()
    return this.#fail(refusal(`the proxy refused the credentials (status ${status})`))
  }

  #connect5(): true {
    encodeConnect5(this.#out, this.#host, this.#name, this.#port)
    this.#phase = 'reply5'
    return true
  }

  #readReply5(): boolean {
    const queue = this.#queue
    if (queue.length < 1 || !this.#isVersion(5) || queue.length < 2) return false
    const reply = queue.byteAt(1)
    // A refusal is final with its second byte: some proxies close behind it.
    if (reply !== 0) return this.#fail(refusal(`the proxy ${REPLIES5[reply] ?? `said ${reply}`}`))
    if (queue.length < 5) return false
    const type = queue.byteAt(3)
    const first = queue.byteAt(4)
    const length = type === IPV4 ? 4 : type === IPV6 ? 16 : type === NAME ? 1 + first : undefined
    if (length === undefined) return this.#fail(malformed(`address type ${type} in the reply`))
    if (queue.length < 4 + length + 2) return false
    queue.skip(4)
    const address = queue.readCopy(length)
    return this.#connected(addressText(type, address), queue.readUint16())
  }

  #readReply4(): boolean {
    const queue = this.#queue
    if (queue.length < 1 || !this.#isVersion(0) || queue.length < 2) return false
    const reply = queue.byteAt(1)
    if (reply !== GRANTED) {
      return this.#fail(refusal(`the proxy ${REPLIES4[reply] ?? `said ${reply}`}`))
    }
    if (queue.length < 8) return false
    queue.skip(2)
    const port = queue.readUint16()
    return this.#connected(formatIpv4(queue.readCopy(4)), port)
  }

  #isVersion(expected: number): boolean {
    const version = this.#queue.byteAt(0)
    if (version === expected) return true
    this.#fail(malformed(`the proxy answered with version ${version}, not ${expected}`))
    return false
  }

  #connected(host: string, port: number): false {
    this.#phase = 'over'
    this.state = 'detached'
    this.#event = { type: 'connected', host, port }
    return false
  }

  #fail(error: HeddleError): false {
    this.#phase = 'over'
    this.state = 'closed'
    this.failure = error
    this.#event = { type: 'failed', error }
    this.#queue.clear()
    return false
  }

  #checkCredentials(password: string | undefined): void {
    const username = this.#username
    if (this.#version === 4) {
      if (password !== undefined) {
        throw new UsageError('ERR_OPTION_UNSUPPORTED', 'SOCKS 4 has no password')
      }
      if (username?.includes(0) || (username?.length ?? 0) > 255) {
        throw new UsageError('ERR_ARGUMENT', 'SOCKS 4 user id: at most 255 bytes, none of them 0')
      }
      return
    }
    if (username === undefined) {
      if (password === undefined) return
      throw new UsageError('ERR_ARGUMENT', 'a SOCKS password needs a user name')
    }
    if (username.length < 1 || username.length > 255 || this.#password.length > 255) {
      const lengths = `user name of ${username.length} bytes and password of ${this.#password.length}`
      throw new UsageError('ERR_OPTION_RANGE', `${lengths}; SOCKS carries up to 255 of each`)
    }
  }
}

/** `sent: 'nothing'`: the target has seen nothing of the call that wanted the connection. */
function refusal(message: string, cause?: Error): TransportError {
  return new TransportError('ERR_PROXY', message, { sent: 'nothing', cause })
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', `SOCKS: ${message}`, { sent: 'nothing' })
}

function addressText(type: number, bytes: Uint8Array): string {
  if (type === IPV4) return formatIpv4(bytes)
  if (type === IPV6) return formatIpv6(bytes)
  return new TextDecoder().decode(bytes.subarray(1))
}

/** RFC 1928 6. */
const REPLIES5: readonly (string | undefined)[] = [
  undefined,
  'failed',
  'does not allow this connection',
  'cannot reach the network',
  'cannot reach the host',
  'was refused by the target',
  'gave up: its time to live expired',
  'does not support CONNECT',
  'does not support this kind of address',
]
const REPLIES4: Readonly<Record<number, string>> = Object.freeze({
  91: 'rejected the request or failed',
  92: 'could not reach our identd',
  93: 'was told another user id by our identd',
})
const GRANTED = 90
const NO_METHOD = 0xff
const NOTHING = new Uint8Array(0)
