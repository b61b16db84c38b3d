/**
 * What a session must refuse: input of its peer, commands of its owner, more than it can hold.
 */
import { HeddleError, UsageError } from '../../core/errors.ts'
import type { Harness } from '../harness.ts'
import { checkLeftovers } from './scenario-runs.ts'
import { type PairSubject, SessionPair } from './session-pair.ts'
import type { SessionSide } from './session-side.ts'

export interface SessionViolation<CC, CE, SC, SE> {
  readonly to: 'client' | 'server'
  /** Brings the pair to where the input is a violation. @default nothing */
  setUp?(pair: SessionPair<CC, CE, SC, SE>): void
  readonly bytes: Uint8Array
  /** Expected code of `failure`. */
  readonly code?: string
  /** Whether this is what the protocol says to answer. */
  answer?(bytes: Uint8Array): boolean
}

export interface IllegalCommand<CC, CE, SC, SE> {
  readonly side: 'client' | 'server'
  setUp?(pair: SessionPair<CC, CE, SC, SE>): void
  /** Submits it. */
  submit(pair: SessionPair<CC, CE, SC, SE>): void
}

export interface SessionFlood<CC, CE, SC, SE> {
  readonly to: 'client' | 'server'
  /** Takes what demand there is away. */
  setUp?(pair: SessionPair<CC, CE, SC, SE>): void
  /** Valid input, repeated without end. */
  readonly bytes: Uint8Array
  /** What the session may take before `wantsRead` is false. */
  readonly maxBytes: number
}

export function checkViolation<CC, CE, SC, SE>(
  subject: PairSubject<CC, CE, SC, SE>,
  violation: SessionViolation<CC, CE, SC, SE>,
  harness: Harness,
): void {
  for (const chunkBytes of [Number.POSITIVE_INFINITY, 1, 3]) {
    const pair = new SessionPair(subject, { chunkBytes })
    violation.setUp?.(pair)
    pair.settle()
    const side = pair[violation.to] as unknown as SessionSide<never, never>
    const answered: number[] = []
    side.peer = { inbox: answered, inboxEnded: false }
    side.inbox = [...violation.bytes]
    pair.settle()
    const { failure, state } = side.session
    const where = `in chunks of ${chunkBytes}`
    if (!(failure instanceof HeddleError)) harness.ok(false, `${where}: no failure, but ${state}`)
    if (violation.code !== undefined && failure?.code !== violation.code) {
      harness.ok(false, `${where}: failure is ${failure?.code}, not ${violation.code}`)
    }
    if (state !== 'closed') harness.ok(false, `${where}: state is ${state} after the failure`)
    const { answer } = violation
    if (answer !== undefined && !answer(Uint8Array.from(answered))) {
      harness.ok(false, `${where}: answered ${JSON.stringify(String.fromCharCode(...answered))}`)
    }
    side.give(violation.bytes) // the side itself checks that the failure stays
    pair.close()
    checkLeftovers(pair, harness)
  }
}

export function checkIllegal<CC, CE, SC, SE>(
  subject: PairSubject<CC, CE, SC, SE>,
  command: IllegalCommand<CC, CE, SC, SE>,
  harness: Harness,
): void {
  const pair = new SessionPair(subject)
  command.setUp?.(pair)
  pair.settle()
  const side = pair[command.side]
  const { state, failure } = side.session
  const { sentBytes } = side
  let thrown: unknown
  try {
    command.submit(pair)
  } catch (error) {
    thrown = error
  }
  if (!(thrown instanceof UsageError)) harness.ok(false, `threw ${String(thrown)}`)
  pair.settle()
  if (side.session.state !== state || side.session.failure !== failure) {
    harness.ok(false, `the refused command made ${state} ${side.session.state}`)
  }
  if (side.sentBytes !== sentBytes) harness.ok(false, 'the refused command sent something')
  pair.close()
  checkLeftovers(pair, harness)
}

export function checkFlood<CC, CE, SC, SE>(
  subject: PairSubject<CC, CE, SC, SE>,
  flood: SessionFlood<CC, CE, SC, SE>,
  harness: Harness,
): void {
  const pair = new SessionPair(subject, { chunkBytes: FLOOD_CHUNK_BYTES })
  flood.setUp?.(pair)
  pair.settle()
  const side = pair[flood.to]
  const before = side.receivedBytes
  const most = flood.maxBytes + FLOOD_CHUNK_BYTES
  while (side.session.wantsRead && side.session.state !== 'closed') {
    side.inbox.push(...flood.bytes)
    pair.settle()
    const taken = side.receivedBytes - before
    if (taken > most)
      harness.ok(false, `took ${taken} bytes, and wants more than ${flood.maxBytes}`)
  }
  pair.close()
  checkLeftovers(pair, harness)
}

const FLOOD_CHUNK_BYTES = 1_024
