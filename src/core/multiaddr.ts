/**
 * Multiaddrs: addresses that say every layer on the way, as libp2p writes them.
 *
 *     text     /ip4/192.0.2.1/tcp/443/tls/sni/example.com/ws
 *     binary   code varint | value | code varint | value …
 *
 * A value has a length of its own in front unless its protocol gives it a fixed one. Text and binary
 * are the same information: each way there and back gives what one began with, or an error at the
 * first step. Text is a person's (`UsageError`), binary a peer's (`ProtocolError`).
 */
import { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'
import { checkInteger, ProtocolError, UsageError } from './errors.ts'
import { type MultiaddrProtocol, protocolOfCode, protocolOfName } from './multiaddr-protocols.ts'
import { tryVarint32, varintLength, writeVarint } from './varint.ts'

export interface MultiaddrComponent {
  readonly name: string
  /** Undefined: a protocol without a value, as `tls`. */
  readonly value: string | undefined
}

export type Multiaddr = readonly MultiaddrComponent[]

export interface MultiaddrLimits {
  /** Longest binary or text form. @default 4_096, some twenty times what addresses need */
  maxBytes?: number
  /** @default 32: relays through relays have less than half of it */
  maxComponents?: number
}

export const multiaddrDefaults: Readonly<Required<MultiaddrLimits>> = Object.freeze({
  maxBytes: 4_096,
  maxComponents: 32,
})

/** @throws UsageError ERR_ADDRESS_INVALID, saying what was expected */
export function parseMultiaddr(text: string, limits: MultiaddrLimits = {}): Multiaddr {
  const { maxBytes, maxComponents } = checkLimits(limits)
  if (text.length > maxBytes) throw invalid(`${text.length} characters are over ${maxBytes}`)
  if (!text.startsWith('/')) throw invalid(`'${text}' does not begin with /`)
  const parts = text.slice(1).split('/')
  // `/ip4/1.2.3.4/` is the same as without the slash at its end.
  if (parts.at(-1) === '') parts.pop()
  const components: MultiaddrComponent[] = []
  for (let at = 0; at < parts.length; ) {
    if (components.length === maxComponents) throw invalid(`more than ${maxComponents} components`)
    const name = parts[at] as string
    const protocol = protocolOfName(name)
    if (protocol === undefined) throw invalid(`'${name}' is no protocol that heddle knows`)
    if (protocol.value === undefined) {
      components.push(component(protocol, undefined))
      at += 1
    } else if (isPlainPath(protocol, parts[at + 1])) {
      components.push(parseValue(protocol, `/${parts.slice(at + 1).join('/')}`))
      at = parts.length
    } else {
      components.push(parseValue(protocol, unescaped(protocol, parts[at + 1])))
      at += 2
    }
  }
  return Object.freeze(components)
}

/** @throws UsageError ERR_ADDRESS_INVALID for components that no multiaddr can have */
export function formatMultiaddr(address: Multiaddr): string {
  let text = ''
  for (const { name, value } of address) {
    const protocol = requireProtocol(name)
    const codec = protocol.value
    text += `/${protocol.name}`
    if (codec === undefined && value === undefined) continue
    const [, checked] = checkedValue(protocol, value)
    text += `/${codec?.escaped ? encodeURIComponent(checked) : checked}`
  }
  return text === '' ? '/' : text
}

/** @throws UsageError ERR_ADDRESS_INVALID for components that no multiaddr can have */
export function encodeMultiaddr(address: Multiaddr): Uint8Array {
  const out = new ByteWriter()
  for (const { name, value } of address) {
    const protocol = requireProtocol(name)
    writeVarint(protocol.code, out)
    if (protocol.value === undefined && value === undefined) continue
    const [bytes] = checkedValue(protocol, value)
    if (protocol.value?.bytes === undefined) writeVarint(bytes.length, out)
    out.copy(bytes)
  }
  return out.take()
}

/**
 * The result holds no view of `bytes`.
 *
 * @throws ProtocolError ERR_LIMIT, ERR_TRUNCATED, ERR_MALFORMED
 */
export function decodeMultiaddr(bytes: Uint8Array, limits: MultiaddrLimits = {}): Multiaddr {
  const { maxBytes, maxComponents } = checkLimits(limits)
  if (bytes.length > maxBytes) {
    throw new ProtocolError('ERR_LIMIT', `multiaddr of ${bytes.length} bytes is over ${maxBytes}`)
  }
  const reader = new ByteReader(bytes)
  const components: MultiaddrComponent[] = []
  while (reader.length > 0) {
    if (components.length === maxComponents) {
      throw new ProtocolError('ERR_LIMIT', `multiaddr of more than ${maxComponents} components`)
    }
    const code = readVarint(reader)
    const protocol = protocolOfCode(code)
    // Its length is not known, so nothing behind it can be read either.
    if (protocol === undefined) throw malformed(`${code} is no protocol that heddle knows`)
    components.push(decodeValue(protocol, reader))
  }
  return Object.freeze(components)
}

function decodeValue(protocol: MultiaddrProtocol, reader: ByteReader): MultiaddrComponent {
  const codec = protocol.value
  if (codec === undefined) return component(protocol, undefined)
  const length = codec.bytes ?? readVarint(reader)
  if (length > reader.length) {
    const message = `multiaddr: ${protocol.name} of ${length} bytes, and ${reader.length} follow`
    throw new ProtocolError('ERR_TRUNCATED', message)
  }
  const bytes = reader.bytes(length)
  const value = codec.decode(bytes)
  if (value === undefined) throw malformed(`${protocol.name} is not ${codec.expected}`)
  return component(protocol, value)
}

function parseValue(protocol: MultiaddrProtocol, text: string | undefined): MultiaddrComponent {
  const [bytes] = checkedValue(protocol, text)
  // By way of the bytes, so that there is one spelling: `::0001` is `::1`.
  return component(protocol, protocol.value?.decode(bytes) as string)
}

/** The value in bytes and in its one spelling. */
function checkedValue(
  protocol: MultiaddrProtocol,
  value: string | undefined,
): readonly [Uint8Array, string] {
  const codec = protocol.value
  if (codec === undefined)
    throw invalid(`${protocol.name} has no value, and '${value}' stands there`)
  const bytes = value === undefined ? undefined : codec.encode(value)
  if (bytes === undefined) {
    const found = value === undefined ? 'nothing' : `'${value}'`
    throw invalid(`${protocol.name} needs ${codec.expected}, and ${found} stands there`)
  }
  return [bytes, codec.decode(bytes) as string]
}

/** Go's form of a path: the rest of the text, slashes and all. Ours begins with `%2F`. */
function isPlainPath(protocol: MultiaddrProtocol, first: string | undefined): boolean {
  return protocol.name === 'unix' && first !== undefined && !/^%2f/i.test(first)
}

function unescaped(protocol: MultiaddrProtocol, text: string | undefined): string | undefined {
  if (text === undefined || !protocol.value?.escaped) return text
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid(`${protocol.name} needs percent-encoded UTF-8, and '${text}' stands there`)
  }
}

