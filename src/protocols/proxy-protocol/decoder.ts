/**
 * PROXY protocol headers, versions 1 and 2, told apart by their first bytes.
 *
 *     v1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"                    at most 107 bytes
 *     v2: | signature 12 | version, command 1 | family 1 | length 2 | addresses | extensions |
 *
 * A connection has one header; what follows it is the protocol inside: `takeUnread`.
 */
import { ByteQueue } from '../../core/byte-queue.ts'
import type { Decoder } from '../../core/codec.ts'
import { checkInteger, ProtocolError } from '../../core/errors.ts'
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../core/ip-text.ts'
import { crc32c } from './crc32c.ts'
import {
  type ProxyAddresses,
  type ProxyExtension,
  ProxyExtensionType,
  type ProxyHeader,
  V2_SIGNATURE,
} from './proxy-header.ts'

export interface ProxyHeaderDecoderOptions {
  /**
   * Longest version 2 header in bytes, extensions included. Version 1 has its own limit of 107.
   *
   * @default 2_048
   */
  maxHeaderBytes?: number
}

export const proxyHeaderDecoderDefaults: Readonly<{ maxHeaderBytes: number }> = Object.freeze({
  // Load balancers of the clouds send up to about 300; a client certificate's names a bit more.
  maxHeaderBytes: 2_048,
})

export class ProxyHeaderDecoder implements Decoder<ProxyHeader> {
  readonly #maxHeaderBytes: number
  readonly #queue = new ByteQueue()
  /** How far the line's end was looked for: no byte is scanned twice. */
  #scanned = 0
  #failure: ProtocolError | undefined

  constructor(options: ProxyHeaderDecoderOptions = {}) {
    const { maxHeaderBytes = proxyHeaderDecoderDefaults.maxHeaderBytes } = options
    this.#maxHeaderBytes = checkInteger('maxHeaderBytes', maxHeaderBytes, V2_FIXED_BYTES, 65_551)
  }

  get buffered(): number {
    return this.#queue.length
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
  }

  /** @throws ProtocolError ERR_WRONG_PROTOCOL when the input does not begin with a header */
  next(): ProxyHeader | undefined {
    if (this.#failure !== undefined) throw this.#failure
    try {
      const header = this.#decode()
      if (header === undefined) this.#queue.copyBorrowed()
      return header
    } catch (error) {
      if (error instanceof ProtocolError) this.#failure = error
      throw error
    }
  }

  end(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#queue.length === 0) return
    throw (this.#failure = new ProtocolError('ERR_TRUNCATED', 'input ended inside a PROXY header'))
  }

  /** What came behind the header. A copy. */
  takeUnread(): Uint8Array {
    return this.#queue.readCopy(this.#queue.length)
  }

  #decode(): ProxyHeader | undefined {
    const queue = this.#queue
    if (queue.length === 0) return undefined
    const first = queue.byteAt(0)
    if (first === V2_SIGNATURE[0]) return this.#decodeV2()
    if (first === V1_PREFIX[0]) return this.#decodeV1()
    throw wrongProtocol()
  }

  #decodeV1(): ProxyHeader | undefined {
    const queue = this.#queue
    if (!startsWith(queue, V1_PREFIX)) return undefined
    const feed = queue.indexOf(LF, this.#scanned)
    if (feed < 0 && queue.length < V1_MAX_BYTES) {
      this.#scanned = queue.length
      return undefined
    }
    if (feed < 0 || feed >= V1_MAX_BYTES) {
      throw malformed(`PROXY line is longer than ${V1_MAX_BYTES} bytes`)
    }
    this.#scanned = 0
    return parseLine(queue.read(feed + 1))
  }

  #decodeV2(): ProxyHeader | undefined {
    const queue = this.#queue
    if (!startsWith(queue, V2_SIGNATURE)) return undefined
    // Each byte is judged as soon as it is there.
    if (queue.length > 12) commandOf(queue.byteAt(12))
    if (queue.length > 13) familyOf(queue.byteAt(13))
    if (queue.length < V2_FIXED_BYTES) return undefined
    const length = (queue.byteAt(14) << 8) | queue.byteAt(15)
    const total = V2_FIXED_BYTES + length
    // Only compared, never allocated: 16 bytes must not reserve 64 KiB.
    if (total > this.#maxHeaderBytes) {
      const message = `PROXY header of ${total} bytes is over maxHeaderBytes ${this.#maxHeaderBytes}`
      throw new ProtocolError('ERR_FRAME_TOO_LARGE', message)
    }
    if (queue.length < total) return undefined
    return parseBinary(queue.readCopy(total))
  }
}

