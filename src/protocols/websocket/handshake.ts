/**
 * The handshake over HTTP/1.1 (RFC 6455 section 4), without its bytes: what a client asks with, what
 * a server answers, and how each judges the other. RFC 8441 changes how it is asked, not what is
 * agreed on.
 *
 *     GET /path, Upgrade: websocket, Sec-WebSocket-Key: …   ──►
 *                                        ◄──   101, Sec-WebSocket-Accept: base64(sha1(key, GUID))
 */
import { ProtocolError, UsageError } from '../../core/errors.ts'
import type { Host } from '../../core/host.ts'
import { HttpFields } from '../http/fields.ts'
import { acceptDeflate, agreeDeflate, offerDeflate } from './extensions.ts'
import type { ResolvedWebSocketOptions } from './options.ts'
import type { NegotiatedDeflate } from './session.ts'

/** What both sides agreed on. */
export interface WebSocketAgreement {
  readonly subprotocol: string | undefined
  readonly deflate: NegotiatedDeflate | undefined
}

export interface UpgradeRequest {
  readonly fields: HttpFields
  /** What the answer is checked against. */
  readonly key: string
  readonly subprotocols: readonly string[]
}

/** The fields of a client's request, `Host` apart. */
export function makeUpgradeRequest(
  host: Host,
  options: ResolvedWebSocketOptions,
  subprotocols: readonly string[],
  further: HttpFields | undefined,
): UpgradeRequest {
  const key = newKey(host)
  const fields = new HttpFields(further)
  fields.set('upgrade', 'websocket')
  fields.set('connection', 'Upgrade')
  fields.set('sec-websocket-key', key)
  fields.set('sec-websocket-version', VERSION)
  if (subprotocols.length > 0) fields.set('sec-websocket-protocol', subprotocols.join(', '))
  const { compression } = options
  if (compression !== undefined) fields.set('sec-websocket-extensions', offerDeflate())
  return { fields, key, subprotocols }
}

/** @throws ProtocolError for an answer of 101 that does not answer this request */
export function checkUpgradeResponse(
  host: Host,
  options: ResolvedWebSocketOptions,
  request: UpgradeRequest,
  fields: HttpFields,
): WebSocketAgreement {
  if (!fields.hasToken('upgrade', 'websocket') || !fields.hasToken('connection', 'upgrade')) {
    throw broken('the server switched to something else than WebSocket')
  }
  if (fields.get('sec-websocket-accept') !== acceptKey(host, request.key)) {
    throw broken('Sec-WebSocket-Accept is not the answer to the key that was sent')
  }
  const subprotocol = fields.get('sec-websocket-protocol')
  const { subprotocols } = request
  if (subprotocol === undefined) {
    // A server that does not answer the offer speaks something that nobody asked for.
    if (subprotocols.length > 0) throw broken('the server chose no subprotocol of those offered')
  } else if (!subprotocols.includes(subprotocol)) {
    throw broken('the server chose a subprotocol that was not offered')
  }
  const answer = fields.get('sec-websocket-extensions')
  return { subprotocol, deflate: agreeDeflate(answer, options.compression) }
}

/** What a server looks at of a request. */
export interface UpgradeOffer {
  readonly method: string
  readonly target: string
  readonly authority: string
  readonly version: string
  readonly fields: HttpFields
  readonly hasBody: boolean
}

export interface UpgradePolicy {
  /** In any order; the client's wins. Empty: none is chosen, whatever is offered. */
  readonly subprotocols: readonly string[]
  /** A client that offers none is refused too. */
  readonly requireSubprotocol: boolean
  /** Whether a page of this origin may connect; undefined: not a browser. */
  allowOrigin(origin: string | undefined, offer: UpgradeOffer): boolean
}

export interface UpgradeAccepted extends WebSocketAgreement {
  readonly status: 101
  readonly fields: HttpFields
}

export interface UpgradeRefused {
  readonly status: 400 | 403 | 405 | 426
  readonly fields: HttpFields
  readonly message: string
}