function readVarint(reader: ByteReader): number {
  const before = reader.length
  const value = tryVarint32(reader)
  if (value === undefined) {
    throw new ProtocolError('ERR_TRUNCATED', 'multiaddr ends inside a number')
  }
  // A longer spelling of the same number would make two binary forms of one address.
  if (before - reader.length !== varintLength(value))
    throw malformed('a number with zeros in front')
  return value
}

function requireProtocol(name: string): MultiaddrProtocol {
  const protocol = protocolOfName(name)
  if (protocol === undefined) throw invalid(`'${name}' is no protocol that heddle knows`)
  return protocol
}

function component(protocol: MultiaddrProtocol, value: string | undefined): MultiaddrComponent {
  return Object.freeze({ name: protocol.name, value })
}

function checkLimits(limits: MultiaddrLimits): Required<MultiaddrLimits> {
  const { maxBytes = multiaddrDefaults.maxBytes, maxComponents = multiaddrDefaults.maxComponents } =
    limits
  return {
    maxBytes: checkInteger('maxBytes', maxBytes, 1, 0x10_0000),
    maxComponents: checkInteger('maxComponents', maxComponents, 1, 65_536),
  }
}

function invalid(what: string): UsageError {
  return new UsageError('ERR_ADDRESS_INVALID', `multiaddr: ${what}`)
}

function malformed(what: string): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', `multiaddr: ${what}`)
}
