/**
 * When the two ends of memory links get their turns.
 *
 * A turn is deferred work of the tick. Two ends that answer each other would make such work for
 * ever, and neither timers nor sockets of the process would ever be served. So after many turns the
 * rest waits for a timer, which fires only once the process has looked at everything else.
 */
import type { Clock } from '../../core/clock.ts'

export class TurnScheduler {
  readonly #clock: Clock
  #turns = 0
  #armed = false
  #waiting: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  schedule(turn: () => void): void {
    this.#turns += 1
    // Armed early: in a process that is not starved it fires before anything has to wait for it.
    if (this.#turns >= ARM_TURNS && !this.#armed) {
      this.#armed = true
      this.#clock.setTimer(this.#clock.now(), () => this.#onTimer())
    }
    if (this.#turns < MAX_TURNS) this.#clock.defer(turn)
    else this.#waiting.push(turn)
  }

  #onTimer(): void {
    this.#armed = false
    this.#turns = 0
    const waiting = this.#waiting
    this.#waiting = []
    for (const turn of waiting) this.#clock.defer(turn)
  }
}

const ARM_TURNS = 1_024
const MAX_TURNS = 4_096
