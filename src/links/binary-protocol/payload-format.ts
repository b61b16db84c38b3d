/**
 * What the bodies of messages are made of: JSON, bytes as they are, MessagePack, CBOR, Protobuf. A
 * format that needs a library is in a file of its own, so that only who asks for it loads it.
 *
 * Every format refuses bodies that are nested too deeply, that announce more than has arrived, and
 * keys called `__proto__`: what is decoded can be copied and merged without harm.
 */
import { ProtocolError, toError, UsageError } from '../../core/errors.ts'

export interface PayloadFormat {
  /** Both sides must have the same. Sent in the hello. */
  readonly name: string
  /** @param schema what the message was defined with, for formats that need one */
  encode(value: unknown, schema: unknown): Uint8Array
  /**
   * The value keeps nothing of `bytes`.
   * @throws ProtocolError ERR_MALFORMED or ERR_LIMIT, nothing else
   */
  decode(bytes: Uint8Array, schema: unknown, maxDepth: number): unknown
}

/** JSON text in UTF-8. */
export function json(): PayloadFormat {
  return JSON_FORMAT
}

/** Bytes, handed on as they are. */
export function raw(): PayloadFormat {
  return RAW_FORMAT
}

const JSON_FORMAT: PayloadFormat = Object.freeze({
  name: 'json',
  encode(value: unknown): Uint8Array {
    const text = JSON.stringify(value === undefined ? null : value)
    if (text === undefined) throw new UsageError('ERR_ARGUMENT', 'a body that JSON cannot say')
    return new TextEncoder().encode(text)
  },
  decode(bytes: Uint8Array, _schema: unknown, maxDepth: number): unknown {
    const text = decodeText(bytes)
    checkJsonDepth(text, maxDepth)
    // A key may also be spelt with escapes, so the parsed one is looked at.
    const suspicious = text.includes('__proto__') || text.includes('\\u')
    try {
      return JSON.parse(text, suspicious ? refuseProto : undefined)
    } catch (error) {
      if (error instanceof ProtocolError) throw error
      // Not the parser's own words: they quote the input, which may hold a secret.
      throw new ProtocolError('ERR_MALFORMED', `a body of ${bytes.length} bytes is not JSON`)
    }
  },
})

const RAW_FORMAT: PayloadFormat = Object.freeze({
  name: 'raw',
  encode(value: unknown): Uint8Array {
    if (value instanceof Uint8Array) return value
    throw new UsageError('ERR_ARGUMENT', 'the body of a raw message must be a Uint8Array')
  },
  decode: (bytes: Uint8Array) => bytes.slice(),
})

/** Runs a library's decoder: whatever it throws is the peer's fault. */
export function decodeWith(format: string, bytes: Uint8Array, decode: () => unknown): unknown {
  try {
    return decode()
  } catch (thrown) {
    if (thrown instanceof ProtocolError) throw thrown
    const cause = toError(thrown)
    const message = `a body of ${bytes.length} bytes is not ${format}: ${cause.message}`
    throw new ProtocolError('ERR_MALFORMED', message, { cause })
  }
}

export function tooDeep(maxDepth: number): ProtocolError {
  return new ProtocolError('ERR_LIMIT', `a body nested more than ${maxDepth} deep, maxDepth`)
}

export function protoKey(): ProtocolError {
  return new ProtocolError('ERR_MALFORMED', 'a body with a key __proto__')
}

/** The absence of an optional package, said so that it can be acted on. */
export function missingPackage(name: string, cause: unknown): UsageError {
  const message = `${name} is needed for this payload and cannot be loaded: npm install ${name}`
  return new UsageError('ERR_OPTION_UNSUPPORTED', message, { cause })
}

function decodeText(bytes: Uint8Array): string {
  try {
    return TEXT.decode(bytes)
  } catch (cause) {
    throw new ProtocolError('ERR_MALFORMED', 'a body that is not UTF-8', { cause })
  }
}

function checkJsonDepth(text: string, maxDepth: number): void {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at)
    if (character === QUOTE) {
      // To the end of the string; an escape takes the character behind it along.
      for (at++; at < text.length && text.charCodeAt(at) !== QUOTE; at++) {
        if (text.charCodeAt(at) === BACKSLASH) at++
      }
    } else if (character === OPEN_BRACE || character === OPEN_BRACKET) {
      depth += 1
      if (depth > maxDepth) throw tooDeep(maxDepth)
    } else if (character === CLOSE_BRACE || character === CLOSE_BRACKET) depth -= 1
  }
}

function refuseProto(key: string, value: unknown): unknown {
  if (key === '__proto__') throw protoKey()
  return value
}

const TEXT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