function parseLine(line: Uint8Array): ProxyHeader {
  let text = ''
  for (let at = 0; at < line.length - 2; at++) text += String.fromCharCode(line[at] as number)
  if (line[line.length - 2] !== CR) throw malformed('PROXY line does not end in CRLF')
  const parts = text.split(' ')
  const family = parts[1]
  if (family === 'UNKNOWN') {
    return { version: 1, command: 'proxy', addresses: undefined, extensions: [] }
  }
  if (family !== 'TCP4' && family !== 'TCP6') throw malformed(`PROXY family '${printable(family)}'`)
  if (parts.length !== 6) throw malformed(`PROXY line has ${parts.length} words, not 6`)
  const format = family === 'TCP4' ? normalIpv4 : normalIpv6
  const addresses: ProxyAddresses = {
    family: family === 'TCP4' ? 'ipv4' : 'ipv6',
    transport: 'stream',
    source: { host: format(parts[2] as string), port: parsePort(parts[4] as string) },
    destination: { host: format(parts[3] as string), port: parsePort(parts[5] as string) },
  }
  return { version: 1, command: 'proxy', addresses, extensions: [] }
}

function normalIpv4(text: string): string {
  const bytes = parseIpv4(text)
  if (bytes === undefined) throw malformed(`'${printable(text)}' is not an IPv4 address`)
  return formatIpv4(bytes)
}

function normalIpv6(text: string): string {
  const bytes = parseIpv6(text)
  if (bytes === undefined) throw malformed(`'${printable(text)}' is not an IPv6 address`)
  return formatIpv6(bytes)
}

function parsePort(text: string): number {
  const port = /^(?:0|[1-9]\d{0,4})$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= 65_535)) throw malformed(`'${printable(text)}' is not a port`)
  return port
}

function parseBinary(bytes: Uint8Array): ProxyHeader {
  const command = commandOf(bytes[12] as number)
  const { family, transport, length } = familyOf(bytes[13] as number)
  const rest = bytes.subarray(V2_FIXED_BYTES)
  if (rest.length < length) {
    throw malformed(`PROXY header has ${rest.length} bytes of addresses, ${family} needs ${length}`)
  }
  const extensions = parseExtensions(rest.subarray(length), bytes)
  if (command === 'local' || family === 'unspecified') {
    return { version: 2, command, addresses: undefined, extensions }
  }
  return { version: 2, command, addresses: addressesOf(family, transport, rest), extensions }
}

function addressesOf(
  family: 'ipv4' | 'ipv6' | 'unix',
  transport: 'stream' | 'datagram',
  bytes: Uint8Array,
): ProxyAddresses {
  if (family === 'unix') {
    const source = pathOf(bytes.subarray(0, UNIX_PATH_BYTES))
    const destination = pathOf(bytes.subarray(UNIX_PATH_BYTES, 2 * UNIX_PATH_BYTES))
    return { family, transport, source, destination }
  }
  const size = family === 'ipv4' ? 4 : 16
  const format = family === 'ipv4' ? formatIpv4 : formatIpv6
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return {
    family,
    transport,
    source: { host: format(bytes.subarray(0, size)), port: view.getUint16(2 * size) },
    destination: {
      host: format(bytes.subarray(size, 2 * size)),
      port: view.getUint16(2 * size + 2),
    },
  }
}

