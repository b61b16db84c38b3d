/**
 * Agreeing on permessage-deflate (RFC 7692 section 7).
 *
 *     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate
 *
 * Contexts are never taken over, in either direction: the client offers that for both, the server
 * says it for both whether it was offered or not, as both may.
 */
import { ProtocolError } from '../../core/errors.ts'
import type { DeflateOptions } from './options.ts'
import type { NegotiatedDeflate } from './session.ts'

type Compression = Readonly<Required<DeflateOptions>> | undefined

export interface Extension {
  readonly name: string
  /** `true`: a parameter without a value. */
  readonly parameters: ReadonlyMap<string, string | true>
}

/** What a client offers. */
export function offerDeflate(): string {
  return `${NAME}; ${SERVER_ALONE}; ${CLIENT_ALONE}; ${CLIENT_BITS}`
}

/** A server's choice: the first offer that it can keep. Undefined: none, or not wanted. */
export function acceptDeflate(
  offers: string | undefined,
  compression: Compression,
): { readonly answer: string; readonly agreed: NegotiatedDeflate } | undefined {
  if (offers === undefined || compression === undefined) return undefined
  for (const { name, parameters } of parseExtensions(offers) ?? []) {
    if (name !== NAME || !isOffer(parameters)) continue
    let windowBits = compression.maxWindowBits
    let answer = `${NAME}; ${SERVER_ALONE}; ${CLIENT_ALONE}`
    const asked = parameters.get(SERVER_BITS)
    if (asked !== undefined) {
      windowBits = Math.min(windowBits, Number(asked))
      answer += `; ${SERVER_BITS}=${windowBits}`
    }
    return { answer, agreed: { windowBits } }
  }
  return undefined
}

/**
 * What a client makes of a server's answer.
 *
 * @throws ProtocolError for an answer that was not offered
 */
export function agreeDeflate(
  answer: string | undefined,
  compression: Compression,
): NegotiatedDeflate | undefined {
  if (answer === undefined) return undefined
  const extensions = parseExtensions(answer)
  const [first] = extensions ?? []
  if (extensions?.length !== 1 || first?.name !== NAME || compression === undefined) {
    throw refused('the server chose an extension that was not offered')
  }
  const { parameters } = first
  for (const [name, value] of parameters) {
    const known = name === SERVER_BITS || name === CLIENT_BITS ? isBits(value) : isFlag(name, value)
    if (!known) throw refused(`the server's ${name} makes no sense`)
  }
  if (!parameters.has(SERVER_ALONE)) {
    throw refused('the server does not promise to compress each message alone')
  }
  const asked = parameters.get(CLIENT_BITS)
  const windowBits = Math.min(compression.maxWindowBits, asked === undefined ? 15 : Number(asked))
  return { windowBits }
}

/** Undefined: not what the grammar allows (RFC 6455 9.1). */
export function parseExtensions(value: string): Extension[] | undefined {
  const extensions: Extension[] = []
  for (const part of value.split(',')) {
    const [name = '', ...rest] = part.split(';').map((piece) => piece.trim())
    if (!TOKEN.test(name) || extensions.length === MAX_EXTENSIONS) return undefined
    const parameters = new Map<string, string | true>()
    for (const piece of rest) {
      const match = PARAMETER.exec(piece)
      const [, key = '', bare, quoted] = match ?? []
      if (match === null || parameters.has(key)) return undefined
      parameters.set(key, bare ?? quoted ?? true)
    }
    extensions.push({ name, parameters })
  }
  return extensions
}

function isOffer(parameters: ReadonlyMap<string, string | true>): boolean {
  for (const [name, value] of parameters) {
    if (name === SERVER_BITS) {
      // A window of 256 bytes cannot be kept to (zlib has none for raw deflate).
      if (!isBits(value) || value === '8') return false
    } else if (name === CLIENT_BITS) {
      if (value !== true && !isBits(value)) return false
    } else if (!isFlag(name, value)) return false
  }
  return true
}

function isFlag(name: string, value: string | true): boolean {
  return (name === SERVER_ALONE || name === CLIENT_ALONE) && value === true
}

function isBits(value: string | true): boolean {
  return value !== true && /^(?:[89]|1[0-5])$/.test(value)
}

function refused(message: string): ProtocolError {
  return new ProtocolError('ERR_WRONG_PROTOCOL', message, { sent: 'nothing', retryable: 'no' })
}

const NAME = 'permessage-deflate'
const SERVER_ALONE = 'server_no_context_takeover'
const CLIENT_ALONE = 'client_no_context_takeover'
const SERVER_BITS = 'server_max_window_bits'
const CLIENT_BITS = 'client_max_window_bits'
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const PARAMETER =
  /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"([!#$%&'*+.^_`|~0-9A-Za-z-]+)"))?$/
/** A head may be 16 KiB long; nobody offers more than a few. */
const MAX_EXTENSIONS = 16
