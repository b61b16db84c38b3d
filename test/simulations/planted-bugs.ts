/**
 * Bugs that the simulation must find: each a small, believable mistake in a policy. `right` stands
 * in the file exactly once and becomes `wrong` while it is loaded (`npm run sim -- --planted`).
 */

export interface PlantedBug {
  readonly name: string
  readonly file: string
  readonly right: string
  readonly wrong: string
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'retry-repeats-anything',
    file: 'src/runtime/middleware/retry.ts',
    right: 'return this.#context.idempotent ?? classifier.isIdempotent(this.#request)',
    wrong: 'return true',
  },
  {
    name: 'retry-budget-never-empty',
    file: 'src/runtime/retry-budget.ts',
    right: 'if (this.#reserve + this.#sum < 1 - ROUNDING) return false',
    wrong: '',
  },
  {
    name: 'retry-ignores-pushback',
    file: 'src/runtime/retry-policy.ts',
    right: 'const pushbackMs = verdict.pushbackMs ?? 0',
    wrong: 'const pushbackMs = 0',
  },
  {
    name: 'breaker-never-closes-again',
    file: 'src/runtime/breaker.ts',
    right: 'if (this.#cell.probeSucceeded(version) >= this.options.successesToClose) {',
    wrong: 'if (this.#cell.probeSucceeded(version) < 0) {',
  },
  {
    name: 'ejection-never-ends',
    file: 'src/runtime/balancer/outlier-detector.ts',
    right: 'if (record.ejectedUntil === undefined || now < record.ejectedUntil) return false',
    wrong: 'if (record.ejectedUntil === undefined || now < Number.POSITIVE_INFINITY) return false',
  },
  {
    name: 'wheel-is-late',
    file: 'src/runtime/timer-wheel.ts',
    right: 'const due = Math.max(Math.ceil(at / this.#resolutionMs), this.#tick + 1)',
    wrong: 'const due = Math.max(Math.ceil(at / this.#resolutionMs) + 64, this.#tick + 1)',
  },
  {
    name: 'pool-waiter-stays-after-abort',
    file: 'src/runtime/waiter.ts',
    right:
      '    this.#removeCancel = this.#context.onCancel((reason) => {\n      this.refuse(unsent(reason, this.#waited()))\n    })\n',
    wrong: '',
  },
  {
    name: 'deadline-is-not-armed',
    file: 'src/runtime/middleware/timed-call.ts',
    right: '    wheel.arm(this, at)\n',
    wrong: '',
  },
  {
    name: 'resolver-error-empties-the-set',
    file: 'src/discovery/with-names.ts',
    right:
      'if (!this.#anyKnown()) this.#listener.onError(error)\n        else if (first) this.#report()',
    wrong:
      'watched.addresses = []\n        if (!this.#anyKnown() || first) this.#listener.onError(error)\n        this.#report()',
  },
  {
    name: 'balancer-forgets-failed-calls',
    file: 'src/runtime/middleware/balancer.ts',
    right: '    this.#pick.done(now, tells ? now - this.#startedAt : undefined, endpointFailure)\n',
    wrong: '',
  },
  {
    name: 'rate-limit-refills-twice-as-fast',
    file: 'src/runtime/rate-limit/key-slots.ts',
    right: 'const next = full + cost * costMs',
    wrong: 'const next = full + (cost * costMs) / 2',
  },
  {
    name: 'place-is-kept-by-calls-that-waited',
    file: 'src/runtime/middleware/concurrency.ts',
    right: 'if (cancelReason === undefined) return enter(gate, request, context)',
    wrong: 'if (cancelReason === undefined) return next(request, context)',
  },
  {
    name: 'one-place-more-than-the-limit',
    file: 'src/runtime/concurrency/concurrency-gate.ts',
    right: 'if (this.#inFlight >= this.limit || this.#queue.length > 0) return false',
    wrong: 'if (this.#inFlight > this.limit || this.#queue.length > 0) return false',
  },
  {
    name: 'an-allowing-role-hides-a-denial',
    file: 'src/security/authorization/access-policy.ts',
    right: 'if (denied !== undefined) return { allow: false',
    wrong: 'if (denied !== undefined && role.allow.length > 0) return { allow: false',
  },
  {
    name: 'failed-checks-are-not-heard',
    file: 'src/runtime/balancer/balancer.ts',
    right: '    member.healthy = healthy\n    if (healthy)',
    wrong: '    member.healthy = true\n    if (healthy)',
  },
]
