/**
 * How a protocol is written down: its name, its versions, what its bodies are made of, its messages.
 */
import { adler32, crc32, crc32c, xxHash32 } from '../../core/checksum.ts'
import { checkInteger, UsageError } from '../../core/errors.ts'
import type { PayloadFormat } from './payload-format.ts'

/** A question with an answer, asked by the side that connects. */
export interface CallDefinition<Request, Reply> extends CallOptions<Request, Reply> {
  readonly kind: 'call'
  readonly id: number
}

/** Something said without an answer, by either side. */
export interface EventDefinition<Body> extends EventOptions<Body> {
  readonly kind: 'event'
  readonly id: number
}

export interface CallOptions<Request, Reply> {
  /** Looks at what the peer sent, and returns it. What it throws is told to the peer. */
  readonly check?: (request: unknown) => Request
  /** The same for the reply, on the side that asked. */
  readonly checkReply?: (reply: unknown) => Reply
  /** Descriptor of the request, where the payload needs one. */
  readonly request?: unknown
  /** Descriptor of the reply. */
  readonly reply?: unknown
  /** The first version that has it. @default the lowest */
  readonly since?: number
}

export interface EventOptions<Body> {
  /** Looks at what the peer sent, and returns it. What it throws ends the connection. */
  readonly check?: (body: unknown) => Body
  /** Descriptor of the body, where the payload needs one. */
  readonly body?: unknown
  /** The first version that has it. @default the lowest */
  readonly since?: number
}

export type MessageDefinitions = Readonly<
  Record<string, CallDefinition<unknown, unknown> | EventDefinition<unknown>>
>

export type CallName<M> = {
  [Name in keyof M]: M[Name] extends { readonly kind: 'call' } ? Name : never
}[keyof M] &
  string
export type EventName<M> = {
  [Name in keyof M]: M[Name] extends { readonly kind: 'event' } ? Name : never
}[keyof M] &
  string
export type RequestOf<D> = D extends CallDefinition<infer Request, unknown> ? Request : never
export type ReplyOf<D> = D extends CallDefinition<unknown, infer Reply> ? Reply : never
export type BodyOf<D> = D extends EventDefinition<infer Body> ? Body : never

export type ChecksumName = 'none' | 'crc32' | 'crc32c' | 'adler32' | 'xxhash32'

export interface ProtocolOptions<M extends MessageDefinitions> {
  /** 1 to 32 characters. A peer of another protocol is refused: ERR_WRONG_PROTOCOL. */
  readonly name: string
  /** What this side speaks: numbers, or ranges `[from, to]`. The highest that both speak is used. */
  readonly versions: readonly (number | readonly [from: number, to: number])[]
  readonly payload: PayloadFormat
  /**
   * Behind each message, where the carrier does not check enough (serial lines, UDP, memory shared
   * with others). TCP's own is weak but there; TLS and sealed transports need none.
   *
   * @default 'none'
   */
  readonly checksum?: ChecksumName
  readonly messages: M
}

/** `ProtocolOptions` after validation. */
export interface Definition<M extends MessageDefinitions> {
  readonly name: string
  readonly ranges: readonly VersionRange[]
  readonly payload: PayloadFormat
  readonly checksum: ChecksumName
  readonly messages: M
  /** By number. */
  readonly names: ReadonlyMap<number, keyof M & string>
}

export type VersionRange = readonly [from: number, to: number]

/** Defines a question and its answer. @param id 1 to 65,535, never used for something else */
export function call<Request, Reply>(
  id: number,
  options: CallOptions<Request, Reply> = {},
): CallDefinition<Request, Reply> {
  return Object.freeze({ ...options, kind: 'call', id: checkInteger('id', id, 1, 0xffff) })
}

/** Defines something that is said without an answer. @param id 1 to 65,535 */
export function event<Body>(id: number, options: EventOptions<Body> = {}): EventDefinition<Body> {
  return Object.freeze({ ...options, kind: 'event', id: checkInteger('id', id, 1, 0xffff) })
}

export function checkDefinition<M extends MessageDefinitions>(
  options: ProtocolOptions<M>,
): Definition<M> {
  const { name, versions, payload, checksum = 'none', messages } = options
  if (name.length < 1 || name.length > 32 || !/^[\x21-\x7e]+$/.test(name)) {
    throw new UsageError('ERR_ARGUMENT', 'a protocol’s name has 1 to 32 visible ASCII characters')
  }
  if (!Object.hasOwn(CHECKSUMS, checksum)) {
    const known = Object.keys(CHECKSUMS).join(', ')
    throw new UsageError('ERR_ARGUMENT', `checksum is ${checksum}, must be one of ${known}`)
  }
  const names = new Map<number, keyof M & string>()
  for (const [key, { id }] of Object.entries(messages)) {
    const other = names.get(id)
    if (other !== undefined) {
      throw new UsageError('ERR_ARGUMENT', `${other} and ${key} both have the id ${id}`)
    }
    names.set(id, key)
  }
  return Object.freeze({
    name,
    ranges: checkVersions(versions),
    payload,
    checksum,
    messages,
    names,
  })
}

function checkVersions(versions: ProtocolOptions<MessageDefinitions>['versions']): VersionRange[] {
  if (versions.length < 1 || versions.length > MAX_RANGES) {
    throw new UsageError('ERR_ARGUMENT', `${versions.length} versions or ranges, must be 1 to 16`)
  }
  return versions.map((one) => {
    const [from, to] = typeof one === 'number' ? [one, one] : one
    checkInteger('version', from, 0, 0xffff)
    checkInteger('version', to, from, 0xffff)
    return [from, to]
  })
}

/** The highest version that both have. */
export function highestCommon(
  own: readonly VersionRange[],
  theirs: readonly VersionRange[],
): number | undefined {
  let highest: number | undefined
  for (const [from, to] of own) {
    for (const [first, last] of theirs) {
      const top = Math.min(to, last)
      if (top >= Math.max(from, first) && top > (highest ?? -1)) highest = top
    }
  }
  return highest
}

export function formatRanges(ranges: readonly VersionRange[]): string {
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(', ')
}

export const CHECKSUMS: Readonly<
  Record<ChecksumName, ((bytes: Uint8Array) => number) | undefined>
> = Object.freeze({
  none: undefined,
  crc32: (bytes) => crc32(bytes),
  crc32c: (bytes) => crc32c(bytes),
  adler32: (bytes) => adler32(bytes),
  xxhash32: (bytes) => xxHash32(bytes),
})
export const MAX_RANGES = 16
