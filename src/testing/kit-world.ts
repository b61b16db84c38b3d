/**
 * What a property of a kit runs in: checks that say what they found, and waiting that has no clock of
 * its own, so that it works with a manual clock as with the real one.
 */
import type { Harness } from './harness.ts'

/** Something that goes on when it is given turns. */
export interface Turning {
  /** Lets whatever is under way go on. Called until a condition holds, a limited number of times. */
  turn(): Promise<void>
}

export interface TurnLimits {
  readonly maxTurns: number
  readonly quietTurns: number
}

export class KitWorld<Fixture extends Turning, Limits extends TurnLimits> {
  readonly fixture: Fixture
  readonly options: Limits
  readonly #harness: Harness

  constructor(fixture: Fixture, harness: Harness, options: Limits) {
    this.fixture = fixture
    this.options = options
    this.#harness = harness
  }

  ok(value: unknown, message: string): void {
    if (!value) this.#harness.ok(false, message)
  }

  equal<Value>(actual: Value, expected: Value, what: string): void {
    this.ok(Object.is(actual, expected), `${what}: ${String(actual)}, expected ${String(expected)}`)
  }

  /** Turns until `condition` holds; fails, saying `what`, when it does not come to that. */
  async until(condition: () => boolean, what: string): Promise<void> {
    for (let turns = 0; turns < this.options.maxTurns; turns++) {
      if (condition()) return
      await this.fixture.turn()
    }
    this.ok(condition(), `did not happen: ${what}`)
  }

  /** Long enough for what must not happen to have happened. */
  async quiet(): Promise<void> {
    for (let turns = 0; turns < this.options.quietTurns; turns++) await this.fixture.turn()
  }

  /** Settles while turns go on: with a manual clock nothing happens otherwise. */
  async settled<Value>(promise: Promise<Value>): Promise<PromiseOutcome<Value>> {
    let outcome: PromiseOutcome<Value> | undefined
    promise.then(
      (value) => {
        outcome = { value, error: undefined, rejected: false }
      },
      (error: unknown) => {
        outcome = { value: undefined, error, rejected: true }
      },
    )
    await this.until(() => outcome !== undefined, 'a promise settles')
    return outcome as unknown as PromiseOutcome<Value>
  }

  async resolved<Value>(promise: Promise<Value>): Promise<Value> {
    const outcome = await this.settled(promise)
    if (outcome.rejected) throw outcome.error
    return outcome.value as Value
  }

  /** The error that it rejects with. */
  async rejected(promise: Promise<unknown>, what: string): Promise<unknown> {
    const outcome = await this.settled(promise)
    this.ok(outcome.rejected, `${what} did not fail`)
    return outcome.error
  }
}

export interface PromiseOutcome<Value> {
  readonly value: Value | undefined
  readonly error: unknown
  readonly rejected: boolean
}
