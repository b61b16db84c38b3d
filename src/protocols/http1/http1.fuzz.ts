/**
 * Whatever a peer sends, to either role: the session never throws, says the same however the input
 * is cut, keeps no view of a chunk, and holds no more than its limits allow.
 */

import { smugglingCorpus } from '../../../test/support/smuggling-corpus.ts'
import { ClosedError } from '../../core/errors.ts'
import { HttpFields } from '../http/fields.ts'
import { Http1ClientSession } from './client-session.ts'
import type { ClientEvent, ServerEvent } from './messages.ts'
import { Http1ServerSession } from './server-session.ts'

const LIMITS = {
  maxStartLineBytes: 128,
  maxHeadBytes: 512,
  maxFieldCount: 8,
  maxChunkExtensionBytes: 8,
  maxTrailerBytes: 64,
  maxTrailerCount: 2,
  maxBodyBytes: 4_096,
  maxDiscardBytes: 32,
}
/** Most that a session may keep of chunks of `step` bytes: a part of a head, and one chunk. */
const maxBuffered = (step: number): number => LIMITS.maxHeadBytes + step

export const samples: readonly Uint8Array[] = [
  ...smugglingCorpus.map(({ bytes }) => toBytes(bytes)),
  toBytes('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'),
  toBytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n'),
  toBytes('HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n'),
  toBytes('HTTP/1.0 200 OK\r\n\r\nuntil close'),
  toBytes('HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nKeep-Alive: timeout=5\r\n\r\n'),
]

export const tokens: readonly string[] = [
  '\r\n',
  '\r\n\r\n',
  'HTTP/1.1',
  'Content-Length: ',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Connection: upgrade\r\nUpgrade: x\r\n',
  'Expect: 100-continue\r\n',
  'Host: a\r\n',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
]

export function fuzz(seed: number, bytes: Uint8Array): void {
  const style = seed % 3
  const cuts = [bytes.length || 1, 1, 2 + (seed % 13)]
  compare(
    'server',
    cuts.map((step) => replayServer(bytes, step, style)),
  )
  compare(
    'client',
    cuts.map((step) => replayClient(bytes, step, style)),
  )
}

function compare(role: string, outcomes: readonly string[]): void {
  for (const outcome of outcomes) {
    if (outcome === outcomes[0]) continue
    throw new Error(`${role}: the outcome depends on the cuts:\n${outcomes[0]}\n---\n${outcome}`)
  }
}

/**
 * Feeds `bytes` in steps to a server whose service answers when a request is complete (style 0),
 * at once (1), or never wants a body (2). What happened, as text.
 */
export function replayServer(bytes: Uint8Array, step: number, style: number): string {
  const session = new Http1ServerSession({ ...LIMITS, allowHalfClose: true }, 0)
  const log: string[] = []
  const answer = (exchange: number): void => {
    const fields = new HttpFields()
    const body = `answer ${exchange}`
    // 404: a 2xx would open a tunnel for CONNECT.
    session.submit({ type: 'respond', exchange, status: 404, reason: undefined, fields, body }, 0)
  }
  const handle = (event: ServerEvent): void => {
    log.push(describe(event))
    if (event.type === 'request') {
      if (!event.hasBody || style === 1) answer(event.exchange)
      else if (style === 0) {
        session.submit({ type: 'demand', exchange: event.exchange, wanted: true }, 0)
      } else answer(event.exchange)
    } else if (event.type === 'end') answer(event.exchange)
  }
  feed(session, bytes, step, handle)
  return finish(session, log)
}

/**
 * Feeds `bytes` in steps to a client that has sent three requests (GET, HEAD, POST), and wants
 * every body, or (style 1) gives the first one up when its response starts. What happened, as text.
 */
export function replayClient(bytes: Uint8Array, step: number, style: number): string {
  const session = new Http1ClientSession({ ...LIMITS, maxPipelined: 3, maxInforms: 2 })
  const log: string[] = []
  for (const method of ['GET', 'HEAD', 'POST']) {
    session.submit(
      {
        type: 'request',
        exchange: session.nextExchange,
        method,
        target: '/',
        authority: 'a',
        fields: new HttpFields(),
        body: undefined,
        streams: false,
        bodyLength: undefined,
      },
      0,
    )
  }
  session.pollTransmit(1).take()
  const handle = (event: ClientEvent): void => {
    log.push(describe(event))
    if (event.type !== 'response' || !event.hasBody) return
    const { exchange } = event
    if (style !== 1) return session.submit({ type: 'demand', exchange, wanted: true }, 0)
    session.submit({ type: 'reset', exchange, error: new ClosedError('ERR_ABORTED', 'enough') }, 0)
  }
  feed(session, bytes, step, handle)
  return finish(session, log)
}

interface Fed<Event> {
  readonly state: string
  readonly wantsRead: boolean
  readonly buffered: number
  receive(chunk: Uint8Array, now: number): void
  receiveEnd(now: number): void
  pollEvent(): Event | undefined
}

/** One piece of memory for all chunks, overwritten after each: a view that was kept shows. */
function feed<Event>(
  session: Fed<Event>,
  bytes: Uint8Array,
  step: number,
  handle: (event: Event) => void,
): void {
  const pump = (): void => {
    for (let event = session.pollEvent(); event !== undefined; event = session.pollEvent()) {
      handle(event)
    }
  }
  for (let at = 0; at < bytes.length; at += step) {
    const chunk = Uint8Array.from(bytes.subarray(at, at + step)) // a copy, of a Buffer too
    session.receive(chunk, 0)
    pump()
    chunk.fill(0x21)
    const { state, buffered } = session
    if (state === 'closed' || state === 'detached') return
    if (buffered > maxBuffered(step)) throw new Error(`${buffered} bytes held`)
    if (!session.wantsRead) break // upgrade or CONNECT that nobody answers
  }
  session.receiveEnd(0)
  pump()
}

function finish(
  session: {
    readonly state: string
    readonly failure: { readonly code: string; readonly message: string } | undefined
    pollTransmit(room: number): { take(): Uint8Array }
  },
  log: readonly string[],
): string {
  const { state, failure } = session
  const sent = String.fromCharCode(...session.pollTransmit(1).take())
  return [
    // Pieces of one body are one body.
    log.join('\n').replaceAll(/\n\+/g, ''),
    `${state} ${failure === undefined ? '' : `${failure.code} ${failure.message}`}`,
    sent,
  ].join('\n')
}

function describe(event: ServerEvent | ClientEvent): string {
  switch (event.type) {
    case 'data':
      return `+${String.fromCharCode(...event.chunk)}`
    case 'end':
      return `end ${event.exchange} ${JSON.stringify([...(event.trailers ?? [])])}`
    case 'aborted':
      return `aborted ${event.exchange} ${event.error.code} ${event.error.sent}`
    case 'request':
    case 'response':
    case 'inform':
      return JSON.stringify({ ...event, fields: [...event.fields] })
    default:
      return JSON.stringify(event)
  }
}

function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}
