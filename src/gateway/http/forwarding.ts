/**
 * The fields of a message on its way through: what concerns one connection stays behind, what the
 * upstream must know of the way is added (RFC 9110 7.6, RFC 7239).
 *
 *     out    Connection and what it lists, Keep-Alive, Proxy-Connection, TE but trailers, Upgrade but
 *            where it is passed on, Transfer-Encoding, Proxy-Auth…, Expect, Host (sent anew)
 *     out    X-Forwarded-*, Forwarded of clients that are not trusted: anybody could write them
 *     in     X-Forwarded-For, -Proto, -Host; Forwarded; Via; the request id
 *
 * One pass over the fields, one new list. A gateway that finds its own name in Via has sent the
 * request before: a loop.
 */
import type { Address } from '../../core/address.ts'
import { bracketHost } from '../../core/address.ts'
import { HttpFields } from '../../protocols/http/fields.ts'
import type { HttpRequest } from '../../protocols/http/messages.ts'
import type { HeaderEdits } from './header-edits.ts'
import {
  CONNECTION,
  FORWARDED,
  HOP,
  HOST,
  hasSpelling,
  headerKind,
  is,
  PLAIN,
  TE,
  UPGRADE,
  VIA,
  X_FORWARDED_FOR,
  X_FORWARDED_HOST,
  X_FORWARDED_PROTO,
} from './header-kind.ts'

export interface ForwardingOptions {
  /** Proxies in front of this gateway whose entries are believed. */
  readonly trustedHops: number
  readonly xForwarded: boolean
  readonly forwarded: boolean
  /** Our name in Via. */
  readonly via: string
  /** Lower case. */
  readonly requestIdHeader: string
  readonly trustRequestId: boolean
}

/** What is found out about a request while its fields are copied. */
export interface ForwardedHead {
  /** Undefined: it loops. */
  readonly fields: HttpFields | undefined
  readonly requestId: string
}

export class Forwarder {
  readonly options: ForwardingOptions
  readonly #newRequestId: () => string
  readonly #viaHttp1: string

  constructor(options: ForwardingOptions, newRequestId: () => string) {
    this.options = options
    this.#newRequestId = newRequestId
    this.#viaHttp1 = `1.1 ${options.via}`
  }

  /**
   * The address of the client: the peer's, or what the trusted proxies say. Undefined on a Unix
   * socket without trusted hops.
   */
  clientAddress(request: HttpRequest): string | undefined {
    const peer = peerHost(request)
    const { trustedHops } = this.options
    if (trustedHops === 0) return peer
    const chain = forwardedFor(request.fields)
    if (chain.length === 0) return peer
    // The peer is the nearest hop; each hop before it was written by the one after it.
    return chain[Math.max(0, chain.length - trustedHops)] ?? peer
  }

  /** Scheme the client used, as far as trusted. */
  clientScheme(request: HttpRequest): string {
    if (this.options.trustedHops === 0) return request.scheme
    const given = request.fields.get('x-forwarded-proto')
    return given === 'http' || given === 'https' ? given : request.scheme
  }

  /** For an answer that no upstream gives. */
  requestIdOf(request: HttpRequest): string {
    const { trustRequestId, requestIdHeader } = this.options
    const given = trustRequestId ? request.fields.get(requestIdHeader) : undefined
    return (given === undefined ? undefined : shortOnly(given)) ?? this.#newRequestId()
  }

