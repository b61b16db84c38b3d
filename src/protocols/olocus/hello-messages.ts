/**
 * The two messages of a negotiation, as JSON in one form: keys in order, no space. A text that is not
 * in that form is refused, so that two texts never mean the same hello.
 */
import { blockError } from './block-codes.ts'
import { hexText, parseHex } from './byte-text.ts'

export interface Hello {
  readonly agent: string
  readonly versions: readonly [min: number, max: number]
  /** Numbers of encoding and compression, best first. */
  readonly formats: readonly (readonly [encoding: number, compression: number])[]
  readonly maxMessageBytes: number
  readonly suites: readonly number[]
  /** 32 bytes as hexadecimal. */
  readonly peerKey: string
  readonly nonce: string
  readonly time: number
  readonly binding: string
}

/** Digests as the sender sees them: of its own hello, and of the one it received. */
export interface HelloConfirm {
  readonly own: Uint8Array
  readonly peer: Uint8Array
  readonly signature: Uint8Array
}

export function helloText(hello: Hello): string {
  return JSON.stringify({
    proto: PROTO,
    agent: hello.agent,
    versions: hello.versions,
    formats: hello.formats,
    max_message: hello.maxMessageBytes,
    suites: hello.suites,
    peer_key: hello.peerKey,
    nonce: hello.nonce,
    time: hello.time,
    binding: hello.binding,
  })
}

export function confirmText(confirm: HelloConfirm): string {
  return JSON.stringify({
    proto: PROTO,
    own: hexText(confirm.own),
    peer: hexText(confirm.peer),
    signature: hexText(confirm.signature),
  })
}

export function readHello(bytes: Uint8Array): Hello {
  const value = readObject(bytes)
  if (value['proto'] !== PROTO) {
    throw blockError('ProtocolVersionMismatch', `a hello of another protocol than ${PROTO}`)
  }
  const hello: Hello = {
    agent: agentOf(value['agent']),
    versions: versionsOf(value['versions']),
    formats: formatsOf(value['formats']),
    maxMessageBytes: integerOf('max_message', value['max_message'], 1, 0xffff_ffff),
    suites: listOf('suites', value['suites'], (suite) => integerOf('suite', suite, 0, 0xffff)),
    peerKey: hexOf('peer_key', value['peer_key'], 32, 32),
    nonce: hexOf('nonce', value['nonce'], 32, 32),
    time: integerOf('time', value['time'], 0, Number.MAX_SAFE_INTEGER),
    binding: hexOf('binding', value['binding'], 0, 64),
  }
  checkForm(bytes, helloText(hello))
  return hello
}

export function readConfirm(bytes: Uint8Array): HelloConfirm {
  const value = readObject(bytes)
  if (value['proto'] !== PROTO || 'agent' in value) {
    throw blockError('InvalidNegotiationState', 'this is no confirmation')
  }
  const confirm = {
    own: digestOf('own', value['own'], 32),
    peer: digestOf('peer', value['peer'], 32),
    signature: digestOf('signature', value['signature'], 64),
  }
  checkForm(bytes, confirmText(confirm))
  return confirm
}

function readObject(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length > MAX_HELLO_BYTES) {
    const message = `a hello of ${bytes.length} bytes is over the limit of ${MAX_HELLO_BYTES}`
    throw blockError('SerializationError', message)
  }
  let value: unknown
  try {
    value = JSON.parse(STRICT_UTF8.decode(bytes))
  } catch (cause) {
    throw blockError('SerializationError', 'a hello that is no JSON', cause)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>
  }
  throw blockError('SerializationError', 'a hello that is no object')
}

/** Keys that are missing, unknown, twice or in another order, and spaces, all show here. */
function checkForm(bytes: Uint8Array, canonical: string): void {
  if (STRICT_UTF8.decode(bytes) === canonical) return
  throw blockError('SerializationError', 'a hello that is not written in its one form')
}

function agentOf(value: unknown): string {
  // What people will see in a log: no control characters.
  if (typeof value === 'string' && /^[\x20-\x7e]{0,128}$/.test(value)) return value
  throw wrong('agent', 'up to 128 letters of ASCII')
}

function versionsOf(value: unknown): readonly [number, number] {
  const [min, max] = listOf('versions', value, (one) => integerOf('version', one, 0, 0xffff))
  if (min === undefined || max === undefined || (value as unknown[]).length !== 2 || min > max) {
    throw wrong('versions', 'the oldest and the newest')
  }
  return [min, max]
}

function formatsOf(value: unknown): readonly (readonly [number, number])[] {
  return listOf('formats', value, (pair) => {
    const ids = listOf('format', pair, (id) => integerOf('format', id, 0, 0xff))
    const [encoding, compression] = ids
    if (encoding === undefined || compression === undefined || ids.length !== 2) {
      throw wrong('format', 'an encoding and a compression')
    }
    return [encoding, compression] as const
  })
}

function listOf<Item>(name: string, value: unknown, read: (item: unknown) => Item): Item[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_LIST) {
    throw wrong(name, `a list of 1 to ${MAX_LIST}`)
  }
  return value.map(read)
}

function integerOf(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value
  }
  throw wrong(name, `a whole number of ${min} to ${max}`)
}

function hexOf(name: string, value: unknown, min: number, max: number): string {
  if (
    typeof value === 'string' &&
    value.length >= min * 2 &&
    value.length <= max * 2 &&
    /^(?:[0-9a-f]{2})*$/.test(value)
  ) {
    return value
  }
  throw wrong(name, `${min} to ${max} bytes as small hexadecimal`)
}

function digestOf(name: string, value: unknown, length: number): Uint8Array {
  return parseHex(hexOf(name, value, length, length)) as Uint8Array
}

function wrong(name: string, expected: string): Error {
  return blockError('SerializationError', `${name} of a hello must be ${expected}`)
}

/** Before anybody has proven who they are, they get this much. */
export const MAX_HELLO_BYTES = 8_192
const MAX_LIST = 32
const PROTO = 'olocus/1'
const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
