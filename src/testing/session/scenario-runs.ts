/**
 * A scenario played to its end, in every pace: the transcripts must be the same.
 */
import { describeValue } from '../deep-equal.ts'
import type { Harness } from '../harness.ts'
import { type PaceOptions, type PairSubject, SessionPair } from './session-pair.ts'

export interface SessionScenario<CC, CE, SC, SE> {
  /** Submits the first commands. */
  start(pair: SessionPair<CC, CE, SC, SE>): void
  onClientEvent?(event: CE, pair: SessionPair<CC, CE, SC, SE>): void
  onServerEvent?(event: SE, pair: SessionPair<CC, CE, SC, SE>): void
  /** What each side must have been told, as `exchange: text` lines, sorted by exchange. */
  readonly expect?: { readonly client?: readonly string[]; readonly server?: readonly string[] }
  /** Anything else that must hold at the end. */
  check?(pair: SessionPair<CC, CE, SC, SE>): void
}

export class ScenarioRuns<CC, CE, SC, SE> {
  readonly #subject: PairSubject<CC, CE, SC, SE>
  readonly #scenario: SessionScenario<CC, CE, SC, SE>
  readonly #harness: Harness
  readonly #seed: number

  constructor(
    subject: PairSubject<CC, CE, SC, SE>,
    scenario: SessionScenario<CC, CE, SC, SE>,
    harness: Harness,
    seed: number,
  ) {
    this.#subject = subject
    this.#scenario = scenario
    this.#harness = harness
    this.#seed = seed
  }

  whole(): void {
    const pair = this.#play({})
    const { expect } = this.#scenario
    if (expect?.client) this.#same(pair.client.transcript.lines, expect.client, 'client, expected')
    if (expect?.server) this.#same(pair.server.transcript.lines, expect.server, 'server, expected')
  }

  inChunks(chunkBytes: number): void {
    this.#alike({ chunkBytes }, `chunks of ${chunkBytes}`)
  }

  seeded(): void {
    for (let round = 0; round < SEEDS; round++) {
      const seed = this.#seed + round
      this.#alike({ chunkBytes: [2, 10, 100][round % 3] as number, seed }, `seed ${seed}`)
    }
  }

  reluctant(): void {
    this.#alike({ room: 1, flushEvery: 5 }, 'late output')
    this.#alike({ room: 1, flushEvery: 3, chunkBytes: 2 }, 'late output in small chunks')
  }

  #alike(pace: PaceOptions, where: string): void {
    const whole = this.#play({})
    const cut = this.#play(pace)
    this.#same(cut.client.transcript.lines, whole.client.transcript.lines, `${where}, client`)
    this.#same(cut.server.transcript.lines, whole.server.transcript.lines, `${where}, server`)
    for (const side of ['client', 'server'] as const) {
      const a = cut[side].session.failure?.code
      const b = whole[side].session.failure?.code
      if (a !== b) this.#harness.ok(false, `${where}, ${side}: failure ${a} against ${b}`)
    }
  }

  #play(pace: PaceOptions): SessionPair<CC, CE, SC, SE> {
    const pair = startScenario(this.#subject, this.#scenario, pace)
    pair.settle()
    this.#scenario.check?.(pair)
    pair.close()
    checkLeftovers(pair, this.#harness)
    return pair
  }

  #same(actual: readonly string[], expected: readonly string[], where: string): void {
    const length = Math.max(actual.length, expected.length)
    for (let at = 0; at < length; at++) {
      if (actual[at] === expected[at]) continue
      const difference = `${describeValue(actual[at])} against ${describeValue(expected[at])}`
      this.#harness.ok(false, `${where}: line ${at} is ${difference}`)
    }
  }
}

/** A pair in which the scenario has begun and nothing has moved yet. */
export function startScenario<CC, CE, SC, SE>(
  subject: PairSubject<CC, CE, SC, SE>,
  scenario: SessionScenario<CC, CE, SC, SE>,
  pace: PaceOptions,
): SessionPair<CC, CE, SC, SE> {
  const pair = new SessionPair(subject, pace)
  const { onClientEvent, onServerEvent } = scenario
  if (onClientEvent) pair.client.onEvent = (event) => scenario.onClientEvent?.(event, pair)
  if (onServerEvent) pair.server.onEvent = (event) => scenario.onServerEvent?.(event, pair)
  scenario.start(pair)
  return pair
}

/** After the connection closed: no exchange is open, no timer waits, nothing more is said. */
export function checkLeftovers<CC, CE, SC, SE>(
  pair: SessionPair<CC, CE, SC, SE>,
  harness: Harness,
): void {
  for (const side of [pair.client, pair.server]) {
    const { session, transcript, name } = side
    transcript.finish()
    const problem = transcript.problems[0]
    if (problem !== undefined) harness.ok(false, problem)
    const { state } = session
    if (state !== 'closed' && state !== 'detached') {
      harness.ok(false, `${name}: state is ${state} after the connection closed`)
    }
    const at = session.pollTimeout()
    if (at !== undefined) harness.ok(false, `${name}: a timer is left after the close, at ${at}`)
    if (session.pollEvent() !== undefined) harness.ok(false, `${name}: an event after the close`)
  }
  const { pendingTimers } = pair.clock
  if (pendingTimers > 0) harness.ok(false, `${pendingTimers} timers of the clock are left`)
}

const SEEDS = 12
