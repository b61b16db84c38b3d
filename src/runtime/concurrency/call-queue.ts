/**
 * Calls that wait for a place, best priority first. Pure: who owns it keeps time and makes errors.
 *
 * **First come first served, until the queue has stood for a while; then the newest first.** A queue
 * that empties now and then absorbs bursts, and order is fairness. One that never empties is
 * overload: in order, every call would wait as long as the queue is, and all of them would be
 * answered when nobody waits for them any more. Served from the other end most are answered at once,
 * and those that are too late anyway are the ones that are lost. (Facebook's adaptive LIFO; how long
 * "a while" is comes from CoDel, RFC 8289.)
 */
import type { Link } from '../linked-list.ts'
import { LinkedList, unlink } from '../linked-list.ts'

export const PRIORITIES = 8

export class CallQueue<Member extends Link> {
  readonly #overloadAfterMs: number
  readonly #lists: (LinkedList<Member> | undefined)[] = new Array(PRIORITIES)
  readonly #counts = new Uint32Array(PRIORITIES)
  #length = 0
  #since = Number.POSITIVE_INFINITY

  constructor(overloadAfterMs: number) {
    this.#overloadAfterMs = overloadAfterMs
  }

  get length(): number {
    return this.#length
  }

  overloaded(now: number): boolean {
    return this.#length > 0 && now - this.#since > this.#overloadAfterMs
  }

  /** How many would be served before a newcomer. */
  ahead(priority: number, now: number): number {
    const last = this.overloaded(now) ? priority - 1 : priority
    let count = 0
    for (let at = 0; at <= last; at++) count += this.#counts[at] as number
    return count
  }

  add(member: Member, priority: number, now: number): void {
    if (this.#length++ === 0) this.#since = now
    this.#counts[priority] = (this.#counts[priority] as number) + 1
    const list = (this.#lists[priority] ??= new LinkedList<Member>())
    list.addLast(member)
  }

  /** Takes it out, wherever it stands. Its place may be gone already. */
  remove(member: Member, priority: number): void {
    unlink(member)
    this.#length--
    this.#counts[priority] = (this.#counts[priority] as number) - 1
    if (this.#length === 0) this.#since = Number.POSITIVE_INFINITY
  }

  /** Who is served next; it stays until it is removed. */
  next(now: number): Member | undefined {
    if (this.#length === 0) return undefined
    for (let priority = 0; priority < PRIORITIES; priority++) {
      if (this.#counts[priority] === 0) continue
      const list = this.#lists[priority]
      return this.overloaded(now) ? list?.last : list?.first
    }
    return undefined
  }

  /** Who makes room for a newcomer in a full queue; undefined: the newcomer itself is refused. */
  victim(priority: number, now: number): Member | undefined {
    for (let worst = PRIORITIES - 1; worst >= priority; worst--) {
      if (this.#counts[worst] === 0) continue
      const list = this.#lists[worst]
      // In order, whoever came first is served first, so the last comer of the worst must go.
      if (!this.overloaded(now)) return worst > priority ? list?.last : undefined
      return list?.first
    }
    return undefined
  }
}