function parseExtensions(bytes: Uint8Array, header: Uint8Array): ProxyExtension[] {
  const extensions: ProxyExtension[] = []
  let at = 0
  while (at < bytes.length) {
    if (bytes.length - at < 3) throw malformed('PROXY extension is cut')
    const type = bytes[at] as number
    const length = ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
    const value = bytes.subarray(at + 3, at + 3 + length)
    if (value.length < length) throw malformed('PROXY extension is longer than the header')
    if (type === ProxyExtensionType.CRC32C) checkSum(value, header)
    else if (type !== ProxyExtensionType.NOOP) extensions.push({ type, value })
    at += 3 + length
  }
  return extensions
}

/** The sum is over the whole header with the sum itself as zeros (2.2.3). */
function checkSum(value: Uint8Array, header: Uint8Array): void {
  if (value.length !== 4) throw malformed(`PROXY checksum of ${value.length} bytes, not 4`)
  const view = new DataView(value.buffer, value.byteOffset, 4)
  const given = view.getUint32(0)
  view.setUint32(0, 0)
  const sum = crc32c(header)
  view.setUint32(0, given)
  if (sum !== given) {
    throw new ProtocolError('ERR_CHECKSUM', `PROXY header sums to ${sum}, it says ${given}`)
  }
}

function commandOf(byte: number): 'proxy' | 'local' {
  if (byte === 0x20) return 'local'
  if (byte === 0x21) return 'proxy'
  if (byte >>> 4 !== 2) {
    throw new ProtocolError('ERR_VERSION', `PROXY protocol version ${byte >>> 4}, not 2`)
  }
  throw malformed(`PROXY command ${byte & 0x0f}`)
}

interface Family {
  readonly family: 'unspecified' | 'ipv4' | 'ipv6' | 'unix'
  readonly transport: 'stream' | 'datagram'
  readonly length: number
}

function familyOf(byte: number): Family {
  const kind = FAMILIES[byte >>> 4]
  const transport = byte & 0x0f
  if (kind === undefined || transport > 2) throw malformed(`PROXY family 0x${byte.toString(16)}`)
  // AF_UNSPEC and UNSPEC: the addresses, if any, are to be skipped (2.2).
  if (kind.family === 'unspecified' || transport === 0) {
    return { family: 'unspecified', transport: 'stream', length: kind.length }
  }
  return { ...kind, transport: transport === 1 ? 'stream' : 'datagram' }
}

/** A path ends with its first zero byte. */
function pathOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

/** Whether `prefix` is there in full. @throws when the input is something else already */
function startsWith(queue: ByteQueue, prefix: Readonly<Uint8Array>): boolean {
  const count = Math.min(prefix.length, queue.length)
  for (let at = 0; at < count; at++) if (queue.byteAt(at) !== prefix[at]) throw wrongProtocol()
  return count === prefix.length
}

/** What a peer sent, as it may stand in a message. */
function printable(text: string | undefined): string {
  return (text ?? '').replace(/[^\x20-\x7e]/g, '?').slice(0, 45)
}

function malformed(message: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', message)
}

function wrongProtocol(): ProtocolError {
  return new ProtocolError(
    'ERR_WRONG_PROTOCOL',
    'no PROXY header: the peer does not send one, or is not the proxy it should be',
  )
}

const LF = 0x0a
const CR = 0x0d
/** "PROXY " */
const V1_PREFIX: Readonly<Uint8Array> = Uint8Array.of(0x50, 0x52, 0x4f, 0x58, 0x59, 0x20)
/** Section 2.1: the longest possible line, CRLF included. */
const V1_MAX_BYTES = 107
export const V2_FIXED_BYTES = 16
export const UNIX_PATH_BYTES = 108
const FAMILIES: readonly Pick<Family, 'family' | 'length'>[] = [
  { family: 'unspecified', length: 0 },
  { family: 'ipv4', length: 12 },
  { family: 'ipv6', length: 36 },
  { family: 'unix', length: 2 * UNIX_PATH_BYTES },
]