  /**
   * @param passUpgrade whether a request to upgrade is passed on
   */
  // size: one pass; everything that is found on the way is needed at its end.
  forwardRequest(
    request: HttpRequest,
    edits: HeaderEdits | undefined,
    passUpgrade: boolean,
    knownRequestId = '',
  ): ForwardedHead {
    const { trustedHops, requestIdHeader, trustRequestId, xForwarded } = this.options
    const trusted = trustedHops > 0
    const { fields } = request
    const count = fields.size
    const list: string[] = []
    let connection: string | undefined
    let upgrade: string | undefined
    let via: string | undefined
    let chain = ''
    let proto: string | undefined
    let host: string | undefined
    let requestId = knownRequestId === '' ? undefined : knownRequestId
    let trailers = false
    for (let index = 0; index < count; index++) {
      const name = fields.nameAt(index)
      const kind = headerKind(name)
      if (kind === PLAIN) {
        if (name.length === requestIdHeader.length && is(name, requestIdHeader)) {
          if (trustRequestId && requestId === undefined)
            requestId = shortOnly(fields.valueAt(index))
          continue
        }
        list.push(name, fields.valueAt(index))
        continue
      }
      if (kind === HOST || kind === HOP) continue
      const value = fields.valueAt(index)
      switch (kind) {
        case CONNECTION:
          connection = connection === undefined ? value : `${connection},${value}`
          break
        case UPGRADE:
          upgrade = value
          break
        case TE:
          trailers ||= fields.hasToken('te', 'trailers')
          break
        case VIA:
          via = via === undefined ? value : `${via}, ${value}`
          break
        case X_FORWARDED_FOR:
          if (trusted) chain = chain === '' ? value : `${chain}, ${value}`
          break
        case X_FORWARDED_PROTO:
          if (trusted) proto = value
          break
        case X_FORWARDED_HOST:
          if (trusted) host = value
          break
        case FORWARDED:
          if (trusted) list.push(name, value)
          break
      }
    }
    if (via !== undefined && namesIn(via, this.options.via)) {
      return { fields: undefined, requestId: requestId ?? this.#newRequestId() }
    }
    if (connection !== undefined) dropListed(list, connection)
    if (trailers) list.push('te', 'trailers')
    if (upgrade !== undefined && passUpgrade && mayUpgrade(connection, upgrade)) {
      list.push('connection', 'upgrade', 'upgrade', upgrade)
    }
    requestId ??= this.#newRequestId()
    list.push(requestIdHeader, requestId)
    if (xForwarded) addForwarded(list, request, chain, proto, host)
    if (this.options.forwarded) list.push('forwarded', forwardedElement(request))
    const own = request.version === '1.0' ? `1.0 ${this.options.via}` : this.#viaHttp1
    list.push('via', via === undefined ? own : `${via}, ${own}`)
    if (edits !== undefined) dropAndAppend(list, edits)
    return { fields: HttpFields.fromTrusted(list), requestId }
  }

  /** @param upgraded the response is a 101 whose connection is passed on */
  forwardResponse(
    fields: HttpFields,
    edits: HeaderEdits | undefined,
    requestId: string,
    upgraded: boolean,
  ): HttpFields {
    const { requestIdHeader } = this.options
    const count = fields.size
    const list: string[] = []
    let connection: string | undefined
    let upgrade: string | undefined
    for (let index = 0; index < count; index++) {
      const name = fields.nameAt(index)
      const kind = headerKind(name)
      if (kind === CONNECTION) {
        const value = fields.valueAt(index)
        connection = connection === undefined ? value : `${connection},${value}`
        continue
      }
      if (kind === UPGRADE) {
        upgrade = fields.valueAt(index)
        continue
      }
      if (kind === HOP) continue
      if (name.length === requestIdHeader.length && is(name, requestIdHeader)) continue
      if (edits?.dropped.has(name.toLowerCase())) continue
      list.push(name, fields.valueAt(index))
    }
    if (connection !== undefined) dropListed(list, connection)
    if (upgraded && upgrade !== undefined) list.push('connection', 'upgrade', 'upgrade', upgrade)
    list.push(requestIdHeader, requestId)
    if (edits !== undefined) for (const part of edits.appended) list.push(part)
    return HttpFields.fromTrusted(list)
  }
}

/** Removes the fields that Connection names. What is added later is ours and stays. */
function dropListed(list: string[], connection: string): void {
  // Nearly always one of these two, which name no field that is left.
  if (connection.length === 10 && is(connection, 'keep-alive')) return
  if (connection.length === 5 && is(connection, 'close')) return
  const names = new Set<string>()
  for (const part of connection.split(',')) names.add(part.trim().toLowerCase())
  let kept = 0
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    if (names.has(name.toLowerCase()) && !ALWAYS_END_TO_END.has(name.toLowerCase())) continue
    list[kept++] = name
    list[kept++] = list[at + 1] as string
  }
  list.length = kept
}