export function judgeUpgrade(
  host: Host,
  options: ResolvedWebSocketOptions,
  policy: UpgradePolicy,
  offer: UpgradeOffer,
): UpgradeAccepted | UpgradeRefused {
  const { fields } = offer
  if (offer.method !== 'GET') return refuse(405, 'the handshake is a GET', ['allow', 'GET'])
  if (offer.version !== '1.1') return refuse(400, 'the handshake is one of HTTP/1.1')
  if (!fields.hasToken('upgrade', 'websocket') || !fields.hasToken('connection', 'upgrade')) {
    const list = ['upgrade', 'websocket', 'connection', 'Upgrade']
    return refuse(426, 'this is a WebSocket: ask with Upgrade: websocket', list)
  }
  if (fields.hasToken('connection', 'close')) {
    return refuse(400, 'a connection that is to be closed cannot be handed over')
  }
  if (fields.get('sec-websocket-version') !== VERSION) {
    return refuse(426, 'version 13 is spoken here', ['sec-websocket-version', VERSION])
  }
  const key = fields.get('sec-websocket-key') ?? ''
  if (!KEY.test(key)) return refuse(400, 'Sec-WebSocket-Key is not 16 bytes in base64')
  if (offer.hasBody) return refuse(400, 'the handshake has no content')
  if (!policy.allowOrigin(fields.get('origin'), offer)) {
    return refuse(403, 'pages of this origin may not connect')
  }
  const offered = tokens(fields.get('sec-websocket-protocol'))
  if (offered === undefined) return refuse(400, 'Sec-WebSocket-Protocol is not a list of names')
  const subprotocol = offered.find((name) => policy.subprotocols.includes(name))
  const mustChoose = policy.requireSubprotocol || offered.length > 0
  if (subprotocol === undefined && mustChoose && policy.subprotocols.length > 0) {
    return refuse(400, `the subprotocols spoken here are ${policy.subprotocols.join(', ')}`)
  }
  const answer = ['upgrade', 'websocket', 'connection', 'Upgrade']
  answer.push('sec-websocket-accept', acceptKey(host, key))
  if (subprotocol !== undefined) answer.push('sec-websocket-protocol', subprotocol)
  const extensions = fields.get('sec-websocket-extensions')
  const deflate = acceptDeflate(extensions, options.compression)
  if (deflate !== undefined) answer.push('sec-websocket-extensions', deflate.answer)
  return {
    status: 101,
    fields: HttpFields.fromTrusted(answer),
    subprotocol,
    deflate: deflate?.agreed,
  }
}

/**
 * No `Origin`, or the origin of the page is this server: what a browser sends along (cookies) is
 * not used by other sites (RFC 6455 10.2).
 */
export function sameOrigin(origin: string | undefined, offer: UpgradeOffer): boolean {
  if (origin === undefined) return true
  const host = /^https?:\/\/([^/?#]+)$/i.exec(origin)?.[1]
  return host !== undefined && host.toLowerCase() === offer.authority.toLowerCase()
}

/** `Sec-WebSocket-Key`: 16 random bytes. */
export function newKey(host: Host): string {
  const random = new Uint8Array(16)
  host.randomBytes(random)
  return base64(random)
}

export function acceptKey(host: Host, key: string): string {
  const sha1 = host.digests['sha1']
  if (sha1 === undefined) throw new UsageError('ERR_OPTION_UNSUPPORTED', 'this host has no sha1')
  const digest = sha1()
  const text = key + GUID
  const bytes = new Uint8Array(text.length)
  host.text.writeLatin1(text, bytes, 0)
  digest.update(bytes)
  return base64(digest.digest())
}

/** Undefined: not a list of tokens. */
function tokens(value: string | undefined): string[] | undefined {
  if (value === undefined) return []
  const names = value.split(',').map((name) => name.trim())
  return names.every((name) => TOKEN.test(name)) ? names : undefined
}

function refuse(
  status: UpgradeRefused['status'],
  message: string,
  fields: readonly string[] = [],
): UpgradeRefused {
  return { status, message, fields: HttpFields.fromTrusted([...fields]) }
}

function broken(message: string): ProtocolError {
  return new ProtocolError('ERR_WRONG_PROTOCOL', message, { sent: 'nothing', retryable: 'no' })
}

function base64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3)
    const group = (a << 16) | (b << 8) | c
    const left = bytes.length - at
    text += DIGITS.charAt(group >> 18) + DIGITS.charAt((group >> 12) & 63)
    text += left > 1 ? DIGITS.charAt((group >> 6) & 63) : '='
    text += left > 2 ? DIGITS.charAt(group & 63) : '='
  }
  return text
}

const VERSION = '13'
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const KEY = /^[+/0-9A-Za-z]{21}[AQgw]==$/
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
