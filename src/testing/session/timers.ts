/**
 * A timer must fire, not before its time, and not leave itself behind.
 */
import type { Harness } from '../harness.ts'
import { checkLeftovers } from './scenario-runs.ts'
import { type PairSubject, SessionPair } from './session-pair.ts'
import type { SessionSide } from './session-side.ts'

export interface SessionTimer<CC, CE, SC, SE> {
  readonly side: 'client' | 'server'
  /** Brings the pair to where the timer runs. @default nothing */
  setUp?(pair: SessionPair<CC, CE, SC, SE>): void
  /** Exactly how long after that it fires. */
  readonly afterMs: number
  /** What must have come of it. */
  readonly closes?: boolean
  readonly code?: string
  check?(pair: SessionPair<CC, CE, SC, SE>): void
}

export function checkTimer<CC, CE, SC, SE>(
  subject: PairSubject<CC, CE, SC, SE>,
  timer: SessionTimer<CC, CE, SC, SE>,
  harness: Harness,
): void {
  const pair = new SessionPair(subject)
  timer.setUp?.(pair)
  pair.settle()
  const side = pair[timer.side] as unknown as SessionSide<never, never>
  const expected = pair.clock.now() + timer.afterMs
  const at = side.session.pollTimeout()
  if (at !== expected) harness.ok(false, `pollTimeout is ${at}, expected ${expected}`)
  const before = snapshot(side)
  if (timer.afterMs > EARLY_MS) {
    pair.advance(timer.afterMs - EARLY_MS)
    side.handleTimeout() // too early: nothing may come of it
    if (snapshot(side) !== before) harness.ok(false, `fired early: ${snapshot(side)}`)
  }
  pair.advance(expected - pair.clock.now())
  if (snapshot(side) === before) harness.ok(false, 'nothing came of the timer')
  const { state, failure } = side.session
  if (timer.closes === true && state !== 'closed') harness.ok(false, `state is ${state}`)
  if (timer.code !== undefined && failure?.code !== timer.code) {
    harness.ok(false, `failure is ${failure?.code}, not ${timer.code}`)
  }
  timer.check?.(pair)
  pair.close()
  checkLeftovers(pair, harness)
}

/** What can be seen of a side; differs when a timer did something. */
function snapshot(side: SessionSide<never, never>): string {
  const { state, failure } = side.session
  return `${state} ${failure?.code} ${side.sentBytes} ${side.transcript.lines.length}`
}

const EARLY_MS = 0.5
