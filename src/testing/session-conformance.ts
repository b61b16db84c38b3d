/**
 * Conformance kit for `Session` (core/session.ts): a client and a server session talk over a memory
 * link on a manual clock, through every scenario the subject gives, under every way to cut, delay
 * and break the conversation.
 *
 * - The same outcome at 1, 3 and any number of bytes per chunk, at seeded lengths, and when output
 *   leaves late and in small portions.
 * - The connection is lost, ends, or turns into noise at every offset: nothing throws, `failure` is
 *   sticky, every exchange gets exactly one last event, no timer is left.
 * - Violations are refused, illegal commands are UsageErrors that change nothing, timers fire.
 */
import type { Harness } from './harness.ts'
import { BreakingRuns } from './session/breaking-runs.ts'
import type { IllegalCommand, SessionFlood, SessionViolation } from './session/refusals.ts'
import { checkFlood, checkIllegal, checkViolation } from './session/refusals.ts'
import { ScenarioRuns, type SessionScenario } from './session/scenario-runs.ts'
import type { PairSubject, SessionPair } from './session/session-pair.ts'
import type { SessionSide, SideSubject } from './session/session-side.ts'
import { checkTimer, type SessionTimer } from './session/timers.ts'
import type { EventDescription } from './session/transcript.ts'

export type {
  EventDescription,
  IllegalCommand,
  SessionFlood,
  SessionPair,
  SessionScenario,
  SessionSide,
  SessionTimer,
  SessionViolation,
  SideSubject,
}

export interface SessionSubject<ClientCommand, ClientEvent, ServerCommand, ServerEvent>
  extends PairSubject<ClientCommand, ClientEvent, ServerCommand, ServerEvent> {
  /** Conversations of every kind. Short: they are repeated with a fault at every offset. */
  readonly scenarios: Readonly<
    Record<string, SessionScenario<ClientCommand, ClientEvent, ServerCommand, ServerEvent>>
  >
  /** Input that a session must refuse, by what is wrong with it. */
  readonly violations?: Readonly<
    Record<string, SessionViolation<ClientCommand, ClientEvent, ServerCommand, ServerEvent>>
  >
  /** Commands that are not legal in their state. */
  readonly illegal?: Readonly<
    Record<string, IllegalCommand<ClientCommand, ClientEvent, ServerCommand, ServerEvent>>
  >
  /** Situations in which a timer must fire, and what comes of it. */
  readonly timers?: Readonly<
    Record<string, SessionTimer<ClientCommand, ClientEvent, ServerCommand, ServerEvent>>
  >
  /** Input that must not be taken without bound while nobody wants it. */
  readonly floods?: Readonly<
    Record<string, SessionFlood<ClientCommand, ClientEvent, ServerCommand, ServerEvent>>
  >
  /** @default 1 */
  readonly seed?: number
}

export function sessionConformance<CC, CE, SC, SE>(
  name: string,
  subject: SessionSubject<CC, CE, SC, SE>,
  harness: Harness,
): void {
  const test = (behaviour: string, body: () => void): void => {
    harness.test(`${name} session: ${behaviour}`, body)
  }
  const { seed = 1, violations = {}, illegal = {}, timers = {}, floods = {} } = subject
  for (const [what, scenario] of Object.entries(subject.scenarios)) {
    const runs = new ScenarioRuns(subject, scenario, harness, seed)
    test(`${what}: goes as expected and leaves nothing`, () => runs.whole())
    for (const size of [1, 3]) {
      test(`${what}: alike in chunks of ${size}`, () => runs.inChunks(size))
    }
    test(`${what}: alike in seeded chunks`, () => runs.seeded())
    test(`${what}: alike when output leaves late and little by little`, () => runs.reluctant())
    const breaks = new BreakingRuns(subject, scenario, harness, seed)
    test(`${what}: survives a lost connection at every offset`, () => breaks.lost())
    test(`${what}: survives the end of input at every offset`, () => breaks.ended())
    test(`${what}: survives noise at every offset`, () => breaks.noise())
    test(`${what}: survives silence at every offset`, () => breaks.silence())
  }
  test('survives noise from the first byte, alike however it is cut', () => {
    new BreakingRuns(subject, { start() {} }, harness, seed).noiseOnly()
  })
  test('takes every input in every state without throwing', () => {
    new BreakingRuns(subject, { start() {} }, harness, seed).everyInput()
  })
  for (const [what, violation] of Object.entries(violations)) {
    test(`refuses ${what}`, () => checkViolation(subject, violation, harness))
  }
  for (const [what, command] of Object.entries(illegal)) {
    test(`refuses the command ${what}`, () => checkIllegal(subject, command, harness))
  }
  for (const [what, timer] of Object.entries(timers)) {
    test(`fires the timer of ${what}`, () => checkTimer(subject, timer, harness))
  }
  for (const [what, flood] of Object.entries(floods)) {
    test(`stops reading ${what}`, () => checkFlood(subject, flood, harness))
  }
}
