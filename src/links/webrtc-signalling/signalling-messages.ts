/**
 * What a signalling client and its server say to each other: one JSON object per message.
 *
 *     client                                        server
 *     {"type":"join","peer":"a"}             ──►
 *                                            ◄──    {"type":"joined","peer":"a"}
 *                                            ◄──    {"type":"refused","peer":"a","code":"…"}
 *     {"type":"offer","from":"a","to":"b",…} ──►    to whoever joined as b, unchanged
 *                                            ◄──    {"type":"undeliverable","session":…,"to":"b"}
 *     {"type":"leave","peer":"a"}            ──►
 *
 * Without a name, `join` carries a `ticket`, which comes back with the name that the server chose.
 */
import { ProtocolError } from '../../core/errors.ts'
import {
  isPeerName,
  type SignalMessage,
  signalProblem,
} from '../../transports/webrtc/signalling.ts'

export type ClientMessage =
  | { readonly type: 'join'; readonly peer?: string; readonly ticket: number }
  | { readonly type: 'leave'; readonly peer: string }
  | SignalMessage

export type ServerMessage =
  | { readonly type: 'joined'; readonly peer: string; readonly ticket: number }
  | { readonly type: 'refused'; readonly code: RefusalCode; readonly ticket: number }
  | {
      readonly type: 'undeliverable'
      readonly session: string
      readonly from: string
      readonly to: string
    }
  | SignalMessage

export type RefusalCode = 'ERR_ADDRESS_IN_USE' | 'ERR_FORBIDDEN' | 'ERR_LIMITED'

export function encodeSignalling(message: ClientMessage | ServerMessage): Uint8Array {
  return ENCODER.encode(JSON.stringify(message))
}

/** @throws ProtocolError ERR_MALFORMED, ERR_ENCODING */
export function decodeClientMessage(message: Uint8Array | string): ClientMessage {
  const value = parse(message)
  if (value.type === 'join') {
    const { peer, ticket } = value
    if ((peer === undefined || isPeerName(peer)) && isTicket(ticket)) {
      return peer === undefined ? { type: 'join', ticket } : { type: 'join', peer, ticket }
    }
    throw malformed('join needs a name, or none, and a ticket')
  }
  if (value.type === 'leave') {
    if (isPeerName(value.peer)) return { type: 'leave', peer: value.peer }
    throw malformed('leave needs a name')
  }
  return checkSignal(value)
}

/** @throws ProtocolError ERR_MALFORMED, ERR_ENCODING */
export function decodeServerMessage(message: Uint8Array | string): ServerMessage {
  const value = parse(message)
  const { type, peer, ticket, code, session, from, to } = value
  if (type === 'joined' && isPeerName(peer) && isTicket(ticket)) return { type, peer, ticket }
  if (type === 'refused' && isTicket(ticket)) {
    const known = REFUSALS.find((one) => one === code)
    return { type, ticket, code: known ?? 'ERR_FORBIDDEN' }
  }
  if (type === 'undeliverable' && typeof session === 'string' && isPeerName(from)) {
    return { type, session: session.slice(0, 64), from, to: String(to).slice(0, 256) }
  }
  return checkSignal(value)
}

function parse(message: Uint8Array | string): Record<string, unknown> {
  let text: string
  try {
    text = typeof message === 'string' ? message : DECODER.decode(message)
  } catch (error) {
    throw new ProtocolError('ERR_ENCODING', 'a signalling message is no UTF-8', { cause: error })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw malformed('no JSON', error)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed('no JSON object')
  }
  return value as Record<string, unknown>
}

function checkSignal(value: unknown): SignalMessage {
  const problem = signalProblem(value)
  if (problem !== undefined) throw malformed(problem)
  return value as SignalMessage
}

function isTicket(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function malformed(what: string, cause?: unknown): ProtocolError {
  const options = cause === undefined ? {} : { cause }
  return new ProtocolError('ERR_MALFORMED', `a signalling message: ${what}`, options)
}

const ENCODER = new TextEncoder()
const DECODER = new TextDecoder('utf-8', { fatal: true })
const REFUSALS: readonly RefusalCode[] = ['ERR_ADDRESS_IN_USE', 'ERR_FORBIDDEN', 'ERR_LIMITED']