/** Edits see what we added as well: a route may take X-Forwarded-For away. */
function dropAndAppend(list: string[], edits: HeaderEdits): void {
  let kept = 0
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at] as string
    if (hasSpelling(edits.dropped, name)) continue
    list[kept++] = name
    list[kept++] = list[at + 1] as string
  }
  list.length = kept
  for (const part of edits.appended) list.push(part)
}

function addForwarded(
  list: string[],
  request: HttpRequest,
  chain: string,
  proto: string | undefined,
  host: string | undefined,
): void {
  const peer = peerHost(request)
  if (peer !== undefined) list.push('x-forwarded-for', chain === '' ? peer : `${chain}, ${peer}`)
  else if (chain !== '') list.push('x-forwarded-for', chain)
  list.push('x-forwarded-proto', proto ?? request.scheme)
  const authority = host ?? request.authority
  if (authority !== '') list.push('x-forwarded-host', authority)
}

/** RFC 7239 section 4: an IPv6 address and everything with a colon is quoted. */
function forwardedElement(request: HttpRequest): string {
  const peer = peerHost(request)
  const node = peer === undefined ? 'unknown' : bracketHost(stripZone(peer))
  const by = node.includes(':') ? `"${node}"` : node
  const { authority, scheme } = request
  // An authority has no quote and no backslash: the decoder checked it.
  const host = authority === '' ? '' : `;host="${authority}"`
  return `for=${by};proto=${scheme}${host}`
}

/** Upgrades of HTTP itself are not passed: h2c behind our back would not be routed any more. */
function mayUpgrade(connection: string | undefined, upgrade: string): boolean {
  if (connection === undefined || !hasToken(connection, 'upgrade')) return false
  return !upgrade.split(',').some((protocol) => /^\s*(?:h2c|http\/)/i.test(protocol))
}

function hasToken(value: string, token: string): boolean {
  return value.split(',').some((part) => part.trim().toLowerCase() === token)
}

/** A client's own id stands in logs and errors: an endless one is replaced. */
function shortOnly(requestId: string): string | undefined {
  return requestId.length > 0 && requestId.length <= MAX_REQUEST_ID ? requestId : undefined
}

/** Whether a Via value holds `1.1 name` or `HTTP/1.1 name`, with or without a comment. */
function namesIn(via: string, name: string): boolean {
  if (!via.includes(name)) return false
  return via.split(',').some((entry) => entry.trim().split(/\s+/)[1] === name)
}

/** Every entry of every X-Forwarded-For field, without ports. */
function forwardedFor(fields: HttpFields): string[] {
  const value = fields.get('x-forwarded-for')
  if (value === undefined) return []
  return value
    .split(',')
    .map((entry) => stripPort(entry.trim()))
    .filter((entry) => entry !== '')
}

/** `1.2.3.4:80` and `[::1]:80` as some proxies write them. */
function stripPort(entry: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(entry)
  if (bracketed !== null) return bracketed[1] as string
  const colon = entry.indexOf(':')
  return colon >= 0 && colon === entry.lastIndexOf(':') ? entry.slice(0, colon) : entry
}

/** Host of the peer, without the zone of a link-local address. Undefined on a Unix socket. */
export function peerHost(request: HttpRequest): string | undefined {
  const remote: Address | undefined = request.connection?.facts.remote
  return remote?.kind === 'ip' ? remote.host : undefined
}

function stripZone(host: string): string {
  const zone = host.indexOf('%')
  return zone < 0 ? host : host.slice(0, zone)
}

const MAX_REQUEST_ID = 128
/** RFC 9110 7.6.1: a sender must not list these; where one does, believing it would do harm. */
const ALWAYS_END_TO_END: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'cache-control',
  'authorization',
  'cookie',
])
